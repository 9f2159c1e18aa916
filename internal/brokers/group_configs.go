package brokers

import (
	"context"
	"maps"
	"slices"
	"strconv"

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
	value, _ = c.Setting("group." + name)
	return value, false
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

// consumerSettings are what a group of the consumer protocol is told.
func (c *Cluster) consumerSettings(group string) ConsumerSettings {
	number := func(name string) int64 {
		v, _ := c.GroupConfig(group, name)
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return ConsumerSettings{Session: number("consumer.session.timeout.ms"), Heartbeat: number("consumer.heartbeat.interval.ms")}
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
			i := slices.IndexFunc(groupConfigs, func(k ConfigKey) bool { return k.Name == ch.Name })
			if i < 0 {
				return nil, refuse(InvalidConfig, "Unknown group config name: %s", ch.Name)
			}
			if err := changeConfig(next, &groupConfigs[i], ch); err != nil {
				return nil, err
			}
			if v, ok := next[ch.Name]; ok {
				if err := groupConfigs[i].check(v); err != nil {
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
