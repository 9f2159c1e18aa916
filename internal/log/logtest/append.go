package logtest

import (
	"errors"
	"sync"
	"sync/atomic"

	"thalweg/internal/log"
)

var appendTests = []test{
	{"offsets count records from zero", func(s *suite) {
		p := s.create(1)[0]
		var sent [][]byte
		next := int64(0)
		for i := range 10 {
			b := Batch(1+i%3, 100, uint64(i))
			r := s.put(p, b)
			if r.Offset != next {
				s.Fatalf("batch %d got offset %d, want %d", i, r.Offset, next)
			}
			next += int64(1 + i%3)
			sent = append(sent, b)
		}
		s.wantBatches(p, 0, sent)
		if info := s.info(p); info.Start != 0 || info.End != next || info.Stable != next {
			s.Errorf("info %+v, want 0 to %d", info, next)
		}
	}},
	{"an empty request is answered", func(s *suite) {
		if r := s.try(log.Request{}); len(r) != 0 {
			s.Errorf("results %v", r)
		}
		if r := s.try(log.Request{Atomic: true}); len(r) != 0 {
			s.Errorf("results %v", r)
		}
	}},
	{"one caller's appends land in order and are answered in order", appendsInOrder},
	{"entries of a request land in order", func(s *suite) {
		ps := s.create(2)
		var req log.Request
		var sent [2][][]byte
		for i := range 20 {
			b := Batch(1, 50, uint64(i))
			req.Entries = append(req.Entries, data(ps[i%2], b))
			sent[i%2] = append(sent[i%2], b)
		}
		for i, r := range s.do(req) {
			if r.Offset != int64(i/2) {
				s.Errorf("entry %d got offset %d, want %d", i, r.Offset, i/2)
			}
		}
		s.wantBatches(ps[0], 0, sent[0])
		s.wantBatches(ps[1], 0, sent[1])
	}},
	{"concurrent callers leave no holes and keep their own order", appendsConcurrently},
	{"every durability is acknowledged and readable", func(s *suite) {
		p := s.create(1)[0]
		var sent [][]byte
		for i, d := range []log.Durability{log.Default, log.Durable, log.Written, log.Durable} {
			b := Batch(1, 10, uint64(i))
			if r := s.do(log.Request{Entries: []log.Entry{data(p, b)}, Durability: d})[0]; r.Offset != int64(i) {
				s.Errorf("durability %d: offset %d", d, r.Offset)
			}
			sent = append(sent, b)
		}
		s.wantBatches(p, 0, sent)
	}},
	{"one bad entry does not touch the others", func(s *suite) {
		ps := s.create(2)
		good := Batch(1, 10, 1)
		rs := s.try(request(data(ps[0], good), data(part(99, 0), good), data(ps[1], []byte("no batch")), data(ps[1], good)))
		for i, want := range []error{nil, log.ErrNotFound, log.ErrInvalidBatch, nil} {
			if !errors.Is(rs[i].Err, want) {
				s.Errorf("entry %d: %v, want %v", i, rs[i].Err, want)
			}
		}
		s.wantBatches(ps[0], 0, [][]byte{good})
		s.wantBatches(ps[1], 0, [][]byte{good})
	}},
	{"appends persist across a reopen", func(s *suite) {
		p := s.create(1)[0]
		var sent [][]byte
		for i := range 5 {
			sent = append(sent, Batch(2, 200, uint64(i)))
			s.put(p, sent[i])
		}
		before := s.wantBatches(p, 0, sent)
		s.reopen()
		after := s.wantBatches(p, 0, sent)
		for i := range before {
			if before[i].Base != after[i].Base || before[i].Arrival != after[i].Arrival {
				s.Errorf("batch %d was at %d (arrival %d), is at %d (%d)", i,
					before[i].Base, before[i].Arrival, after[i].Base, after[i].Arrival)
			}
		}
		if r := s.put(p, sent[0]); r.Offset != 10 {
			s.Errorf("first append after a reopen got offset %d, want 10", r.Offset)
		}
	}},
}

func appendsInOrder(s *suite) {
	const n = 500
	ps := s.create(3)
	var mu sync.Mutex
	var answered [3][]int64
	var calls [n]atomic.Int32
	all := make(chan struct{})
	var left atomic.Int32
	left.Store(n)
	for i := range n {
		s.l.Append(request(data(ps[i%3], Batch(1, 64, uint64(i)))), func(r []log.Result) {
			if r[0].Err != nil {
				s.Errorf("append %d: %v", i, r[0].Err)
			}
			calls[i].Add(1)
			mu.Lock()
			answered[i%3] = append(answered[i%3], r[0].Offset)
			mu.Unlock()
			if left.Add(-1) == 0 {
				close(all)
			}
		})
	}
	s.firesSoon(&log.Waiter{C: all}, "all appends answered")
	for i, offsets := range answered {
		for k, got := range offsets {
			if got != int64(k) {
				s.Fatalf("partition %d: answer %d is for offset %d", i, k, got)
			}
		}
		got := s.readAll(ps[i], 0, 1<<20)
		for k := range got {
			if !s.same(Batch(1, 64, uint64(k*3+i)), got[k]) {
				s.Fatalf("partition %d: batch %d is not the one appended as number %d", i, k, k)
			}
		}
	}
	for i := range calls {
		if c := calls[i].Load(); c != 1 {
			s.Errorf("append %d was answered %d times", i, c)
		}
	}
}

func appendsConcurrently(s *suite) {
	const callers, each = 8, 100
	ps := s.create(4)
	type ack struct {
		caller, number int
		count          int64
	}
	acks := make([]map[int64]ack, len(ps))
	for i := range acks {
		acks[i] = map[int64]ack{}
	}
	var mu sync.Mutex
	together(callers, func(c int) {
		last := make([]int64, len(ps))
		for i := range last {
			last[i] = -1
		}
		for n := range each {
			k := (c + n) % len(ps)
			rs, err := log.Do(s.l, request(data(ps[k], Batch(1+n%3, 40, uint64(c*each+n)))))
			if err != nil {
				s.Errorf("caller %d: %v", c, err)
				return
			}
			if rs[0].Offset <= last[k] {
				s.Errorf("caller %d: offset %d after %d", c, rs[0].Offset, last[k])
			}
			last[k] = rs[0].Offset
			mu.Lock()
			acks[k][rs[0].Offset] = ack{c, n, int64(1 + n%3)}
			mu.Unlock()
		}
	})
	total := 0
	for k, p := range ps {
		for _, b := range s.readAll(p, 0, 4096) {
			a, ok := acks[k][b.Base]
			if !ok {
				s.Fatalf("partition %d: batch at %d was never acknowledged", k, b.Base)
			}
			if !s.same(Batch(1+a.number%3, 40, uint64(a.caller*each+a.number)), b) {
				s.Fatalf("partition %d: batch at %d is not what was acknowledged there", k, b.Base)
			}
			total++
		}
	}
	if total != callers*each {
		s.Errorf("%d batches are there, %d were acknowledged", total, callers*each)
	}
}
