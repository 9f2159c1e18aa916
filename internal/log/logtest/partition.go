package logtest

import (
	"errors"
	"slices"
	"time"

	"thalweg/internal/log"
)

var partitionTests = []test{
	{"create, list, delete", func(s *suite) {
		a, b, c := part(2, 1), part(2, 0), part(1, 5)
		for _, p := range []log.PartitionID{a, b, c} {
			s.do(request(entry(log.Create, p)))
		}
		if got := s.l.Partitions(); !slices.Equal(got, []log.PartitionID{c, b, a}) {
			s.Errorf("partitions %v, want them sorted", got)
		}
		s.refused(entry(log.Create, b), log.ErrExists)
		s.put(b, Batch(1, 10, 1))
		s.do(request(entry(log.Delete, b)))
		check := func() {
			if got := s.l.Partitions(); !slices.Equal(got, []log.PartitionID{c, a}) {
				s.Errorf("partitions after the delete: %v", got)
			}
			for _, k := range []log.Kind{log.Configure, log.Seal, log.Trim, log.Fence, log.Delete} {
				s.refused(entry(k, b), log.ErrNotFound)
			}
			s.refused(data(b, Batch(1, 10, 1)), log.ErrNotFound)
		}
		check()
		s.reopen()
		check()
	}},
	{"a new generation is another partition", func(s *suite) {
		first := part(3, 0)
		second := first
		second.Generation = 2
		s.do(request(entry(log.Create, first)))
		s.put(first, Batch(3, 10, 1))
		s.do(atomically(entry(log.Delete, first), entry(log.Create, second)))
		if r := s.put(second, Batch(1, 10, 2)); r.Offset != 0 {
			s.Errorf("first offset of the new generation: %d", r.Offset)
		}
		s.wantBatches(second, 0, [][]byte{Batch(1, 10, 2)})
		s.refused(data(first, Batch(1, 10, 1)), log.ErrNotFound)
		s.reopen()
		s.wantBatches(second, 0, [][]byte{Batch(1, 10, 2)})
	}},
	{"info of an empty partition", func(s *suite) {
		p := s.create(1)[0]
		info := s.info(p)
		if info.Start != 0 || info.End != 0 || info.Stable != 0 || info.Sealed || info.Epoch != 0 ||
			info.Bytes != 0 || info.FirstArrival != -1 || info.LastArrival != -1 {
			s.Errorf("info %+v", info)
		}
	}},
	{"config is kept and replaced", func(s *suite) {
		p := part(3, 0)
		one := log.Config{MaxAge: time.Hour, MaxBytes: 1 << 30, KeyID: 0}
		two := log.Config{MaxAge: 24 * time.Hour, MaxBytes: 0, Compaction: log.Compaction{
			On: true, MinDirty: 0.5, MinBytes: 1 << 20, MinWait: time.Hour, MinLag: time.Minute, MaxLag: 48 * time.Hour, Tombstones: time.Second}}
		s.do(request(log.Entry{Kind: log.Create, Partition: p, Config: one}))
		if got := s.info(p).Config; got != one {
			s.Errorf("config %+v, want %+v", got, one)
		}
		s.do(request(entry(log.Seal, p), log.Entry{Kind: log.Configure, Partition: p, Config: two}))
		s.refused(log.Entry{Kind: log.Configure, Partition: part(4, 0), Config: two}, log.ErrNotFound)
		if got := s.info(p).Config; got != two {
			s.Errorf("config %+v, want %+v", got, two)
		}
		s.reopen()
		if got := s.info(p).Config; got != two {
			s.Errorf("config after a reopen %+v, want %+v", got, two)
		}
	}},
	{"seal ends a partition for ever", func(s *suite) {
		p := s.create(1)[0]
		b := Batch(3, 10, 1)
		s.put(p, b)
		for range 2 { // the second changes nothing
			if r := s.do(request(entry(log.Seal, p)))[0]; r.Offset != 3 {
				s.Errorf("seal: end %d, want 3", r.Offset)
			}
		}
		check := func() {
			s.refused(data(p, b), log.ErrSealed)
			if info := s.info(p); !info.Sealed || info.End != 3 {
				s.Errorf("info %+v", info)
			}
			s.wantBatches(p, 0, [][]byte{b})
		}
		check()
		s.reopen()
		check()
		s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 3}))
		if info := s.info(p); info.Start != 3 || info.End != 3 || !info.Sealed {
			s.Errorf("trimmed after the seal: %+v", info)
		}
		s.do(request(entry(log.Delete, p)))
	}},
	{"seal comes after what was appended before it", func(s *suite) {
		p := s.create(1)[0]
		var waits []func() []log.Result
		for i := range 50 {
			waits = append(waits, s.submit(request(data(p, Batch(1, 10, uint64(i))))))
		}
		seal := s.submit(request(entry(log.Seal, p)))
		late := s.submit(request(data(p, Batch(1, 10, 1))))
		for i, wait := range waits {
			if r := wait()[0]; r.Err != nil || r.Offset != int64(i) {
				s.Errorf("append %d before the seal: %d, %v", i, r.Offset, r.Err)
			}
		}
		if r := seal()[0]; r.Err != nil || r.Offset != 50 {
			s.Errorf("seal: %d, %v", r.Offset, r.Err)
		}
		if r := late()[0]; !errors.Is(r.Err, log.ErrSealed) {
			s.Errorf("append after the seal: %v", r.Err)
		}
	}},
	{"trim raises the log start and never lowers it", trims},
	{"fence keeps old writers out", fences},
}

