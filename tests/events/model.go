package events

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
)

// modelSeed is the seed of the model that stands in for the recorded file.
const modelSeed = 20_131_202

// The shape of the recorded events: games, players known, players of one game.
const (
	modelGames   = 60
	modelPlayers = 150
	modelPairs   = 165
)

// pair is one player in one game of the model.
type pair struct {
	game, player, race, where string
	start, now                int64 // milliseconds on the common clock
	seq                       int64
	pace                      float64 // mean milliseconds between actions
}

// Model returns the first n events (all of them, [Recorded], for n <= 0) of
// simulated players: 165 players of 60 games act at their own pace, mostly
// moving the camera. The same seed gives the same events, byte for byte.
func Model(seed uint64, n int) Set {
	if n <= 0 || n > Recorded {
		n = Recorded
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	pairs := modelPairsOf(rng)
	set := Set{
		Events: make([]Event, 0, n),
		Origin: fmt.Sprintf("%d events of the seeded model (seed %d): no recorded ones here", n, seed),
	}
	for len(set.Events) < n {
		p := slices.MinFunc(pairs, func(a, b *pair) int { return cmp.Compare(a.now, b.now) })
		set.Events = append(set.Events, p.act(rng))
	}
	return set
}

func modelPairsOf(rng *rand.Rand) []*pair {
	races := []string{"Protoss", "Terran", "Zerg"}
	name := func(digits int) string { return fmt.Sprintf("%0*x", digits, rng.Uint64()>>(64-4*digits)) }
	players := make([]string, modelPlayers)
	for i := range players {
		players[i] = name(12)
	}
	games := make([]string, modelGames)
	starts := make([]int64, modelGames)
	for i := range games {
		games[i], starts[i] = name(16), rng.Int64N(20_000)
	}
	pairs := make([]*pair, modelPairs)
	for i := range pairs {
		g := i % modelGames
		pairs[i] = &pair{
			game: games[g], player: players[i%modelPlayers], race: races[rng.IntN(len(races))],
			where: fmt.Sprintf("Map %d", g%39), start: starts[g], now: starts[g] + rng.Int64N(3000),
			pace: 150 + rng.ExpFloat64()*250,
		}
	}
	return pairs
}

// act makes the player's next event and moves its clock on.
func (p *pair) act(rng *rand.Rand) Event {
	line := make([]byte, 0, 256)
	line = fmt.Appendf(line, `{"ts":%d,"seq":%d,"game_id":"%s","map":"%s","player_id":"%s","t_ms":%d,"kind":`,
		p.now, p.seq, p.game, p.where, p.player, p.now-p.start)
	point := func() {
		line = append(line, `,"x":`...)
		line = strconv.AppendFloat(line, float64(rng.IntN(200*256))/256, 'f', -1, 64)
		line = append(line, `,"y":`...)
		line = strconv.AppendFloat(line, float64(rng.IntN(200*256))/256, 'f', -1, 64)
	}
	abilities := []string{"RightClick", "Attack", "TrainProbe", "BuildPylon", "TrainMarine", "BuildSupplyDepot", "SpawnLarva"}
	switch roll := rng.IntN(100); {
	case roll < 56:
		line = fmt.Appendf(line, `"CameraEvent","race":"%s"`, p.race)
		point()
	case roll < 74:
		line = fmt.Appendf(line, `"TargetPointCommandEvent","race":"%s"`, p.race)
		point()
		line = fmt.Appendf(line, `,"ability_name":"%s"`, abilities[rng.IntN(len(abilities))])
	case roll < 93:
		line = fmt.Appendf(line, `"SelectionEvent","race":"%s","control_group":%d`, p.race, rng.IntN(11))
	default:
		line = fmt.Appendf(line, `"BasicCommandEvent","race":"%s","ability_name":"%s"`, p.race, abilities[rng.IntN(len(abilities))])
	}
	e := Event{Game: p.game, Player: p.player, Seq: p.seq, Line: append(line, '}')}
	p.seq++
	p.now += 1 + int64(rng.ExpFloat64()*p.pace)
	return e
}
