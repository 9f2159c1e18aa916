package brokers

import (
	"bytes"
	"testing"
)

// TestApacheKafkasShareRecords reads a share group that Apache Kafka wrote, and writes
// the same bytes; and so with what such groups have read.
func TestApacheKafkasShareRecords(t *testing.T) {
	b := newConsumerBench(t, nil)
	b.g.share, b.g.id = true, ""
	last := map[string][]byte{}
	snapshots, full := 0, 0
	for n, r := range recorded(t, "testdata/share_records.txt") {
		if kindOf(string(r.key)) == snapshotKind {
			snapshots++
			checkSnapshot(t, r)
			continue
		}
		kind, share, group, rest, err := consumerRecord(r.key)
		if err != nil || !share {
			t.Fatalf("record %d: %v", n, err)
		}
		if r.value == nil && len(b.g.members) == 2 && full == 0 { // as it was with two members
			full++
			b.g.id = group
			written := map[string][]byte{}
			for _, w := range b.g.records() {
				written[string(w.key)] = w.value
			}
			for key, want := range last {
				if kindOf(key) != shareState && !bytes.Equal(written[key], want) {
					t.Errorf("kind %d: %x, want %x", kindOf(key), written[key], want)
				}
			}
		}
		if kind == recordTopics { // which partitions have begun is said elsewhere
			continue
		}
		if err := b.g.apply(kind, rest, r.value, b.now); err != nil {
			t.Fatalf("record %d: %v", n, err)
		}
		last[string(r.key)] = r.value
	}
	if full != 1 || len(b.g.members) != 0 || snapshots != 10 {
		t.Errorf("%d times whole, %d members, %d snapshots", full, len(b.g.members), snapshots)
	}
}

func checkSnapshot(t *testing.T, r record) {
	t.Helper()
	k, err := parseShareKey(r.key)
	if err != nil || !bytes.Equal(k.record(), r.key) {
		t.Fatalf("%x: %v", r.key, err)
	}
	if r.value == nil {
		return
	}
	s, err := parseSnapshot(r.value)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.value(); s.part.start >= 0 && !bytes.Equal(got, r.value) {
		t.Errorf("%x, want %x", got, r.value)
	}
}
