package streams

import (
	"sync"
	"sync/atomic"

	"thalweg/internal/catalog"
	"thalweg/internal/ids"
)

// Meter counts what goes through a shard, or a stream, from the server's start.
// Bytes are those of data and partition keys.
type Meter struct {
	InBytes, InRecords   atomic.Int64
	OutBytes, OutRecords atomic.Int64
	// WriteThrottled counts records, ReadThrottled calls.
	WriteThrottled, ReadThrottled atomic.Int64
	// IteratorAge is how far the last page that was read ended behind the tip, in
	// milliseconds. It is a shard's only.
	IteratorAge atomic.Int64
}

// meter is where a shard's traffic is counted: its own and its stream's.
type meter struct{ stream, shard *Meter }

func (m meter) in(records int, bytes int64) {
	for _, at := range [...]*Meter{m.stream, m.shard} {
		at.InRecords.Add(int64(records))
		at.InBytes.Add(bytes)
	}
}

func (m meter) out(records int, bytes int64) {
	for _, at := range [...]*Meter{m.stream, m.shard} {
		at.OutRecords.Add(int64(records))
		at.OutBytes.Add(bytes)
	}
}

func (m meter) readThrottled() {
	m.stream.ReadThrottled.Add(1)
	m.shard.ReadThrottled.Add(1)
}

func (m meter) writeThrottled(records int) {
	m.stream.WriteThrottled.Add(int64(records))
	m.shard.WriteThrottled.Add(int64(records))
}

// meters are the meters of streams that have been used, by stream number. Those
// of what is gone go with the next look at them.
type meters struct {
	mu      sync.RWMutex
	streams map[uint64]*streamMeters // guarded by mu
}

type streamMeters struct {
	total  Meter
	shards map[ids.Shard]*Meter // guarded by meters.mu
}

// of returns the meter of a shard.
func (ms *meters) of(number uint64, shard ids.Shard) meter {
	ms.mu.RLock()
	if st := ms.streams[number]; st != nil {
		if m := st.shards[shard]; m != nil {
			ms.mu.RUnlock()
			return meter{&st.total, m}
		}
	}
	ms.mu.RUnlock()
	ms.mu.Lock()
	defer ms.mu.Unlock()
	st := ms.streams[number]
	if st == nil {
		st = &streamMeters{shards: map[ids.Shard]*Meter{}}
		ms.streams[number] = st
	}
	m := st.shards[shard]
	if m == nil {
		m = &Meter{}
		st.shards[shard] = m
	}
	return meter{&st.total, m}
}

// forget drops the meters of a stream.
func (ms *meters) forget(number uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	delete(ms.streams, number)
}

// keep drops the meters of shards that r no longer has.
func (ms *meters) keep(r *catalog.Resource) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	st := ms.streams[r.Stream.Number]
	if st == nil {
		return
	}
	for number := range st.shards {
		if shardOf(r, number) == nil {
			delete(st.shards, number)
		}
	}
}

// numbers are the streams that have meters.
func (ms *meters) numbers() []uint64 {
	ms.mu.RLock()
	defer ms.mu.RUnlock()
	list := make([]uint64, 0, len(ms.streams))
	for number := range ms.streams {
		list = append(list, number)
	}
	return list
}

// EachMeter calls f for every stream that has been read or written, with no
// shard, and for those of its shards that have been if any enhanced metric of the
// stream is on.
func (s *Service) EachMeter(f func(r *catalog.Resource, shard *catalog.Shard, m *Meter)) {
	for _, number := range s.meters.numbers() {
		r := s.catalog.StreamNumber(number)
		if r == nil {
			s.meters.forget(number)
			continue
		}
		s.meters.keep(r)
		total, shards := s.meters.read(r)
		if total == nil {
			continue
		}
		f(r, nil, total)
		if len(r.Stream.ShardMetrics) == 0 {
			continue
		}
		for i, m := range shards {
			if m != nil {
				f(r, &r.Stream.Shards[i], m)
			}
		}
	}
}

// read returns the meters of a stream and of its shards, in their order, nil for
// those that have none.
func (ms *meters) read(r *catalog.Resource) (*Meter, []*Meter) {
	ms.mu.RLock()
	defer ms.mu.RUnlock()
	st := ms.streams[r.Stream.Number]
	if st == nil {
		return nil, nil
	}
	list := make([]*Meter, len(r.Stream.Shards))
	for i := range r.Stream.Shards {
		list[i] = st.shards[r.Stream.Shards[i].Number]
	}
	return &st.total, list
}
