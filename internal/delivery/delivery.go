// Package delivery is the domain of Data Firehose: delivery streams, and the engine
// that takes what is put to them, or what a stream or topic has, to a destination.
//
// Records are not buffered: they stand in the log, and a delivery stream is a cursor
// in each partition that it reads. When enough is there, or the oldest record is old
// enough, the engine makes a plan: the offsets that one batch takes, the version of the
// destination, the times and the name that everything made of the batch follows from.
// The plan is durable before anything is delivered, and so is its end, with the
// cursors. A server that dies in between delivers the same plan again, and the
// destination finds what it has (package dest). So a record that was acknowledged is
// delivered exactly once where the destination can tell a batch from its repetition.
//
// What only this server can take away stays where it is, in the delivery stream's own
// partition. What its owner can, a stream's records, and what a processing stage made
// of them, is set aside in a file before the plan is made (stage.go).
//
// One goroutine delivers for one delivery stream, while it has something to deliver or
// reads a source; an idle one under DirectPut has none.
//
// A Service is safe for concurrent use. It knows nothing of wire formats, and who may
// do what is not its matter.
package delivery

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/meta"
	"thalweg/internal/streams"
)

const (
	// Quota is how many delivery streams a region of an account may have (the API's
	// model; CreateDeliveryStream).
	Quota = 5000
	// MaxTags is how many tags a delivery stream can have.
	MaxTags = 50
	// MaxKeyChanges is how often encryption may be started and stopped in 24 hours.
	MaxKeyChanges = 25
	// DestinationID is the id of every delivery stream's one destination.
	DestinationID = "destinationId-000000000001"
	// DefaultKeep is how long delivered records stay in a delivery stream's own
	// partition, for a replay.
	DefaultKeep = 24 * time.Hour
	// ledgerBytes is about how much of a delivery stream's ledger is kept.
	ledgerBytes = 16 << 20
	// workBytes is about what one delivery under way takes of the memory.
	workBytes = 4 << 20
)

// The kinds of source, as the API calls them.
const (
	DirectPut     = "DirectPut"
	KinesisSource = "KinesisStreamAsSource"
	MSKSource     = "MSKAsSource"
)

// Options configure a Service. All but Memory, Logger, Keep, Limits and Workers are needed.
type Options struct {
	Log     log.Log
	Catalog *catalog.Catalog
	Streams *streams.Service
	// Partition is where cursors and plans are kept.
	Partition log.PartitionID
	Clock     clock.Clock
	Keys      Keys
	// Destinations are the kinds of destination, by Kind.
	Destinations map[string]dest.Spec
	// Process makes the stages that a configuration asks for, in their order.
	Process func(c dest.Config, e dest.Env) ([]dest.Processor, error)
	Files   Files
	// Remote are topics of other Kafka clusters; nil is none.
	Remote Remote
	// Group is where deliveries run.
	Group *lifecycle.Group
	// Jitter returns a random time, more than nothing, of up to most.
	Jitter func(most time.Duration) time.Duration
	// Memory is what puts and deliveries draw on; nil sets no bound.
	Memory *limits.Budget
	Logger *slog.Logger
	// Keep is how long delivered records are kept; 0 is DefaultKeep.
	Keep time.Duration
	// Limits say whether AWS's limits on puts hold for delivery streams without a
	// streams.LimitsTag; "" is limits.Off.
	Limits limits.Mode
	// Workers are how many deliveries run at once, half of them for one account; 0 is
	// eight for each processor, for most of their time is waiting.
	Workers int
}

// Keys gives the secrets of this installation.
type Keys interface {
	// Secret returns a key that is always the same for a purpose and tells nothing
	// about those of others.
	Secret(purpose string) [32]byte
}

// Service is the delivery streams of one log.
type Service struct {
	o        Options
	log      log.Log
	catalog  *catalog.Catalog
	clock    clock.Clock
	store    *meta.Store
	writes   writes
	seal     *sealer
	breakers breakers
	slots    *slots
	builders sync.Pool // *batch.Builder

	mu    sync.Mutex
	lines map[uint64]*line // by the delivery stream's number; guarded by mu
	lost  []Entry          // of delivery streams that are gone; guarded by mu
}

// Open reads cursors and plans. Nothing is delivered before [Service.Start]. Errors: see
// [meta.Open]; those of Files.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Workers == 0 {
		o.Workers = 8 * runtime.GOMAXPROCS(0)
	}
	s := &Service{
		o: o, log: o.Log, catalog: o.Catalog, clock: o.Clock, slots: newSlots(o.Workers),
		builders: sync.Pool{New: func() any { return new(batch.Builder) }},
		breakers: breakers{clock: o.Clock, hosts: map[party]*breaker{}},
	}
	var err error
	if s.seal, err = newSealer(o.Keys.Secret("delivery secrets")); err != nil {
		return nil, err
	}
	if s.store, err = meta.Open(ctx, meta.Options{Log: o.Log, Partition: o.Partition, Clock: o.Clock, Machine: (*machine)(s)}); err != nil {
		return nil, err
	}
	return s, s.tidy()
}

// tidy forgets what belongs to no delivery stream: one that was deleted a moment
// before a crash, or a file whose plan was never made.
func (s *Service) tidy() error {
	plans := map[string]bool{}
	alive := map[uint64]bool{}
	for _, r := range s.deliveries() {
		alive[r.Delivery.Number] = true
		if p := s.line(r).plan; p != nil {
			plans[p.ID] = true
		}
	}
	for number := range s.lines {
		if !alive[number] {
			delete(s.lines, number) // and from the next snapshot
		}
	}
	files, err := s.o.Files.List()
	if err != nil {
		return err
	}
	for _, name := range files {
		if !plans[name] {
			if err := s.o.Files.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Start begins to deliver what is there.
func (s *Service) Start() {
	for _, r := range s.deliveries() {
		s.rouse(r)
	}
}

// line returns the state of a delivery stream.
func (s *Service) line(r *catalog.Resource) *line {
	l := s.lineOf(r.Delivery.Number)
	l.mu.Lock()
	l.key, l.arn = r.Key, r.ARN
	l.mu.Unlock()
	return l
}

func (s *Service) lineOf(number uint64) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[number]
	if l == nil {
		l = newLine(number)
		s.lines[number] = l
	}
	return l
}

// env is what a destination of r is opened with.
func (s *Service) env(r *catalog.Resource) dest.Env {
	e := dest.Env{
		Stream:  dest.Stream{ARN: r.ARN, Name: r.Name, Account: r.Account, Region: r.Region},
		Clock:   s.clock,
		Secret:  func(sealed string) (string, error) { return s.seal.open(r.ARN, sealed) },
		Scratch: s.o.Files.Scratch,
	}
	if r.Channel != nil {
		e.Stream.Name = r.Channel.Name
	} else if r.Delivery.Source != nil { // a channel's records are delivered as they were put: aggregates stay
		e.Stream.SourceARN = r.Delivery.Source.ARN
	}
	return e
}
