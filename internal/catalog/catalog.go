// Package catalog says what exists: names to resources, each with a version,
// tags and a state, per account and region.
//
// A [Resource] is a value that nobody changes: an update puts a new one in its
// place, durably, together with whatever partitions are made or removed with it
// (package meta: one atomic append). Readers never wait for writers' disks.
//
// A Catalog is safe for concurrent use. It knows no rules of any service; those
// are the domain's, which calls [Catalog.Update].
package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/meta"
)

// MaxBytes is the most that all resources may take, as they are stored: a snapshot
// must fit one append to the log.
const MaxBytes = 48 << 20

// Partition is where the catalog is kept.
var Partition = log.PartitionID{}

// Kind is a kind of resource. Values are on disk.
type Kind string

const (
	// KindStream is a Kinesis data stream.
	KindStream Kind = "stream"
	// KindConsumer is a registered consumer of one, named STREAM/CONSUMER.
	KindConsumer Kind = "consumer"
	// KindQueue is a queue over one, named by its id.
	KindQueue Kind = "queue"
	// KindDelivery is a delivery stream.
	KindDelivery Kind = "delivery"
	// KindChannel is a channel of a stream or topic, named by what its ARN ends with.
	KindChannel Kind = "channel"
	// KindAccount is what an account has set for itself in a region; its name is
	// empty.
	KindAccount Kind = "account"
	// KindKey is a key that streams are encrypted under.
	KindKey Kind = "key"
	// KindCluster is a Kafka cluster.
	KindCluster Kind = "cluster"
	// KindConfiguration is a configuration of Kafka clusters.
	KindConfiguration Kind = "configuration"
	// KindGroup is what a group of a Kafka cluster is configured to.
	KindGroup Kind = "group"
)

// Scope is where a name means something.
type Scope struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	// Cluster is the id of the Kafka cluster that a topic is of; "" is the default
	// one's, whose topics are the streams of account and region, and of all else.
	Cluster string `json:"cluster,omitempty"`
}

// Key names a resource. Names are unique per kind and scope.
type Key struct {
	Kind Kind `json:"kind"`
	Scope
	Name string `json:"name"`
}

// State is where in its life a resource is. Values are on disk.
type State string

const (
	Creating State = "CREATING"
	Active   State = "ACTIVE"
	Updating State = "UPDATING"
	Deleting State = "DELETING"
	// Rebooting and Failed are of clusters; the second is shown, never kept.
	Rebooting State = "REBOOTING_BROKER"
	Failed    State = "FAILED"
)

// Resource is one thing that exists. It must not be changed once it is in the
// catalog; [Resource.Clone] makes one to change.
type Resource struct {
	Key
	ARN string `json:"arn"`
	// Version counts the changes, from 1.
	Version uint64 `json:"version"`
	// Created is in Unix milliseconds.
	Created int64 `json:"created"`
	// State holds until Until (Unix milliseconds; 0: until changed). What comes
	// after it is the domain's to say.
	State State             `json:"state"`
	Until int64             `json:"until,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`
	// Policy is the text of the resource policy; "" is none.
	Policy string `json:"policy,omitempty"`
	// Stream is set when Kind is KindStream.
	Stream *Stream `json:"stream,omitempty"`
	// Consumer is set when Kind is KindConsumer.
	Consumer *Consumer `json:"consumer,omitempty"`
	// Queue is set when Kind is KindQueue.
	Queue *Queue `json:"queue,omitempty"`
	// Delivery is set when Kind is KindDelivery or KindChannel.
	Delivery *Delivery `json:"delivery,omitempty"`
	// Channel is set when Kind is KindChannel.
	Channel *Channel `json:"channel,omitempty"`
	// Settings is set when Kind is KindAccount.
	Settings *Settings `json:"settings,omitempty"`
	// DataKey is set when Kind is KindKey.
	DataKey *DataKey `json:"data_key,omitempty"`
	// Cluster is set when Kind is KindCluster.
	Cluster *Cluster `json:"kafka_cluster,omitempty"`
	// Configuration is set when Kind is KindConfiguration.
	Configuration *Configuration `json:"configuration,omitempty"`
	// Group is set when Kind is KindGroup.
	Group map[string]string `json:"group,omitempty"`
}

