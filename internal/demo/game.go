package demo

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// Game is a Source: simulated players of an online strategy game. Players log
// in, wait, are matched with others of like rating, play, and leave when they
// lose, win, lose their connection or have enough. In a match they move the
// camera, select, command, build with what they earn, fight battles that make
// them faster, chat, and give resources to team mates.
//
// A Game is a discrete-event simulation: the same seed gives the same events.
type Game struct {
	rng     *rand.Rand
	now     time.Duration
	agenda  agenda
	order   uint64
	out     []Event
	waiting []*player
}

// NewGame returns a game of n players (>= 2).
func NewGame(seed uint64, n int) *Game {
	g := &Game{rng: rand.New(rand.NewPCG(seed, 0x7468616c776567))}
	names := newNames(g.rng)
	for range max(n, 2) {
		skill := g.rng.NormFloat64()
		p := &player{
			id:      names.next(),
			faction: pick(g.rng, factions),
			rating:  1500 + 220*skill,
			// The recorded games average 2.8 events a second and player; good
			// players are quicker, and people differ.
			pace: 2.0 * math.Exp(0.22*skill+0.3*g.rng.NormFloat64()),
		}
		g.at(time.Duration(g.rng.Int64N(int64(4*time.Second))), func() { g.waiting = append(g.waiting, p) })
	}
	g.at(time.Second, g.matchmake)
	return g
}

// Next returns the next event. A game never ends.
func (g *Game) Next() (Event, error) {
	for len(g.out) == 0 {
		todo := heap.Pop(&g.agenda).(todo)
		g.now = todo.at
		todo.do()
	}
	e := g.out[0]
	g.out = g.out[1:]
	return e, nil
}

// todo is something that happens at a time.
type todo struct {
	at    time.Duration
	order uint64 // decides between things of one instant
	do    func()
}

// agenda is a heap of todos, earliest first.
type agenda []todo

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(a[i].at, a[j].at), cmp.Compare(a[i].order, a[j].order)) < 0
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push and Pop are for package heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(todo)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	t := (*a)[last]
	(*a)[last] = todo{}
	*a = (*a)[:last]
	return t
}

// at has do run at a time on the game's clock.
func (g *Game) at(when time.Duration, do func()) {
	g.order++
	heap.Push(&g.agenda, todo{max(when, g.now), g.order, do})
}

func (g *Game) after(d time.Duration, do func()) { g.at(g.now+d, do) }

// around returns a time between half and one and a half of d.
func (g *Game) around(d time.Duration) time.Duration {
	return d/2 + time.Duration(g.rng.Int64N(int64(d)))
}

// player is one person.
type player struct {
	id, faction string
	rating      float64 // Elo
	pace        float64 // events a second, when nothing special goes on
	// In a match:
	match    *match
	team     int
	seq      int64
	burst    int // quick events still to come
	x, y     float64
	minerals int
	gas      int
	workers  int
	supply   int
	room     int // supply that houses allow
}

// match is one game in progress.
type match struct {
	id, place string
	began     time.Duration
	size      float64 // width and height of the map
	teams     [][]*player
	strength  []float64 // of each team; 0 is beaten
	battle    bool
	over      bool
	bx, by    float64 // where the battle is
}

// matchmake forms matches from those who wait and comes again.
func (g *Game) matchmake() {
	slices.SortStableFunc(g.waiting, func(a, b *player) int { return cmp.Compare(a.rating, b.rating) })
	for len(g.waiting) >= 2 {
		teams, each := 2, 1
		switch roll := g.rng.Float64(); {
		case roll < 0.25 && len(g.waiting) >= 4:
			each = 2
		case roll < 0.35 && len(g.waiting) >= 8:
			each = 4
		case roll < 0.45 && len(g.waiting) >= 4:
			teams = 4
		}
		first := g.rng.IntN(len(g.waiting) - teams*each + 1)
		chosen := slices.Clone(g.waiting[first : first+teams*each])
		g.waiting = slices.Delete(g.waiting, first, first+teams*each)
		g.begin(chosen, teams)
	}
	g.after(g.around(time.Second), g.matchmake)
}

// begin starts a match; neighbours in rating go to different teams.
func (g *Game) begin(players []*player, teams int) {
	m := &match{id: g.hex(), place: pick(g.rng, places), began: g.now, size: 120 + float64(g.rng.IntN(5)*20),
		teams: make([][]*player, teams), strength: make([]float64, teams)}
	for i, p := range players {
		p.match, p.team, p.seq, p.burst = m, i%teams, 0, 0
		p.minerals, p.gas, p.workers, p.supply, p.room = 50, 0, 6, 6, 11
		angle := 2 * math.Pi * float64(i) / float64(len(players))
		p.x, p.y = m.size*(0.5+0.38*math.Cos(angle)), m.size*(0.5+0.38*math.Sin(angle))
		m.teams[p.team] = append(m.teams[p.team], p)
		m.strength[p.team] += 1 / float64(len(players)/teams)
	}
	for _, p := range players {
		g.emit(p, "PlayerJoinEvent", func(b []byte) []byte {
			return field(field(b, "rating", int(p.rating)), "team", p.team)
		})
		g.after(g.pause(p), func() { g.act(p, m) })
		g.after(g.around(10*time.Second), func() { g.report(p, m) })
		g.after(g.around(time.Second), func() { g.earn(p, m) })
	}
	g.after(g.around(30*time.Second), func() { g.fight(m) })
}

