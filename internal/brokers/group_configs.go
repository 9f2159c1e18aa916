package brokers

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
)

// groupConfigs are the entries that a group can have, by name. What it says nothing
// of it takes from its brokers. Names and defaults: Apache Kafka 4.x,
// kafka.apache.org/documentation/#groupconfigs.
var groupConfigs = []ConfigKey{
	{Name: "consumer.heartbeat.interval.ms", Type: IntType, Default: "5000", Broker: "group.consumer.heartbeat.interval.ms", min: 1000, max: 15_000,
		Doc: "What members of the consumer protocol are told to wait between heartbeats."},
	{Name: "consumer.session.timeout.ms", Type: IntType, Default: "45000", Broker: "group.consumer.session.timeout.ms", min: 6_000, max: 60_000,
		Doc: "How long a member of the consumer protocol may be silent."},
	{Name: "share.auto.offset.reset", Type: StringType, Default: "latest", words: []string{"earliest", "latest"}, ages: true,
		Doc: "Where a share group begins to read a partition."},
	{Name: "share.delivery.count.limit", Type: IntType, Default: "5", Broker: "group.share.delivery.count.limit", min: 2, max: 10,
		Doc: "How often a record is delivered to a share group."},
	{Name: "share.heartbeat.interval.ms", Type: IntType, Default: "5000", Broker: "group.share.heartbeat.interval.ms", min: 1000, max: 15_000,
		Doc: "What members of a share group are told to wait between heartbeats."},
	{Name: "share.isolation.level", Type: StringType, Default: "read_uncommitted", words: []string{"read_committed", "read_uncommitted"},
		Doc: "Whether a share group gets only what was committed."},
	{Name: "share.partition.max.record.locks", Type: IntType, Default: "2000", Broker: "group.share.partition.max.record.locks", min: 100, max: 4000,
		Doc: "How many records of a partition may be under way in a share group."},
	{Name: "share.record.lock.duration.ms", Type: IntType, Default: "30000", Broker: "group.share.record.lock.duration.ms", min: 1000, max: 60_000,
		Doc: "How long a member of a share group may have a record."},
	{Name: "share.renew.acknowledge.enable", Type: BoolType, Default: "true", Doc: "Whether members of a share group may ask for more time."},
	{Name: "share.session.timeout.ms", Type: IntType, Default: "45000", Broker: "group.share.session.timeout.ms", min: 6_000, max: 60_000,
		Doc: "How long a member of a share group may be silent."},
}

// GroupConfigs are the entries that a group can have, by name.
func GroupConfigs() []ConfigKey { return slices.Clone(groupConfigs) }

// GroupConfig is the value of a group's entry, and whether it is its own.
func (c *Cluster) GroupConfig(group, name string) (value string, own bool) {
	if r := c.catalog.Get(c.groupKey(group)); r != nil {
		if v, ok := r.Group[name]; ok {
			return v, true
		}
	}
	switch k := groupConfig(name); {
	case k == nil:
	case k.Broker == "":
		value = k.Default
	default:
		value, _ = c.Setting(k.Broker)
	}
	return value, false
}

// groupConfig is the entry of that name, nil if there is none.
func groupConfig(name string) *ConfigKey {
	i, ok := slices.BinarySearchFunc(groupConfigs, name, func(k ConfigKey, name string) int { return strings.Compare(k.Name, name) })
	if !ok {
		return nil
	}
	return &groupConfigs[i]
}

// maxConfiguredGroups bounds what outlives the groups that it is about.
const maxConfiguredGroups = 1000

