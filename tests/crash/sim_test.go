package crash

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"thalweg/internal/log"
	"thalweg/internal/vfs"
	"thalweg/tests/harness"
)

var (
	flagPoints = flag.Int("crash.points", 2000, "how many crash points to try")
	flagSeed   = flag.Uint64("crash.seed", 1, "first seed; each seed is a script and the crashes within")
)

// fullRun is the number of points from on which every site must be met often.
const (
	fullRun      = 20000
	leastPerSite = 50
	perSeed      = 250
)

// point is a stopped machine: a disk as it was left, and what had been promised.
type point struct {
	fs       *vfs.Mem
	model    *model
	inflight []*inflight
	unsure   []log.Request
	past     []*model
	killed   bool
	now      time.Time
	site     string
	how      string
	seed     uint64
	depth    int
	history  string // of calls and crashes that led here
}

// run is one seed: a script, the crashes within, and those within what follows.
type run struct {
	seed       uint64
	rng        *rand.Rand
	want       int
	queue      []*point
	sites      map[string]int
	ops        map[string]int
	taken      int
	noSync     bool
	only       map[string]bool // calls that are sought and counted; nil is all
	durability log.Durability
}

func newRun(seed uint64, want int) *run {
	return &run{seed: seed, rng: rand.New(rand.NewPCG(seed, 3)), want: want, sites: map[string]int{}, ops: map[string]int{}}
}

// watch makes m stop at random calls: a copy of the disk as it would be left is
// queued, and m goes on. At most most copies are made.
func (r *run) watch(m *machine, from *point, odds float64, most int) {
	made := 0
	m.onCall = func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData && path.Ext(op.Name) == ".wal" && r.durability == log.Durable {
			m.expectHidden()
		}
		if op.N == 0 || r.taken >= r.want {
			return nil
		}
		s := site(op)
		sought := r.only == nil && r.sites[s] < 2 || r.only[s]
		if !sought && (made >= most || r.rng.Float64() >= odds) {
			return nil
		}
		made++
		if sought || r.only == nil {
			r.taken++
			r.sites[s]++
		}
		p := &point{
			model: m.model.clone(), inflight: slices.Clone(m.inflight), unsure: slices.Clone(m.unsure),
			past: slices.Clone(m.past),
			now:  m.clock.Now(), site: s, seed: r.rng.Uint64(), depth: from.depth + 1,
		}
		if r.rng.IntN(6) == 0 {
			p.fs, p.how = m.fs.Kill(), "kill"
			p.killed = m.killed || m.log != nil
		} else {
			p.fs, p.how = m.fs.Crash(p.seed), "power cut"
		}
		p.history = fmt.Sprintf("%s, %s before call %d (%s)", from.history, p.how, op.N, s)
		r.queue = append(r.queue, p)
		return nil
	}
}

// script runs the first script on an empty disk.
func (r *run) script() error {
	fs := vfs.NewMem(r.seed)
	fs.SetNoSync(r.noSync)
	m := newMachine(fs, r.seed, epoch, r.durability)
	m.noSync = r.noSync
	from := &point{history: fmt.Sprintf("seed %d", r.seed)}
	if r.only == nil {
		r.watch(m, from, 0.15, r.want/2)
	} else {
		r.watch(m, from, 0.02, 10) // only to get on from there
	}
	m.open()
	if m.failed == nil {
		m.start()
		m.run(120)
	}
	return r.ended(m, from)
}

// ended collects what m did.
func (r *run) ended(m *machine, from *point) error {
	for k, n := range m.ops {
		r.ops[k] += n
	}
	if m.failed == nil {
		return nil
	}
	trace := m.trace[max(0, len(m.trace)-40):]
	return fmt.Errorf("%s: %w\nscript before:\n%s", from.history, m.failed, strings.Join(trace, "\n"))
}

// recover opens the log of p, compares, and goes on.
func (r *run) recover(p *point) error {
	m := newMachine(p.fs, p.seed, p.now, r.durability)
	m.fs.SetNoSync(r.noSync)
	m.noSync = r.noSync
	m.model, m.inflight, m.unsure, m.past, m.killed = p.model, p.inflight, p.unsure, p.past, p.killed
	m.resume()
	switch {
	case p.depth >= 6:
	case r.only == nil:
		r.watch(m, p, 0.04, 3)
	default:
		r.watch(m, p, 0.04, 1)
	}
	if m.rng.IntN(8) == 0 {
		m.verify()
	}
	m.open()
	if m.failed == nil {
		m.run(3 + m.rng.IntN(20))
	}
	if m.failed == nil && m.log != nil && m.rng.IntN(3) == 0 {
		m.stepReopen()
	}
	return r.ended(m, p)
}