// Clone returns a copy that shares nothing with r.
func (r *Resource) Clone() *Resource {
	c := *r
	if r.Tags != nil {
		c.Tags = make(map[string]string, len(r.Tags))
		for k, v := range r.Tags {
			c.Tags[k] = v
		}
	}
	if r.Stream != nil {
		s := *r.Stream
		s.Shards = slices.Clone(s.Shards)
		s.ShardMetrics = slices.Clone(s.ShardMetrics)
		s.Scalings = slices.Clone(s.Scalings)
		s.KeyStarts, s.KeyStops = slices.Clone(s.KeyStarts), slices.Clone(s.KeyStops)
		if s.Topic != nil {
			t := *s.Topic
			t.Configs = maps.Clone(t.Configs)
			s.Topic = &t
		}
		s.ModeChanges = slices.Clone(s.ModeChanges)
		c.Stream = &s
	}
	if r.Consumer != nil {
		o := *r.Consumer
		c.Consumer = &o
	}
	if r.Queue != nil {
		q := *r.Queue
		q.Starts = slices.Clone(q.Starts)
		c.Queue = &q
	}
	if r.Delivery != nil {
		c.Delivery = r.Delivery.clone()
	}
	if r.Channel != nil {
		h := *r.Channel
		h.Shape = slices.Clone(h.Shape)
		c.Channel = &h
	}
	if r.Settings != nil {
		a := *r.Settings
		c.Settings = &a
	}
	if r.DataKey != nil {
		k := *r.DataKey
		c.DataKey = &k
	}
	if r.Cluster != nil {
		c.Cluster = r.Cluster.clone()
	}
	if r.Configuration != nil {
		c.Configuration = r.Configuration.clone()
	}
	c.Group = maps.Clone(r.Group)
	return &c
}

// Settings are what an account has set for itself.
type Settings struct {
	// CommitmentStarted is when the minimum throughput billing commitment began
	// last, in Unix milliseconds.
	CommitmentStarted int64 `json:"commitment_started,omitempty"`
	// CommitmentEnds is when it ended or will; 0 is not foreseen.
	CommitmentEnds int64 `json:"commitment_ends,omitempty"`
}

// StreamMode is how a stream's capacity is set. Values are on disk.
type StreamMode string

const (
	Provisioned StreamMode = "PROVISIONED"
	OnDemand    StreamMode = "ON_DEMAND"
)

// Stream is what a data stream keeps.
type Stream struct {
	// Number and Generation name its partitions in the log; a shard's partition
	// index is its number. Numbers are never used twice.
	Number     uint64     `json:"number"`
	Generation uint32     `json:"generation"`
	Mode       StreamMode `json:"mode"`
	// RetentionHours is how long records can be read, 24 to 8760.
	RetentionHours int `json:"retention_hours"`
	// TrimBefore is a horizon that a longer retention must not lower: records
	// that arrived before it (Unix milliseconds) are gone.
	TrimBefore int64 `json:"trim_before,omitempty"`
	// MaxRecordKiB bounds one record's data, 1024 to 10240.
	MaxRecordKiB int `json:"max_record_kib"`
	// AutoDistribution is the record distribution strategy AUTO.
	AutoDistribution bool `json:"auto_distribution,omitempty"`
	// WarmMiBps is the write throughput that was asked for in advance, in MiB/s; 0
	// is none.
	WarmMiBps int `json:"warm_mibps,omitempty"`
	// Keyless is set once the stream has left AUTO: older records may have no
	// partition key.
	Keyless bool `json:"keyless,omitempty"`
	// KeyID is the encryption key as the customer wrote it; "" is no encryption.
	// DataKey is its number.
	KeyID   string `json:"key_id,omitempty"`
	DataKey uint32 `json:"data_key,omitempty"`
	// KeyStarts and KeyStops are the times of recent changes of the key, Unix
	// milliseconds.
	KeyStarts []int64 `json:"key_starts,omitempty"`
	KeyStops  []int64 `json:"key_stops,omitempty"`
	// ShardMetrics are the enhanced shard-level metrics that are on.
	ShardMetrics []string `json:"shard_metrics,omitempty"`
	// Scalings and ModeChanges are the times of recent changes of the shard count
	// and of Mode, Unix milliseconds.
	Scalings    []int64 `json:"scalings,omitempty"`
	ModeChanges []int64 `json:"mode_changes,omitempty"`
	// Shards are all shards that can still be read, by rising number.
	Shards []Shard `json:"shards"`
	// Topic is set when the stream was made as a Kafka topic, whose door then owns
	// it: what it is made of can be changed through that door only.
	Topic *Topic `json:"topic,omitempty"`
}

