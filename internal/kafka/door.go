// Package kafka is the door of Kafka's wire protocol: listeners, connections,
// framing, and one file per API key, named for it. What the requests mean is the
// matter of package brokers; record batches go from the connection to the log
// and back as they are.
//
// The table in api.go is the one place that says which keys and versions are
// served; ApiVersions answers from it. A key that is not in it, or a version
// out of its range, ends the connection, as with Apache Kafka.
//
// Requests of a connection are served one after another and answered in that
// order; only produces overlap, so that one sync of the log covers many of them.
//
// Bounds: connections, the size of a frame, the time that a frame, a pause and an
// answer may take, and the memory budget, which connections, frames, answers and
// whatever the log reads for a fetch draw on. Nothing that holds some of the budget
// waits for more of it, and nobody waits for more than a quarter, nor for longer than
// a frame may take.
//
// Goroutines: one accepts per listener; each connection has one that reads and
// serves, and one that writes. All of them end with [Door.Shutdown].
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/brokers"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
	"thalweg/internal/log"
)

// Options configure a Door. All but the bounds are needed; zero bounds take the
// defaults named.
type Options struct {
	Cluster *brokers.Cluster
	Log     log.Log
	Budget  *limits.Budget
	// Clock is what deadlines of connections go by, the system's.
	Clock  clock.Clock
	Logger *slog.Logger

	// Authority knows access keys, Security a cluster's own users and ACLs.
	Authority *identity.Authority
	Security  *brokers.Security
	// Enforce holds clients to what they may do. Else everybody may everything.
	Enforce bool
	// Release is the release of Apache Kafka that clients are shown the APIs of, such
	// as 3.9; "" is all that is served.
	Release string

	Slots         *Slots        // what doors have together. Slots of the door's own
	MaxFrameBytes int           // of a Produce. 100 MiB, and a quarter of the budget at most
	FirstTimeout  time.Duration // from the connection to the first request's last byte, a handshake included. 30 s
	IdleTimeout   time.Duration // between requests. 10 min
	FrameTimeout  time.Duration // for a frame to arrive, and a second per MiB more. 30 s
	WriteTimeout  time.Duration // for a response to be taken. 60 s
	MaxFetchWait  time.Duration // of a fetch for records, whatever it says. 5 min
	MaxReauth     time.Duration // after which a client must say again who it is. 1 h
	FailDelay     time.Duration // before a client is told that it is not believed. 100 ms
	MaxEarly      int           // connections whose clients are yet to say who they are; others are closed. 1,000
}

func (o *Options) setDefaults() {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.FirstTimeout, 30*time.Second)
	set(&o.IdleTimeout, 10*time.Minute)
	set(&o.FrameTimeout, 30*time.Second)
	set(&o.WriteTimeout, time.Minute)
	set(&o.MaxFetchWait, 5*time.Minute)
	set(&o.MaxReauth, time.Hour)
	set(&o.FailDelay, 100*time.Millisecond)
	if o.MaxEarly == 0 {
		o.MaxEarly = 1000
	}
	if o.Slots == nil {
		o.Slots = NewSlots(MaxConns, o.Budget)
	}
	if o.MaxFrameBytes == 0 {
		o.MaxFrameBytes = 100 << 20
	}
	if all := o.Budget.Max(); all > 0 {
		o.MaxFrameBytes = int(min(int64(o.MaxFrameBytes), all/frameShare))
	}
}

// MaxConns is how many connections there may be when nothing else is said.
const MaxConns = 10_000

// Slots are the bounds that connections of one door, or of several, are within
// together.
type Slots struct {
	open chan struct{} // one for each open connection; further ones wait
	// arriving are the bytes of large frames on their way: half of the budget. A
	// client that sends a frame slowly takes no more from others.
	arriving *limits.Budget
	// decoding is held by who decodes a large frame although there is no room for it in
	// the budget. One does at a time.
	decoding sync.Mutex
}