// ConfiguredGroups are the groups with entries of their own, by name.
func (c *Cluster) ConfiguredGroups() (names []string) {
	for _, r := range c.catalog.All(catalog.KindGroup) {
		if r.Scope == c.scope && len(r.Group) > 0 {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (c *Cluster) groupKey(group string) catalog.Key {
	return catalog.Key{Kind: catalog.KindGroup, Scope: c.scope, Name: group}
}

// groupNumber is the value of a group's entry that is a number.
func (c *Cluster) groupNumber(group, name string) int64 {
	v, _ := c.GroupConfig(group, name)
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// consumerSettings are what a group of that protocol, consumer or share, is told.
func (c *Cluster) consumerSettings(group, protocol string) ConsumerSettings {
	return ConsumerSettings{Session: c.groupNumber(group, protocol+".session.timeout.ms"), Heartbeat: c.groupNumber(group, protocol+".heartbeat.interval.ms")}
}

// shareSettings are how a share group reads.
func (c *Cluster) shareSettings(group string) ShareSettings {
	text := func(name string) string {
		v, _ := c.GroupConfig(group, name)
		return v
	}
	return ShareSettings{Lock: c.groupNumber(group, "share.record.lock.duration.ms"), Deliveries: int16(c.groupNumber(group, "share.delivery.count.limit")),
		Window: c.groupNumber(group, "share.partition.max.record.locks"), Committed: text("share.isolation.level") == "read_committed",
		Renew: strings.EqualFold(text("share.renew.acknowledge.enable"), "true"), Reset: text("share.auto.offset.reset")}
}

// byDuration begins a value that is an age in ISO 8601, without years and months.
const byDuration = "by_duration:"

// isoDuration is such an age: days, hours, minutes and seconds.
var isoDuration = regexp.MustCompile(`^P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,9}))?S)?)?$`)

// isoMillis reads a duration in milliseconds.
func isoMillis(s string) (ms int64, ok bool) {
	m := isoDuration.FindStringSubmatch(strings.ToUpper(s))
	if m == nil || strings.HasSuffix(m[0], "P") || strings.HasSuffix(m[0], "T") {
		return 0, false
	}
	for i, unit := range []int64{86_400_000, 3_600_000, 60_000, 1000} {
		n, _ := strconv.ParseInt("0"+m[i+1], 10, 64) // it has nine digits at most
		ms += n * unit
	}
	n, _ := strconv.ParseInt((m[5] + "000")[:3], 10, 64)
	return ms + n, true
}

// ChangeGroupConfigs changes a group's entries, of which those that are not named
// go if replace is set. The group need not be there, and its entries outlive it.
// Members are told at their next heartbeat.
func (c *Cluster) ChangeGroupConfigs(ctx context.Context, group string, changes []ConfigChange, replace, checkOnly bool) *Error {
	switch {
	case group == "":
		return refuse(InvalidRequest, "Default group resources are not allowed.")
	case len(group) > maxACLText:
		return refuse(InvalidRequest, "The name of a group with a configuration has %d bytes at most.", maxACLText)
	}
	edit := func(have map[string]string) (map[string]string, error) {
		next := maps.Clone(have)
		if next == nil || replace {
			next = map[string]string{}
		}
		for _, ch := range changes {
			k := groupConfig(ch.Name)
			if k == nil {
				return nil, refuse(InvalidConfig, "Unknown group config name: %s", ch.Name)
			}
			if err := changeConfig(next, k, ch); err != nil {
				return nil, err
			}
			if v, ok := next[ch.Name]; ok {
				if err := k.check(v); err != nil {
					return nil, err
				}
			}
		}
		return next, nil
	}
	if checkOnly {
		var have map[string]string
		if r := c.catalog.Get(c.groupKey(group)); r != nil {
			have = r.Group
		}
		_, err := edit(have)
		return c.adminError(err)
	}
	return c.adminError(c.catalog.Update(ctx, func(tx *catalog.Tx) error {
		now := clock.Millis(c.clock)
		r := tx.Get(c.groupKey(group))
		if r == nil {
			r = &catalog.Resource{Key: c.groupKey(group), Created: now, State: catalog.Active}
		}
		r = r.Clone()
		next, err := edit(r.Group)
		if err != nil {
			return err
		}
		if r.Group = next; len(next) == 0 {
			if r.Version > 0 {
				tx.Delete(r.Key, 0, now/1000)
			}
			return nil
		}
		if r.Version == 0 && len(tx.List(catalog.KindGroup, c.scope)) >= maxConfiguredGroups {
			return refuse(PolicyViolation, "A cluster can have configurations of %d groups at most.", maxConfiguredGroups)
		}
		tx.Put(r)
		return nil
	}))
}