// Topic is what a stream keeps that was made as a Kafka topic.
type Topic struct {
	// Configs are the topic's own configuration entries, by Kafka's names.
	Configs map[string]string `json:"configs,omitempty"`
	// Replicas is the replication factor that was asked for.
	Replicas int16 `json:"replicas"`
	// Internal is for the brokers' own bookkeeping.
	Internal bool `json:"internal,omitempty"`
	// Hidden keeps the topic from readers of streams.
	Hidden bool `json:"hidden,omitempty"`
	// MaxAgeMillis and MaxBytes are how long and how much of a partition is kept;
	// 0 is without bound.
	MaxAgeMillis int64 `json:"max_age_ms,omitempty"`
	MaxBytes     int64 `json:"max_bytes,omitempty"`
	// Compaction is how its partitions are compacted.
	Compaction Compaction `json:"compaction,omitzero"`
}

// Compaction is a topic's compaction, as the log's Compaction describes it.
type Compaction struct {
	On              bool    `json:"on"`
	MinDirty        float64 `json:"min_dirty"`
	MinBytes        int64   `json:"min_bytes"`
	MinWaitMillis   int64   `json:"min_wait_ms"`
	MinLagMillis    int64   `json:"min_lag_ms,omitempty"`
	MaxLagMillis    int64   `json:"max_lag_ms,omitempty"`
	TombstoneMillis int64   `json:"tombstone_ms"`
}

// DataKey is what a key keeps: nothing that is secret.
type DataKey struct {
	// Number is what the log and the keystore call it: from 1, never used twice.
	Number uint32 `json:"number"`
	// Check tells the keystore that it is of from any other.
	Check string `json:"check"`
}

// Shard is one shard of a stream.
type Shard struct {
	Number ids.Shard `json:"number"`
	Range  ids.Range `json:"range"`
	// Parents are none, one (split) or two (merge; the second is the adjacent).
	Parents []ids.Shard `json:"parents,omitempty"`
	// Created is in Unix milliseconds. Its second stands in every sequence
	// number of the shard and never changes.
	Created int64 `json:"created"`
	// Closed is when the shard stopped taking records; 0 while open.
	Closed int64 `json:"closed,omitempty"`
}

// Consumer is what a registered consumer keeps.
type Consumer struct {
	// Stream is the number of the stream that it reads.
	Stream uint64 `json:"stream"`
	// Name is the consumer's own name, the stream's not before it.
	Name string `json:"name"`
}

// Queue is what a queue keeps beside what it has delivered.
type Queue struct {
	// Stream is the number of the stream that it delivers.
	Stream uint64 `json:"stream"`
	// Name is the queue's name, which its account has once in a region.
	Name string `json:"name"`
	// Position is the starting position that was asked for, "" for none, and
	// Timestamp its time in Unix milliseconds.
	Position  string `json:"position,omitempty"`
	Timestamp int64  `json:"timestamp,omitempty"`
	// Starts are where delivery begins in the shards that there were then. In later
	// ones it begins with the first record.
	Starts []QueueStart `json:"starts"`
	// VisibilitySeconds is how long a record received is kept from others.
	VisibilitySeconds int `json:"visibility_seconds"`
	// MaxReceives is how many times a record is received before it becomes a
	// dead-letter record; 0 is without end.
	MaxReceives int `json:"max_receives,omitempty"`
}

// QueueStart is where a queue begins in a shard.
type QueueStart struct {
	Shard  ids.Shard `json:"shard"`
	Offset int64     `json:"offset"`
}

// Open reports whether the shard takes records.
func (s *Shard) Open() bool { return s.Closed == 0 }

// PartitionOf is where a shard's records are.
func (s *Stream) PartitionOf(shard ids.Shard) log.PartitionID {
	return log.PartitionID{Stream: s.Number, Generation: s.Generation, Index: uint32(shard)}
}

