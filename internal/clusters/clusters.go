// Package clusters is the life of Kafka clusters: which there are, what they are
// made of, and that each of them runs.
//
// A cluster is a resource of the catalog. What is asked of one is made durable
// first, as a state that passes (CREATING, UPDATING, REBOOTING_BROKER, DELETING);
// [Service.Run] then brings it about and makes it ACTIVE again, or removes it. A
// server that was killed in between goes on where it was.
//
// The default cluster is there from the start. Its listeners and brokers are those
// that the server was started with.
//
// A Service is safe for concurrent use. It knows no sockets: a [Host] opens them.
package clusters

import (
	"cmp"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/streams"
)

// Kind is how clients of a listener prove who they are and what is between. Values
// are on disk.
type Kind string

// The kinds of listeners, as Amazon MSK has them.
const (
	Plaintext Kind = "plaintext" // in the clear, nobody proves anything
	TLS       Kind = "tls"       // encrypted
	MutualTLS Kind = "mtls"      // encrypted, clients show certificates
	Scram     Kind = "scram"     // encrypted, users of the cluster
	IAM       Kind = "iam"       // encrypted, access keys
)

// Endpoint is where clients reach one broker.
type Endpoint struct {
	Kind   Kind
	Broker int32
	// Host is "" where clients are told the address that they came to.
	Host string
	Port int
	// Bound is the port that is listened on.
	Bound int
}

// Serving is what a [Host] is to open.
type Serving struct {
	Cluster  *brokers.Cluster
	Security *brokers.Security
	// Listeners are those of the cluster; nil for the default one's, which the host
	// knows.
	Listeners []catalog.ClusterListener
	// KafkaVersion is what the cluster was asked to be of; "" is the newest.
	KafkaVersion string
	// Spare is another port for one that is taken; false for none.
	Spare func() (int, bool)
}

// Host lets clients come to clusters.
type Host interface {
	// Serve listens. Errors: those of listening.
	Serve(s Serving) (Served, error)
	// Check refuses kinds of listeners that the host may not open.
	Check(kinds []Kind) error
}

// Served is a cluster that clients come to.
type Served interface {
	Endpoints() []Endpoint
	// Drop ends the connections to one broker; clients come back.
	Drop(broker int32)
	// Shutdown stops listening, and ends connections once their requests are
	// answered, or when ctx ends.
	Shutdown(ctx context.Context) error
}

// PortRange is which ports clusters may have, both ends included; the zero
// PortRange is any that are free.
type PortRange struct{ From, To int }

// Options are what a Service is made of. All but Memory and Ports are needed.
type Options struct {
	Log     log.Log
	Catalog *catalog.Catalog
	Streams *streams.Service
	Clock   clock.Clock
	Keys    streams.Keys
	// AEAD makes the cipher for a purpose.
	AEAD   func(purpose string) (cipher.AEAD, error)
	Logger *slog.Logger
	Memory *limits.Budget
	Host   Host
	Ports  PortRange
	// Secrets are what SCRAM users are made of.
	Secrets Secrets

	// Default is where the default cluster is, and Brokers how many it shows.
	Default catalog.Scope
	Brokers int
}

// Bounds on what there can be.
const (
	// MaxClusters is how many clusters there can be beside the default one.
	MaxClusters = 50
	// clusterBytes is about what a cluster takes in memory while nobody uses it.
	clusterBytes = 128 << 10
	// maxShape is how many bytes of a cluster's shape are kept, or of an operation's.
	maxShape = 32 << 10
	// maxOperations is how many operations are remembered of a cluster.
	maxOperations = 20
)

// Service is the clusters of one log.
type Service struct {
	o    Options
	wake chan struct{}
	work sync.Mutex // held while clusters are tended
	// members are the bytes of the groups and transactional ids of all clusters: a
	// quarter of the memory, so that it is no client's to fill for good.
	members *limits.Budget
	unpack  *batch.Unpackers

	mu   sync.Mutex
	live map[catalog.Key]*running // guarded by mu
	ends bool                     // guarded by mu; Shutdown was called

	started bool // guarded by mu; Start was called
}

// New returns a Service of which nothing runs yet; see [Service.Start].
func New(o Options) *Service {
	return &Service{o: o, wake: make(chan struct{}, 1), live: map[catalog.Key]*running{}, members: limits.NewBudget(o.Memory.Max() / 4),
		unpack: batch.NewUnpackers(brokers.MaxUnpackedBytes)}
}

