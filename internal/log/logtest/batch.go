package logtest

import (
	"bytes"
	"encoding/binary"
	"errors"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

var batchTests = []test{
	{"what is not one whole valid batch is refused", func(s *suite) {
		p := s.create(1)[0]
		good := Batch(3, 40, 1)
		change := func(fn func(b []byte)) []byte {
			b := bytes.Clone(good)
			fn(b)
			return b
		}
		for name, b := range map[string][]byte{
			"nil":                  nil,
			"empty":                {},
			"one byte":             {0},
			"header cut":           good[:batch.HeaderSize-1],
			"header only":          good[:batch.HeaderSize],
			"last byte missing":    good[:len(good)-1],
			"a byte too many":      append(bytes.Clone(good), 0),
			"two batches":          append(bytes.Clone(good), good...),
			"magic 1":              change(func(b []byte) { b[16] = 1 }),
			"magic 3":              change(func(b []byte) { b[16] = 3 }),
			"length 0":             change(func(b []byte) { binary.BigEndian.PutUint32(b[8:], 0) }),
			"length negative":      change(func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<31) }),
			"length too long":      change(func(b []byte) { binary.BigEndian.PutUint32(b[8:], uint32(len(b)-11)) }),
			"length shorter":       change(func(b []byte) { binary.BigEndian.PutUint32(b[8:], uint32(len(b)-13)) }),
			"last delta negative":  fixCRC(change(func(b []byte) { binary.BigEndian.PutUint32(b[23:], 1<<31) })),
			"wrong checksum":       change(func(b []byte) { b[17] ^= 1 }),
			"changed last byte":    change(func(b []byte) { b[len(b)-1] ^= 1 }),
			"changed attributes":   change(func(b []byte) { b[22] ^= 8 }),
			"changed record count": change(func(b []byte) { b[60]++ }),
		} {
			if r := s.try(request(log.Entry{Kind: log.Data, Partition: p, Batch: b}))[0]; !errors.Is(r.Err, log.ErrInvalidBatch) {
				s.Errorf("%s: %v, want %v", name, r.Err, log.ErrInvalidBatch)
			}
		}
		if info := s.info(p); info.End != 0 {
			s.Errorf("refused batches moved the end to %d", info.End)
		}
		s.put(p, good)
	}},
	{"every flipped bit that the checksum covers is refused", func(s *suite) {
		p := s.create(1)[0]
		good := Batch(1, 20, 1)
		var req log.Request
		for i := range good {
			if i < 8 || i >= 12 && i < 16 {
				continue // base offset and leader epoch are the log's to write
			}
			for bit := range 8 {
				e := data(p, good)
				e.Batch[i] ^= 1 << bit
				req.Entries = append(req.Entries, e)
			}
		}
		for i, r := range s.try(req) {
			if !errors.Is(r.Err, log.ErrInvalidBatch) && !errors.Is(r.Err, log.ErrTooLarge) {
				s.Errorf("flip %d: %v, want %v", i, r.Err, log.ErrInvalidBatch)
			}
		}
		if info := s.info(p); info.End != 0 {
			s.Errorf("refused batches moved the end to %d", info.End)
		}
	}},
	{"base offset and leader epoch that the sender wrote do not matter", func(s *suite) {
		p := s.create(1)[0]
		b := Batch(1, 20, 1)
		for i := range b[:16] {
			if i < 8 || i >= 12 {
				b[i] = 0xff
			}
		}
		s.put(p, b)
		s.wantBatches(p, 0, [][]byte{b})
	}},
	{"offsets follow the batch's last delta, not its record count", func(s *suite) {
		p := s.create(1)[0]
		b := Batch(2, 20, 1)
		binary.BigEndian.PutUint32(b[23:], 9) // as after compaction: 2 records in 10 offsets
		s.put(p, fixCRC(b))
		if r := s.put(p, Batch(1, 20, 2)); r.Offset != 10 {
			s.Errorf("next offset %d, want 10", r.Offset)
		}
		if got := s.readAll(p, 0, 1<<20); got[0].Count != 10 {
			s.Errorf("count %d, want 10", got[0].Count)
		}
	}},
	{"a batch beyond the limit is too large", func(s *suite) {
		if s.h.MaxBatch == 0 {
			s.Skip("the log names no limit")
		}
		p := s.create(1)[0]
		b := Batch(1, s.h.MaxBatch, 1)
		fits := Batch(1, s.h.MaxBatch-(len(b)-s.h.MaxBatch), 1)
		for len(fits) > s.h.MaxBatch {
			fits = Batch(1, s.h.MaxBatch-(len(b)-s.h.MaxBatch)-(len(fits)-s.h.MaxBatch), 1)
		}
		s.refused(data(p, b), log.ErrTooLarge)
		s.put(p, fits)
		s.wantBatches(p, 0, [][]byte{fits})
	}},
}
