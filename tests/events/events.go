// Package events supplies the player events that the black-box tests send:
// recorded ones where the file is found, else those of a seeded model of the
// same shape and count.
//
// An event is one JSON object. Its identity is (run, game_id, player_id, seq);
// seq rises by one within a game and player. A Set is read only and safe for
// concurrent use.
package events

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Recorded is the number of events in the recorded file, and of the model's.
const Recorded = 527_213

// ID names one event of one run.
type ID struct {
	Run    int
	Game   string
	Player string
	Seq    int64
}

func (id ID) String() string {
	return fmt.Sprintf("%d/%s/%s/%d", id.Run, id.Game, id.Player, id.Seq)
}

// Event is one event of run 0. Line is its JSON without a newline, shared by
// all copies: do not change it.
type Event struct {
	Game   string
	Player string
	Seq    int64
	Line   []byte
}

// ID names the event in the given run.
func (e Event) ID(run int) ID { return ID{Run: run, Game: e.Game, Player: e.Player, Seq: e.Seq} }

// Data is the event's JSON in the given run: Line with a member "run" put first.
func (e Event) Data(run int) []byte {
	out := make([]byte, 0, len(e.Line)+16)
	out = append(out, `{"run":`...)
	out = strconv.AppendInt(out, int64(run), 10)
	out = append(out, ',')
	return append(out, e.Line[1:]...)
}

// Key is the event's partition key: its game, so that a game's events stay in
// one shard, in order.
func (e Event) Key() string { return e.Game }

// Set is a sequence of events in the order in which they happened.
type Set struct {
	Events []Event
	// Origin says where they come from, for a test's log.
	Origin string
}

// Load returns the first n events, all for n <= 0. root is the repository's
// root directory, from which the recorded file is looked for unless
// $THALWEG_EVENTS names it.
func Load(root string, n int) (Set, error) {
	path, explicit := os.LookupEnv("THALWEG_EVENTS")
	if !explicit {
		path = filepath.Join(root, "..", "shared", "data", "player-events.ndjson.gz")
	}
	set, err := read(path, n)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		return Model(modelSeed, n), nil
	}
	return set, err
}

func read(path string, n int) (Set, error) {
	file, err := os.Open(path)
	if err != nil {
		return Set{}, fmt.Errorf("open events: %w", err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		return Set{}, fmt.Errorf("read events: %w", err)
	}
	set := Set{}
	in := newInterner()
	lines := bufio.NewScanner(zip)
	for lines.Scan() && (n <= 0 || len(set.Events) < n) {
		e, err := in.event(bytes.Clone(lines.Bytes()))
		if err != nil {
			return Set{}, fmt.Errorf("read events: line %d: %w", len(set.Events)+1, err)
		}
		set.Events = append(set.Events, e)
	}
	if err := lines.Err(); err != nil {
		return Set{}, fmt.Errorf("read events: %w", err)
	}
	set.Origin = fmt.Sprintf("%d recorded player events", len(set.Events))
	return set, nil
}

// ErrNotEvent is a line without a game, player or sequence number.
var ErrNotEvent = errors.New("not a player event")

// Identify finds the identity in an event's JSON. It relies on the members
// being written as this package writes them: no space around the colon, no
// escape in the identifiers.
func Identify(data []byte) (ID, error) {
	run, ok := number(data, `"run":`)
	if !ok {
		return ID{}, ErrNotEvent
	}
	seq, ok1 := number(data, `"seq":`)
	game, ok2 := text(data, `"game_id":"`)
	player, ok3 := text(data, `"player_id":"`)
	if !ok1 || !ok2 || !ok3 {
		return ID{}, ErrNotEvent
	}
	return ID{Run: int(run), Game: string(game), Player: string(player), Seq: seq}, nil
}

// interner keeps one copy of each game's and player's name.
type interner map[string]string

func newInterner() interner { return interner{} }

func (in interner) name(b []byte) string {
	if s, ok := in[string(b)]; ok {
		return s
	}
	s := string(b)
	in[s] = s
	return s
}

func (in interner) event(line []byte) (Event, error) {
	seq, ok1 := number(line, `"seq":`)
	game, ok2 := text(line, `"game_id":"`)
	player, ok3 := text(line, `"player_id":"`)
	if !ok1 || !ok2 || !ok3 || line[0] != '{' {
		return Event{}, ErrNotEvent
	}
	return Event{Game: in.name(game), Player: in.name(player), Seq: seq, Line: line}, nil
}

func number(data []byte, after string) (int64, bool) {
	_, rest, ok := bytes.Cut(data, []byte(after))
	if !ok {
		return 0, false
	}
	end := bytes.IndexAny(rest, ",}")
	if end < 0 {
		return 0, false
	}
	v, err := strconv.ParseInt(string(rest[:end]), 10, 64)
	return v, err == nil
}

func text(data []byte, after string) ([]byte, bool) {
	_, rest, ok := bytes.Cut(data, []byte(after))
	if !ok {
		return nil, false
	}
	end := bytes.IndexByte(rest, '"')
	return rest[:max(end, 0)], end > 0
}

// Sum is the checksum that ledgers and readers compare payloads by: CRC-32C.
func Sum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Count reads a flag that says how many events to use: "all" (0) or a number.
func Count(s string) (int, error) {
	if s == "all" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("event count %q: want a positive number or \"all\"", s)
	}
	return n, nil
}

// Split deals the events of a set to n owners, whole games at a time and as
// evenly as whole games allow, each owner's in the order of the set.
func (s Set) Split(n int) [][]Event {
	load := map[string]int{}
	for _, e := range s.Events {
		load[e.Game]++
	}
	games := slices.SortedFunc(maps.Keys(load), func(a, b string) int {
		return cmp.Or(cmp.Compare(load[b], load[a]), cmp.Compare(a, b))
	})
	owner := map[string]int{}
	size := make([]int, n)
	for _, g := range games {
		least := slices.Index(size, slices.Min(size))
		owner[g] = least
		size[least] += load[g]
	}
	out := make([][]Event, n)
	for _, e := range s.Events {
		out[owner[e.Game]] = append(out[owner[e.Game]], e)
	}
	return out
}
