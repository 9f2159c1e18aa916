package brokers

import (
	"slices"
	"sort"
)

// delivery is how far a record of a share partition is, in the numbers of Apache
// Kafka's records.
type delivery int8

const (
	available    delivery = 0
	acquired     delivery = 1
	acknowledged delivery = 2
	archived     delivery = 4 // it is not delivered any more
)

// AckType is what a member says of a record that it has.
type AckType int8

// The types of acknowledgement.
const (
	AckGap     AckType = 0 // there is no record
	AckAccept  AckType = 1
	AckRelease AckType = 2 // it is to be delivered again
	AckReject  AckType = 3
	AckRenew   AckType = 4 // the member goes on with it
)

// Ack is what a member says of records next to each other: one type for all, or one
// for each.
type Ack struct {
	First, Last int64
	Types       []AckType
}

// Acquired are records next to each other that a member has got.
type Acquired struct {
	First, Last int64
	Count       int16 // deliveries, this one included
}

// span is records next to each other that are equally far.
type span struct {
	first, last int64
	state       delivery
	count       int16
	member      string // who has them, while acquired
	until       int64  // when they are taken from that member, Unix milliseconds
	write       uint64 // the append that will tell whether the state holds; 0 is none
}

func (s *span) done() bool {
	return s.write == 0 && (s.state == acknowledged || s.state == archived)
}

// follows tells whether t goes on as s ended.
func (s *span) follows(t *span) bool {
	same := *t
	same.first, same.last = s.first, s.last
	return same == *s
}

// ShareSettings are what a share group can be told.
type ShareSettings struct {
	Lock       int64 // how long a member may have a record, milliseconds
	Deliveries int16 // how often a record is delivered
	Window     int64 // how many records may be under way in a partition
	Committed  bool  // only records of transactions that were committed
	Renew      bool  // members may renew
	Reset      string
}

// sharePartition is the state machine of one partition as a share group reads it
// (KIP-932): which records are to be delivered, who has them until when, and which
// are done. It does no I/O; whoever calls it makes durable what has changed.
//
// Its spans cover everything from start to next without a hole. What is before start
// is done, what is from next on was never looked at.
type sharePartition struct {
	start, next int64
	spans       []span
	changed     bool // since it was last made durable
}

// cut has a span begin at an offset, and returns the index of the first that does
// not end before it.
func (p *sharePartition) cut(at int64) int {
	i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].last >= at })
	if i == len(p.spans) || p.spans[i].first >= at {
		return i
	}
	left := p.spans[i]
	left.last, p.spans[i].first = at-1, at
	p.spans = slices.Insert(p.spans, i, left)
	return i + 1
}

// over are the spans of a range, and nothing beyond it.
func (p *sharePartition) over(first, last int64) []span {
	from := p.cut(first)
	return p.spans[from:p.cut(last+1)]
}

// grow has the spans reach to last.
func (p *sharePartition) grow(last int64) {
	if last >= p.next {
		p.spans = append(p.spans, span{first: p.next, last: last})
		p.next = last + 1
	}
}

// settle makes one of spans that go on as one another, and moves the start past
// what is done.
func (p *sharePartition) settle() {
	out := p.spans[:0]
	for i := range p.spans {
		s := p.spans[i]
		switch n := len(out); {
		case n == 0 && s.done():
			p.start = s.last + 1
		case n > 0 && s.follows(&out[n-1]):
			out[n-1].last = s.last
		default:
			out = append(out, s)
		}
	}
	clear(p.spans[len(out):])
	p.spans = out
}

// trim gives up what is before the first record that there is.
func (p *sharePartition) trim(start int64) {
	if start <= p.start {
		return
	}
	p.spans = slices.Delete(p.spans, 0, p.cut(start))
	p.start, p.next, p.changed = start, max(p.next, start), true
	p.settle()
}

// give makes the records of a span available again, unless they were delivered as
// often as they may be.
func (p *sharePartition) give(s *span, set *ShareSettings) {
	s.state, s.member, s.until = available, "", 0
	if s.count >= set.Deliveries {
		s.state = archived
	}
	p.changed = true
}

// expire takes records from members whose time is over.
func (p *sharePartition) expire(now int64, set *ShareSettings) (given bool) {
	return p.giveWhere(set, func(s *span) bool { return s.until <= now })
}

// release takes back all that a member has.
func (p *sharePartition) release(member string, set *ShareSettings) (given bool) {
	return p.giveWhere(set, func(s *span) bool { return s.member == member })
}

func (p *sharePartition) giveWhere(set *ShareSettings, match func(*span) bool) (given bool) {
	for i := range p.spans {
		if s := &p.spans[i]; s.state == acquired && match(s) {
			p.give(s, set)
			given = true
		}
	}
	if given {
		p.settle()
	}
	return given
}

// lockEnd is when the next member's time is over; 0 is never.
func (p *sharePartition) lockEnd() (at int64) {
	for i := range p.spans {
		if s := &p.spans[i]; s.state == acquired && (at == 0 || s.until < at) {
			at = s.until
		}
	}
	return at
}

// room is how many more records may be under way.
func (p *sharePartition) room(set *ShareSettings) int64 { return set.Window - (p.next - p.start) }

// from is where to read on: at the first record that is to be delivered. There is
// none while too many are under way.
func (p *sharePartition) from(set *ShareSettings) (at int64, ok bool) {
	for i := range p.spans {
		if s := &p.spans[i]; s.state == available && s.write == 0 {
			return s.first, true
		}
	}
	return p.next, p.room(set) > 0
}

