package logtest

import (
	"errors"
	"fmt"
	"slices"

	"thalweg/internal/log"
)

var atomicTests = []test{
	{"all kinds at once", func(s *suite) {
		ps := s.create(3)
		s.put(ps[1], Batch(3, 10, 0))
		s.put(ps[2], Batch(1, 10, 0))
		fresh := part(8, 0)
		b := Batch(2, 100, 1)
		rs := s.do(atomically(
			data(ps[0], b),
			log.Entry{Kind: log.Create, Partition: fresh, Config: log.Config{MaxBytes: 1 << 20}},
			data(fresh, b),
			log.Entry{Kind: log.Trim, Partition: ps[1], Offset: 2},
			entry(log.Seal, ps[1]),
			entry(log.Delete, ps[2]),
			entry(log.Fence, ps[0]),
			data(fresh, b),
		))
		if rs[0].Offset != 0 || rs[2].Offset != 0 || rs[3].Offset != 2 || rs[4].Offset != 3 || rs[6].Epoch != 1 || rs[7].Offset != 2 {
			s.Errorf("results %+v", rs)
		}
		check := func() {
			s.wantBatches(ps[0], 0, [][]byte{b})
			s.wantBatches(fresh, 0, [][]byte{b, b})
			if info := s.info(fresh); info.Config.MaxBytes != 1<<20 {
				s.Errorf("config of the created partition: %+v", info.Config)
			}
			if info := s.info(ps[1]); !info.Sealed || info.Start != 2 {
				s.Errorf("trimmed and sealed partition: %+v", info)
			}
			if _, err := s.l.Info(ps[2]); !errors.Is(err, log.ErrNotFound) {
				s.Errorf("deleted partition: %v", err)
			}
		}
		check()
		s.reopen()
		check()
	}},
	{"one refusal refuses all and changes nothing", atomicRefusals},
	{"entries see what the ones before them did", func(s *suite) {
		p := s.create(1)[0]
		b := Batch(1, 10, 1)
		rs := s.try(atomically(data(p, b), entry(log.Seal, p), data(p, b)))
		if !errors.Is(rs[2].Err, log.ErrSealed) || !errors.Is(rs[0].Err, log.ErrAborted) || !errors.Is(rs[1].Err, log.ErrAborted) {
			s.Errorf("data, seal, data: %v, %v, %v", rs[0].Err, rs[1].Err, rs[2].Err)
		}
		if info := s.info(p); info.Sealed || info.End != 0 {
			s.Errorf("partition after the refusal: %+v", info)
		}
		s.put(p, b)
		rs = s.try(atomically(entry(log.Create, part(9, 0)), entry(log.Delete, part(9, 0)), data(part(9, 0), b)))
		if !errors.Is(rs[2].Err, log.ErrNotFound) {
			s.Errorf("data after delete: %v", rs[2].Err)
		}
		if slices.Contains(s.l.Partitions(), part(9, 0)) {
			s.Error("a partition of a refused request exists")
		}
	}},
	{"a refused request leaves the next ones alone", func(s *suite) {
		ps := s.create(2)
		b := Batch(1, 10, 1)
		var waits []func() []log.Result
		for i := range 30 {
			req := atomically(data(ps[0], b), data(ps[1], b))
			if i%3 == 1 {
				req.Entries = append(req.Entries, data(part(99, 0), b))
			}
			waits = append(waits, s.submit(req))
		}
		next := int64(0)
		for i, wait := range waits {
			rs := wait()
			if i%3 == 1 {
				if !errors.Is(rs[0].Err, log.ErrAborted) || !errors.Is(rs[2].Err, log.ErrNotFound) {
					s.Errorf("request %d: %v, %v", i, rs[0].Err, rs[2].Err)
				}
				continue
			}
			for k := range 2 {
				if rs[k].Err != nil || rs[k].Offset != next {
					s.Errorf("request %d entry %d: offset %d, %v; want %d", i, k, rs[k].Offset, rs[k].Err, next)
				}
			}
			next++
		}
		for _, p := range ps {
			if n := len(s.readAll(p, 0, 1<<20)); int64(n) != next {
				s.Errorf("%v holds %d batches, want %d", p, n, next)
			}
		}
	}},
}

// state draws everything a client can see of every partition.
func (s *suite) state() string {
	out := ""
	for _, p := range s.l.Partitions() {
		info := s.info(p)
		info.Bytes = 0 // is only about right
		out += fmt.Sprintf("%v %+v", p, info)
		for _, b := range s.readAll(p, info.Start, 1<<20) {
			out += fmt.Sprintf(" %d+%d@%d", b.Base, b.Count, b.Arrival)
		}
		out += "\n"
	}
	return out
}

func atomicRefusals(s *suite) {
	ps := s.create(4)
	sealed, fenced := ps[2], ps[3]
	good := Batch(1, 10, 1)
	for _, p := range ps {
		s.put(p, Batch(2, 10, 2))
	}
	s.do(request(entry(log.Seal, sealed), entry(log.Fence, fenced), entry(log.Fence, fenced)))
	bad := []struct {
		name string
		e    log.Entry
		want error
	}{
		{"data to nothing", data(part(99, 0), good), log.ErrNotFound},
		{"seal of nothing", entry(log.Seal, part(99, 0)), log.ErrNotFound},
		{"delete of nothing", entry(log.Delete, part(99, 0)), log.ErrNotFound},
		{"create of what exists", entry(log.Create, ps[1]), log.ErrExists},
		{"data to a sealed partition", data(sealed, good), log.ErrSealed},
		{"data by an old writer", log.Entry{Kind: log.Data, Partition: fenced, Batch: good, ExpectedEpoch: 1}, log.ErrFenced},
		{"broken batch", data(ps[1], good[:len(good)-1]), log.ErrInvalidBatch},
	}
	if s.h.MaxBatch > 0 {
		bad = append(bad, bad[0])
		bad[len(bad)-1].name, bad[len(bad)-1].e = "large batch", data(ps[1], Batch(1, s.h.MaxBatch, 1))
		bad[len(bad)-1].want = log.ErrTooLarge
	}
	before := s.state()
	for _, b := range bad {
		for place := range 3 { // first, in the middle, last
			others := []log.Entry{
				data(ps[0], good), entry(log.Create, part(50, 0)), data(part(50, 0), good),
				entry(log.Seal, ps[1]), entry(log.Delete, ps[0]),
			}
			at := place * len(others) / 2
			rs := s.try(atomically(slices.Insert(others, at, b.e)...))
			for i, r := range rs {
				want := log.ErrAborted
				if i == at {
					want = b.want
				}
				if !errors.Is(r.Err, want) {
					s.Errorf("%s at place %d: entry %d: %v, want %v", b.name, at, i, r.Err, want)
				}
			}
			if after := s.state(); after != before {
				s.Fatalf("%s: a refused request changed something:\n%s\nbefore:\n%s", b.name, after, before)
			}
		}
	}
	if s.h.Reopen != nil {
		s.reopen()
		for _, p := range ps {
			s.wantBatches(p, 0, [][]byte{Batch(2, 10, 2)})
		}
	}
}
