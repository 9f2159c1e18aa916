package delivery

import (
	"errors"
	"slices"

	"thalweg/internal/catalog"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/streams"
)

// readChunk is how much of a partition is held at a time.
const readChunk = 1 << 20

// errEnough stops a reading from within.
var errEnough = errors.New("enough")

// place is a partition that a delivery stream reads, and where it goes on.
type place struct {
	partition log.PartitionID
	shard     ids.Shard
	// first is the first offset that is still there, next not before it.
	first, next int64
	// closed tells that nothing is appended any more; end is how far it goes.
	closed bool
	end    int64
	// tip is where nothing is yet, readable or not: what to watch from while nothing is
	// pending.
	tip int64
}

func (p place) pending() bool { return p.next < p.end }

// source is where a delivery stream's records come from.
type source interface {
	// places are where there are records, or will be, to be delivered next.
	places() ([]place, error)
	// all are all places, those too whose turn has not come.
	all() ([]place, error)
	// told is whether the log tells of new records; else places must be asked.
	told() bool
	// oldest is when the oldest record at some places arrived, 0 if there is none, and
	// how many bytes about are there that the log does not tell of.
	oldest(at []place) (arrival, untold int64, err error)
	// offset is that of the first record at a place that arrived at a time or later.
	offset(p place, at int64) (int64, error)
	// read yields the records of a place from its next on, up to the end as it is
	// now, and returns what follows the last that was yielded without an error. An
	// error of yield ends it; errEnough is then no error, and takes the record in or
	// not as keep says.
	read(p place, to int64, yield func(*dest.Record) (keep bool, err error)) (next int64, err error)
}

// sourceOf returns where r's records come from.
func (s *Service) sourceOf(r *catalog.Resource, l *line) source {
	switch {
	case r.Delivery.Type == DirectPut:
		return &directSource{logSource{s}, l, r.Delivery.Partition(0)}
	case r.Delivery.Source.Remote:
		return &topicSource{s: s, line: l, r: r}
	}
	return &streamSource{logSource{s}, l, r.Delivery.Source}
}

// logSource is what sources in the log have in common.
type logSource struct{ s *Service }

func (d logSource) told() bool { return true }

func (d logSource) oldest(at []place) (arrival, closed int64, err error) {
	for _, p := range at {
		if !p.pending() {
			continue
		}
		got, err := d.s.log.Read(p.partition, p.next, 1, log.Uncommitted)
		if err != nil {
			return 0, 0, err
		}
		if len(got.List) > 0 && (arrival == 0 || got.List[0].Arrival < arrival) {
			arrival = max(got.List[0].Arrival, 1)
		}
		got.Release()
		if p.closed {
			if info, err := d.s.log.Info(p.partition); err == nil {
				closed += info.Bytes * (p.end - p.next) / max(1, info.End-info.Start)
			}
		}
	}
	return arrival, closed, nil
}

func (d logSource) offset(p place, at int64) (int64, error) {
	offset, _, err := d.s.log.OffsetForTime(p.partition, at)
	return offset, err
}

// directSource is a delivery stream's own partition.
type directSource struct {
	logSource
	line      *line
	partition log.PartitionID
}

func (d *directSource) places() ([]place, error) {
	info, err := d.s.log.Info(d.partition)
	if err != nil {
		return nil, err
	}
	next, _ := d.line.cursor(d.partition)
	return []place{{partition: d.partition, first: info.Start, next: max(next, info.Start), end: info.End, tip: info.End}}, nil
}

func (d *directSource) all() ([]place, error) { return d.places() }

