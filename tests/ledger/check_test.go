package ledger

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"thalweg/tests/events"
)

func record(seq int64) Record {
	return Record{ID: events.ID{Run: 1, Game: "g", Player: "p", Seq: seq}, Sum: uint32(seq) * 7}
}

func read(at string, seq int64) Read { return Read{Record: record(seq), Seq: at} }

// story is three calls: one answered, one never, one refused; the second's
// records were sent again and then answered.
func story(t *testing.T) []Call {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	first := l.Sent([]Record{record(0), record(1)})
	l.Acked(first, []Place{{"s", "100"}, {"s", "101"}})
	l.Sent([]Record{record(2), record(3)})
	again := l.Sent([]Record{record(2), record(3)})
	l.Acked(again, []Place{{"s", "104"}, {}})
	refused := l.Sent([]Record{record(4)})
	l.Failed(refused, errors.New("no"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	calls, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// TestCheckBites gives the checker histories with one fault each.
func TestCheckBites(t *testing.T) {
	calls := story(t)
	altered := read("101", 1)
	altered.Sum++
	for _, c := range []struct {
		name  string
		reads []Read
		want  string // in the fault; "" for none
	}{
		{"clean", []Read{read("100", 0), read("101", 1), read("104", 2)}, ""},
		{"whole repeat", []Read{read("100", 0), read("101", 1), read("102", 2), read("103", 3), read("104", 2)}, ""},
		{"lost", []Read{read("100", 0), read("104", 2)}, "missing"},
		{"altered", []Read{read("100", 0), altered, read("104", 2)}, "acknowledged as"},
		{"swapped payloads", []Read{read("100", 1), read("101", 0), read("104", 2)}, "acknowledged as"},
		{"repeat of an answered call", []Read{read("100", 0), read("101", 1), read("102", 1), read("104", 2)}, "beyond its acknowledgement"},
		{"repeated twice", []Read{read("100", 0), read("101", 1), read("102", 2), read("103", 2), read("104", 2)}, "beyond its acknowledgement"},
		{"refused but there", []Read{read("100", 0), read("101", 1), read("104", 2), read("105", 4)}, "beyond its acknowledgement"},
		{"never sent", []Read{read("100", 0), read("101", 1), read("104", 2), read("105", 9)}, "never sent"},
		{"sequence numbers fall", []Read{read("101", 1), read("100", 0), read("104", 2)}, "sequence number 100 after 101"},
		{"the same number twice", []Read{read("100", 0), read("101", 1), read("101", 1), read("104", 2)}, "after 101"},
		{"out of order", []Read{read("100", 0), read("101", 1), read("102", 3), read("103", 2), read("104", 2)}, "stands first after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(calls, map[string][]Read{"s": c.reads}).Err
			switch {
			case c.want == "" && err != nil:
				t.Errorf("a faultless history was refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want a fault with %q", err, c.want)
			}
		})
	}
	if err := Check(calls, map[string][]Read{
		"s": {read("100", 0), read("101", 1), read("104", 2)}, "t": {read("100", 3)},
	}).Err; err == nil || !strings.Contains(err.Error(), "an earlier one of its game") {
		t.Errorf("a game in two shards passed: %v", err)
	}
	resharded := map[string][]Read{"s": {read("100", 0), read("101", 1)}, "t": {read("104", 2)}}
	for i := range calls {
		for j := range calls[i].Places {
			if calls[i].Places[j].Seq == "104" {
				calls[i].Places[j].Shard = "t"
			}
		}
	}
	if err := CheckAcross(calls, resharded, []string{"s", "t"}).Err; err != nil {
		t.Errorf("a game that goes on in a child was refused: %v", err)
	}
	if err := CheckAcross(calls, resharded, []string{"t", "s"}).Err; err == nil || !strings.Contains(err.Error(), "stands after") {
		t.Errorf("a game that goes on in a parent passed: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"S 1 1/g/p/0:00000000", "A 0 s:1", "S 0 1/g/p/0:00000000\nA 0 s:1\nA 0 s:1", "S 0 1/g/p/0:00000000\nA 0",
		"S 0 1/g/p:00000000", "S 0 1/g/p/0:zz", "S 0 1/g/p/0:00000000\nA 0 s", "Q 0", "S x",
	} {
		if calls, err := Parse(strings.NewReader(text)); err == nil {
			t.Errorf("%q passed as %+v", text, calls)
		}
	}
}
