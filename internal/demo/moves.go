package demo

import (
	"math/rand/v2"
	"strconv"
)

// move has p do one thing that players do: what, depends on whether a battle is
// on and on what p can afford.
func (g *Game) move(p *player) {
	m := p.match
	peace, war := 0, 1
	at := peace
	if m.battle {
		at = war
	}
	roll := g.rng.IntN(1000)
	for _, k := range moves {
		if roll -= k.share[at]; roll < 0 {
			k.do(g, p)
			return
		}
	}
	g.camera(p)
}

// moves are what players do and how often in a thousand, in peace and in war.
// The shares in peace are near those of recorded games.
var moves = []struct {
	share [2]int
	do    func(*Game, *player)
}{
	{[2]int{90, 130}, func(g *Game, p *player) { g.group(p, "GetControlGroupEvent") }},
	{[2]int{105, 105}, (*Game).selection},
	{[2]int{120, 180}, func(g *Game, p *player) { g.command(p, "TargetPointCommandEvent") }},
	{[2]int{40, 80}, func(g *Game, p *player) { g.command(p, "TargetUnitCommandEvent") }},
	{[2]int{50, 20}, (*Game).build},
	{[2]int{8, 3}, func(g *Game, p *player) { g.group(p, "SetControlGroupEvent") }},
	{[2]int{5, 2}, func(g *Game, p *player) { g.group(p, "AddToControlGroupEvent") }},
	{[2]int{2, 1}, (*Game).chat},
	{[2]int{1, 3}, (*Game).ping},
	{[2]int{3, 1}, (*Game).trade},
}

// camera moves p's view: a step, or a jump to the battle.
func (g *Game) camera(p *player) {
	m := p.match
	if m.battle && g.rng.Float64() < 0.3 {
		p.x, p.y = m.bx, m.by
	}
	p.x = clamp(p.x+g.rng.NormFloat64()*6, m.size)
	p.y = clamp(p.y+g.rng.NormFloat64()*6, m.size)
	g.emit(p, "CameraEvent", func(b []byte) []byte { return place(b, p.x, p.y) })
}

func (g *Game) selection(p *player) {
	g.emit(p, "SelectionEvent", func(b []byte) []byte { return field(b, "units", 1+g.rng.IntN(p.supply)) })
}

func (g *Game) group(p *player, kind string) {
	g.emit(p, kind, func(b []byte) []byte { return field(b, "control_group", g.rng.IntN(10)) })
}

func (g *Game) command(p *player, kind string) {
	ability := pick(g.rng, orders)
	x, y := clamp(p.x+g.rng.NormFloat64()*4, p.match.size), clamp(p.y+g.rng.NormFloat64()*4, p.match.size)
	g.emit(p, kind, func(b []byte) []byte { return place(textField(b, "ability_name", ability), x, y) })
}

// build spends what p has: houses when full, workers early, soldiers later. Who
// cannot pay gives an order instead.
func (g *Game) build(p *player) {
	name, cost := "", 0
	switch {
	case p.supply >= p.room-1 && p.minerals >= 100 && p.room < 200:
		name, cost = "BuildHouse", 100
		p.room = min(p.room+8, 200)
	case p.supply >= p.room:
	case p.workers < 40 && p.minerals >= 50 && g.rng.Float64() < 0.6:
		name, cost = "TrainWorker", 50
		p.workers, p.supply = p.workers+1, p.supply+1
	case p.minerals >= 75:
		name, cost = "Train"+pick(g.rng, soldiers), 75
		p.supply++
	}
	if name == "" {
		g.command(p, "TargetPointCommandEvent")
		return
	}
	p.minerals -= cost
	g.emit(p, "BasicCommandEvent", func(b []byte) []byte {
		return field(textField(b, "ability_name", name), "cost", cost)
	})
}

func (g *Game) chat(p *player) {
	g.emit(p, "ChatEvent", func(b []byte) []byte { return textField(b, "text", pick(g.rng, phrases)) })
}

func (g *Game) ping(p *player) {
	g.emit(p, "PingEvent", func(b []byte) []byte { return place(b, p.x, p.y) })
}

