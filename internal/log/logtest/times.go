package logtest

import (
	"slices"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
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
