// Package streams is the domain of Kinesis Data Streams: streams and their
// shards over partitions of the log, the way of a record from a partition key to
// a sequence number and back to a reader.
//
// Shard N of a stream is partition N of it. A record's sequence number is
// arithmetic on its offset, its arrival and its shard's creation (package ids),
// so nothing is stored per record but the record.
//
// The messages of the errors are AWS's own texts; a door adds only the error's
// name, by its kind.
//
// A Service is safe for concurrent use. It knows nothing of wire formats, and
// who may do what is not its matter.
package streams

import (
	"crypto/rand"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Options configure a Service. Log, Catalog, Clock and Keys are needed.
type Options struct {
	Log     log.Log
	Catalog *catalog.Catalog
	Clock   clock.Clock
	Keys    Keys
	// Transition is how long a stream shows as CREATING after it was made, as
	// UPDATING after it was changed, and as DELETING before it is gone, and how long
	// a consumer shows as CREATING. With 0 none is seen: a stream is ACTIVE, or gone,
	// when the call that asked for it returns.
	Transition time.Duration
	// ShardQuota is the number of open shards allowed in a region; nil is
	// [ShardQuota].
	ShardQuota func(region string) int
	// Memory is what shards and consumers draw on for as long as they exist, half
	// of it at most, and subscriptions, a quarter of it at most; nil sets no bound.
	Memory *limits.Budget
	// Limits say which of AWS's limits hold for streams without a LimitsTag; ""
	// is limits.Off. Logger is told of what limits.Warn lets through; nil is none.
	Limits limits.Mode
	Logger *slog.Logger
	// Rand gives the salt of tokens; nil is crypto/rand.
	Rand io.Reader
}

// Keys gives the secrets of this installation.
type Keys interface {
	// Secret returns a key that is always the same for a purpose and tells
	// nothing about those of others.
	Secret(purpose string) [32]byte
}

// Service is the streams of one log.
type Service struct {
	log        log.Log
	catalog    *catalog.Catalog
	clock      clock.Clock
	transition time.Duration
	quota      func(region string) int
	memory     *limits.Budget
	shards     atomic.Int64 // and consumers, that draw on memory
	fan        *fanout
	throttle   *throttle
	seal       *sealer
	meters     meters
	closing    closing
	keys       Keys
	wake       chan struct{} // something changed that may be due earlier

	puts    sync.Pool // *Put
	pages   sync.Pool // *Page
	unpacks sync.Pool // *batch.Decompressor

	mu     sync.RWMutex
	routes map[uint64]*route // by stream number; guarded by mu
}

// New returns a service. [Service.Run] must run beside it. Errors: Corrupt when
// Keys are not those of the catalog's encryption keys.
func New(o Options) (*Service, error) {
	s := &Service{
		log: o.Log, catalog: o.Catalog, clock: o.Clock, transition: o.Transition, quota: o.ShardQuota, keys: o.Keys,
		memory: o.Memory, throttle: newThrottle(o.Limits, o.Clock, o.Logger), fan: newFanout(o.Memory),
		wake: make(chan struct{}, 1), routes: map[uint64]*route{}, meters: meters{streams: map[uint64]*streamMeters{}},
		closing: closing{until: map[log.PartitionID]int64{}},
	}
	for _, r := range s.catalog.All(catalog.KindStream) {
		s.hold(len(r.Stream.Shards) + s.readers(r))
	}
	if s.quota == nil {
		s.quota = ShardQuota
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if err := s.checkKeys(); err != nil {
		return nil, err
	}
	var err error
	if s.seal, err = newSealer(o.Keys.Secret("stream tokens"), o.Rand); err != nil {
		return nil, err
	}
	s.puts.New = func() any { return newPut(s) }
	s.pages.New = func() any { return &Page{svc: s} }
	s.unpacks.New = func() any { return batch.NewDecompressor(freeUnpackedBytes) }
	return s, nil
}

// Lookup returns the stream of that name, in whatever state.
func (s *Service) Lookup(scope catalog.Scope, name string) (*catalog.Resource, error) {
	r := s.catalog.Get(streamKey(scope, name))
	if !s.visible(r) {
		return nil, notFound(scope.Account, name)
	}
	return r, nil
}

// Usable returns the stream of that name for reading and writing records: one
// still being created counts as absent, one being deleted goes on to work, as on
// AWS.
func (s *Service) Usable(scope catalog.Scope, name []byte) (*catalog.Resource, error) {
	r := s.catalog.Stream(scope, name)
	if !s.visible(r) || r.State != catalog.Active && s.Status(r) == catalog.Creating {
		return nil, notFound(scope.Account, string(name))
	}
	return r, nil
}

// Status is the state of a stream now.
func (s *Service) Status(r *catalog.Resource) catalog.State {
	if passing := r.State == catalog.Creating || r.State == catalog.Updating; passing && clock.Millis(s.clock) >= r.Until {
		return catalog.Active
	}
	return r.State
}

// visible reports whether r, which may be nil, is there for readers and writers of
// streams, in whatever state.
func (s *Service) visible(r *catalog.Resource) bool { return r != nil && !s.gone(r) && !hidden(r) }

// gone tells a stream that is only waiting to be swept up.
func (s *Service) gone(r *catalog.Resource) bool {
	return r.State == catalog.Deleting && clock.Millis(s.clock) >= r.Until
}

// now is the time for a stream, in Unix milliseconds: never before the creation
// of a shard, which is ahead of the clock when its predecessor or parent was made
// in the same second.
func (s *Service) now(r *catalog.Resource) int64 {
	return max(clock.Millis(s.clock), r.Created, lastSecond(r)*1000)
}

// Horizon is the arrival, in Unix milliseconds, before which records of r are
// no longer shown, whether or not they have been removed.
func (s *Service) Horizon(r *catalog.Resource) int64 {
	return max(clock.Millis(s.clock)-int64(r.Stream.RetentionHours)*3600_000, r.Stream.TrimBefore)
}

// expired reports whether nothing of sh is left to be shown: it closed before the
// horizon.
func expired(sh *catalog.Shard, horizon int64) bool { return !sh.Open() && sh.Closed < horizon }

// StartOf is the sequence number that a shard begins with, below its first
// record.
func StartOf(sh *catalog.Shard) ids.Sequence { return sequence(sh.Number, sh.Created, -1, 0) }

// EndOf is the number that a closed shard ends with.
func EndOf(sh *catalog.Shard) ids.Sequence {
	return sequence(sh.Number, sh.Created, ids.MaxSequenceIndex-1, sh.Closed)
}

// sequence is the number of the record at offset; times are in milliseconds.
func sequence(shard ids.Shard, created, offset, arrival int64) ids.Sequence {
	second := created / 1000
	return ids.Sequence{
		Version: 2, Created: second, Shard: uint32(shard), Index: uint64(offset + 1), Time: max(arrival/1000, second),
	}
}

func streamKey(scope catalog.Scope, name string) catalog.Key {
	return catalog.Key{Kind: catalog.KindStream, Scope: scope, Name: name}
}
