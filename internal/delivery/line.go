package delivery

import (
	"sync"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/log"
)

// line is the state of one delivery stream.
type line struct {
	number uint64
	// planning is held while a plan is made, and while the destination is changed: a
	// plan names a version that is kept.
	planning sync.Mutex

	mu       sync.Mutex
	key      catalog.Key // guarded by mu, like all below
	arn      string
	cursors  map[log.PartitionID]int64 // the next offset that no plan has taken to its end
	plan     *Plan                     // the one under way; nil is none
	running  bool
	flush    int           // how many wait for all to be delivered
	poke     chan struct{} // of length 1: something is to be looked at
	changed  chan struct{} // closed, and replaced, when the cursors have moved
	status   Status
	arrivals arrivals

	dedup dedup
	use   use
	meter Meter
}

// Status is what a delivery stream is doing.
type Status struct {
	// Attempts and Error are of the delivery under way, Next when it is tried again.
	Attempts int       `json:"attempts,omitempty"`
	Error    string    `json:"error,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	// Waiting says what for: records, the buffer's time, a worker, a try.
	Waiting string `json:"waiting,omitempty"`
}

func newLine(number uint64) *line {
	return &line{number: number, poke: make(chan struct{}, 1), changed: make(chan struct{})}
}

// cursor is where delivery goes on in a partition; known tells that a plan has
// come there.
func (l *line) cursor(p log.PartitionID) (next int64, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, known = l.cursors[p]
	return next, known
}

func (l *line) account() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.key.Account
}

func (l *line) current() *Plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.plan
}

// planned notes what a plan has taken of a topic elsewhere.
func (l *line) planned(p *Plan) {
	l.mu.Lock()
	l.arrivals = arrivals{mean: max(p.Bytes/p.Records, 1)}
	l.mu.Unlock()
}

func (l *line) set(st Status) {
	l.mu.Lock()
	l.status = st
	l.mu.Unlock()
}

// nudge has the goroutine look at what is to be done, if there is one.
func (l *line) nudge() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// moved tells who waits that the cursors have moved; mu is held.
func (l *line) moved() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// rouse sees to it that somebody delivers for r, if there is anything to do.
func (s *Service) rouse(r *catalog.Resource) {
	l := s.line(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running || r.State == catalog.Active && l.plan == nil && s.idle(l, r) {
		return
	}
	l.running = true
	s.o.Group.Go("deliver "+r.Name, (&runner{s: s, line: l, key: r.Key}).run)
}

// idle tells that nothing stands beyond the cursor of a DirectPut stream; l.mu is
// held. Nobody need wait for it: a put rouses.
func (s *Service) idle(l *line, r *catalog.Resource) bool {
	if r.Delivery.Type != DirectPut {
		return false
	}
	info, err := s.log.Info(r.Delivery.Partition(0))
	return err == nil && info.End <= l.cursors[r.Delivery.Partition(0)]
}

// park ends the goroutine of an idle stream, and reports whether it did.
func (s *Service) park(l *line, r *catalog.Resource) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.plan != nil || !s.idle(l, r) {
		return false
	}
	l.running, l.status = false, Status{Waiting: "for records"}
	l.moved()
	return true
}
