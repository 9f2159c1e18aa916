package logtest

import (
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// under configures p with a key.
func under(p log.PartitionID, key uint32) log.Entry {
	return log.Entry{Kind: log.Configure, Partition: p, Config: log.Config{KeyID: key}}
}

var keyTests = []test{
	{"batches stay under the key of their time", func(s *suite) {
		keys := append([]uint32{0}, s.h.Keys...)
		keys = append(keys, 0, keys[1])
		p := s.create(1)[0]
		var sent [][]byte
		var want []uint32
		for _, key := range keys {
			s.do(request(under(p, key)))
			for range 3 {
				b := Batch(2, 300, uint64(len(sent)))
				if r := s.put(p, b); r.KeyID != key {
					s.Errorf("batch %d was put under key %d, want %d", len(sent), r.KeyID, key)
				}
				sent, want = append(sent, b), append(want, key)
			}
		}
		check := func() {
			for i, b := range s.wantBatches(p, 0, sent) {
				if b.KeyID != want[i] {
					s.Errorf("batch %d is under key %d, want %d", i, b.KeyID, want[i])
				}
			}
		}
		check()
		s.reopen()
		check()
		if got := s.info(p).Config.KeyID; got != keys[len(keys)-1] {
			s.Errorf("key %d after a reopen, want %d", got, keys[len(keys)-1])
		}
	}},
	{"a key counts from the entry after it", func(s *suite) {
		key := s.h.Keys[0]
		p := part(3, 0)
		rs := s.do(atomically(
			entry(log.Create, p), data(p, Batch(1, 10, 1)), under(p, key), data(p, Batch(1, 10, 2)), under(p, 0), data(p, Batch(1, 10, 3))))
		for i, want := range map[int]uint32{1: 0, 3: key, 5: 0} {
			if rs[i].KeyID != want {
				s.Errorf("entry %d was put under key %d, want %d", i, rs[i].KeyID, want)
			}
		}
	}},
	{"a refused append changes no key", func(s *suite) {
		key := s.h.Keys[0]
		p := s.create(1)[0]
		s.try(atomically(under(p, key), data(p, Batch(1, 10, 1)), entry(log.Create, p)))
		if r := s.put(p, Batch(1, 10, 2)); r.KeyID != 0 || s.info(p).Config.KeyID != 0 {
			s.Errorf("put under key %d, configured %d", r.KeyID, s.info(p).Config.KeyID)
		}
	}},
	{"control batches are not encrypted", func(s *suite) {
		key := s.h.Keys[0]
		p := s.create(1)[0]
		s.do(request(under(p, key)))
		b := Batch(1, 10, 1)
		b[22] |= batch.Control
		if r := s.put(p, fixCRC(b)); r.KeyID != 0 {
			s.Errorf("put under key %d", r.KeyID)
		}
	}},
	{"what is encrypted reads as it was sent, however much at a time", func(s *suite) {
		key := s.h.Keys[0]
		p := s.create(1)[0]
		s.do(request(under(p, key)))
		sent := [][]byte{Batch(3, 700, 1), Batch(1, 5, 2), Batch(2, 60_000, 3)}
		for _, b := range sent {
			s.put(p, b)
		}
		for _, maxBytes := range []int{1, 2500, 1 << 20} {
			got := s.readAll(p, 0, maxBytes)
			if len(got) != len(sent) {
				s.Fatalf("%d batches, want %d", len(got), len(sent))
			}
			for i := range got {
				if !s.same(sent[i], got[i]) {
					s.Errorf("%d bytes at a time: batch %d is not what was sent", maxBytes, i)
				}
			}
		}
	}},
}