// trade gives a team mate part of what p has; without one, or without plenty,
// p looks around instead.
func (g *Game) trade(p *player) {
	team := p.match.teams[p.team]
	if len(team) < 2 || p.minerals < 200 {
		g.camera(p)
		return
	}
	mate := team[g.rng.IntN(len(team))]
	if mate == p {
		g.camera(p)
		return
	}
	gift := p.minerals / 4
	p.minerals -= gift
	mate.minerals += gift
	g.emit(p, "ResourceTradeEvent", func(b []byte) []byte {
		return field(textField(b, "to_player_id", mate.id), "minerals", gift)
	})
}

// emit puts out one event of p; more adds the fields of its kind.
func (g *Game) emit(p *player, kind string, more func([]byte) []byte) {
	m := p.match
	b := make([]byte, 0, 256)
	b = append(b, `{"ts":`...)
	b = strconv.AppendInt(b, g.now.Milliseconds(), 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendInt(b, p.seq, 10)
	b = textField(b, "game_id", m.id)
	b = textField(b, "map", m.place)
	b = textField(b, "player_id", p.id)
	b = append(b, `,"t_ms":`...)
	b = strconv.AppendInt(b, (g.now - m.began).Milliseconds(), 10)
	b = textField(b, "kind", kind)
	b = textField(b, "faction", p.faction)
	b = append(more(b), '}')
	p.seq++
	g.out = append(g.out, Event{At: g.now, Player: p.id, Body: b})
}

// textField adds a member whose value needs no escaping.
func textField(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `":"`...)
	b = append(b, value...)
	return append(b, '"')
}

func field(b []byte, name string, value int) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return strconv.AppendInt(b, int64(value), 10)
}

func place(b []byte, x, y float64) []byte {
	b = append(b, `,"x":`...)
	b = strconv.AppendFloat(b, x, 'f', 2, 64)
	b = append(b, `,"y":`...)
	return strconv.AppendFloat(b, y, 'f', 2, 64)
}

func clamp(v, limit float64) float64 { return min(max(v, 0), limit) }

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

// names makes up handles, no two alike.
type names struct {
	rng  *rand.Rand
	used map[string]bool
}

func newNames(rng *rand.Rand) *names { return &names{rng: rng, used: map[string]bool{}} }

func (n *names) next() string {
	for {
		name := pick(n.rng, adjectives) + "-" + pick(n.rng, animals)
		if len(n.used) >= len(adjectives)*len(animals)/4 {
			name += "-" + strconv.Itoa(2+n.rng.IntN(4*len(n.used)))
		}
		if !n.used[name] {
			n.used[name] = true
			return name
		}
	}
}

var (
	factions = []string{"Tide", "Ember", "Grove"}
	places   = []string{"Oxbow Bend", "Headwater", "Confluence", "Silt Flats", "Millrace", "Gravel Bar", "Deepcut", "Floodgate"}
	orders   = []string{"Move", "Move", "Move", "Move", "Attack", "Attack", "Patrol", "HoldPosition", "Repair", "Gather"}
	soldiers = []string{"Lancer", "Scout", "Warden", "Sapper", "Skiff"}
	phrases  = []string{"gl hf", "gg", "gg wp", "nice hold", "need help north", "attack now", "one sec", "wow", "rematch?"}

	adjectives = []string{
		"amber", "ashen", "bold", "brisk", "calm", "clever", "copper", "crimson", "dapper", "dusky", "eager", "early",
		"fabled", "fleet", "gentle", "golden", "hardy", "hollow", "humble", "ivory", "jolly", "keen", "lively", "lunar",
		"mellow", "misty", "nimble", "noble", "opal", "patient", "plucky", "quiet", "rapid", "royal", "rustic", "sable",
		"silent", "silver", "sly", "solar", "stormy", "sturdy", "sunny", "swift", "tawny", "tidal", "vivid", "wily",
	}
	animals = []string{
		"adder", "badger", "bison", "caribou", "cobra", "condor", "crane", "dingo", "eagle", "egret", "falcon", "ferret",
		"fox", "gecko", "gibbon", "heron", "hornet", "ibex", "ibis", "jackal", "jaguar", "kestrel", "kite", "lemur",
		"lynx", "marten", "mink", "newt", "ocelot", "orca", "osprey", "otter", "panther", "pike", "puffin", "python",
		"raven", "salmon", "seal", "shrike", "stoat", "stork", "swallow", "tapir", "tern", "viper", "weasel", "wolf",
	}
)
