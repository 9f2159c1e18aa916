// Package app puts the parts of a server together: which implementation serves
// which interface, in which order they start, and how they stop. It holds no
// logic of its own but the few endpoints that belong to no service.
//
// A [Server] has no globals: several can run in one process, and one can be
// started again on the data directory of another that was closed.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/faults"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/clusters"
	"thalweg/internal/config"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/files"
	"thalweg/internal/delivery/process/wasm"
	"thalweg/internal/delivery/remote"
	"thalweg/internal/iceberg"
	"thalweg/internal/identity"
	"thalweg/internal/lake"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
	"thalweg/internal/listen"
	"thalweg/internal/log/disk"
	"thalweg/internal/metrics"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/queues"
	"thalweg/internal/s3"
	"thalweg/internal/schemas"
	"thalweg/internal/streams"
	"thalweg/internal/tables"
	"thalweg/internal/vfs"
)

// Options are what a server is started with. All are needed.
type Options struct {
	Config config.Config
	Clock  clock.Clock
	Logger *slog.Logger
}

// Server is a running server.
type Server struct {
	cfg    config.Config
	system clock.Clock // what deadlines of connections go by
	clock  clock.Clock
	shift  *shiftClock // the clock, when it can be moved
	logger *slog.Logger
	fs     vfs.FS
	data   string // absolute, "" in memory
	took   time.Duration

	group    *lifecycle.Group // what runs beside requests
	budget   *limits.Budget
	maxDisk  int64        // what the log and the objects may take together; 0 is without bound
	stored   atomic.Int64 // what the objects take, if there is a bound
	metrics  *metrics.Registry
	log      *disk.Log
	keystore *identity.Keystore
	keys     *identity.Keys
	catalog  *catalog.Catalog
	streams  *streams.Service
	queues   *queues.Service
	tables   *tables.Service
	objects  *objfs.Store
	s3       *s3.Door
	schemas  *schemas.Service
	delivery *delivery.Service
	batches  *files.Dir       // what deliveries have set aside
	modules  []*wasm.Module   // functions that transform records
	sources  *remote.Clusters // the Kafka clusters elsewhere that they may read; nil is none
	lake     *lake.Catalog
	iceberg  *iceberg.Door
	services []*awsapi.Service
	faults   *faults.Set // what test aids inject; nil without them
	aws      *awsapi.Server
	admin    atomic.Pointer[string] // the token of the admin endpoints; nil refuses all
	certs    *certificates          // nil when TLS is off
	plain    *listen.Server         // nil when off
	secure   *listen.Server         // nil when off
	auth     *identity.Authority
	host     *kafkaHost
	clusters *clusters.Service
	open     atomic.Pointer[[]*listen.Server] // the two that are on, once both are; requests come before

	stops   []part // started parts, in order
	closing sync.Once
	closed  error
}

// Start starts every part in order and returns when requests are answered. When
// a part fails, those before it are stopped again.
func Start(ctx context.Context, o Options) (*Server, error) {
	began := o.Clock.Now()
	s, err := start(ctx, o, append(dataParts(), serverParts()...))
	if err != nil {
		return nil, err
	}
	s.took = s.clock.Now().Sub(began)
	return s, nil
}

func start(ctx context.Context, o Options, parts []part) (*Server, error) {
	s := &Server{cfg: o.Config, system: o.Clock, clock: o.Clock, logger: o.Logger, group: lifecycle.NewGroup(context.WithoutCancel(ctx))}
	for _, p := range parts {
		began := o.Clock.Now()
		err := p.start(ctx, s)
		s.logger.Debug("started", "part", p.name, "took_us", o.Clock.Now().Sub(began).Microseconds())
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(s.cfg.Shutdown))
			defer cancel()
			return nil, errors.Join(fmt.Errorf("start %s: %w", p.name, err), s.Close(stopCtx))
		}
		s.stops = append(s.stops, p)
	}
	return s, nil
}

// Close stops the parts in reverse: no new requests, those under way finish
// until ctx ends, then the log is closed in order. It returns the failure that
// ended the server, or the first one of stopping. Calls after the first return
// what that did.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() {
		list := []error{s.group.Err()}
		for i := len(s.stops) - 1; i >= 0; i-- {
			p := s.stops[i]
			if p.stop == nil {
				continue
			}
			if err := p.stop(ctx, s); err != nil {
				list = append(list, fmt.Errorf("stop %s: %w", p.name, err))
			}
		}
		s.closed = errors.Join(list...)
	})
	return s.closed
}

// Failed is closed when the server ended by itself, or was closed; Close then
// tells why.
func (s *Server) Failed() <-chan struct{} { return s.group.Context().Done() }

// Addresses are where clients on this machine reach a server; empty for a
// listener that is off.
type Addresses struct {
	HTTP, HTTPS string // URLs
	Kafka       string // HOST:PORT of the first broker
}

// Addresses returns where this server listens.
func (s *Server) Addresses() Addresses {
	var a Addresses
	if s.plain != nil {
		a.HTTP = loopback("http://" + s.plain.Addr().String())
	}
	if s.secure != nil {
		a.HTTPS = loopback("https://" + s.secure.Addr().String())
	}
	a.Kafka = s.firstKafka()
	return a
}

// Data returns the absolute path of the data directory, "" in memory.
func (s *Server) Data() string { return s.data }

// ReadOnly returns why the server takes no writes, "" when it does.
func (s *Server) ReadOnly() string {
	if state := s.log.State(); !state.Writable {
		return cmp.Or(state.Reason, "the log is read-only")
	}
	return ""
}

// StartTook returns how long the start took.
func (s *Server) StartTook() time.Duration { return s.took }

// Keys returns the access keys.
func (s *Server) Keys() *identity.Keys { return s.keys }

// OpenKeys opens the access keys of a data directory without serving it. It
// takes the directory's lock; Close gives it back.
func OpenKeys(ctx context.Context, o Options) (*Server, error) {
	return start(ctx, o, dataParts())
}

func absolute(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data directory %s: %w", dir, err)
	}
	return abs, nil
}

// CAPEM returns the certificate authority that clients of the TLS listener must
// trust, nil when that is off.
func (s *Server) CAPEM() []byte {
	if s.certs == nil {
		return nil
	}
	return s.certs.certs.CAPEM()
}

// CreateKey makes an access key of an account's root user.
func (s *Server) CreateKey(ctx context.Context, account string) (id, secret string, err error) {
	k, sec, err := s.keys.Create(ctx, account, identity.Root)
	if err != nil {
		return "", "", err
	}
	return k.ID, sec.Reveal(), nil
}
