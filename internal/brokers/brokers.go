// Package brokers is the domain behind Kafka's protocol: clusters, their topics
// and configurations, what may be produced, and where in time an offset is.
//
// The topics of the default cluster are the streams of one account and region:
// partition N is shard N. A topic made here belongs to Kafka, and the API of
// streams can use it but not change it; a stream made there is used here the
// same way. The topics of any other cluster are no streams.
//
// A Cluster is safe for concurrent use. It knows no sockets, and its answers
// carry Kafka's own error codes.
package brokers

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/streams"
)

// Options configure a Cluster. Log, Catalog, Streams, Clock, Keys and Scope are
// needed.
type Options struct {
	Log     log.Log
	Catalog *catalog.Catalog
	Streams *streams.Service
	Clock   clock.Clock
	Keys    streams.Keys
	// Name is the cluster's; "" is the default one's.
	Name string
	// Identity is what clients know the cluster by, and Number what the log does: of
	// the count of streams' numbers. For the default cluster both are made up here.
	Identity Identity
	Number   uint64
	// Scope is where the cluster's topics are: streams, if it names no cluster.
	Scope catalog.Scope
	// Brokers is how many brokers the cluster shows, at least 1. They share one log.
	Brokers int
	// Memory is what groups and transactional ids draw on for as long as they exist;
	// nil sets no bound. Members is what those of all clusters may take of it.
	Memory, Members *limits.Budget
	// Unpackers unpack batches, of all clusters. The cluster's own if nil.
	Unpackers *batch.Unpackers
}

// Cluster is one cluster: a set of brokers with topics, groups and producers of
// its own.
type Cluster struct {
	log      log.Log
	catalog  *catalog.Catalog
	streams  *streams.Service
	clock    clock.Clock
	scope    catalog.Scope
	name     string
	number   uint64
	id       Identity
	count    atomic.Int32 // of brokers
	memory   *limits.Share
	settings atomic.Pointer[settings]

	unpacks   *batch.Unpackers
	producers producerIDs
	groups    *Groups
	shares    *Shares

	transactions *Transactions

	mu     sync.RWMutex
	topics map[uint64]*Topic // by stream number; guarded by mu
}

// MaxUnpackedBytes bounds a compressed batch once unpacked, as streams' readers
// do: what they could not read is not taken.
const MaxUnpackedBytes = 64 << 20

// DefaultName is the name of the cluster that there is from the start.
const DefaultName = "default"

// New returns a cluster.
func New(o Options) *Cluster {
	c := &Cluster{
		log: o.Log, catalog: o.Catalog, streams: o.Streams, clock: o.Clock, scope: o.Scope,
		name: o.Name, number: o.Number, id: o.Identity,
		memory: limits.NewShare(o.Memory, o.Members), unpacks: o.Unpackers, topics: map[uint64]*Topic{},
	}
	c.count.Store(int32(max(o.Brokers, 1)))
	c.settings.Store(&settings{})
	c.groups, c.shares, c.transactions = newGroups(c), newShares(c), newTransactions(c)
	if c.name == "" {
		c.name, c.id = DefaultName, DefaultIdentity(o.Keys)
	}
	if c.unpacks == nil {
		c.unpacks = batch.NewUnpackers(MaxUnpackedBytes)
	}
	return c
}

// Name is the cluster's name.
func (c *Cluster) Name() string { return c.name }

// ID is the cluster's id, as Kafka writes it: the same for as long as it lives.
func (c *Cluster) ID() string { return base64.RawURLEncoding.EncodeToString(c.id[:]) }

// Region is the region that the cluster is in.
func (c *Cluster) Region() string { return c.scope.Region }

// ARN is the name of something of the cluster in IAM: the cluster itself, or a
// topic, group or transactional-id of that name.
func (c *Cluster) ARN(kind, name string) string { return ARN(c.scope, kind, c.name, c.id, name) }

// ARN is Cluster.ARN of the cluster of that name and identity, which is the UUID
// in it.
func ARN(scope catalog.Scope, kind, cluster string, id Identity, name string) string {
	resource := kind + "/" + cluster + "/" + id.String() + "-1"
	if name != "" {
		resource += "/" + name
	}
	return arn.New("kafka", scope.Region, scope.Account, resource).String()
}

// Identity is what a cluster is known by, whatever its name.
type Identity [16]byte

// String is the identity as a UUID is written.
func (id Identity) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// ParseIdentity reads what String gives.
func ParseIdentity(s string) (id Identity, ok bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(id) {
		return id, false
	}
	copy(id[:], b)
	return id, id.String() == s
}

