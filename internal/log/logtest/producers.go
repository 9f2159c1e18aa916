package logtest

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Produced returns a valid batch of n records that an idempotent producer sent:
// producer id, its epoch and the sequence of the first record. attributes are
// added to the batch's ([batch.Transactional]).
func Produced(n int, producer int64, epoch int16, sequence int32, attributes uint16) []byte {
	b := Batch(n, 30, uint64(producer)<<32|uint64(uint32(sequence)))
	binary.BigEndian.PutUint16(b[21:], attributes)
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint16(b[51:], uint16(epoch))
	binary.BigEndian.PutUint32(b[53:], uint32(sequence))
	return fixCRC(b)
}

// Marker returns the control batch that ends a producer's transaction.
func Marker(producer int64, epoch int16, commit bool) []byte {
	key := []byte{0, 0, 0, 0} // version, type: 0 abort, 1 commit
	if commit {
		key[3] = 1
	}
	var b batch.Builder
	b.Append(batch.Record{Timestamp: 1_700_000_000_000, Key: key, Value: make([]byte, 6)})
	out := b.Finish()
	binary.BigEndian.PutUint16(out[21:], batch.Transactional|batch.Control)
	binary.BigEndian.PutUint64(out[43:], uint64(producer))
	binary.BigEndian.PutUint16(out[51:], uint16(epoch))
	return fixCRC(out)
}

var producerTests = []test{
	{"a repeated batch is answered as before and not written", func(s *suite) {
		p := s.create(1)[0]
		var acks []log.Result
		for i := range int32(6) {
			acks = append(acks, s.put(p, Produced(2, 5, 0, 2*i, 0)))
		}
		check := func() {
			s.Helper()
			for i := int32(1); i < 6; i++ { // the last five are known
				r := s.put(p, Produced(2, 5, 0, 2*i, 0))
				if !r.Duplicate || r.Offset != acks[i].Offset || r.Arrival != acks[i].Arrival {
					s.Errorf("repeat of batch %d: %+v, first was %+v", i, r, acks[i])
				}
			}
			if info := s.info(p); info.End != 12 {
				s.Errorf("end %d, want 12", info.End)
			}
		}
		check()
		s.reopen()
		check()
		if r := s.put(p, Produced(1, 5, 0, 12, 0)); r.Duplicate || r.Offset != 12 {
			s.Errorf("next batch: %+v", r)
		}
	}},
	{"a repeat of what is still on its way is a duplicate too", func(s *suite) {
		p := s.create(1)[0]
		b := Produced(1, 5, 0, 0, 0)
		first, second := s.submit(request(data(p, b))), s.submit(request(data(p, b)))
		a, d := first()[0], second()[0]
		if a.Err != nil || a.Duplicate || d.Err != nil || !d.Duplicate || d.Offset != a.Offset {
			s.Errorf("first %+v, second %+v", a, d)
		}
		if rs := s.do(request(data(p, Produced(1, 6, 0, 0, 0)), data(p, Produced(1, 6, 0, 0, 0)))); !rs[1].Duplicate {
			s.Errorf("repeat in one request: %+v", rs)
		}
		if info := s.info(p); info.End != 2 {
			s.Errorf("end %d, want 2", info.End)
		}
	}},
	{"a gap or an old sequence is out of order", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Produced(3, 5, 0, 0, 0))
		for _, seq := range []int32{1, 2, 4, 100, math.MaxInt32} {
			s.refused(data(p, Produced(1, 5, 0, seq, 0)), log.ErrOutOfOrderSequence)
		}
		s.refused(data(p, Produced(2, 5, 0, 0, 0)), log.ErrOutOfOrderSequence) // not the same batch
		s.put(p, Produced(1, 5, 0, 3, 0))
		if info := s.info(p); info.End != 4 {
			s.Errorf("end %d, want 4", info.End)
		}
	}},
	{"a refused batch does not advance the sequence", func(s *suite) {
		p := s.create(1)[0]
		for n := range int32(8) { // more than the log remembers
			rs := s.try(atomically(data(p, Produced(1, 5, 0, n, 0)), data(p, Produced(1, 5, 0, n+1, 0)), data(part(99, 0), Batch(1, 1, 1))))
			if !errors.Is(rs[0].Err, log.ErrAborted) {
				s.Errorf("%v", rs[0].Err)
			}
			if n > 0 {
				s.refused(data(p, Produced(1, 5, 0, n+1, 0)), log.ErrOutOfOrderSequence)
				if r := s.put(p, Produced(1, 5, 0, n-1, 0)); !r.Duplicate || r.Offset != int64(n-1) {
					s.Errorf("repeat of batch %d: %+v", n-1, r)
				}
			}
			if r := s.put(p, Produced(1, 5, 0, n, 0)); r.Duplicate || r.Offset != int64(n) {
				s.Errorf("refused batch %d again: %+v", n, r)
			}
		}
	}},
	{"sequences wrap to zero", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Produced(3, 5, 0, math.MaxInt32-1, 0)) // takes max-1, max, 0
		s.put(p, Produced(1, 5, 0, 1, 0))
		if r := s.put(p, Produced(3, 5, 0, math.MaxInt32-1, 0)); !r.Duplicate {
			s.Errorf("repeat across the wrap: %+v", r)
		}
	}},
	{"a newer epoch starts at zero and fences the older", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Produced(2, 5, 3, 0, 0))
		s.refused(data(p, Produced(1, 5, 2, 2, 0)), log.ErrProducerFenced)
		s.refused(data(p, Produced(1, 5, 4, 2, 0)), log.ErrOutOfOrderSequence)
		s.put(p, Produced(1, 5, 4, 0, 0))
		s.refused(data(p, Produced(1, 5, 3, 2, 0)), log.ErrProducerFenced)
		s.reopen()
		s.refused(data(p, Produced(1, 5, 3, 2, 0)), log.ErrProducerFenced)
		s.put(p, Produced(1, 5, 4, 1, 0))
	}},
	{"producers and partitions do not mix", func(s *suite) {
		ps := s.create(2)
		for producer := range int64(20) {
			for _, p := range ps {
				s.put(p, Produced(1, producer, 0, 0, 0))
			}
		}
		for producer := range int64(20) {
			if r := s.put(ps[0], Produced(1, producer, 0, 1, 0)); r.Duplicate {
				s.Errorf("producer %d: %+v", producer, r)
			}
			if r := s.put(ps[1], Produced(1, producer, 0, 0, 0)); !r.Duplicate {
				s.Errorf("producer %d: %+v", producer, r)
			}
		}
	}},
	{"an unknown producer may begin with any sequence", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Produced(1, 5, 7, 42, 0)) // its state may have expired
		s.put(p, Produced(1, 5, 7, 43, 0))
	}},
}

