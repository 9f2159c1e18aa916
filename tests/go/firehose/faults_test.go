package firehose

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/firehose"

	"thalweg/tests/events"
	"thalweg/tests/harness"
)

// fault is what goes wrong with a request to a receiver.
type fault string

const (
	fine     fault = ""
	early    fault = "the connection ends before the request is read"
	down     fault = "and the next one is refused"
	slow     fault = "the answer takes its time"
	busy     fault = "429"
	away     fault = "503"
	broken   fault = "500"
	tooLarge fault = "413"
	redirect fault = "307"
	lost     fault = "all is taken, and not answered"
	half     fault = "all is taken, and the answer cut off"
	lying    fault = "all is taken, and the answer is that to another request"
	partly   fault = "some is taken, and the rest refused for now"
)

// TestFaults puts events, a few at a time, until a receiver of each kind has answered in
// every wrong way that there is.
func TestFaults(t *testing.T) {
	set, err := events.Load(harness.Root(), 3000)
	if err != nil {
		t.Fatal(err)
	}
	s := newSuite(t)
	rng := rand.New(rand.NewPCG(1, 1))
	hurry, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go s.hurry(hurry)
	for _, to := range []*sink{s.splunkSink(rng), s.httpSink(rng), s.searchSink(rng)} {
		t.Run(to.name, func(t *testing.T) {
			t.Parallel()
			s := s.of(t)
			s.create(to.name, "", func(in *firehose.CreateDeliveryStreamInput) { to.configure(in, to.name) })
			put := 0
			for kind, more := to.faulty.unmet(); more; kind, more = to.faulty.unmet() {
				if put+50 > len(set.Events) {
					t.Fatalf("no request met the fault %q", kind)
				}
				var acked atomic.Int64
				if err := putOwn(t.Context(), s.server.URL(), to.name, set.Events[put:put+50], &acked); err != nil {
					t.Fatal(err)
				}
				put += 50
				s.flush(to.name)
			}
			to.check(t, to.name, events.Set{Events: set.Events[:put]}, nil)
		})
	}
}

// hurry has the server's time pass ten times as fast, so that nobody waits for what is
// to be tried again.
func (s *suite) hurry(ctx context.Context) {
	for pause(ctx) == nil {
		req, err := http.NewRequestWithContext(ctx, "POST", s.server.URL()+"/_thalweg/clock", strings.NewReader(`{"advance":"20ms"}`))
		if err != nil {
			s.t.Error(err)
			return
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}
}

// untaken are the faults that end a request by a status before anything is taken.
var untaken = map[fault]int{busy: 429, away: 503, broken: 500, tooLarge: 413, redirect: 307}

// faulty is a receiver on a port of its own. Two of three requests have a fault until each
// has come once, then two of fifteen.
type faulty struct {
	t    *testing.T
	url  string
	gate *gate
	// late tells the requests that have no fault before the others have had each; nil is none.
	late func(*http.Request) bool
	// serve answers a request whose fault is not of the connection alone.
	serve func(w http.ResponseWriter, r *http.Request, body []byte, f fault)

	mu   sync.Mutex
	rng  *rand.Rand
	kind []fault // in the order in which they come first
	turn int
	met  map[fault]int
}

// gate is a listener that refuses connections when told to.
type gate struct {
	net.Listener
	refuse atomic.Int32
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || g.refuse.Load() == 0 {
			return c, err
		}
		g.refuse.Add(-1)
		reset(c)
	}
}

func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

func newFaulty(t *testing.T, rng *rand.Rand, kinds ...fault) *faulty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{t: t, gate: &gate{Listener: l}, url: "http://" + l.Addr().String(), rng: rng, kind: kinds, met: map[fault]int{}}
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	server := &http.Server{Handler: f}
	go server.Serve(f.gate)
	t.Cleanup(func() { server.Close() })
	return f
}