// DefaultIdentity is that of the default cluster of an installation.
func DefaultIdentity(k streams.Keys) Identity {
	secret := k.Secret("kafka cluster default")
	return Identity(secret[:16])
}

// partition is where the cluster keeps something of its own. Index is what: those
// of the default cluster stand beside the catalog's.
func (c *Cluster) partition(index uint32) log.PartitionID {
	return log.PartitionID{Stream: c.number, Index: index}
}

// SecurityPartition is where the cluster's users and ACLs are kept.
func (c *Cluster) SecurityPartition() log.PartitionID { return c.partition(3) }

// Brokers is the number of brokers; their ids are 1 to that.
func (c *Cluster) Brokers() int32 { return c.count.Load() }

// SetBrokers changes the number of brokers, which is at least 1. Clients see it
// with what they ask for next.
func (c *Cluster) SetBrokers(n int) { c.count.Store(int32(n)) }

// Close gives back the memory of a cluster that nobody uses any more.
func (c *Cluster) Close() { c.memory.Close() }

// Controller is the broker that takes administrative requests. Any does.
func (c *Cluster) Controller() int32 { return 1 }

// Leader is the broker that leads a partition of t.
func (c *Cluster) Leader(t *Topic, partition int32) int32 {
	return 1 + int32((uint64(partition)+t.res.Stream.Number)%uint64(c.Brokers()))
}

// Replicas are the brokers that hold a partition of t, the leader first.
func (c *Cluster) Replicas(t *Topic, partition int32) []int32 {
	brokers := c.Brokers()
	leader := c.Leader(t, partition) - 1
	out := make([]int32, min(int32(t.replicas()), brokers))
	for i := range out {
		out[i] = 1 + (leader+int32(i))%brokers
	}
	return out
}

// LeaderEpoch is the epoch of every partition's leader: it rises at each start
// that was not clean.
func (c *Cluster) LeaderEpoch(p log.PartitionID) (int32, error) {
	info, err := c.log.Info(p)
	return info.LeaderEpoch, err
}

// MetadataEnd is the end of the log in which all topics are described.
func (c *Cluster) MetadataEnd() (int64, *Error) {
	info, err := c.log.Info(log.PartitionID{})
	if err != nil {
		return -1, logError(err)
	}
	return info.End, nil
}

// TopicID is a topic's id: 48 bits of its creation in milliseconds, then its
// stream number, in the layout of a version 7 UUID (RFC 9562). A topic that is
// made again under its name has another.
type TopicID [16]byte

func topicID(r *catalog.Resource) TopicID {
	var id TopicID
	binary.BigEndian.PutUint64(id[:], uint64(r.Created)<<16|0x7000)
	binary.BigEndian.PutUint64(id[8:], 1<<63|r.Stream.Number)
	return id
}

// stream is the number in an id.
func (id TopicID) stream() uint64 { return binary.BigEndian.Uint64(id[8:]) &^ (3 << 62) }

// Topic returns the topic of that name, nil if there is none.
func (c *Cluster) Topic(name string) *Topic { return c.topic(c.catalog.Stream(c.scope, []byte(name))) }

// TopicByID returns the topic of that id, nil if there is none.
func (c *Cluster) TopicByID(id TopicID) *Topic {
	r := c.catalog.StreamNumber(id.stream())
	if r == nil || r.Scope != c.scope || topicID(r) != id {
		return nil
	}
	return c.topic(r)
}

// Topics returns all topics, by name.
func (c *Cluster) Topics() []*Topic {
	var out []*Topic
	for _, r := range c.catalog.List(catalog.KindStream, c.scope) {
		if t := c.topic(r); t != nil {
			out = append(out, t)
		}
	}
	return out
}

// maxTopics is how many topics are kept derived; beyond it they are derived anew.
const maxTopics = 10_000

func (c *Cluster) topic(r *catalog.Resource) *Topic {
	if r == nil || c.streams.Status(r) == catalog.Creating || r.State == catalog.Deleting {
		return nil
	}
	c.mu.RLock()
	t := c.topics[r.Stream.Number]
	c.mu.RUnlock()
	set := c.settings.Load()
	if t != nil && t.res == r && t.settings == set {
		return t
	}
	t = newTopic(r, set)
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.topics[r.Stream.Number]; old == nil || old.res.Version <= r.Version {
		if len(c.topics) >= maxTopics {
			clear(c.topics)
		}
		c.topics[r.Stream.Number] = t
	}
	return t
}
