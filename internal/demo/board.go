package demo

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"thalweg/internal/client"
	"thalweg/internal/clock"
)

// board is the first application: it reads the stream from its tip and keeps
// every player's actions per minute over the last minute of the game's clock.
type board struct {
	run     string
	clock   clock.Clock
	tally   *tally
	latency hist
	lag     lagMeter

	mu      sync.Mutex
	latest  int64 // ts of the newest event, game milliseconds
	players map[string]*standing
	matches map[string]int64 // match to the ts of its newest event
}

const (
	minute  = 60_000 // game milliseconds over which actions are counted
	bars    = 12     // slices of it, and one more that is being filled
	barSpan = minute / bars
)

// standing is what the board knows of one player.
type standing struct {
	id, faction, place string
	first, last        int64 // ts of the first and the newest event
	actions            int64
	wins               int
	bars               [bars + 1]int
	bar                int64 // index of the bar being filled, since the beginning
}

// row is a standing for the view.
type row struct {
	id, faction, place string
	apm                int
	actions            int64
	wins               int
	bars               []int // oldest first
}

func newBoard(run string, clk clock.Clock) *board {
	return &board{run: run, clock: clk, tally: newTally(), players: map[string]*standing{}, matches: map[string]int64{}}
}

// start returns where to begin a shard: what is on the board are the players of
// this run.
func (b *board) start(shard string, descended bool) (client.Start, error) {
	b.lag.expect(shard)
	if descended {
		return client.TrimHorizon(), nil
	}
	return client.Latest(), nil
}

// page takes what was read of one shard.
func (b *board) page(p client.Page) error {
	b.lag.see(p)
	now := b.clock.Now().UnixMicro()
	for i := range p.Records {
		var h header
		if err := json.Unmarshal(p.Records[i].Data, &h); err != nil {
			return errNoEvent
		}
		if h.Run != b.run || aws.ToString(p.Records[i].PartitionKey) != h.Player {
			continue // somebody else's
		}
		b.latency.add(time.Duration(now-h.SentUS) * time.Microsecond)
		if b.tally.add(&h, p.Records[i].Data) {
			b.see(&h)
		}
	}
	return nil
}

func (b *board) see(h *header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = max(b.latest, h.TS)
	s := b.players[h.Player]
	if s == nil {
		s = &standing{id: h.Player, first: h.TS, bar: h.TS / barSpan}
		b.players[h.Player] = s
	}
	s.faction = cmp.Or(h.Faction, h.Race, s.faction)
	s.place, s.last = h.Map, max(s.last, h.TS)
	b.matches[h.Game] = h.TS
	if h.Kind == "PlayerLeaveEvent" {
		if h.Result != "" {
			s.place = "(" + h.Result + ")"
		}
		if h.Result == "victory" {
			s.wins++
		}
	}
	if !isAction(h.Kind) {
		return
	}
	s.actions++
	s.advance(h.TS / barSpan)
	if bar := h.TS / barSpan; s.bar-bar <= bars {
		s.bars[bar%(bars+1)]++
	}
}

// advance begins every bar up to bar.
func (s *standing) advance(bar int64) {
	if bar-s.bar > bars {
		s.bars, s.bar = [bars + 1]int{}, bar
	}
	for s.bar < bar {
		s.bar++
		s.bars[s.bar%(bars+1)] = 0
	}
}

// top returns the n quickest players now, and how many play how many matches.
func (b *board) top(n int) (rows []row, players, matches int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.latest / barSpan
	for _, s := range b.players {
		if b.latest-s.last > minute {
			continue
		}
		players++
		s.advance(now)
		sum, list := 0, make([]int, 0, bars)
		for i := s.bar - bars; i < s.bar; i++ {
			v := s.bars[(i+bars+1)%(bars+1)]
			sum += v
			list = append(list, v)
		}
		// Who has not been here for a minute is measured over what there is, but
		// not over so little that one burst wins.
		span := min(max(s.bar*barSpan-s.first, minute/4), minute)
		rows = append(rows, row{s.id, s.faction, s.place, int(int64(sum) * minute / span), s.actions, s.wins, list})
	}
	for id, ts := range b.matches {
		if b.latest-ts > minute/4 {
			delete(b.matches, id)
		}
	}
	slices.SortFunc(rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(y.apm, x.apm), cmp.Compare(y.actions, x.actions), cmp.Compare(x.id, y.id))
	})
	return rows[:min(n, len(rows))], players, len(b.matches)
}

// lagMeter keeps how far each shard's reader is behind the tip, and how often it
// met the tip since the last reset. The zero lagMeter knows no shard.
type lagMeter struct {
	mu     sync.Mutex
	behind map[string]time.Duration // of the shards that are read or will be
	tips   map[string]int
}

// expect makes a shard one whose tip is to be met.
func (l *lagMeter) expect(shard string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.behind == nil {
		l.behind = map[string]time.Duration{}
		l.tips = map[string]int{}
	}
	if _, known := l.behind[shard]; !known {
		l.behind[shard] = 0
	}
}

func (l *lagMeter) see(p client.Page) {
	for i := range p.Children {
		l.expect(aws.ToString(p.Children[i].ShardId))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Ended {
		delete(l.behind, p.ShardID)
		return
	}
	l.behind[p.ShardID] = p.Behind
	if p.Behind == 0 && len(p.Records) == 0 {
		l.tips[p.ShardID]++
	}
}

func (l *lagMeter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.tips)
}

// drained tells whether every shard's reader asked and found nothing new since
// the reset. The first empty page may be the answer to an older question, the
// second cannot.
func (l *lagMeter) drained() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for shard := range l.behind {
		if l.tips[shard] < 2 {
			return false
		}
	}
	return true
}

func (l *lagMeter) worst() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var worst time.Duration
	for _, d := range l.behind {
		worst = max(worst, d)
	}
	return worst
}