func (f *faulty) next(r *http.Request) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.met) < len(f.kind) && f.late != nil && f.late(r) {
		return fine
	}
	f.turn++
	if f.turn%3 == 0 {
		return fine
	}
	n := len(f.met)
	if n == len(f.kind) {
		if n = f.rng.IntN(5 * n); n >= len(f.kind) {
			return fine
		}
	}
	f.met[f.kind[n]]++
	return f.kind[n]
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/elsewhere") {
		f.t.Error("a redirect was followed")
		return
	}
	kind := f.next(r)
	switch kind {
	case early, down:
		if kind == down {
			f.gate.refuse.Add(1)
		}
		f.cut(w)
		return
	case slow:
		for range 50 {
			if pause(r.Context()) != nil {
				return
			}
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil { // the server was killed
		return
	}
	if status := untaken[kind]; status != 0 && kind != tooLarge {
		w.Header().Set("Location", f.url+"/elsewhere")
		w.WriteHeader(status)
		return
	}
	f.serve(w, r, body, kind)
}

func (f *faulty) cut(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		f.t.Error(err)
		return
	}
	reset(c)
}

// answer answers as the fault has it, and tells whether the sender could know.
func (f *faulty) answer(w http.ResponseWriter, kind fault, text string) (whole bool) {
	w.Header().Set("Content-Type", "application/json")
	switch kind {
	case lost:
		f.cut(w)
		return false
	case half:
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, text[:len(text)/2])
		return false
	}
	_, err := io.WriteString(w, text)
	return err == nil
}

// unmet is a fault that no request has had yet.
func (f *faulty) unmet() (fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, kind := range f.kind {
		if f.met[kind] == 0 {
			return kind, true
		}
	}
	return fine, false
}

// report says how many requests there were.
func (f *faulty) report(t *testing.T, what string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	total := 0
	for _, n := range f.met {
		total += n
	}
	t.Logf("%s: %d requests, %d with one of %d faults, of which %d were met", what, f.turn, total, len(f.kind), len(f.met))
}

// delivered are requests that are known by an id, whose like comes again when it was not
// answered as it should be.
type delivered struct {
	mu      sync.Mutex
	order   []string          // ids as their bodies were first taken
	bodies  map[string]string // what was taken
	refused map[string]string // what was refused for good
	known   map[string]int    // how often the sender was told that it was taken
	changed []string          // ids that came with other bodies
}

func newDelivered() *delivered {
	return &delivered{bodies: map[string]string{}, refused: map[string]string{}, known: map[string]int{}}
}

// refuse refuses a request for good if it never came before, or was refused then.
func (d *delivered) refuse(id, body string, wanted bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.refused[id]; ok {
		return true
	}
	if _, ok := d.bodies[id]; ok || !wanted {
		return false
	}
	d.refused[id] = body
	return true
}

func (d *delivered) take(id, body string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch was, ok := d.bodies[id]; {
	case !ok:
		d.order = append(d.order, id)
		d.bodies[id] = body
	case was != body:
		d.changed = append(d.changed, id)
	}
}

func (d *delivered) tell(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[id]++
}

// tally counts what was taken, a repetition once, and wants every request to have been
// acknowledged, and to have come again then only when the server was killed.
func (d *delivered) tally(t *testing.T, what string) *tally {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newTally()
	again := 0
	for _, id := range d.order {
		if err := c.lines([]byte(d.bodies[id])); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if d.known[id] == 0 {
			t.Errorf("%s: request %s was never acknowledged", what, id)
		}
		again += max(0, d.known[id]-1)
	}
	if len(d.changed) > 0 {
		t.Errorf("%s: requests %q came again with other records", what, d.changed)
	}
	if most := *kills + (*kills+1)/3; again > most { // every third start is killed, too
		t.Errorf("%s: %d requests came again after they were acknowledged, with %d kills", what, again, most)
	}
	t.Logf("%s: %d requests taken, %d of them again, %d refused", what, len(d.order), again, len(d.refused))
	return c
}

// refusals are the bodies that were refused for good, in any order.
func (d *delivered) refusals() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, body := range d.refused {
		all = append(all, slices.Collect(strings.Lines(body))...)
	}
	return all
}
