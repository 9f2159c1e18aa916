package events

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestModelHasTheShape(t *testing.T) {
	set := Model(7, 20_000)
	if len(set.Events) != 20_000 {
		t.Fatalf("got %d events", len(set.Events))
	}
	next := map[[2]string]int64{}
	for i, e := range set.Events {
		if !json.Valid(e.Line) {
			t.Fatalf("event %d is no JSON: %s", i, e.Line)
		}
		if k := [2]string{e.Game, e.Player}; e.Seq != next[k] {
			t.Fatalf("event %d of %v has seq %d, want %d", i, k, e.Seq, next[k])
		}
		next[[2]string{e.Game, e.Player}]++
		got, err := Identify(e.Data(3))
		if want := e.ID(3); err != nil || got != want {
			t.Fatalf("event %d: identified as %v (%v), want %v", i, got, err, want)
		}
	}
	if len(next) < 150 {
		t.Errorf("only %d players act", len(next))
	}
	if again := Model(7, 20_000); !bytes.Equal(again.Events[19_999].Line, set.Events[19_999].Line) {
		t.Error("the same seed gave other events")
	}
}

func TestIdentifyRefuses(t *testing.T) {
	for _, data := range []string{
		``, `{}`, `{"run":1}`, `{"run":1,"seq":x,"game_id":"a","player_id":"b"}`,
		`{"run":1,"seq":2,"game_id":"","player_id":"b"}`, `{"run":1,"seq":2,"game_id":"a","player_id":"b`,
	} {
		if id, err := Identify([]byte(data)); err == nil {
			t.Errorf("%q identified as %v", data, id)
		}
	}
}