func (d *directSource) read(p place, to int64, yield func(*dest.Record) (bool, error)) (int64, error) {
	next := p.next
	var id []byte
	for next < to {
		got, err := d.s.log.Read(p.partition, next, readChunk, log.Committed)
		if err != nil {
			return next, err
		}
		if len(got.List) == 0 {
			got.Release()
			return next, nil
		}
		for _, b := range got.List {
			it, err := batch.Records(b.Bytes)
			if err != nil {
				got.Release()
				return next, errs.Wrap(errs.Corrupt, "read what was put", err)
			}
			for it.Next() {
				r := it.Record()
				if r.Offset < next {
					continue
				}
				if r.Offset >= to {
					break
				}
				id = AppendRecordID(id[:0], p.partition, r.Offset)
				rec := dest.Record{ID: string(id), Partition: p.partition, Offset: r.Offset, Arrival: b.Arrival, Data: r.Value}
				keep, err := yield(&rec)
				if keep {
					next = r.Offset + 1
				}
				if err != nil {
					got.Release()
					return next, enough(err)
				}
			}
			if err := it.Err(); err != nil {
				got.Release()
				return next, errs.Wrap(errs.Corrupt, "read what was put", err)
			}
			next = min(max(next, b.Base+int64(b.Count)), to)
		}
		got.Release()
	}
	return next, nil
}

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// streamSource is the shards of a stream, or the partitions of a topic.
type streamSource struct {
	logSource
	line *line
	src  *catalog.DeliverySource
}

// stream is the one that is read.
func (d *streamSource) stream() (*catalog.Resource, error) {
	r := d.s.catalog.StreamNumber(d.src.Stream)
	if r == nil {
		return nil, errs.New(errs.NotFound, "the source "+d.src.ARN+" does not exist any more")
	}
	return r, nil
}

// all are the shards, in their order.
func (d *streamSource) all() ([]place, error) {
	r, err := d.stream()
	if err != nil {
		return nil, err
	}
	var out []place
	for i := range r.Stream.Shards {
		sh := &r.Stream.Shards[i]
		p := place{partition: r.Stream.PartitionOf(sh.Number), shard: sh.Number, closed: !sh.Open()}
		info, err := d.s.log.Info(p.partition)
		if err != nil {
			return nil, err
		}
		p.first, p.end, p.tip = info.Start, info.Stable, info.End
		p.next = max(startIn(d.line, d.src, sh.Number, p.partition), info.Start)
		out = append(out, p)
	}
	return out, nil
}

// places are the shards whose parents have been read to their ends.
func (d *streamSource) places() ([]place, error) {
	r, err := d.stream()
	if err != nil {
		return nil, err
	}
	list, err := d.all()
	if err != nil {
		return nil, err
	}
	all := map[ids.Shard]place{}
	for _, p := range list {
		all[p.shard] = p
	}
	var out []place
	for i := range r.Stream.Shards {
		sh := &r.Stream.Shards[i]
		p := all[sh.Number]
		if p.closed && !p.pending() {
			continue
		}
		ready := !slices.ContainsFunc(sh.Parents, func(parent ids.Shard) bool {
			of, there := all[parent]
			return there && of.pending()
		})
		if ready {
			out = append(out, p)
		}
	}
	return out, nil
}

// startIn is where delivery goes on in a source's shard.
func startIn(l *line, src *catalog.DeliverySource, shard ids.Shard, p log.PartitionID) int64 {
	if next, known := l.cursor(p); known {
		return next
	}
	for _, st := range src.Starts {
		if st.Shard == shard {
			return st.Offset
		}
	}
	return 0
}

func (d *streamSource) read(p place, to int64, yield func(*dest.Record) (bool, error)) (int64, error) {
	r, err := d.stream()
	if err != nil {
		return p.next, err
	}
	pos := streams.Position{Stream: r, Shard: p.shard, Generation: p.partition.Generation, Offset: p.next}
	next := p.next
	for pos.Offset < to {
		page, err := d.s.o.Streams.Scan(pos, streams.MaxGetRecords, readChunk)
		if err != nil {
			return next, err
		}
		shown := 0
		for page.Next() {
			rec := page.Record()
			if rec.Offset >= to {
				break
			}
			shown++
			out := dest.Record{
				ID: RecordID(p.partition, rec.Offset), Partition: p.partition, Offset: rec.Offset, Sequence: rec.Sequence.String(),
				ShardID: p.shard.String(), PartitionKey: string(rec.Key), Arrival: rec.Arrival, Data: rec.Data,
			}
			keep, err := yield(&out)
			if keep {
				next = rec.Offset + 1
			}
			if err != nil {
				page.Close()
				return next, enough(err)
			}
		}
		err = page.Err()
		at := page.Position()
		page.Close()
		if err != nil {
			return next, err
		}
		pos = at
		next = max(next, min(at.Offset, to))
		if shown == 0 && at.Offset >= to {
			break
		}
		if shown == 0 {
			return next, nil // nothing is readable beyond
		}
	}
	return next, nil
}
