package brokers

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// told is what is known of one record.
type told struct {
	state  delivery
	count  int16
	member string
	until  int64
	write  uint64
}

// shareModel is a share partition record by record.
type shareModel struct {
	start, next int64
	records     map[int64]told
	set         ShareSettings
}

func (m *shareModel) settle() {
	for m.start < m.next {
		r := m.records[m.start]
		if r.write != 0 || r.state != acknowledged && r.state != archived {
			return
		}
		delete(m.records, m.start)
		m.start++
	}
}

func (m *shareModel) give(r *told) {
	r.state, r.member, r.until = available, "", 0
	if r.count >= m.set.Deliveries {
		r.state = archived
	}
}

func (m *shareModel) each(fn func(offset int64, r *told)) {
	for at := m.start; at < m.next; at++ {
		r := m.records[at]
		fn(at, &r)
		m.records[at] = r
	}
	m.settle()
}

// acquire is acquire for whole batches without holes.
func (m *shareModel) acquire(now, at int64, batches []extent, w *shareWant) (got []int64) {
	for _, b := range batches {
		if len(got) >= w.most {
			break
		}
		limit := max(m.start+m.set.Window, m.next)
		for o := max(b.first, at, m.start); o <= b.last && o < limit; o++ {
			if o >= m.next {
				m.records[o] = told{}
				m.next = o + 1
			}
			r := m.records[o]
			if r.state != available || r.write != 0 || w.strict && len(got) >= w.most {
				continue
			}
			if b.void {
				m.records[o] = told{state: archived, count: r.count}
				continue
			}
			m.records[o] = told{state: acquired, count: r.count + 1, member: w.member, until: now + m.set.Lock}
			got = append(got, o)
		}
	}
	m.settle()
	return got
}

func (m *shareModel) String() string {
	s := fmt.Sprintf("%d-%d", m.start, m.next)
	for at := m.start; at < m.next; at++ {
		s += fmt.Sprintf(" %v", m.records[at])
	}
	return s
}

func (p *sharePartition) String() string {
	s := fmt.Sprintf("%d-%d", p.start, p.next)
	for _, x := range p.spans {
		for range x.last - x.first + 1 {
			s += fmt.Sprintf(" %v", told{x.state, x.count, x.member, x.until, x.write})
		}
	}
	return s
}

