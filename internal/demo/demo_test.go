package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/vfs"
)

// few ends a source after n events.
type few struct {
	Source
	n int
}

func (f *few) Next() (Event, error) {
	if f.n--; f.n < 0 {
		return Event{}, io.EOF
	}
	return f.Source.Next()
}

func options(t *testing.T, events int) (Options, *fakeServer, *bytes.Buffer) {
	f, dial := newFake(t, 3)
	out := &bytes.Buffer{}
	return Options{Dial: dial, Clock: clock.System(), FS: vfs.OS{}, Stream: "s", Shards: 3, InOrder: true,
		Source: &few{NewGame(1, 40), events}, Title: "test", Dest: t.TempDir(), Out: out}, f, out
}

func TestRunChecksItself(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault func(put int, recs []fakeRecord) []fakeRecord
		want  string // in the error; "" is none
	}{
		{name: "healthy"},
		{name: "a record is lost", want: "events arrived of", fault: func(put int, recs []fakeRecord) []fakeRecord {
			if put == 2 {
				return recs[1:]
			}
			return recs
		}},
		{name: "a record is stored twice", want: "came more than once", fault: func(put int, recs []fakeRecord) []fakeRecord {
			if put == 2 {
				return append(recs, recs[len(recs)-1])
			}
			return recs
		}},
		{name: "a record is changed", want: "not the same", fault: func(put int, recs []fakeRecord) []fakeRecord {
			if put == 2 {
				recs[0].Data = bytes.Replace(recs[0].Data, []byte(`Event"`), []byte(`Evemt"`), 1)
			}
			return recs
		}},
		{name: "records change places", want: "before one due earlier", fault: func(put int, recs []fakeRecord) []fakeRecord {
			for i := range recs {
				for j := i + 1; put == 2 && j < len(recs); j++ {
					if recs[i].PartitionKey == recs[j].PartitionKey {
						recs[i], recs[j] = recs[j], recs[i]
						return recs
					}
				}
			}
			return recs
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, f, out := options(t, 800)
			f.fault = tc.fault
			err := Run(t.Context(), o)
			if tc.want == "" {
				if err != nil || !strings.Contains(out.String(), "PASS") {
					t.Fatalf("%v\n%s", err, out)
				}
				return
			}
			if err == nil || strings.Contains(out.String(), "PASS") {
				t.Fatalf("err = %v\n%s", err, out)
			}
			// A swap shows as loss too, as what comes late counts as a repeat.
			if !strings.Contains(err.Error(), tc.want) && !strings.Contains(err.Error(), "events arrived of") {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestRunEndsWithItsDuration(t *testing.T) {
	o, _, out := options(t, 1<<30)
	o.Speed, o.Duration = 20, 300*time.Millisecond
	if err := Run(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestRunFailsWithItsSource(t *testing.T) {
	o, _, _ := options(t, 0)
	o.Source = Replay(strings.NewReader("{\"ts\":1}\n"))
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("err = %v", err)
	}
	o.Source = Replay(strings.NewReader(""))
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no event") {
		t.Errorf("err = %v", err)
	}
}

// The archive's folder alone says where to go on: a second run over the same
// stream and folder must leave every record in it exactly once.
func TestArchiveResumes(t *testing.T) {
	o, f, _ := options(t, 400)
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	fsys := vfs.OS{}
	if err := vfs.WriteFile(fsys, o.Dest, "note.txt", []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	left, err := fsys.OpenFile(o.Dest+"/"+fileName("shardId-000000000000", "1", "2")+".tmp", 0o101, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	o.Source = &few{NewGame(2, 40), 400}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	names, err := fsys.ReadDir(o.Dest)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".tmp") {
			t.Errorf("%s was left", n)
		}
		if _, _, ok := parseFileName(n); !ok {
			continue
		}
		data, err := vfs.ReadFile(fsys, o.Dest+"/"+n, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			got[strings.TrimSuffix(line, "\n")]++
		}
	}
	for _, shard := range f.shards {
		for _, r := range shard {
			if got[string(r.Data)] != 1 {
				t.Fatalf("%s is in the archive %d times", r.Data, got[string(r.Data)])
			}
			delete(got, string(r.Data))
		}
	}
	if len(got) > 0 {
		t.Errorf("%d lines of the archive are not in the stream", len(got))
	}
}

func TestReplayRefuses(t *testing.T) {
	good := `{"ts":5,"seq":0,"game_id":"g","player_id":"p","kind":"CameraEvent"}`
	for name, tc := range map[string]struct{ in, want string }{
		"not JSON":      {"nope", "line 1"},
		"not an object": {"[]", "line 1"},
		"no player":     {`{"ts":1,"game_id":"g","kind":"k"}`, "needs game_id"},
		"time falls":    {good + "\n" + strings.Replace(good, "5", "4", 1), "line 2: ts falls"},
		"empty line":    {good + "\n\n", "line 2"},
		"too long":      {good + "\n" + strings.Repeat("x", maxLine+1), "line 2"},
	} {
		src := Replay(strings.NewReader(tc.in))
		var err error
		for err == nil {
			_, err = src.Next()
		}
		if errors.Is(err, io.EOF) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func FuzzReplay(f *testing.F) {
	f.Add("{\"ts\":5,\"game_id\":\"g\",\"player_id\":\"p\",\"kind\":\"k\"}\n")
	f.Add("{}\n[]\n")
	f.Fuzz(func(t *testing.T, in string) {
		src := Replay(strings.NewReader(in))
		for {
			e, err := src.Next()
			if err != nil {
				return
			}
			if b := stamp(e.Body, "r", time.Unix(1, 0)); !bytes.HasPrefix(b, []byte(`{"run":"r"`)) {
				t.Fatalf("stamped %q", b)
			}
		}
	})
}

func TestHistogram(t *testing.T) {
	for d := time.Duration(0); d < time.Hour; d = d*9/8 + time.Microsecond {
		i := bucket(d)
		if lo, hi := floor(i), floor(i+1); d.Truncate(time.Microsecond) < lo || d >= hi || (lo > 8*time.Microsecond && hi-lo > lo/7) {
			t.Fatalf("%v is in bucket %d of %v to %v", d, i, lo, hi)
		}
	}
	var h hist
	for i := range 1000 {
		h.add(time.Duration(i) * time.Millisecond)
	}
	p50, p99 := h.whole(.5, .99)
	if p50 < 450*time.Millisecond || p50 > 550*time.Millisecond || p99 < 950*time.Millisecond || p99 > 1100*time.Millisecond {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	for range histSlots {
		h.tick()
	}
	if p50, _ := h.recent(.5, .99); p50 != 0 {
		t.Errorf("old durations stayed: %v", p50)
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1234567): "1,234,567",
		span(950 * time.Microsecond): "950 us", span(1500 * time.Microsecond): "1.5 ms", span(25 * time.Millisecond): "25 ms", span(2 * time.Second): "2.0 s",
		bytesText(512): "0.5 KiB", bytesText(3 << 20): "3.0 MiB", clockText(3723 * time.Second): "01:02:03",
		clip("abc", 2): "ab", clip("abc", -1): "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Every frame fits the terminal, whatever its size.
func TestFrameFits(t *testing.T) {
	for _, width := range []int{20, 120} {
		const height = 20
		o, _, out := options(t, 2000)
		frames := &bytes.Buffer{}
		o.Screen = &Screen{Out: frames, Size: func() (int, int) { return width, height }, Unicode: true, Notes: []string{"note"}, Try: []string{"try this"}}
		o.Speed, o.Duration = 50, 400*time.Millisecond
		if err := Run(t.Context(), o); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		lines := 0
		for row := range strings.SplitSeq(strings.ReplaceAll(frames.String(), "\x1b[H", "\n"), "\n") {
			row = strings.NewReplacer("\r", "", "\x1b[K", "", "\x1b[J", "", enterScreen, "", leaveScreen, "").Replace(row)
			if lines++; strings.Contains(row, "thalweg demo") {
				lines = 1
			}
			if lines > height {
				t.Fatalf("a frame of more than %d lines", height)
			}
			if n := len([]rune(row)); n > width {
				t.Fatalf("width %d: a line of %d: %q", width, n, row)
			}
		}
	}
}

func ExampleNewGame() {
	g := NewGame(7, 2)
	e, _ := g.Next()
	fmt.Println(string(e.Body))
	// Output:
	// {"ts":4821,"seq":0,"game_id":"41758367644b2772","map":"Gravel Bar","player_id":"quiet-swallow","t_ms":0,"kind":"PlayerJoinEvent","faction":"Tide","rating":1309,"team":0}
}

// The board counts the actions of the last whole minute of game time.
func TestBoardCounts(t *testing.T) {
	b := newBoard("r", clock.System())
	see := func(ts int64, player, kind string) {
		b.see(&header{TS: ts, Player: player, Game: "g", Kind: kind, Map: "m"})
	}
	for ts := int64(0); ts < 180_000; ts += 500 {
		see(ts, "steady", "SelectionEvent")
		see(ts, "watcher", "CameraEvent")
		if ts < 60_000 {
			see(ts, "gone", "SelectionEvent")
		}
		if ts >= 150_000 {
			see(ts, "late", "BasicCommandEvent")
			see(ts, "late", "GetControlGroupEvent")
		}
	}
	rows, players, matches := b.top(10)
	got := map[string]int{}
	for _, r := range rows {
		got[r.id] = r.apm
	}
	if players != 3 || matches != 1 || got["steady"] != 120 || got["watcher"] != 0 || got["late"] < 235 || got["late"] > 245 {
		t.Errorf("%d players in %d matches, %v", players, matches, got)
	}
	if rows[0].id != "late" {
		t.Errorf("first is %s", rows[0].id)
	}
}
