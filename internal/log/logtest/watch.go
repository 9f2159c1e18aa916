package logtest

import (
	"thalweg/internal/log"
)

func at(p log.PartitionID, offset int64) log.Position {
	return log.Position{Partition: p, Offset: offset}
}

func (s *suite) watch(minBytes int64, at ...log.Position) *log.Waiter {
	w := s.l.Watch(at, minBytes)
	s.Cleanup(w.Stop)
	return w
}

var watchTests = []test{
	{"fires at once on what is there already", func(s *suite) {
		ps := s.create(2)
		b := Batch(1, 100, 1)
		s.put(ps[0], b)
		s.put(ps[1], b)
		s.firesSoon(s.watch(1, at(ps[0], 0)), "one byte is there")
		s.firesSoon(s.watch(int64(len(b)), at(ps[0], 0)), "exactly as much is there")
		s.firesSoon(s.watch(int64(2*len(b)), at(ps[0], 0), at(ps[1], 0)), "as much is there in both")
	}},
	{"waits for the bytes asked for", func(s *suite) {
		p := s.create(1)[0]
		b := Batch(1, 100, 1)
		one := s.watch(1, at(p, 0))
		three := s.watch(int64(3*len(b)), at(p, 0))
		s.put(p, b)
		s.firesSoon(one, "a batch came")
		s.put(p, b)
		if hasFired(three) {
			s.Error("fired after two of three batches")
		}
		s.put(p, b)
		s.firesSoon(three, "the third batch came")
	}},
	{"sums over partitions", func(s *suite) {
		ps := s.create(3)
		b := Batch(1, 100, 1)
		s.put(ps[0], b)
		w := s.watch(int64(3*len(b)), at(ps[0], 0), at(ps[1], 0), at(ps[2], 0))
		s.put(ps[1], b)
		if hasFired(w) {
			s.Error("fired after two of three batches")
		}
		s.put(ps[2], b)
		s.firesSoon(w, "there are three batches")
	}},
	{"counts only from the offset on", func(s *suite) {
		ps := s.create(2)
		for range 4 {
			s.put(ps[0], Batch(1, 1000, 1))
		}
		atEnd := s.watch(1, at(ps[0], 4))
		s.put(ps[1], Batch(1, 1000, 1))
		if hasFired(atEnd) {
			s.Error("fired for what lies before the offset, or in another partition")
		}
		s.put(ps[0], Batch(1, 1000, 1))
		s.firesSoon(atEnd, "a batch came")
	}},
	{"a fired watch means readable", func(s *suite) {
		p := s.create(1)[0]
		for i := range int64(50) {
			w := s.watch(1, at(p, i))
			wait := s.submit(request(data(p, Batch(1, 10, uint64(i)))))
			s.firesSoon(w, "a batch came")
			got, err := s.l.Read(p, i, 1<<20, log.Uncommitted)
			if err != nil || len(got.List) != 1 {
				s.Fatalf("after the watch fired: %d batches, %v", len(got.List), err)
			}
			got.Release()
			wait()
		}
	}},
	{"seal fires", func(s *suite) {
		ps := s.create(2)
		w := s.watch(1<<30, at(ps[0], 0), at(ps[1], 0))
		s.do(request(entry(log.Seal, ps[1])))
		s.firesSoon(w, "a partition was sealed")
		s.firesSoon(s.watch(1<<30, at(ps[1], 0)), "the partition is sealed already")
	}},
	{"delete fires", func(s *suite) {
		ps := s.create(2)
		w := s.watch(1<<30, at(ps[0], 0), at(ps[1], 0))
		s.do(request(entry(log.Delete, ps[1])))
		s.firesSoon(w, "a partition was deleted")
		s.firesSoon(s.watch(1<<30, at(ps[1], 0)), "the partition is gone already")
		s.firesSoon(s.watch(1<<30, at(part(99, 0), 0)), "the partition was never there")
	}},
	{"an offset that trimming passed fires", func(s *suite) {
		p := s.create(1)[0]
		for range 4 {
			s.put(p, Batch(1, 10, 1))
		}
		s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 3}))
		s.firesSoon(s.watch(1<<30, at(p, 1)), "the offset cannot be read any more")
	}},
	{"a refused append fires nothing", func(s *suite) {
		ps := s.create(2)
		w := s.watch(1, at(ps[0], 0))
		s.try(atomically(data(ps[0], Batch(1, 10, 1)), data(part(99, 0), Batch(1, 10, 1))))
		s.put(ps[1], Batch(1, 10, 1)) // a round later
		if hasFired(w) {
			s.Error("fired for a refused append")
		}
	}},
	{"every watch on a partition fires", func(s *suite) {
		p := s.create(1)[0]
		var ws []*log.Waiter
		for range 100 {
			ws = append(ws, s.watch(1, at(p, 0)))
		}
		s.put(p, Batch(1, 10, 1))
		for _, w := range ws {
			s.firesSoon(w, "a batch came")
		}
	}},
	{"one position twice counts as what it is", func(s *suite) {
		p := s.create(1)[0]
		w := s.watch(1, at(p, 0), at(p, 0))
		s.put(p, Batch(1, 10, 1))
		s.firesSoon(w, "a batch came")
	}},
	{"stop may be called at any time, any number of times", func(s *suite) {
		p := s.create(1)[0]
		together(8, func(int) {
			for range 50 {
				w := s.l.Watch([]log.Position{at(p, 1<<40)}, 1)
				w.Stop()
				w.Stop()
			}
		})
		w := s.watch(1, at(p, 0))
		stopped := s.watch(1, at(p, 0))
		stopped.Stop()
		s.put(p, Batch(1, 10, 1))
		s.firesSoon(w, "a batch came; other watches were stopped")
		w.Stop()
		w.Stop()
	}},
	{"close fires, so that nobody waits for ever", func(s *suite) {
		p := s.create(1)[0]
		w := s.watch(1, at(p, 0))
		if err := s.l.Close(s.Context()); err != nil {
			s.Fatalf("close: %v", err)
		}
		s.firesSoon(w, "the log was closed")
	}},
}