func trims(s *suite) {
	p := s.create(1)[0]
	var sent [][]byte
	for i := range 5 {
		sent = append(sent, Batch(2, 100, uint64(i)))
		s.put(p, sent[i])
	}
	for _, c := range []struct{ to, want int64 }{
		{0, 0}, {-5, 0}, {4, 4}, {2, 4}, {0, 4}, {5, 5}, {10, 10}, {1 << 60, 10},
	} {
		if r := s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: c.to}))[0]; r.Offset != c.want {
			s.Errorf("trim to %d: log start %d, want %d", c.to, r.Offset, c.want)
		}
		info := s.info(p)
		if info.Start != c.want || info.End != 10 {
			s.Errorf("trim to %d: %d to %d, want %d to 10", c.to, info.Start, info.End, c.want)
		}
		s.wantBatches(p, c.want, sent[c.want/2:])
		if c.want > 0 {
			got, err := s.l.Read(p, c.want-1, 1<<20, log.Uncommitted)
			if !errors.Is(err, log.ErrOutOfRange) || got.Start != c.want || got.End != 10 {
				s.Errorf("read below the log start %d: %v, %d to %d", c.want, err, got.Start, got.End)
			}
			got.Release()
		}
	}
	if info := s.info(p); info.FirstArrival != -1 || info.LastArrival < 0 || info.Bytes != 0 {
		s.Errorf("info of a partition trimmed to its end: %+v", info)
	}
	s.reopen()
	if info := s.info(p); info.Start != 10 || info.End != 10 || info.LastArrival < 0 {
		s.Errorf("after a reopen: %+v", info)
	}
	if r := s.put(p, sent[0]); r.Offset != 10 {
		s.Errorf("append after everything was trimmed got offset %d, want 10", r.Offset)
	}
	s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 11}))
	s.reopen()
	if info := s.info(p); info.Start != 11 {
		s.Errorf("log start inside a batch after a reopen: %+v", info)
	}
	s.wantBatches(p, 11, [][]byte{sent[0]})
}

func fences(s *suite) {
	p := s.create(1)[0]
	for want := uint32(1); want <= 3; want++ {
		if r := s.do(request(entry(log.Fence, p)))[0]; r.Epoch != want {
			s.Errorf("fence gave epoch %d, want %d", r.Epoch, want)
		}
	}
	check := func() {
		for _, k := range []log.Kind{log.Data, log.Configure, log.Seal, log.Trim, log.Delete} {
			for epoch := uint32(1); epoch < 3; epoch++ {
				e := log.Entry{Kind: k, Partition: p, ExpectedEpoch: epoch, Offset: 1}
				if k == log.Data {
					e.Batch = Batch(1, 10, 1)
				}
				s.refused(e, log.ErrFenced)
			}
		}
		if info := s.info(p); info.Epoch != 3 || info.Sealed {
			s.Errorf("info %+v", info)
		}
	}
	check()
	for i, epoch := range []uint32{3, log.AnyEpoch, 3} {
		e := data(p, Batch(1, 10, 1))
		e.ExpectedEpoch = epoch
		if r := s.do(request(e))[0]; r.Offset != int64(i) {
			s.Errorf("append with epoch %d: offset %d", epoch, r.Offset)
		}
	}
	// In one request, the fence binds what follows it.
	e := data(p, Batch(1, 10, 1))
	e.ExpectedEpoch = 3
	rs := s.try(request(e, entry(log.Fence, p), e))
	if rs[0].Err != nil || rs[1].Epoch != 4 || !errors.Is(rs[2].Err, log.ErrFenced) {
		s.Errorf("data, fence, data: %v, epoch %d, %v", rs[0].Err, rs[1].Epoch, rs[2].Err)
	}
	s.reopen()
	if r := s.do(request(entry(log.Fence, p)))[0]; r.Epoch != 5 {
		s.Errorf("fence after a reopen gave epoch %d, want 5", r.Epoch)
	}
}
