package logtest

import (
	"bytes"
	"context"
	"errors"

	"thalweg/internal/log"
)

var readTests = []test{
	{"a limit stops a read, but never before one batch", readLimits},
	{"an offset inside a batch finds that batch", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Batch(4, 10, 1))
		s.put(p, Batch(4, 10, 2))
		for off := range int64(8) {
			got, err := s.l.Read(p, off, 1, log.Uncommitted)
			if err != nil {
				s.Fatalf("read from %d: %v", off, err)
			}
			if len(got.List) != 1 || got.List[0].Base != off/4*4 {
				s.Errorf("read from %d gave %d batches", off, len(got.List))
			}
			got.Release()
		}
	}},
	{"at the end there is nothing and no error", func(s *suite) {
		p := s.create(1)[0]
		for end := range int64(3) {
			for _, isolation := range []log.Isolation{log.Uncommitted, log.Committed} {
				got, err := s.l.Read(p, end, 1<<20, isolation)
				if err != nil || len(got.List) != 0 || got.Start != 0 || got.End != end || got.Stable != end {
					s.Errorf("read at the end %d: %+v, %v", end, got, err)
				}
				got.Release()
			}
			s.put(p, Batch(1, 10, 1))
		}
	}},
	{"outside of the log is out of range, and says what the range is", func(s *suite) {
		p := s.create(1)[0]
		for i := range 4 {
			s.put(p, Batch(2, 10, uint64(i)))
		}
		s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 3}))
		for _, off := range []int64{-1 << 63, -1, 0, 2, 9, 1<<63 - 1} {
			got, err := s.l.Read(p, off, 1<<20, log.Uncommitted)
			if !errors.Is(err, log.ErrOutOfRange) || got.Start != 3 || got.End != 8 || len(got.List) != 0 {
				s.Errorf("read at %d: %+v, %v", off, got, err)
			}
			got.Release()
		}
	}},
	{"a partition that is not there is not found", func(s *suite) {
		s.create(1)
		for _, p := range []log.PartitionID{part(7, 1), part(8, 0), {Stream: 7, Generation: 2}} {
			got, err := s.l.Read(p, 0, 1<<20, log.Uncommitted)
			if !errors.Is(err, log.ErrNotFound) {
				s.Errorf("read of %v: %v", p, err)
			}
			got.Release()
			if _, err := s.l.Info(p); !errors.Is(err, log.ErrNotFound) {
				s.Errorf("info of %v: %v", p, err)
			}
			if _, _, err := s.l.OffsetForTime(p, 0); !errors.Is(err, log.ErrNotFound) {
				s.Errorf("offset for time of %v: %v", p, err)
			}
		}
	}},
	{"bytes stay as they are until released", func(s *suite) {
		p := s.create(1)[0]
		b := Batch(1, 1000, 1)
		s.put(p, b)
		held, err := s.l.Read(p, 0, 1<<20, log.Uncommitted)
		if err != nil || len(held.List) != 1 {
			s.Fatalf("read: %d batches, %v", len(held.List), err)
		}
		before := bytes.Clone(held.List[0].Bytes)
		for i := range 200 {
			s.put(p, Batch(1, 1000, uint64(i+2)))
			got, err := s.l.Read(p, int64(i), 5000, log.Uncommitted)
			if err != nil {
				s.Fatalf("read: %v", err)
			}
			got.Release()
		}
		s.do(request(entry(log.Delete, p)))
		if !bytes.Equal(before, held.List[0].Bytes) {
			s.Error("the bytes of a held read changed")
		}
		held.Release()
		held.Release() // a second release is harmless
		var zero log.Batches
		zero.Release()
	}},
	{"what was appended is read whatever its size", func(s *suite) {
		p := s.create(1)[0]
		var sent [][]byte
		for i, size := range []int{0, 1, 500, 4000, 4096, 70_000, 300_000, 1_000_000, 3} {
			if s.h.MaxBatch > 0 && size+200 > s.h.MaxBatch {
				continue
			}
			sent = append(sent, Batch(1, size, uint64(i)))
			s.put(p, sent[len(sent)-1])
		}
		s.wantBatches(p, 0, sent)
		s.reopen()
		s.wantBatches(p, 0, sent)
	}},
	{"a reader that follows writers sees each batch once, acknowledged or about to be", readWhileWriting},
}

func readLimits(s *suite) {
	p := s.create(1)[0]
	var sent [][]byte
	for i := range 10 {
		sent = append(sent, Batch(2, 500, uint64(i)))
		s.put(p, sent[i])
	}
	size := len(sent[0])
	for _, c := range []struct{ maxBytes, most int }{
		{0, 1}, {1, 1}, {size - 1, 1}, {size, 1}, {size + 1, 1}, {2*size - 1, 1}, {2 * size, 2}, {3*size + 7, 3}, {100 * size, 10},
	} {
		got, err := s.l.Read(p, 0, c.maxBytes, log.Uncommitted)
		if err != nil {
			s.Fatalf("read of %d bytes: %v", c.maxBytes, err)
		}
		total := 0
		for _, b := range got.List {
			total += len(b.Bytes)
		}
		if len(got.List) == 0 || len(got.List) > c.most || total > max(c.maxBytes, size) {
			s.Errorf("read of %d bytes gave %d batches of %d bytes, want 1 to %d", c.maxBytes, len(got.List), total, c.most)
		}
		got.Release()
	}
	for _, maxBytes := range []int{1, size + 1, 5 * size} {
		if n := len(s.readAll(p, 0, maxBytes)); n != len(sent) {
			s.Errorf("reads of %d bytes found %d batches, want %d", maxBytes, n, len(sent))
		}
	}
}

func readWhileWriting(s *suite) {
	const writers, each = 4, 60
	p := s.create(1)[0]
	read := make(chan int64, 1)
	go func() {
		next := int64(0)
		defer func() { read <- next }()
		for next < writers*each {
			got, err := s.l.Read(p, next, 3000, log.Uncommitted)
			if err != nil {
				s.Errorf("read at %d: %v", next, err)
				return
			}
			for _, b := range got.List {
				if err := checkBatch(b, next, got.End); err != nil || b.Base != next {
					s.Errorf("read at %d gave base %d: %v", next, b.Base, err)
				}
				next = b.Base + int64(b.Count)
			}
			found := len(got.List) > 0
			got.Release()
			if found {
				continue
			}
			w := s.l.Watch([]log.Position{{Partition: p, Offset: next}}, 1)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			select {
			case <-w.C:
			case <-ctx.Done():
				s.Errorf("watch at %d has not fired", next)
				cancel()
				return
			}
			cancel()
			w.Stop()
		}
	}()
	together(writers, func(i int) {
		for n := range each {
			rs, err := log.Do(s.l, request(data(p, Batch(1, 100, uint64(i*each+n)))))
			if err != nil {
				s.Errorf("append: %v", err)
				return
			}
			got, err := s.l.Read(p, rs[0].Offset, 1, log.Uncommitted)
			if err != nil || len(got.List) == 0 || !s.same(Batch(1, 100, uint64(i*each+n)), got.List[0]) {
				s.Errorf("what was acknowledged at %d is not read there: %v", rs[0].Offset, err)
			}
			got.Release()
		}
	})
	if next := <-read; next != writers*each && !s.Failed() {
		s.Errorf("the reader came to %d of %d", next, writers*each)
	}
}
