package brokers

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/catalog"
)

// brokerKeys are the entries that brokers have by themselves, beside the defaults
// of topics, by name. Names, defaults and bounds: Apache Kafka 4.x,
// kafka.apache.org/documentation/#brokerconfigs.
var brokerKeys = []ConfigKey{
	{Name: "auto.create.topics.enable", Type: BoolType, Default: "true", Doc: "Topics are made when they are first named."},
	{Name: "default.replication.factor", Type: IntType, Default: "1", min: 1, max: maxReplication, Doc: "Replicas of new topics."},
	{Name: "delete.topic.enable", Type: BoolType, Default: "true", Doc: "Topics can be deleted."},
	{Name: "group.consumer.heartbeat.interval.ms", Type: IntType, Default: "5000", min: 1000, max: 15_000, Doc: "The default of consumer.heartbeat.interval.ms of groups."},
	{Name: "group.consumer.session.timeout.ms", Type: IntType, Default: "45000", min: 6_000, max: 60_000, Doc: "The default of consumer.session.timeout.ms of groups."},
	{Name: "group.max.session.timeout.ms", Type: IntType, Default: "1800000", min: 1, max: maxInt, Doc: "The longest session of a group's member."},
	{Name: "group.min.session.timeout.ms", Type: IntType, Default: "6000", min: 1, max: maxInt, Doc: "The shortest session of a group's member."},
	{Name: "group.share.delivery.count.limit", Type: IntType, Default: "5", min: 2, max: 10, Doc: "The default of share.delivery.count.limit of groups."},
	{Name: "group.share.heartbeat.interval.ms", Type: IntType, Default: "5000", min: 1000, max: 15_000, Doc: "The default of share.heartbeat.interval.ms of groups."},
	{Name: "group.share.partition.max.record.locks", Type: IntType, Default: "2000", min: 100, max: 4000, Doc: "The default of share.partition.max.record.locks of groups."},
	{Name: "group.share.record.lock.duration.ms", Type: IntType, Default: "30000", min: 1000, max: 60_000, Doc: "The default of share.record.lock.duration.ms of groups."},
	{Name: "group.share.session.timeout.ms", Type: IntType, Default: "45000", min: 6_000, max: 60_000, Doc: "The default of share.session.timeout.ms of groups."},
	{Name: fetchSessionSlots, Type: IntType, Default: "1000", min: 0, max: maxInt, Doc: "Fetch sessions that are kept, 10,000 at most."},
	{Name: "num.partitions", Type: IntType, Default: "1", min: 1, max: maxPartitions, Doc: "Partitions of new topics."},
	{Name: "offsets.retention.minutes", Type: IntType, Default: "10080", min: 1, max: maxInt, Doc: "How long a group without members keeps its offsets."},
	{Name: "transaction.max.timeout.ms", Type: IntType, Default: "900000", min: 1, max: maxInt, Doc: "How long a transaction may stay open."},
	{Name: "transactional.id.expiration.ms", Type: IntType, Default: "604800000", min: 1, max: maxInt, Doc: "How long a transactional id is known after its last use."},
}

// maxReplication is the largest replication factor that can be written down.
const maxReplication = 1<<15 - 1

// keptSettings are entries of brokers that are taken and shown, and change nothing
// here: they are about threads, sockets, replicas and files.
var keptSettings = []string{
	"connections.max.idle.ms", "group.initial.rebalance.delay.ms", "leader.imbalance.per.broker.percentage", "log.cleaner.threads",
	"num.io.threads", "num.network.threads", "num.recovery.threads.per.data.dir",
	"num.replica.fetchers", "offsets.topic.replication.factor", "replica.fetch.max.bytes", "replica.fetch.response.max.bytes",
	"replica.lag.time.max.ms", "replica.selector.class", "replica.socket.receive.buffer.bytes", "socket.receive.buffer.bytes",
	"socket.request.max.bytes", "socket.send.buffer.bytes", "transaction.state.log.min.isr", "transaction.state.log.replication.factor",
	"zookeeper.connection.timeout.ms", "zookeeper.session.timeout.ms",
}

// BrokerConfigs are the entries that brokers have by themselves, by name.
func BrokerConfigs() []ConfigKey { return slices.Clone(brokerKeys) }

// settings are what a cluster's brokers are set to.
type settings struct {
	own    map[string]string // as they were given
	topics map[string]string // defaults of topics, by the topic's name of the entry
}

// retentionUnits are the other names of log.retention.ms, by precedence, and what
// one is in milliseconds.
var retentionUnits = []struct {
	name string
	ms   int64
}{{"log.retention.ms", 1}, {"log.retention.minutes", 60_000}, {"log.retention.hours", 3600_000}}

