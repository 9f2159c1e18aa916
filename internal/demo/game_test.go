package demo

import (
	"encoding/json"
	"testing"
	"time"
)

// Eight minutes of a game must be a game: the pace of real players, every kind of
// event, matches that begin and end, seq without gaps, and the same again from
// the same seed.
func TestGameIsAGame(t *testing.T) {
	const n = 40
	g, again := NewGame(42, n), NewGame(42, n)
	kinds, results := map[string]int{}, map[string]int{}
	due := map[string]int64{}
	games := map[string]int64{}
	playing, seconds := map[string]int64{}, int64(0) // player to join ts; time played
	var last time.Duration
	events := 0
	for {
		e, err := g.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.At > 8*time.Minute {
			break
		}
		twin, _ := again.Next()
		if string(twin.Body) != string(e.Body) || twin.At != e.At {
			t.Fatalf("event %d differs: %s, %s", events, e.Body, twin.Body)
		}
		if e.At < last {
			t.Fatalf("time falls at event %d", events)
		}
		last = e.At
		events++
		var h header
		if err := json.Unmarshal(e.Body, &h); err != nil {
			t.Fatalf("%s: %v", e.Body, err)
		}
		if h.Player != e.Player || h.TS != e.At.Milliseconds() || h.Map == "" || h.Faction == "" {
			t.Fatalf("%+v from %s", h, e.Body)
		}
		if key := h.Game + h.Player; h.Seq != due[key] {
			t.Fatalf("seq %d when %d was due: %s", h.Seq, due[key], e.Body)
		} else {
			due[key]++
		}
		kinds[h.Kind]++
		games[h.Game]++
		switch h.Kind {
		case "PlayerJoinEvent":
			playing[h.Player] = h.TS
		case "PlayerLeaveEvent":
			results[h.Result]++
			seconds += (h.TS - playing[h.Player]) / 1000
			delete(playing, h.Player)
		}
		if _, in := playing[h.Player]; !in && h.Kind != "PlayerLeaveEvent" {
			t.Fatalf("acted outside a match: %s", e.Body)
		}
	}
	for _, k := range []string{"PlayerJoinEvent", "PlayerLeaveEvent", "PlayerStatsEvent", "CameraEvent", "SelectionEvent", "GetControlGroupEvent",
		"SetControlGroupEvent", "AddToControlGroupEvent", "BasicCommandEvent", "TargetPointCommandEvent", "TargetUnitCommandEvent", "ChatEvent", "PingEvent", "ResourceTradeEvent"} {
		if kinds[k] == 0 {
			t.Errorf("no %s in eight minutes", k)
		}
	}
	for _, r := range []string{"victory", "defeat", "disconnected"} {
		if results[r] == 0 {
			t.Errorf("nobody left in %s", r)
		}
	}
	rate := float64(events) / float64(seconds)
	t.Logf("%d events, %d matches, %.0f s a player and match, %.2f events a second and player, camera %.0f%%, %v",
		events, len(games), float64(seconds)/float64(results["victory"]+results["defeat"]+results["disconnected"]), rate,
		100*float64(kinds["CameraEvent"])/float64(events), results)
	if rate < 2 || rate > 4 {
		t.Errorf("%.2f events a second and player; recorded games have 2.8", rate)
	}
	if share := float64(kinds["CameraEvent"]) / float64(events); share < 0.4 || share > 0.65 {
		t.Errorf("%.2f of the events are camera moves; in recorded games 0.56", share)
	}
}
