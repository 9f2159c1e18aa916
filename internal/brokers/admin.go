package brokers

import (
	"context"
	"maps"
	"strings"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/streams"
)

// NewTopic is what a topic is made from.
type NewTopic struct {
	Name string
	// Partitions and Replication are -1 for the default.
	Partitions  int32
	Replication int16
	// Assignment gives each partition its replicas, instead of the two above. Only
	// its form matters: all brokers share one log.
	Assignment map[int32][]int32
	Configs    map[string]string
	internal   bool
}

// CheckTopic refuses what CreateTopic would for the sake of n alone, and fills in
// the defaults.
func (c *Cluster) CheckTopic(n *NewTopic) *Error {
	if err := checkName(n.Name); err != nil {
		return err
	}
	if n.Name == "__cluster_metadata" {
		return refuse(InvalidRequest, "Creation of internal topic %s is prohibited.", n.Name)
	}
	if len(n.Assignment) > 0 {
		switch {
		case n.Replication != -1:
			return refuse(InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
		case n.Partitions != -1:
			return refuse(InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
		}
		if err := c.checkAssignment(n); err != nil {
			return err
		}
	}
	if n.Partitions == -1 {
		n.Partitions = int32(c.settingNumber("num.partitions"))
	}
	if n.Replication == -1 {
		n.Replication = int16(c.settingNumber("default.replication.factor"))
	}
	switch {
	case n.Partitions <= 0:
		return refuse(InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	case n.Partitions > maxPartitions:
		return refuse(InvalidPartitions, "A topic can have %d partitions at most.", maxPartitions)
	case n.Replication <= 0:
		return refuse(InvalidReplication, "Replication factor must be larger than 0, or -1 to use the default value.")
	case int32(n.Replication) > c.Brokers():
		return refuse(InvalidReplication, "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached "+
			"because only %d broker(s) are registered or some brokers have all their log directories cordoned.", n.Replication, n.Replication, c.Brokers())
	}
	return checkConfigs(n.Configs)
}

// maxPartitions is the most that one topic can have.
const maxPartitions = 10_000

func (c *Cluster) checkAssignment(n *NewTopic) *Error {
	replicas := -1
	for i := range int32(len(n.Assignment)) {
		list, ok := n.Assignment[i]
		if !ok {
			return refuse(InvalidAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		if replicas >= 0 && len(list) != replicas || len(list) == 0 {
			return refuse(InvalidAssignment, "Inconsistent replication factor in the manual partition assignment.")
		}
		replicas = len(list)
		if err := c.checkReplicas(list); err != nil {
			return err
		}
	}
	n.Partitions, n.Replication = int32(len(n.Assignment)), int16(replicas)
	return nil
}

// checkReplicas refuses replicas of a partition that are no brokers, or one twice.
func (c *Cluster) checkReplicas(list []int32) *Error {
	seen := map[int32]bool{}
	for _, b := range list {
		switch {
		case b < 1 || b > c.Brokers():
			return refuse(InvalidAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", b)
		case seen[b]:
			return refuse(InvalidAssignment, "The manual partition assignment includes the broker %d more than once.", b)
		}
		seen[b] = true
	}
	return nil
}

// CreateTopic makes a topic with its partitions, in one step.
func (c *Cluster) CreateTopic(ctx context.Context, n NewTopic) (*Topic, *Error) {
	if err := c.CheckTopic(&n); err != nil {
		return nil, err
	}
	t := &catalog.Topic{Configs: maps.Clone(n.Configs), Replicas: n.Replication, Internal: n.internal}
	c.applyConfigs(n.Name, t)
	err := c.streams.Create(ctx, streams.NewStream{
		Scope: c.scope, Name: n.Name, Mode: catalog.Provisioned, Shards: int(n.Partitions), Topic: t, MaxRecordKiB: streams.MaxRecordKiB,
	})
	switch {
	case errs.KindOf(err) == errs.Exists && err != nil:
		return nil, refuse(TopicAlreadyExists, "Topic '%s' already exists.", n.Name)
	case err != nil:
		return nil, logError(err)
	}
	return c.Topic(n.Name), nil
}

// DeleteTopic removes a topic and its records.
func (c *Cluster) DeleteTopic(ctx context.Context, t *Topic) *Error {
	switch {
	case t.OwnedByStreams():
		return ownedByStreams(t, "DeleteStream")
	case t.Internal():
		return refuse(InvalidTopic, "Cannot delete the internal topic %s.", t.Name())
	case !c.deletesTopics():
		return refuse(TopicDeletionDisabled, "Topic deletion is disabled.")
	}
	if err := c.adminError(c.streams.DeleteTopic(ctx, c.scope, t.Name())); err != nil {
		return err
	}
	c.groups.forgetTopic(ctx, t.Name())
	return c.shares.forget(ctx, func(k shareKey) bool { return k.topic == t.ID() })
}

// Growth is what a topic is to grow to.
type Growth struct {
	Partitions int32
	Assignment [][]int32 // of the new partitions; nil leaves it to the cluster
	CheckOnly  bool
}

// GrowTopic gives a topic more partitions.
func (c *Cluster) GrowTopic(ctx context.Context, t *Topic, g Growth) *Error {
	n, have := g.Partitions, t.Partitions()
	switch {
	case t.OwnedByStreams():
		return ownedByStreams(t, "UpdateShardCount or SplitShard")
	case t.Internal():
		return refuse(InvalidTopic, "Cannot change the number of partitions of the internal topic %s.", t.Name())
	case n < have:
		return refuse(InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", t.Name(), have, n)
	case n == have:
		return refuse(InvalidPartitions, "Topic already has %d partition(s).", have)
	case n > maxPartitions:
		return refuse(InvalidPartitions, "A topic can have %d partitions at most.", maxPartitions)
	case g.Assignment != nil && len(g.Assignment) != int(n-have):
		return refuse(InvalidAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", n-have, len(g.Assignment))
	}
	for _, replicas := range g.Assignment {
		if err := c.checkReplicas(replicas); err != nil {
			return err
		}
	}
	if g.CheckOnly {
		return nil
	}
	return c.adminError(c.streams.GrowTopic(ctx, c.scope, t.Name(), int(n)))
}

// ConfigOp is what is done to a configuration entry.
type ConfigOp int8

// The operations of IncrementalAlterConfigs.
const (
	SetConfig ConfigOp = iota
	DeleteConfig
	AppendConfig
	SubtractConfig
)

// ConfigChange is one change of an entry.
type ConfigChange struct {
	Name, Value string
	Op          ConfigOp
}

// ChangeConfigs changes a topic's entries; replace drops all that it does not
// name.
func (c *Cluster) ChangeConfigs(ctx context.Context, t *Topic, changes []ConfigChange, replace, checkOnly bool) *Error {
	if t.OwnedByStreams() {
		return ownedByStreams(t, "IncreaseStreamRetentionPeriod and its like")
	}
	edit := func(topic *catalog.Topic) error {
		next := maps.Clone(topic.Configs)
		if next == nil || replace {
			next = map[string]string{}
		}
		for _, ch := range changes {
			k := configKey(ch.Name)
			if k == nil {
				return refuse(InvalidConfig, "Unknown topic config name: %s", ch.Name)
			}
			if err := changeConfig(next, k, ch); err != nil {
				return err
			}
		}
		if err := checkConfigs(next); err != nil {
			return err
		}
		topic.Configs = next
		c.applyConfigs(t.Name(), topic)
		return nil
	}
	if checkOnly {
		scratch := *t.res.Clone().Stream.Topic
		if err := edit(&scratch); err != nil {
			return c.adminError(err)
		}
		return nil
	}
	return c.adminError(c.streams.ChangeTopic(ctx, c.scope, t.Name(), edit))
}

// changeConfig makes one change of the entry k.
func changeConfig(configs map[string]string, k *ConfigKey, ch ConfigChange) error {
	switch ch.Op {
	case SetConfig:
		configs[ch.Name] = ch.Value
		return nil
	case DeleteConfig:
		delete(configs, ch.Name)
		return nil
	case AppendConfig, SubtractConfig:
	default:
		return refuse(InvalidRequest, "Unknown operation %d on configuration %s", ch.Op, ch.Name)
	}
	if k.Type != ListType {
		return refuse(InvalidConfig, "Can't %s to key %s because its type is not LIST.", map[ConfigOp]string{AppendConfig: "APPEND", SubtractConfig: "SUBTRACT"}[ch.Op], ch.Name)
	}
	have, ok := configs[ch.Name]
	if !ok {
		have = k.Default
	}
	list := splitList(have)
	for _, v := range splitList(ch.Value) {
		kept := list[:0:0]
		for _, h := range list {
			if h != v {
				kept = append(kept, h)
			}
		}
		list = kept
		if ch.Op == AppendConfig {
			list = append(list, v)
		}
	}
	configs[ch.Name] = strings.Join(list, ",")
	return nil
}

func (c *Cluster) adminError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok {
		return e
	}
	return logError(err)
}

func ownedByStreams(t *Topic, call string) *Error {
	return refuse(PolicyViolation, "Topic %s is a Kinesis data stream. Use %s of the Kinesis API.", t.Name(), call)
}
