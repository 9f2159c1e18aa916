package brokers

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// recorded are records that Apache Kafka wrote.
func recorded(t *testing.T, path string) (out []record) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		var r record
		r.key, err = hex.DecodeString(key)
		if err == nil && value != "-" {
			r.value, err = hex.DecodeString(value)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// TestApacheKafkasRecords reads a group that Apache Kafka wrote, and writes the same
// bytes where there is one way to say it: epochs, targets and what members have.
func TestApacheKafkasRecords(t *testing.T) {
	b := newConsumerBench(t, nil)
	last := map[string][]byte{}
	states := map[memberState]bool{}
	left := false
	for n, r := range recorded(t, "testdata/consumer_records.txt") {
		kind, _, group, rest, err := consumerRecord(r.key)
		if err == nil && group == "players" {
			err = b.g.apply(kind, rest, r.value, b.now)
		}
		if err != nil || group != "players" {
			t.Fatalf("record %d: %v, %q", n, err, group)
		}
		last[string(r.key)] = r.value
		for _, m := range b.g.members {
			states[m.state] = true
		}
		if r.value == nil && !left {
			left = true
			if got := describeAll(b.g); got != "4/4 one:4[0 1]->[0 1] game-.*:4[]->[2]" { // what it had went first
				t.Fatal(got)
			}
		}
	}
	if got := describeAll(b.g); got != "5/4 one:-2[0 1]->[0 1]" {
		t.Fatal(got)
	}
	if len(states) != 3 {
		t.Errorf("states %v", states)
	}
	b.g.id = "players"
	written := map[string][]byte{}
	for _, r := range b.g.records() {
		written[string(r.key)] = r.value
	}
	for key, want := range last {
		kind := kindOf(key)
		if got, ok := written[key]; ok != (want != nil) || kind != recordMember && !bytes.Equal(got, want) {
			t.Errorf("kind %d: %x, want %x", kind, got, want)
		}
	}
}

// describeAll is a group in short: its epochs, and each member's epoch, partitions
// and target, by what is known of it.
func describeAll(g *consumers) string {
	out := fmt.Sprintf("%d/%d", g.epoch, g.targetEpoch)
	var members []string
	for _, m := range g.members {
		name := m.regex
		if m.instance != nil {
			name = *m.instance
		}
		numbers := func(in slots) (out []int32) {
			for _, s := range in.sorted() {
				out = append(out, s.partition)
			}
			return out
		}
		members = append(members, fmt.Sprintf(" %s:%d%v->%v", name, m.epoch, numbers(m.owned), numbers(m.target)))
	}
	if len(members) == 2 && strings.HasPrefix(members[1], " one") {
		members[0], members[1] = members[1], members[0]
	}
	return out + strings.Join(members, "")
}