var transactionTests = []test{
	{"a partition tells its producers", func(s *suite) {
		p := s.create(1)[0]
		known := func(want ...log.Producer) {
			s.Helper()
			got, err := s.l.Producers(p)
			for i := range got {
				if got[i].LastArrival <= 0 {
					s.Errorf("producer %d: arrival %d", got[i].ID, got[i].LastArrival)
				}
				got[i].LastArrival = 0
			}
			if err != nil || !slices.Equal(got, want) {
				s.Errorf("producers %+v, %v, want %+v", got, err, want)
			}
		}
		known()
		s.put(p, Batch(2, 10, 1))
		s.put(p, Produced(3, 9, 1, 0, batch.Transactional)) // 2 to 4
		s.put(p, Produced(2, 5, 0, 0, 0))
		known(log.Producer{ID: 5, LastSequence: 1, TxnStart: -1}, log.Producer{ID: 9, Epoch: 1, LastSequence: 2, TxnStart: 2})
		s.reopen()
		s.put(p, Marker(9, 2, true))
		known(log.Producer{ID: 5, LastSequence: 1, TxnStart: -1}, log.Producer{ID: 9, Epoch: 2, LastSequence: -1, TxnStart: -1})
		p.Index += 1000
		if _, err := s.l.Producers(p); !errors.Is(err, log.ErrNotFound) {
			s.Errorf("of no partition: %v", err)
		}
	}},
	{"an open transaction holds the stable offset back", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Batch(2, 10, 1))
		s.put(p, Produced(2, 5, 0, 0, batch.Transactional))
		s.put(p, Batch(1, 10, 2))
		check := func() {
			s.Helper()
			if info := s.info(p); info.Stable != 2 || info.End != 5 {
				s.Errorf("info %+v, want stable 2 and end 5", info)
			}
			got, err := s.l.Read(p, 0, 1<<20, log.Committed)
			if err != nil || got.Stable != 2 || got.End != 5 || len(got.List) != 1 {
				s.Errorf("committed read: %d batches, stable %d, end %d, %v", len(got.List), got.Stable, got.End, err)
			}
			got.Release()
			if n := len(s.readAll(p, 0, 1<<20)); n != 3 {
				s.Errorf("uncommitted read: %d batches, want 3", n)
			}
		}
		check()
		s.reopen()
		check()
		s.put(p, Marker(5, 0, true))
		if info := s.info(p); info.Stable != 6 || info.End != 6 {
			s.Errorf("after the commit: %+v", info)
		}
	}},
	{"a partition is not sealed while a transaction is open", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Produced(2, 5, 0, 0, batch.Transactional))
		refused := func() {
			s.Helper()
			s.refused(entry(log.Seal, p), log.ErrInTransaction)
			if info := s.info(p); info.Sealed {
				s.Errorf("sealed in spite of it: %+v", info)
			}
		}
		refused()
		s.reopen()
		refused()
		rs := s.try(atomically(data(p, Marker(5, 0, true)), entry(log.Seal, p)))
		if info := s.info(p); rs[1].Err != nil || !info.Sealed || info.Stable != 3 || info.End != 3 {
			s.Errorf("with the end of the transaction: %+v, %+v", rs, info)
		}
	}},
	{"aborted transactions are named to committed readers", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Produced(2, 5, 0, 0, batch.Transactional)) // 0, 1
		s.put(p, Produced(1, 6, 0, 0, batch.Transactional)) // 2
		s.put(p, Marker(5, 0, false))                       // 3
		s.put(p, Batch(1, 10, 1))                           // 4
		want := log.AbortedTxn{ProducerID: 5, FirstOffset: 0, LastOffset: 3}
		if info := s.info(p); info.Stable != 2 {
			s.Errorf("info %+v, want stable 2: producer 6 is still at work", info)
		}
		s.put(p, Marker(6, 0, true)) // 5
		check := func() {
			s.Helper()
			got, err := s.l.Read(p, 0, 1<<20, log.Committed)
			if err != nil || got.Stable != 6 || !slices.Equal(got.Aborted, []log.AbortedTxn{want}) || len(got.List) != 5 {
				s.Errorf("committed read: %d batches, stable %d, aborted %v, %v", len(got.List), got.Stable, got.Aborted, err)
			}
			got.Release()
			got, err = s.l.Read(p, 4, 1<<20, log.Committed)
			if err != nil || len(got.Aborted) != 0 {
				s.Errorf("read behind the aborted transaction: %v, %v", got.Aborted, err)
			}
			got.Release()
			got, err = s.l.Read(p, 0, 1<<20, log.Uncommitted)
			if err != nil || len(got.Aborted) != 0 {
				s.Errorf("uncommitted read: %v, %v", got.Aborted, err)
			}
			got.Release()
		}
		check()
		s.reopen()
		check()
	}},
	{"trimming past an open transaction's beginning keeps start <= stable <= end", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Produced(4, 5, 0, 0, batch.Transactional))
		s.put(p, Batch(4, 10, 1))
		s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 6}))
		check := func() {
			s.Helper()
			if info := s.info(p); info.Start != 6 || info.Stable != 6 || info.End != 8 {
				s.Errorf("info %+v, want stable 6", info)
			}
		}
		check()
		s.reopen()
		check()
		s.put(p, Marker(5, 0, false))
		if info := s.info(p); info.Stable != 9 {
			s.Errorf("after the abort: %+v", info)
		}
	}},
	{"a marker without a transaction changes nothing", func(s *suite) {
		p := s.create(1)[0]
		s.put(p, Marker(5, 0, false))
		got, err := s.l.Read(p, 0, 1<<20, log.Committed)
		if err != nil || got.Stable != 1 || len(got.Aborted) != 0 || len(got.List) != 1 {
			s.Errorf("%+v, %v", got, err)
		}
		got.Release()
	}},
	{"a transaction over partitions commits in all at once", func(s *suite) {
		ps := s.create(3)
		for _, p := range ps {
			s.put(p, Produced(1, 5, 0, 0, batch.Transactional))
		}
		var req log.Request
		req.Atomic = true
		for _, p := range ps {
			req.Entries = append(req.Entries, data(p, Marker(5, 0, true)))
		}
		s.do(req)
		for _, p := range ps {
			if info := s.info(p); info.Stable != 2 {
				s.Errorf("%v: %+v", p, info)
			}
		}
	}},
}