// NewSlots returns slots for n connections, or as many as a sixth of the budget is
// enough for.
func NewSlots(n int, budget *limits.Budget) *Slots {
	all := budget.Max()
	if all > 0 {
		n = int(min(int64(n), max(all/6/connBytes, 1)))
	}
	return &Slots{open: make(chan struct{}, n), arriving: limits.NewBudget(all / 2)}
}

// connBytes is what an open connection costs, in bytes, before it has sent
// anything: its buffers, its goroutines' stacks and what the maps hold of it.
const connBytes = 24 << 10

// Listener says where brokers listen and what they tell clients about it.
type Listener struct {
	// Addrs are HOST:PORT for each broker in order.
	Addrs []string
	// Spare, if any, gives another port for one that is taken, as often as it is
	// asked; false is that there is none.
	Spare func() (port int, ok bool)
	// Host and Port are what clients are told: Port for the first broker and the
	// following for the others. Without a Host clients are told the address that
	// they came to; without a Port the one that is listened on.
	Host string
	Port int
	// TLS is how connections are encrypted; nil in the clear.
	TLS *tls.Config
	// SASL asks clients to prove who they are before anything else, by
	// Options.Authority.
	SASL bool
	// Mechanisms are those by which they may; nil is all.
	Mechanisms []string
	// Names are what else clients may call the brokers, beside Host.
	Names []string
}

// Bound is one broker's end of a listener, open.
type Bound struct {
	Listener int // index
	Broker   int32
	Addr     string // as bound
	Host     string // as told to clients; "" is the address that they came to
	Port     int32

	tls        *tls.Config
	sasl       bool
	mechanisms []string
	names      []string
}

// Door serves the Kafka protocol. Make it with [Open].
type Door struct {
	opts    Options
	cluster *brokers.Cluster
	log     log.Log
	budget  *limits.Budget
	apis    []api
	guards  map[int16]guard
	buffers buffers

	sessions      *fetchSessions
	shareSessions *shareSessions
	quotas        *quotas

	bound   []Bound
	sockets []net.Listener
	group   *lifecycle.Group
	early   atomic.Int64  // connections whose clients are yet to say who they are
	closed  chan struct{} // closed by Shutdown: nothing more is accepted
	stop    sync.Once

	mu    sync.Mutex
	conns map[*conn]struct{} // guarded by mu
}

// Open binds every listener and begins to serve. Connections are accepted when
// it returns.
func Open(o Options, listeners []Listener) (*Door, error) {
	o.setDefaults()
	served, err := apisOf(o.Release)
	if err != nil {
		return nil, err
	}
	d := &Door{
		opts: o, cluster: o.Cluster, log: o.Log, budget: o.Budget, apis: served,
		group:  lifecycle.NewGroup(context.Background()),
		closed: make(chan struct{}), conns: map[*conn]struct{}{},
		guards: topicGuards(), sessions: newFetchSessions(o.Budget, o.Clock, o.Cluster.FetchSessions),
	}
	d.quotas = newQuotas(d)
	d.shareSessions = &shareSessions{budget: o.Budget, byKey: map[shareSessionKey]*shareSession{}}
	maps.Copy(d.guards, groupGuards())
	maps.Copy(d.guards, clusterGuards())
	for i, l := range listeners {
		if err := d.bind(i, l); err != nil {
			for _, s := range d.sockets {
				_ = s.Close() // nothing was accepted yet
			}
			return nil, err
		}
	}
	for i, s := range d.sockets {
		at := d.bound[i]
		d.group.Go("accept "+at.Addr, func(context.Context) error { return d.accept(s, at) })
	}
	return d, nil
}

func (d *Door) bind(index int, l Listener) error {
	for k, addr := range l.Addrs {
		s, err := net.Listen("tcp", addr)
		for err != nil && l.Spare != nil {
			port, ok := l.Spare()
			host, _, bad := net.SplitHostPort(addr)
			if !ok || bad != nil {
				break
			}
			s, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		}
		if err != nil {
			return &errs.Error{Kind: errs.Invalid, Op: "listen on " + addr, Err: err,
				Hint: "choose another address with --listen-kafka, port 0 for a free one, or off"}
		}
		b := Bound{Listener: index, Broker: int32(k + 1), Addr: s.Addr().String(), Host: l.Host, tls: l.TLS, sasl: l.SASL,
			mechanisms: l.Mechanisms, names: l.Names}
		_, port, _ := net.SplitHostPort(b.Addr) // it has one
		n, _ := strconv.Atoi(port)
		if b.Port = int32(n); l.Port != 0 {
			b.Port = int32(l.Port + k)
		}
		d.sockets, d.bound = append(d.sockets, s), append(d.bound, b)
	}
	return nil
}

