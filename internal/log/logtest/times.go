package logtest

import (
	"slices"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

var timeTests = []test{
	{"arrival is the log's clock", func(s *suite) {
		c := s.needClock()
		p := s.create(1)[0]
		for range 3 {
			c.Advance(1234 * time.Millisecond)
			r := s.put(p, Batch(1, 10, 1))
			if want := clock.Millis(c); r.Arrival != want {
				s.Errorf("arrival %d, want %d", r.Arrival, want)
			}
			all := s.readAll(p, r.Offset, 1<<20)
			if all[0].Arrival != r.Arrival {
				s.Errorf("read says arrival %d, the result said %d", all[0].Arrival, r.Arrival)
			}
		}
		info := s.info(p)
		if info.LastArrival != clock.Millis(c) || info.FirstArrival != info.LastArrival-2*1234 {
			s.Errorf("info %+v", info)
		}
	}},
	{"arrival never falls, even when the clock is set back", func(s *suite) {
		c := s.needClock()
		p := s.create(1)[0]
		last := int64(0)
		step := func(by time.Duration) {
			c.Set(c.Now().Add(by))
			r := s.put(p, Batch(1, 10, 1))
			if r.Arrival < last {
				s.Errorf("arrival %d after %d", r.Arrival, last)
			}
			last = r.Arrival
		}
		for _, by := range []time.Duration{0, time.Second, -time.Hour, time.Minute, -1, 0} {
			step(by)
		}
		s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 6}))
		s.reopen()
		step(-time.Hour)
		if got := s.info(p).LastArrival; got != last {
			s.Errorf("last arrival %d, want %d", got, last)
		}
	}},
	{"offset for time", offsetForTime},
	{"offset for timestamp", offsetForTimestamp},
	{"offset for time of a sealed, trimmed or empty partition", func(s *suite) {
		c := s.needClock()
		p := s.create(1)[0]
		s.wantOffsetAt(p, 0, 0, -1)
		s.wantOffsetAt(p, 1<<62, 0, -1)
		first := s.put(p, Batch(3, 10, 1)).Arrival
		c.Advance(time.Second)
		second := s.put(p, Batch(3, 10, 2)).Arrival
		s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 4}, entry(log.Seal, p)))
		s.wantOffsetAt(p, first, 4, second)
		s.wantOffsetAt(p, second, 4, second)
		s.wantOffsetAt(p, second+1, 6, -1)
		s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 6}))
		s.wantOffsetAt(p, first, 6, -1)
	}},
}

func (s *suite) wantOffsetAt(p log.PartitionID, arrival, offset, at int64) {
	s.Helper()
	gotOffset, gotAt, err := s.l.OffsetForTime(p, arrival)
	if err != nil || gotOffset != offset || gotAt != at {
		s.Errorf("offset for time %d: %d at %d, %v; want %d at %d", arrival, gotOffset, gotAt, err, offset, at)
	}
}

func offsetForTime(s *suite) {
	c := s.needClock()
	p := s.create(1)[0]
	var acks []log.Result
	for i := range 200 {
		if i%3 == 0 { // three batches share each arrival
			c.Advance(time.Duration(1+i%7) * 10 * time.Millisecond)
		}
		acks = append(acks, s.put(p, Batch(1+i%2, 300, uint64(i))))
	}
	end := s.info(p).End
	check := func() {
		s.Helper()
		for when := acks[0].Arrival - 15; when <= acks[len(acks)-1].Arrival+15; when += 5 {
			i, _ := slices.BinarySearchFunc(acks, when, func(r log.Result, when int64) int { return int(r.Arrival - when) })
			if i < len(acks) {
				s.wantOffsetAt(p, when, acks[i].Offset, acks[i].Arrival)
			} else {
				s.wantOffsetAt(p, when, end, -1)
			}
		}
		s.wantOffsetAt(p, -1<<63, 0, acks[0].Arrival)
		s.wantOffsetAt(p, 1<<63-1, end, -1)
	}
	check()
	s.reopen()
	check()
}

// offsetForTimestamp searches for what senders stamped, in no order, and wants what
// reading everything finds.
func offsetForTimestamp(s *suite) {
	ids := s.create(2)
	p := ids[0]
	for i := range 150 {
		s.put(p, Batch(1+i%2, 300, uint64(i)))
	}
	check := func() {
		s.Helper()
		all := s.readAll(p, s.info(p).Start, 1<<20)
		stamps := make([]int64, len(all))
		for i := range all {
			h, err := batch.ParseHeader(all[i].Bytes)
			if err != nil {
				s.Fatal(err)
			}
			stamps[i] = h.MaxTimestamp
		}
		for i := range all {
			if i%7 == 0 {
				s.wantLatest(p, all[i].Base, slices.Max(append(stamps[:i:i], log.NoTimestamp)))
			}
			for _, at := range []int64{stamps[i], stamps[i] + 1, 0} {
				k := i / 2
				want := int64(-1)
				if j := slices.IndexFunc(stamps[k:], func(v int64) bool { return v >= at }); j >= 0 {
					want = all[k+j].Base
				}
				got, err := s.l.OffsetForTimestamp(p, all[k].Base, at)
				if err != nil || got != want {
					s.Fatalf("offset for timestamp %d from %d: %d, %v, want %d", at, all[k].Base, got, err, want)
				}
			}
		}
		s.wantLatest(p, 1<<62, slices.Max(stamps))
	}
	check()
	s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 41}))
	check()
	s.reopen()
	check()
	for _, id := range []log.PartitionID{ids[1], p} {
		if id == p {
			s.do(request(log.Entry{Kind: log.Trim, Partition: p, Offset: 1 << 40}))
		}
		s.wantLatest(id, 1<<62, log.NoTimestamp)
		if got, err := s.l.OffsetForTimestamp(id, 0, 0); err != nil || got != -1 {
			s.Errorf("offset for timestamp of what is empty: %d, %v", got, err)
		}
	}
}

func (s *suite) wantLatest(p log.PartitionID, end, want int64) {
	s.Helper()
	if got, err := s.l.LatestTimestamp(p, end); err != nil || got != want {
		s.Errorf("latest timestamp below %d: %d, %v; want %d", end, got, err, want)
	}
}