// extent is a batch of the log.
type extent struct {
	first, last int64
	void        bool // nobody is to see its records
}

// shareWant is how much a member wants.
type shareWant struct {
	member string
	most   int  // records
	strict bool // and not one more; else whole batches
	size   int  // records in one Acquired, if batches allow it
}

// acquire gives a member what is to be delivered of batches that were read at an
// offset. Where there is no batch, there is no record any more.
func (p *sharePartition) acquire(now, at int64, batches []extent, w *shareWant, set *ShareSettings) (out []Acquired) {
	total := int64(0)
	for _, b := range batches {
		if total >= int64(w.most) {
			break
		}
		if len(p.spans) == 0 {
			p.trim(b.first) // nothing is under way before it
		}
		last := min(b.last, max(p.start+set.Window, p.next)-1) // the window may have become smaller
		if at = max(at, p.start); last < at {
			continue
		}
		first := max(b.first, at)
		p.grow(last)
		p.archive(at, first-1)
		if b.void {
			p.archive(first, last)
			at = last + 1
			continue
		}
		for from := first; from <= last && !(w.strict && total >= int64(w.most)); {
			s := &p.over(from, last)[0]
			from = s.last + 1
			if s.state != available || s.write != 0 {
				continue
			}
			if left := int64(w.most) - total; w.strict && s.last-s.first >= left {
				from = s.first + left
				s = &p.over(s.first, from-1)[0]
			}
			s.state, s.count, s.member, s.until = acquired, s.count+1, w.member, now+set.Lock
			total += s.last - s.first + 1
			n := len(out)
			if n > 0 && out[n-1].Last+1 == s.first && out[n-1].Count == s.count && s.last-out[n-1].First < int64(max(w.size, 1)) {
				out[n-1].Last = s.last
			} else {
				out = append(out, Acquired{First: s.first, Last: s.last, Count: s.count})
			}
		}
		at = last + 1
	}
	p.settle()
	return out
}

// archive gives up what is available of a range.
func (p *sharePartition) archive(first, last int64) {
	if first > last {
		return
	}
	list := p.over(first, last)
	for i := range list {
		if s := &list[i]; s.state == available && s.write == 0 {
			s.state, p.changed = archived, true
		}
	}
}

// checkAcks refuses what is not the member's to acknowledge.
func (p *sharePartition) checkAcks(member string, acks []Ack) *Error {
	for _, a := range acks {
		if a.Last < p.start {
			continue // done already
		}
		first := max(a.First, p.start)
		switch {
		case first >= p.next:
			return refuse(InvalidRequest, "Batch record not found. The first offset in request is past acquired records.")
		case a.Last >= p.next:
			return refuse(InvalidRequest, "Batch record not found. The last offset in request is past acquired records.")
		}
		i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].last >= first })
		for ; i < len(p.spans) && p.spans[i].first <= a.Last; i++ {
			switch s := &p.spans[i]; {
			case s.state != acquired && a.First == a.Last:
				return refuse(InvalidRecordState, "The offset cannot be acknowledged. The offset is not acquired.")
			case s.state != acquired:
				return refuse(InvalidRecordState, "The batch cannot be acknowledged. The batch is not in the acquired state.")
			case s.member != member:
				return refuse(InvalidRecordState, "Member is not the owner of batch record")
			}
		}
	}
	return nil
}

// acknowledge does what a member says of records that it has, all of it or nothing.
// What becomes of them holds when settled tells so of the write.
func (p *sharePartition) acknowledge(now int64, member string, acks []Ack, write uint64, set *ShareSettings) *Error {
	if err := p.checkAcks(member, acks); err != nil {
		return err
	}
	if !set.Renew && slices.ContainsFunc(acks, func(a Ack) bool { return slices.Contains(a.Types, AckRenew) }) {
		return refuse(InvalidRecordState, "Renewing acquisition locks is not enabled for the group.")
	}
	for _, a := range acks {
		for first := max(a.First, p.start); first <= a.Last; {
			kind, last := a.Types[0], a.Last
			if len(a.Types) > 1 {
				kind = a.Types[first-a.First]
				for last = first; last < a.Last && a.Types[last+1-a.First] == kind; {
					last++
				}
			}
			list := p.over(first, last)
			for i := range list {
				p.mark(&list[i], now, kind, write, set)
			}
			first = last + 1
		}
	}
	p.settle()
	return nil
}

func (p *sharePartition) mark(s *span, now int64, kind AckType, write uint64, set *ShareSettings) {
	switch kind {
	case AckRenew:
		s.until = now + set.Lock
		return
	case AckRelease:
		p.give(s, set)
	case AckAccept:
		s.state, s.member, s.until = acknowledged, "", 0
	case AckGap, AckReject:
		s.state, s.member, s.until = archived, "", 0
	}
	s.write, p.changed = write, true
}

// settled ends a write. What it would have made durable is to be delivered again if
// it has failed.
func (p *sharePartition) settled(write uint64, ok bool) {
	for i := range p.spans {
		s := &p.spans[i]
		if s.write != write {
			continue
		}
		if s.write = 0; !ok {
			s.state, p.changed = available, true
		}
	}
	p.settle()
}

// completed counts the records from start on that are done.
func (p *sharePartition) completed() (n int64) {
	for i := range p.spans {
		if s := &p.spans[i]; s.state == acknowledged || s.state == archived {
			n += s.last - s.first + 1
		}
	}
	return n
}
