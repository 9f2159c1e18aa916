package logtest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"

	"thalweg/internal/log"
)

var stateTests = []test{
	{"a fresh log takes writes", func(s *suite) {
		if st := s.l.State(); !st.Writable || st.Full || st.Reason != "" {
			s.Errorf("state %+v", st)
		}
	}},
	{"after close every append is refused", func(s *suite) {
		p := s.create(1)[0]
		if err := s.l.Close(s.Context()); err != nil {
			s.Fatalf("close: %v", err)
		}
		s.refused(data(p, Batch(1, 10, 1)), log.ErrClosed)
		s.refused(entry(log.Create, part(9, 0)), log.ErrClosed)
		if s.l.State().Writable {
			s.Error("a closed log says that it takes writes")
		}
	}},
	{"readers and writers of every kind at once", churn},
	{"close answers every append once, and what it acknowledged is there", closeWhileWriting},
}

func closeWhileWriting(s *suite) {
	const callers, each = 4, 200
	p := s.create(1)[0]
	var answers, acked [callers * each]atomic.Int32
	var left atomic.Int32
	left.Store(callers * each)
	all := make(chan struct{})
	l := s.l
	closed := make(chan error, 1)
	together(callers, func(c int) {
		for n := range each {
			id := c*each + n
			if id == each/2 {
				go func() { closed <- l.Close(context.Background()) }()
			}
			l.Append(request(data(p, Batch(1, 20, uint64(id)))), func(r []log.Result) {
				answers[id].Add(1)
				switch {
				case r[0].Err == nil:
					acked[id].Store(int32(r[0].Offset + 1))
				case !errors.Is(r[0].Err, log.ErrClosed):
					s.Errorf("append %d: %v, want %v", id, r[0].Err, log.ErrClosed)
				}
				if left.Add(-1) == 0 {
					close(all)
				}
			})
		}
	})
	if err := <-closed; err != nil {
		s.Errorf("close: %v", err)
	}
	s.firesSoon(&log.Waiter{C: all}, "every append answered after close")
	for id := range answers {
		if n := answers[id].Load(); n != 1 {
			s.Errorf("append %d was answered %d times", id, n)
		}
	}
	s.reopen()
	got := s.readAll(p, 0, 1<<20)
	for id := range acked {
		if offset := int(acked[id].Load()) - 1; offset >= 0 {
			if offset >= len(got) || !s.same(Batch(1, 20, uint64(id)), got[offset]) {
				s.Errorf("append %d was acknowledged at %d and is not there", id, offset)
			}
		}
	}
}

// churn runs writers, readers, watchers, trimming, and partitions that come and
// go side by side. It is for the race detector, and for what a reader may never
// see: a batch that is damaged, out of place, or another partition's.
func churn(s *suite) {
	const writers, rounds = 3, 60
	ps := s.create(3)
	var running atomic.Int32
	running.Store(writers)
	readers := make(chan struct{})
	go func() {
		defer close(readers)
		together(4, func(i int) {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for running.Load() > 0 && !s.Failed() {
				s.churnRead(ps[r.IntN(len(ps))], r)
			}
		})
	}()
	together(writers, func(i int) {
		defer running.Add(-1)
		r := rand.New(rand.NewPCG(uint64(i), 1))
		for n := range rounds {
			s.churnWrite(ps, i, n, r)
		}
	})
	<-readers
	for _, p := range ps {
		s.readAll(p, s.info(p).Start, 1<<16)
	}
}

// mark makes a batch that says which partition it is of.
func mark(p log.PartitionID, r *rand.Rand) []byte {
	return Batch(1+r.IntN(3), r.IntN(500), uint64(p.Index))
}

func (s *suite) churnWrite(ps []log.PartitionID, writer, n int, r *rand.Rand) {
	p := ps[r.IntN(len(ps))]
	own := part(uint64(100+writer), uint32(n))
	reqs := []log.Request{
		request(data(p, mark(p, r))),
		atomically(data(ps[0], mark(ps[0], r)), data(ps[1], mark(ps[1], r)), data(ps[2], mark(ps[2], r))),
		atomically(entry(log.Create, own), data(own, mark(own, r)), data(p, mark(p, r))),
		request(entry(log.Fence, own), entry(log.Seal, own), entry(log.Delete, own)),
	}
	if info, err := s.l.Info(p); err == nil && n%5 == 0 {
		reqs = append(reqs, request(log.Entry{Kind: log.Trim, Partition: p, Offset: (info.Start + info.End) / 2}))
	}
	for _, req := range reqs {
		if _, err := log.Do(s.l, req); err != nil {
			s.Errorf("writer %d, round %d: %v", writer, n, err)
		}
	}
}

func (s *suite) churnRead(p log.PartitionID, r *rand.Rand) {
	info, err := s.l.Info(p)
	if err != nil {
		s.Errorf("info of %v: %v", p, err)
		return
	}
	at := info.Start + r.Int64N(info.End-info.Start+1)
	got, err := s.l.Read(p, at, 1+r.IntN(20_000), log.Isolation(r.IntN(2)))
	if err != nil && !errors.Is(err, log.ErrOutOfRange) {
		s.Errorf("read of %v at %d: %v", p, at, err)
	}
	for _, b := range got.List {
		if err := checkBatch(b, at, got.End); err != nil {
			s.Errorf("read of %v at %d: %v", p, at, err)
		} else if !bytes.Equal(firstKey(b.Bytes), key(uint64(p.Index))) {
			s.Errorf("read of %v at %d gave another partition's batch", p, b.Base)
		}
		at = b.Base + int64(b.Count)
	}
	got.Release()
	if _, _, err := s.l.OffsetForTime(p, r.Int64()); err != nil {
		s.Errorf("offset for time of %v: %v", p, err)
	}
	w := s.l.Watch([]log.Position{{Partition: p, Offset: at}}, int64(1+r.IntN(5000)))
	s.l.Partitions()
	w.Stop()
}