// Catalog is the open catalog.
type Catalog struct {
	store *meta.Store
	mu    sync.RWMutex
	state state // guarded by mu; changed by the store only

	memory *limits.Budget // what state.bytes are drawn on; nil is none
	max    int            // of state.bytes
}

// Open takes the catalog of l over and reads it. Errors: see [meta.Open].
func Open(ctx context.Context, l log.Log, c clock.Clock) (*Catalog, error) {
	cat := &Catalog{max: MaxBytes}
	store, err := meta.Open(ctx, meta.Options{Log: l, Partition: Partition, Clock: c, Machine: (*machine)(cat)})
	if err != nil {
		return nil, err
	}
	cat.store = store
	return cat, nil
}

// Bound draws what the resources take, as they are stored, on memory from now on, and
// lets them have an eighth of it at most. It is called before anything else is.
func (c *Catalog) Bound(memory *limits.Budget) {
	if m := memory.Max(); m > 0 {
		c.max = int(min(MaxBytes, m/8))
	}
	c.memory = memory
	c.memory.Take(int64(c.state.bytes))
}

// Get returns the resource of that key, nil if there is none.
func (c *Catalog) Get(k Key) *Resource {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.byKey[k]
}

// Stream returns the stream of that name, nil if there is none. It is Get
// without an allocation for a name that is bytes.
func (c *Catalog) Stream(scope Scope, name []byte) *Resource {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.byKey[Key{Kind: KindStream, Scope: scope, Name: string(name)}]
}

// StreamNumber returns the stream of that number, nil if there is none.
func (c *Catalog) StreamNumber(number uint64) *Resource {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.byNumber[number]
}

// Consumers returns the registered consumers of the stream of that number, sorted
// by name. The list must not be changed.
func (c *Catalog) Consumers(number uint64) []*Resource {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.consumers[number]
}

// Queues returns the queues over the stream of that number, sorted by id. The list
// must not be changed.
func (c *Catalog) Queues(number uint64) []*Resource {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.queues[number]
}

// Channels returns the channels of the stream or topic of that number. The list must
// not be changed.
func (c *Catalog) Channels(number uint64) []*Resource {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.channels[number]
}

// List returns the resources of a kind and scope, sorted by name.
func (c *Catalog) List(kind Kind, scope Scope) []*Resource {
	return c.all(func(r *Resource) bool { return r.Kind == kind && r.Scope == scope })
}

// All returns the resources of a kind in every scope, sorted by account, region,
// cluster and name.
func (c *Catalog) All(kind Kind) []*Resource {
	return c.all(func(r *Resource) bool { return r.Kind == kind })
}

func (c *Catalog) all(want func(*Resource) bool) []*Resource {
	c.mu.RLock()
	var out []*Resource
	for _, r := range c.state.byKey {
		if want(r) {
			out = append(out, r)
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(out, func(a, b *Resource) int { return compareKeys(a.Key, b.Key) })
	return out
}

func compareKeys(a, b Key) int {
	for _, c := range [...]int{
		strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Account, b.Account),
		strings.Compare(a.Region, b.Region), strings.Compare(a.Cluster, b.Cluster),
	} {
		if c != 0 {
			return c
		}
	}
	return strings.Compare(a.Name, b.Name)
}

// Update calls change with a transaction and makes what it asks for durable and
// visible, all or nothing. Updates run one at a time, so what change reads still
// holds. An error of change changes nothing and is returned as it is; so does a
// LimitExceeded when the resources would take more than [MaxBytes], or than their
// part of the memory.
// Other errors: see [meta.Store.Commit].
func (c *Catalog) Update(ctx context.Context, change func(tx *Tx) error) error {
	_, err := c.store.Commit(ctx, func() (meta.Change, error) {
		tx := &Tx{c: c}
		if err := change(tx); err != nil {
			return meta.Change{}, err
		}
		if err := tx.fits(); err != nil {
			return meta.Change{}, err
		}
		return tx.change, nil
	})
	return err
}

// Snapshot writes the catalog anew and drops its history.
func (c *Catalog) Snapshot() error { return c.store.Snapshot() }
