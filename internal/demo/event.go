package demo

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Event is one thing a player did.
type Event struct {
	// At is when, on the game's clock, since the session began.
	At time.Duration
	// Player is who, and the partition key.
	Player string
	// Body is a JSON object on one line.
	Body []byte
}

// Source gives events in the order of their time and io.EOF after the last.
type Source interface {
	Next() (Event, error)
}

// header is what the consumers know of an event. Recorded and simulated events
// share it; what else an event holds passes through untouched.
type header struct {
	Run     string `json:"run"`
	SentUS  int64  `json:"sent_us"`
	TS      int64  `json:"ts"`
	Seq     int64  `json:"seq"`
	Game    string `json:"game_id"`
	Map     string `json:"map"`
	Player  string `json:"player_id"`
	Kind    string `json:"kind"`
	Race    string `json:"race"`
	Faction string `json:"faction"`
	Result  string `json:"result"`
}

// isAction tells whether an event counts as an action per minute: commands,
// selections and control groups, but neither camera moves nor what the game
// reports by itself.
func isAction(kind string) bool {
	return !strings.HasPrefix(kind, "Update") &&
		(strings.HasSuffix(kind, "CommandEvent") || strings.HasSuffix(kind, "ControlGroupEvent") || kind == "SelectionEvent")
}

// stamp returns body with the run's name and the time of sending put in front.
func stamp(body []byte, run string, now time.Time) []byte {
	out := make([]byte, 0, len(body)+len(run)+40)
	out = append(out, `{"run":"`...)
	out = append(out, run...)
	out = append(out, `","sent_us":`...)
	out = strconv.AppendInt(out, now.UnixMicro(), 10)
	out = append(out, ',')
	return append(out, body[1:]...)
}

// maxLine is the largest recorded event.
const maxLine = 1 << 20

// replay is a Source of recorded events.
type replay struct {
	lines *bufio.Scanner
	line  int
	last  time.Duration
}

// Replay returns the events of r, one JSON object a line with at least ts
// (milliseconds, never falling), game_id, player_id, seq and kind.
func Replay(r io.Reader) Source {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	return &replay{lines: s}
}

// Next returns the next event, or an error that names the line.
func (r *replay) Next() (Event, error) {
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return Event{}, fmt.Errorf("line %d: %w", r.line+1, err)
		}
		return Event{}, io.EOF
	}
	r.line++
	body := append([]byte(nil), r.lines.Bytes()...)
	var h header
	if err := json.Unmarshal(body, &h); err != nil {
		return Event{}, fmt.Errorf("line %d: %w", r.line, err)
	}
	at := time.Duration(h.TS) * time.Millisecond
	switch {
	case body[0] != '{' || len(body) < 3:
		return Event{}, fmt.Errorf("line %d: not an event", r.line)
	case h.Player == "" || h.Game == "" || h.Kind == "":
		return Event{}, fmt.Errorf("line %d: an event needs game_id, player_id and kind", r.line)
	case at < r.last:
		return Event{}, fmt.Errorf("line %d: ts falls", r.line)
	}
	r.last = at
	return Event{At: at, Player: h.Player, Body: body}, nil
}

// tally is what one party saw of a run: how many events, a hash of their
// multiset, and whether each player's came in order. It is safe for concurrent
// use; the events of one player must be added in turn.
type tally struct {
	mu      sync.Mutex
	n       int64            // different events
	repeats int64            // events seen before
	skips   int64            // events that came before one due earlier
	sum     [2]uint64        // sum of the events' hashes, which no order changes
	due     map[string]int64 // next seq by game and player
}

func newTally() *tally { return &tally{due: map[string]int64{}} }

var errNoEvent = errors.New("a record of the stream is not an event")

// add counts one event and reports whether it is new.
func (t *tally) add(h *header, line []byte) bool {
	hash := sha256.Sum256(line)
	key := h.Game + "/" + h.Player
	t.mu.Lock()
	defer t.mu.Unlock()
	due := t.due[key]
	if h.Seq < due {
		t.repeats++
		return false
	}
	if h.Seq > due {
		t.skips++
	}
	t.due[key] = h.Seq + 1
	t.n++
	t.sum[0] += binary.LittleEndian.Uint64(hash[:])
	t.sum[1] += binary.LittleEndian.Uint64(hash[8:])
	return true
}

func (t *tally) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// compare says how what was got differs from what was sent; nil when it does
// not. Repeats are allowed when a call had to be sent again unanswered.
func (t *tally) compare(sent *tally, repeatsAllowed bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.n != sent.n:
		return fmt.Errorf("%d events arrived of %d acknowledged", t.n, sent.n)
	case t.sum != sent.sum:
		return errors.New("as many events arrived as were acknowledged, but not the same")
	case t.skips > 0:
		return fmt.Errorf("%d events came before one due earlier", t.skips)
	case t.repeats > 0 && !repeatsAllowed:
		return fmt.Errorf("%d events came more than once", t.repeats)
	}
	return nil
}
