package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"thalweg/tests/events"
)

// Read is one record as a reader got it, in the order of its shard.
type Read struct {
	Record
	Seq string
}

// Report is what a check found. Err is nil if every promise was kept.
type Report struct {
	Calls      int `json:"calls"`
	Unanswered int `json:"unanswered_calls"`
	Refused    int `json:"refused_calls"`
	Acked      int `json:"acked_records"`
	ReadBack   int `json:"records_read_back"`
	// Repeats are records beyond the acknowledged ones, each explained by an
	// unanswered call.
	Repeats int   `json:"repeats_of_unanswered_calls"`
	Err     error `json:"-"`
}

// maxFaults bounds how many faults a report spells out.
const maxFaults = 20

// checker holds one check's state.
type checker struct {
	report     Report
	faults     []error
	faultCount int
	calls      []Call
	acked      map[Place]Record
	unanswered map[Record]int // calls never answered that hold the record
}

// CompareSeq compares two sequence numbers by value.
func CompareSeq(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// Check holds what was read from each shard, in reading order, against the
// ledger:
//   - sequence numbers rise strictly within a shard;
//   - every acknowledged record stands at its sequence number, once, unaltered;
//   - every other record read is one of a call that was never answered, no more
//     often than there are such calls;
//   - within a game and player, acknowledged records and first occurrences
//     stand in the order in which they were sent, in one shard.
func Check(calls []Call, shards map[string][]Read) Report {
	return check(calls, shards, slices.Sorted(maps.Keys(shards)), false)
}

// CheckAcross is Check for a stream that was resharded: a game's records may
// stand in several shards, and their order is that in which order names these,
// parents before children.
func CheckAcross(calls []Call, shards map[string][]Read, order []string) Report {
	return check(calls, shards, order, true)
}

func check(calls []Call, shards map[string][]Read, order []string, across bool) Report {
	c := &checker{calls: calls, acked: map[Place]Record{}, unanswered: map[Record]int{}}
	c.takeLedger()
	extra := map[Record]int{}
	found := 0
	for _, shard := range order {
		found += c.shard(shard, shards[shard], extra)
	}
	if missing := len(c.acked) - found; missing > 0 {
		c.fault("%d of %d acknowledged records are missing", missing, len(c.acked))
		c.nameMissing(shards)
	}
	for r, n := range extra {
		c.report.Repeats += n
		switch allowed := c.unanswered[r]; {
		case n <= allowed:
		case !c.sent(r):
			c.fault("record %s (crc %08x) was never sent so", r.ID, r.Sum)
		default:
			c.fault("record %s stands %d times beyond its acknowledgement, %d unanswered calls hold it", r.ID, n, allowed)
		}
	}
	c.order(shards, order, across)
	if c.faultCount > len(c.faults) {
		c.faults = append(c.faults, fmt.Errorf("and %d faults more", c.faultCount-len(c.faults)))
	}
	c.report.Err = errors.Join(c.faults...)
	return c.report
}

func (c *checker) fault(format string, args ...any) {
	if c.faultCount++; c.faultCount <= maxFaults {
		c.faults = append(c.faults, fmt.Errorf(format, args...))
	}
}

// sent tells whether any call holds r.
func (c *checker) sent(r Record) bool {
	return slices.ContainsFunc(c.calls, func(call Call) bool { return slices.Contains(call.Records, r) })
}

func (c *checker) takeLedger() {
	c.report.Calls = len(c.calls)
	for n, call := range c.calls {
		switch call.Outcome {
		case Unanswered:
			c.report.Unanswered++
			for _, r := range call.Records {
				c.unanswered[r]++
			}
		case Refused:
			c.report.Refused++
		case Answered:
			for i, p := range call.Places {
				if p.Seq == "" {
					continue
				}
				if other, taken := c.acked[p]; taken {
					c.fault("call %d: %s was acknowledged at %s %s, as %s was before", n, call.Records[i].ID, p.Shard, p.Seq, other.ID)
				}
				c.acked[p] = call.Records[i]
			}
		}
	}
	c.report.Acked = len(c.acked)
}

// shard checks one shard's records, counts into extra those that no
// acknowledgement names, and returns how many one does.
func (c *checker) shard(shard string, reads []Read, extra map[Record]int) (found int) {
	c.report.ReadBack += len(reads)
	last := ""
	for i, r := range reads {
		if i > 0 && CompareSeq(r.Seq, last) <= 0 {
			c.fault("%s: record %d: sequence number %s after %s", shard, i, r.Seq, last)
		}
		last = r.Seq
		want, acked := c.acked[Place{Shard: shard, Seq: r.Seq}]
		switch {
		case !acked:
			extra[r.Record]++
		case want != r.Record:
			found++
			c.fault("%s %s holds %s (crc %08x), acknowledged as %s (crc %08x)", shard, r.Seq, r.ID, r.Sum, want.ID, want.Sum)
		default:
			found++
		}
	}
	return found
}

// nameMissing spells out a few acknowledged records that no shard holds.
func (c *checker) nameMissing(shards map[string][]Read) {
	left := maps.Clone(c.acked)
	for shard, reads := range shards {
		for _, r := range reads {
			delete(left, Place{Shard: shard, Seq: r.Seq})
		}
	}
	named := 0
	for p, r := range left {
		if named++; named > 3 {
			return
		}
		c.fault("missing: %s, acknowledged at %s %s", r.ID, p.Shard, p.Seq)
	}
}

// order checks that each game and player's events stand in order, and in one
// shard unless across.
func (c *checker) order(shards map[string][]Read, order []string, across bool) {
	type key struct {
		run          int
		game, player string
	}
	type state struct {
		shard         string
		acked, unique int64  // highest seq so far
		seen          []bool // by seq
	}
	states := map[key]*state{}
	for _, shard := range order {
		for _, r := range shards[shard] {
			k := key{r.ID.Run, r.ID.Game, r.ID.Player}
			s := states[k]
			if s == nil {
				s = &state{shard: shard, acked: -1, unique: -1}
				states[k] = s
			}
			if s.shard != shard && !across {
				c.fault("%s stands in %s, an earlier one of its game in %s", r.ID, shard, s.shard)
			}
			if _, ok := c.acked[Place{Shard: shard, Seq: r.Seq}]; ok {
				if r.ID.Seq <= s.acked {
					c.fault("%s stands after %d, both acknowledged", r.ID, s.acked)
				}
				s.acked = max(s.acked, r.ID.Seq)
			}
			for int64(len(s.seen)) <= r.ID.Seq {
				s.seen = append(s.seen, false)
			}
			if !s.seen[r.ID.Seq] {
				s.seen[r.ID.Seq] = true
				if r.ID.Seq < s.unique {
					c.fault("%s stands first after %d", r.ID, s.unique)
				}
				s.unique = max(s.unique, r.ID.Seq)
			}
		}
	}
}

// Identify makes a Read of what a reader got.
func Identify(seq string, data []byte) (Read, error) {
	id, err := events.Identify(data)
	if err != nil {
		return Read{}, fmt.Errorf("record %s: %w: %.200q", seq, err, data)
	}
	return Read{Record: Record{ID: id, Sum: events.Sum(data)}, Seq: seq}, nil
}