// all runs the script and then every point that it left, in random order.
func (r *run) all() error {
	if err := r.script(); err != nil {
		return err
	}
	for len(r.queue) > 0 {
		i := r.rng.IntN(len(r.queue))
		p := r.queue[i]
		r.queue[i] = r.queue[len(r.queue)-1]
		r.queue = r.queue[:len(r.queue)-1]
		if err := r.recover(p); err != nil {
			return err
		}
	}
	return nil
}

// TestCrash stops the machine at -crash.points places, and finds after each what
// was acknowledged.
func TestCrash(t *testing.T) {
	c := &campaign{sites: map[string]int{}, ops: map[string]int{}, next: *flagSeed, durability: log.Durable}
	c.simulate(t, *flagPoints, nil)
	if *flagPoints >= fullRun {
		for range 40 {
			rare := c.rare()
			if len(rare) == 0 || t.Failed() {
				break
			}
			c.simulate(t, 100*perSeed, rare)
		}
		for s := range c.rare() {
			t.Errorf("only %d crash points at %q, want %d", c.sites[s], s, leastPerSite)
		}
	}
	report(t, c.sites, c.ops, c.total)
	if c.total < *flagPoints {
		t.Errorf("%d crash points, want %d", c.total, *flagPoints)
	}
	if !t.Failed() {
		harness.Evidence(t, "crash", map[string]any{
			"seed": *flagSeed, "seeds": c.next - *flagSeed, "crash_points": c.total, "acknowledged_lost": 0,
			"points_by_call": c.sites, "operations": c.ops,
		})
	}
}

// TestCrashWritten does the same where appends are acknowledged when they are
// written: a killed process must lose nothing, and a power cut only what came
// last, all of it from some append on.
func TestCrashWritten(t *testing.T) {
	c := &campaign{sites: map[string]int{}, ops: map[string]int{}, next: *flagSeed, durability: log.Written}
	c.simulate(t, *flagPoints/4, nil)
	t.Logf("%d crash points", c.total)
}

// campaign is many runs and what they met.
type campaign struct {
	durability log.Durability
	mu         sync.Mutex // guards the rest
	next       uint64     // seed
	sites, ops map[string]int
	total      int
}

// rare are the calls that were not met often enough.
func (c *campaign) rare() map[string]bool {
	out := map[string]bool{}
	for s, n := range c.sites {
		if n < leastPerSite {
			out[s] = true
		}
	}
	return out
}

// simulate runs one seed for each perSeed of points, a few at a time. With only,
// they stop before those calls alone.
func (c *campaign) simulate(t *testing.T, points int, only map[string]bool) {
	first := c.next
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 4) {
		wg.Go(func() {
			for {
				c.mu.Lock()
				started := int(c.next-first) * perSeed
				if started >= points || t.Failed() {
					c.mu.Unlock()
					return
				}
				r := newRun(c.next, min(perSeed, points-started))
				r.durability, r.only = c.durability, only
				c.next++
				c.mu.Unlock()
				c.add(t, r, r.all())
			}
		})
	}
	wg.Wait()
}

func (c *campaign) add(t *testing.T, r *run, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		t.Errorf("%v", err)
	}
	c.total += r.taken
	for k, n := range r.sites {
		c.sites[k] += n
	}
	for k, n := range r.ops {
		c.ops[k] += n
	}
}

func report(t *testing.T, sites, ops map[string]int, total int) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range slices.Sorted(maps.Keys(sites)) {
		fmt.Fprintf(w, "  %s\t%d\n", s, sites[s])
	}
	w.Flush()
	t.Logf("%d crash points, nothing acknowledged lost; by the call before which the machine stopped:\n%s", total, b.String())
	b.Reset()
	w.Init(&b, 0, 0, 2, ' ', 0)
	for _, s := range slices.Sorted(maps.Keys(ops)) {
		fmt.Fprintf(w, "  %s\t%d\n", s, ops[s])
	}
	w.Flush()
	t.Logf("the scripts did:\n%s", b.String())
}

// TestCrashWithoutSync is the control: on a disk that only pretends to sync, the
// same test must find losses, or it finds none anywhere.
func TestCrashWithoutSync(t *testing.T) {
	lost := 0
	for seed := range uint64(10) {
		r := newRun(*flagSeed+seed, 60)
		r.noSync = true
		if err := r.all(); err != nil {
			lost++
			t.Logf("found, as it must: %.200v", err)
		}
	}
	if lost < 8 {
		t.Errorf("of 10 scripts on a disk that does not sync, %d lost something that was noticed", lost)
	}
}