// CheckSettings refuses entries of brokers that are not known, or have values that
// they cannot have.
func CheckSettings(list map[string]string) *Error {
	_, err := newSettings(list)
	return err
}

func newSettings(list map[string]string) (*settings, *Error) {
	s := &settings{own: maps.Clone(list), topics: map[string]string{}}
	for _, name := range sortedKeys(list) {
		value := list[name]
		if i := slices.IndexFunc(retentionUnits, func(u struct {
			name string
			ms   int64
		}) bool {
			return u.name == name
		}); i >= 0 {
			if _, err := strconv.ParseInt(value, 10, 64); err != nil {
				return nil, refuse(InvalidConfig, "Invalid value %s for configuration %s: Not a number of type LONG", value, name)
			}
			continue
		}
		if slices.Contains(keptSettings, name) {
			continue
		}
		k := brokerKey(name)
		if k == nil {
			return nil, refuse(InvalidConfig, "Unknown broker config name: %s", name)
		}
		if err := k.check(value); err != nil {
			err.Msg = strings.Replace(err.Msg, " "+k.Name+":", " "+name+":", 1)
			return nil, err
		}
		if k.Broker != "" {
			s.topics[k.Name] = value
		}
	}
	for _, u := range retentionUnits {
		n, err := strconv.ParseInt(list[u.name], 10, 64)
		if err != nil {
			continue
		}
		if n = max(n, -1); n > 0 {
			n = min(n, maxLong/u.ms) * u.ms
		}
		s.topics["retention.ms"] = strconv.FormatInt(n, 10)
		break
	}
	return s, nil
}

// brokerKey is the entry of a broker: its own, or the default of a topic's.
func brokerKey(name string) *ConfigKey {
	for _, list := range [][]ConfigKey{brokerKeys, topicConfigs} {
		for i := range list {
			if k := &list[i]; k.Broker == name || k.Broker == "" && k.Name == name {
				return k
			}
		}
	}
	return nil
}

// Configure sets the cluster's brokers, and whatever their topics take from them.
// Entries that are not named have their defaults. Errors: INVALID_CONFIG, after
// which nothing has changed; those of the log.
func (c *Cluster) Configure(ctx context.Context, list map[string]string) *Error {
	s, err := newSettings(list)
	if err != nil {
		return err
	}
	c.settings.Store(s)
	for _, t := range c.Topics() {
		if t.OwnedByStreams() || t.Internal() {
			continue
		}
		scratch := *t.res.Clone().Stream.Topic
		now := t.res.Stream.Topic
		if c.applyConfigs(t.Name(), &scratch); scratch.MaxAgeMillis == now.MaxAgeMillis && scratch.MaxBytes == now.MaxBytes && scratch.Compaction == now.Compaction {
			continue
		}
		err := c.streams.ChangeTopic(ctx, c.scope, t.Name(), func(topic *catalog.Topic) error {
			c.applyConfigs(t.Name(), topic)
			return nil
		})
		if err := c.adminError(err); err != nil && err.Code != UnknownTopic {
			return err
		}
	}
	return nil
}

// Setting is the value of a broker's own entry, and whether it was given.
func (c *Cluster) Setting(name string) (value string, own bool) {
	if v, ok := c.settings.Load().own[name]; ok {
		return v, true
	}
	if k := brokerKey(name); k != nil {
		return k.Default, false
	}
	return "", false
}

// Settings are the entries that were given.
func (c *Cluster) Settings() map[string]string { return maps.Clone(c.settings.Load().own) }

// settingNumber is the value of a broker's entry that is a number.
func (c *Cluster) settingNumber(name string) int64 {
	v, _ := c.Setting(name)
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// fetchSessionSlots is the entry of FetchSessions.
const fetchSessionSlots = "max.incremental.fetch.session.cache.slots"

// maxFetchSessions bounds a number that each new session beyond it looks through.
const maxFetchSessions = 10_000

// FetchSessions is how many fetch sessions are kept.
func (c *Cluster) FetchSessions() int {
	return int(min(c.settingNumber(fetchSessionSlots), maxFetchSessions))
}

// CreatesTopics tells whether clients may have topics made by naming them.
func (c *Cluster) CreatesTopics() bool {
	v, _ := c.Setting("auto.create.topics.enable")
	return strings.EqualFold(v, "true")
}

func (c *Cluster) deletesTopics() bool {
	v, _ := c.Setting("delete.topic.enable")
	return strings.EqualFold(v, "true")
}

// topicDefault is the value of a topic's entry that the topic says nothing of.
func (s *settings) topicDefault(name string) string {
	if v, ok := s.topics[name]; ok {
		return v
	}
	if k := configKey(name); k != nil {
		return k.Default
	}
	return ""
}