// Bound returns what was bound, in the order of the listeners and brokers.
func (d *Door) Bound() []Bound { return d.bound }

// Shutdown stops accepting, lets requests under way finish until ctx ends, and
// then closes what is left. It returns nil when all had finished.
func (d *Door) Shutdown(ctx context.Context) error {
	d.stop.Do(func() {
		close(d.closed)
		for _, s := range d.sockets {
			_ = s.Close() // accept ends with it
		}
		d.each((*conn).finish)
	})
	defer d.sessions.close()
	err := d.group.Stop(ctx)
	if err == nil {
		return nil
	}
	d.opts.Logger.Warn("closing Kafka connections before their requests have finished", "connections", d.Conns())
	d.each((*conn).abort)
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(&errs.Error{Kind: errs.Closed, Op: "shut down Kafka listeners", Err: err}, d.group.Stop(wait))
}

// Drop ends the connections to one broker, once the requests under way on them are
// answered. Clients can come back at once.
func (d *Door) Drop(broker int32) {
	d.each(func(c *conn) {
		if c.at.Broker == broker {
			c.finish()
		}
	})
}

// Conns returns how many connections are open.
func (d *Door) Conns() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

func (d *Door) each(fn func(*conn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		fn(c)
	}
}

// accept takes connections until the socket is closed. One that there is no slot for
// waits; a socket without connections has none.
func (d *Door) accept(s net.Listener, at Bound) error {
	pause := time.Duration(0)
	for {
		nc, err := s.Accept()
		if err == nil {
			pause = 0
			select {
			case d.opts.Slots.open <- struct{}{}:
				d.start(nc, at)
				continue
			case <-d.closed:
				_ = nc.Close() // nothing was said on it
				return nil
			}
		}
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		// Out of file descriptors, most likely: connections that end free some.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		d.opts.Logger.Error("cannot accept a Kafka connection", "listener", at.Addr, "error", err)
		t := d.opts.Clock.NewTimer(pause)
		select {
		case <-t.C():
		case <-d.closed:
			t.Stop()
			return nil
		}
	}
}

func (d *Door) start(nc net.Conn, at Bound) {
	if n := d.early.Add(1); at.strange() && n > int64(d.opts.MaxEarly) {
		d.early.Add(-1)
		_ = nc.Close() // nothing was said on it
		<-d.opts.Slots.open
		return
	}
	c := newConn(d, nc, at)
	d.budget.Take(connBytes)
	if !at.strange() {
		c.known()
	}
	d.mu.Lock()
	d.conns[c] = struct{}{}
	d.mu.Unlock()
	select {
	case <-d.closed:
		c.finish() // Shutdown may have missed it
	default:
	}
	d.group.Go("kafka connection", c.write)
	d.group.Go("kafka connection", c.serve)
}

// leave takes a connection that has ended off the books.
func (d *Door) leave(c *conn) {
	d.mu.Lock()
	delete(d.conns, c)
	d.mu.Unlock()
	d.budget.Release(connBytes)
	c.known()
	<-d.opts.Slots.open
}

// brokerAddr is where clients of the listener that c came to reach a broker.
type brokerAddr struct {
	id   int32
	host string
	port int32
}

// brokers are the addresses of all brokers as the client of c reaches them.
func (c *conn) brokers() []brokerAddr {
	var out []brokerAddr
	for _, b := range c.door.bound {
		if b.Listener != c.at.Listener {
			continue
		}
		host := b.Host
		if host == "" {
			host = c.localHost
		}
		out = append(out, brokerAddr{b.Broker, host, b.Port})
	}
	return out
}