// TestSharePartition holds the spans of a share partition against what happens to
// each record by itself, and against what is left of them after a restart.
func TestSharePartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := ShareSettings{Lock: 10, Deliveries: 3, Window: 24, Renew: true}
		p := &sharePartition{start: 5, next: 5}
		m := &shareModel{start: 5, next: 5, records: map[int64]told{}, set: set}
		end, now, write := int64(5), int64(0), uint64(0)
		var batches []extent
		var open []uint64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			member := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "member")
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0:
				set.Window = rapid.Int64Range(6, 24).Draw(t, "window")
				m.set = set
				last := end + rapid.Int64Range(0, 6).Draw(t, "size")
				batches = append(batches, extent{first: end, last: last, void: rapid.IntRange(0, 5).Draw(t, "void") == 0})
				end = last + 1
			case 1, 2:
				at, ok := p.from(&set)
				if !ok {
					continue
				}
				var found []extent
				for _, b := range batches {
					if b.last >= at {
						found = append(found, b)
					}
				}
				w := &shareWant{member: member, most: rapid.IntRange(1, 9).Draw(t, "most"), strict: rapid.Bool().Draw(t, "strict"), size: 4}
				got, want := p.acquire(now, at, found, w, &set), m.acquire(now, at, found, w)
				if next, ok := p.from(&set); len(found) > 0 && len(got) == 0 && ok && next == at {
					t.Fatalf("nothing of %v was got or passed over at %d", found, at)
				}
				var flat []int64
				for _, a := range got {
					for o := a.First; o <= a.Last; o++ {
						flat = append(flat, o)
						if m.records[o].count != a.Count {
							t.Fatalf("%d was delivered %d times, not %d", o, m.records[o].count, a.Count)
						}
					}
				}
				if fmt.Sprint(flat) != fmt.Sprint(want) {
					t.Fatalf("got %v, want %v", flat, want)
				}
			case 3, 4:
				write++
				if drawAck(t, p, m, now, member, write) {
					open = append(open, write)
				}
			case 5:
				for _, w := range open {
					ok := rapid.Bool().Draw(t, "durable")
					p.settled(w, ok)
					m.each(func(_ int64, r *told) {
						if r.write != w {
							return
						}
						if r.write = 0; !ok {
							r.state = available
						}
					})
				}
				open = nil
			case 6:
				if now += rapid.Int64Range(0, 8).Draw(t, "time"); rapid.Bool().Draw(t, "leaves") {
					p.release(member, &set)
					m.each(func(_ int64, r *told) {
						if r.state == acquired && r.member == member {
							m.give(r)
						}
					})
				}
				p.expire(now, &set)
				m.each(func(_ int64, r *told) {
					if r.state == acquired && r.until <= now {
						m.give(r)
					}
				})
			case 7:
				start := rapid.Int64Range(0, end).Draw(t, "trim")
				if rapid.IntRange(0, 3).Draw(t, "trims") > 0 || start <= m.start {
					continue
				}
				p.trim(start)
				for ; m.start < start; m.start++ {
					delete(m.records, m.start)
				}
				m.next = max(m.next, start)
				m.settle()
			}
			if got, want := p.String(), m.String(); got != want {
				t.Fatalf("is  %s\nnot %s", got, want)
			}
			if len(p.spans) > 24 {
				t.Fatalf("%d spans", len(p.spans))
			}
			kept, err := parseSnapshot((&snapshot{part: *p}).value())
			if err != nil {
				t.Fatal(err)
			}
			checkReload(t, m, &kept.part)
		}
	})
}

// drawAck has a member say something, and tells whether it is its to say.
func drawAck(t *rapid.T, p *sharePartition, m *shareModel, now int64, member string, write uint64) bool {
	first := rapid.Int64Range(max(m.start-2, 0), m.next).Draw(t, "first")
	a := Ack{First: first, Last: first + rapid.Int64Range(0, 5).Draw(t, "more")}
	n := 1
	if rapid.Bool().Draw(t, "each") {
		n = int(a.Last - a.First + 1)
	}
	for range n {
		a.Types = append(a.Types, AckType(rapid.IntRange(0, 4).Draw(t, "type")))
	}
	err := p.acknowledge(now, member, []Ack{a}, write, &m.set)
	mine := a.Last < m.next || a.Last < m.start
	for o := max(a.First, m.start); o <= a.Last && mine; o++ {
		r := m.records[o]
		mine = r.state == acquired && r.member == member
	}
	if mine != (err == nil) {
		t.Fatalf("%+v of %s: %v", a, member, err)
	}
	if !mine {
		return false
	}
	for o := max(a.First, m.start); o <= a.Last; o++ {
		r, kind := m.records[o], a.Types[0]
		if n > 1 {
			kind = a.Types[o-a.First]
		}
		switch kind {
		case AckRenew:
			r.until = now + m.set.Lock
		case AckRelease:
			m.give(&r)
			r.write = write
		case AckAccept:
			r = told{state: acknowledged, count: r.count, write: write}
		default:
			r = told{state: archived, count: r.count, write: write}
		}
		m.records[o] = r
	}
	return true
}

// checkReload: what is done stays so, everything else is to be delivered, and no
// delivery is forgotten.
func checkReload(t *rapid.T, m *shareModel, p *sharePartition) {
	for at := m.start; at < m.next; at++ {
		r := m.records[at]
		done := r.state == acknowledged || r.state == archived
		is := told{state: acknowledged} // before the start
		if at >= p.next {
			is = told{}
		}
		for _, x := range p.spans {
			if x.first <= at && at <= x.last {
				is = told{state: x.state, count: x.count}
			}
		}
		if (is.state != available) != done || !done && is.count != r.count {
			t.Fatalf("offset %d was %v, is %v", at, r, is)
		}
	}
}