// pause is how long until p's next event: short within a burst, else
// exponential around the player's pace at this phase of the match.
func (g *Game) pause(p *player) time.Duration {
	if p.burst > 0 {
		return time.Duration(40+g.rng.IntN(90)) * time.Millisecond
	}
	pace := p.pace * 0.8
	switch {
	case p.match.battle:
		pace *= 1.9
	case g.now-p.match.began < 20*time.Second:
		pace *= 0.65
	}
	return min(time.Duration(g.rng.ExpFloat64()/pace*float64(time.Second)), 8*time.Second)
}

// act has p do one thing and arranges the next.
func (g *Game) act(p *player, m *match) {
	if p.match != m {
		return
	}
	if g.rng.Float64() < 0.00002 {
		g.leave(p, "disconnected")
		g.settle(m)
		return
	}
	if p.burst > 0 {
		p.burst--
	} else if g.rng.Float64() < 0.08 {
		p.burst = 2 + g.rng.IntN(6)
	}
	g.move(p)
	g.after(g.pause(p), func() { g.act(p, m) })
}

// earn adds a second's income and comes again.
func (g *Game) earn(p *player, m *match) {
	if p.match != m {
		return
	}
	p.minerals += p.workers * 45 / 60
	p.gas += p.workers * 12 / 60
	g.after(time.Second, func() { g.earn(p, m) })
}

// report emits a player's economy and comes again.
func (g *Game) report(p *player, m *match) {
	if p.match != m {
		return
	}
	g.emit(p, "PlayerStatsEvent", func(b []byte) []byte {
		b = field(b, "minerals_current", p.minerals)
		b = field(b, "vespene_current", p.gas)
		b = field(b, "food_used", p.supply)
		b = field(b, "food_made", p.room)
		b = field(b, "workers_active_count", p.workers)
		return field(b, "minerals_collection_rate", p.workers*45)
	})
	g.after(10*time.Second, func() { g.report(p, m) })
}

// fight begins a battle somewhere, and its end decides who is weaker.
func (g *Game) fight(m *match) {
	if m.over {
		return
	}
	m.battle = true
	m.bx, m.by = m.size*(0.2+0.6*g.rng.Float64()), m.size*(0.2+0.6*g.rng.Float64())
	g.after(g.around(14*time.Second), func() {
		if m.over {
			return
		}
		m.battle = false
		loser, worst := -1, math.Inf(1)
		for i, team := range m.teams {
			if len(team) == 0 {
				continue
			}
			form := g.rng.NormFloat64() * 180
			for _, p := range team {
				form += (p.rating + float64(4*p.supply)) / float64(len(team))
			}
			if form < worst {
				loser, worst = i, form
			}
		}
		m.strength[loser] -= 0.2 + 0.4*g.rng.Float64()
		for _, p := range m.teams[loser] {
			p.supply = max(p.supply*2/3, 1)
			p.workers = max(p.workers*9/10, 1)
		}
		if m.strength[loser] <= 0 {
			for _, p := range slices.Clone(m.teams[loser]) {
				g.leave(p, "defeat")
			}
			g.settle(m)
		}
		g.after(g.around(35*time.Second), func() { g.fight(m) })
	})
}

// settle ends the match when at most one team is left in it.
func (g *Game) settle(m *match) {
	var left []*player
	alive := 0
	for _, team := range m.teams {
		if len(team) > 0 {
			alive++
			left = append(left, team...)
		}
	}
	if alive > 1 {
		return
	}
	m.over = true
	for _, p := range left {
		g.leave(p, "victory")
	}
}

// leave takes p out of its match. Most come back for another after a while.
func (g *Game) leave(p *player, result string) {
	g.emit(p, "PlayerLeaveEvent", func(b []byte) []byte { return textField(b, "result", result) })
	m := p.match
	m.teams[p.team] = slices.DeleteFunc(m.teams[p.team], func(q *player) bool { return q == p })
	p.match = nil
	switch result {
	case "victory":
		p.rating += 16
	case "defeat":
		p.rating -= 16
	}
	rest := 8 * time.Second
	if g.rng.Float64() < 0.15 {
		rest = 90 * time.Second
	}
	g.after(g.around(rest), func() { g.waiting = append(g.waiting, p) })
}

// hex returns a new match id.
func (g *Game) hex() string {
	s := strconv.FormatUint(g.rng.Uint64(), 16)
	return "0000000000000000"[len(s):] + s
}