// Key is the catalog's key of a cluster.
func Key(scope catalog.Scope, name string) catalog.Key {
	return catalog.Key{Kind: catalog.KindCluster, Scope: scope, Name: name}
}

// topics is where the topics of a cluster are.
func topics(r *catalog.Resource) catalog.Scope {
	s := r.Scope
	if r.Cluster.Number != 0 {
		s.Cluster = r.Cluster.UUID
	}
	return s
}

// ErrNotFound is a cluster that there is not.
var ErrNotFound error = errs.New(errs.NotFound, "The requested resource doesn't exist.")

// Lookup returns the cluster of that name; uuid, if it is not "", must be its own.
// Errors: NotFound.
func (s *Service) Lookup(scope catalog.Scope, name, uuid string) (*catalog.Resource, error) {
	r := s.o.Catalog.Get(Key(scope, name))
	if r == nil || uuid != "" && r.Cluster.UUID != uuid || s.elsewhere(r) {
		return nil, ErrNotFound
	}
	return r, nil
}

// elsewhere tells a default cluster of another region, where the server was once
// said to be.
func (s *Service) elsewhere(r *catalog.Resource) bool {
	return r.Cluster.Number == 0 && r.Scope != s.o.Default
}

// List returns the clusters of an account and region whose names begin with
// prefix, by name, those after the name after, and whether there are more.
func (s *Service) List(scope catalog.Scope, prefix, after string, limit int, want func(*catalog.Resource) bool) ([]*catalog.Resource, bool) {
	return page(s.o.Catalog.List(catalog.KindCluster, scope), after, limit, func(r *catalog.Resource) bool {
		return strings.HasPrefix(r.Name, prefix) && !s.elsewhere(r) && want(r)
	})
}

// page is the part of a list, which is sorted by name, after a name.
func page(all []*catalog.Resource, after string, limit int, want func(*catalog.Resource) bool) (out []*catalog.Resource, more bool) {
	i, found := slices.BinarySearchFunc(all, after, func(r *catalog.Resource, name string) int { return cmp.Compare(r.Name, name) })
	if found {
		i++
	}
	for _, r := range all[i:] {
		switch {
		case !want(r):
		case len(out) == limit:
			return out, true
		default:
			out = append(out, r)
		}
	}
	return out, false
}

// State is the state of a cluster now, with why it has failed.
func (s *Service) State(r *catalog.Resource) (state catalog.State, why string) {
	if r.State != catalog.Active {
		return r.State, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live[r.Key]
	switch {
	case l == nil && !s.started:
		return catalog.Failed, "The server was started without Kafka (--listen-kafka off)."
	case l == nil:
		return catalog.Creating, "" // a server that starts
	case l.served == nil:
		return catalog.Failed, l.failure
	}
	return catalog.Active, ""
}

// Endpoints are where clients reach a cluster; none for one that does not run, or
// will not for long.
func (s *Service) Endpoints(r *catalog.Resource) []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live[r.Key]; l != nil && l.served != nil && r.State != catalog.Deleting {
		return slices.Clone(l.served.Endpoints())
	}
	return nil
}

// Brokers returns the cluster behind a resource, for what its topics are. Errors:
// InUse for one that does not run.
func (s *Service) Brokers(r *catalog.Resource) (*brokers.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live[r.Key]; l != nil && r.State != catalog.Deleting {
		return l.cluster, nil
	}
	return nil, notActive(r)
}

// OfTopic returns the cluster that a topic is of, nil for one that does not run.
func (s *Service) OfTopic(topic *catalog.Resource) *brokers.Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.live {
		if l.topics == topic.Scope {
			return l.cluster
		}
	}
	return nil
}

func notActive(r *catalog.Resource) error {
	return errs.New(errs.InUse, "The cluster "+r.Name+" is in the state "+string(r.State)+". It must be ACTIVE.")
}

// newUUID is a random UUID.
func newUUID() brokers.Identity {
	var b brokers.Identity
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b
}

// rouse has Run look at what there is to do.
func (s *Service) rouse() {
	select {
	case s.wake <- struct{}{}:
	default: // it is about to
	}
}
