package brokers

import (
	"thalweg/internal/catalog"
	"thalweg/internal/ids"
	"thalweg/internal/log"
)

// Topic is a topic as one version of its resource describes it.
type Topic struct {
	res      *catalog.Resource
	id       TopicID
	configs  map[string]string // its own entries
	settings *settings         // that give the others
	limits   produceLimits
}

// produceLimits are the configuration entries that every batch is held against.
type produceLimits struct {
	maxBytes int
	logTime  bool // message.timestamp.type is LogAppendTime
	keyed    bool // cleanup.policy has compact
	before   int64
	after    int64
}

func newTopic(r *catalog.Resource, set *settings) *Topic {
	t := &Topic{res: r, id: topicID(r), settings: set}
	if r.Stream.Topic != nil {
		t.configs = r.Stream.Topic.Configs
	} else {
		t.configs = streamConfigs(r.Stream)
	}
	t.limits = produceLimits{
		maxBytes: int(t.number("max.message.bytes")),
		logTime:  t.Config("message.timestamp.type") == "LogAppendTime",
		keyed:    compacts(t.Config("cleanup.policy")),
		before:   t.number("message.timestamp.before.max.ms"),
		after:    t.number("message.timestamp.after.max.ms"),
	}
	return t
}

// Name is the topic's name.
func (t *Topic) Name() string { return t.res.Name }

// ID is the topic's id.
func (t *Topic) ID() TopicID { return t.id }

// Stream is the number of the stream that the topic is.
func (t *Topic) Stream() uint64 { return t.res.Stream.Number }

// Internal tells a topic of the brokers' own.
func (t *Topic) Internal() bool { return t.res.Stream.Topic != nil && t.res.Stream.Topic.Internal }

// OwnedByStreams tells a topic that was made as a Kinesis stream.
func (t *Topic) OwnedByStreams() bool { return t.res.Stream.Topic == nil }

func (t *Topic) replicas() int16 {
	if t.res.Stream.Topic == nil {
		return 1
	}
	return max(t.res.Stream.Topic.Replicas, 1)
}

// Replicas is the replication factor.
func (t *Topic) Replicas() int16 { return t.replicas() }

// Partitions is the number of partitions that ever were: the index of the last
// and one.
func (t *Topic) Partitions() int32 {
	shards := t.res.Stream.Shards
	if len(shards) == 0 {
		return 0
	}
	return int32(shards[len(shards)-1].Number) + 1
}

// Partition is where partition i is in the log. There is none beyond the number
// of partitions, nor where a closed shard's records have all expired.
func (t *Topic) Partition(i int32) (p log.PartitionID, ok bool) {
	sh := t.shard(i)
	if sh == nil {
		return p, false
	}
	return t.res.Stream.PartitionOf(sh.Number), true
}

// Open tells whether partition i takes records.
func (t *Topic) Open(i int32) bool {
	sh := t.shard(i)
	return sh != nil && sh.Open()
}

func (t *Topic) shard(i int32) *catalog.Shard {
	shards := t.res.Stream.Shards
	if i >= 0 && int(i) < len(shards) && shards[i].Number == ids.Shard(i) {
		return &shards[i] // nothing has expired before it
	}
	for k := range shards {
		if shards[k].Number == ids.Shard(i) {
			return &shards[k]
		}
	}
	return nil
}

// checkName refuses what Kafka does (Topic.validate of its clients).
func checkName(name string) *Error {
	switch {
	case name == "":
		return refuse(InvalidTopic, "Topic name is invalid: the empty string is not allowed")
	case name == "." || name == "..":
		return refuse(InvalidTopic, "Topic name is invalid: '%s' is not allowed", name)
	case len(name) > maxNameLen:
		return refuse(InvalidTopic, "Topic name is invalid: the length of '%s' is longer than the max allowed length %d", name, maxNameLen)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return refuse(InvalidTopic, "Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
		}
	}
	return nil
}

const (
	maxNameLen = 249
	// maxStreamName is the longest name that a stream can have.
	maxStreamName = 128
)
