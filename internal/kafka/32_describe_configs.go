package kafka

import (
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeConfigs
//
// Tells the configuration of topics, groups and brokers: every entry, or those named, with
// its value, where it comes from, and on request its synonyms and description.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST for
// another kind of resource or a broker that there is not.
//
// Status: partial: topics, groups and brokers only

// Sources of a value.
const (
	sourceTopic   = kmsg.ConfigSourceDynamicTopicConfig
	sourceDefault = kmsg.ConfigSourceDefaultConfig
	sourceBroker  = kmsg.ConfigSourceStaticBrokerConfig
)

// configEntry is an entry as clients are shown it.
type configEntry struct {
	Name   string
	Value  *string
	Source kmsg.ConfigSource
	// given is what the brokers are set to, if they are.
	given  *string
	key    brokers.ConfigKey
	broker bool
}

func (d *Door) describeConfigs(_ *request, in *kmsg.DescribeConfigsRequest) (*kmsg.DescribeConfigsResponse, error) {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for i := range in.Resources {
		res := &in.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = res.ResourceType, res.ResourceName
		entries, err := d.configsOf(res)
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		if none := ""; err == nil || err.Code == brokers.UnknownTopic {
			out.ErrorMessage = &none // as Apache Kafka does
		}
		for _, e := range entries {
			out.Configs = append(out.Configs, e.wire(in.IncludeSynonyms, in.IncludeDocumentation))
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp, nil
}

func (d *Door) configsOf(res *kmsg.DescribeConfigsRequestResource) ([]configEntry, *brokers.Error) {
	switch res.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		t, err := d.topicOrError(res.ResourceName)
		if err != nil {
			return nil, err
		}
		return topicConfigs(t, res.ConfigNames), nil
	case kmsg.ConfigResourceTypeGroupConfig:
		if res.ResourceName == "" {
			return nil, refuse(brokers.InvalidRequest, "Group name must not be empty")
		}
		return d.groupConfigs(res.ResourceName, res.ConfigNames), nil
	case kmsg.ConfigResourceTypeBroker:
		if res.ResourceName == "" {
			return nil, nil // no defaults for all brokers are set
		}
		id, err := strconv.Atoi(res.ResourceName)
		switch {
		case err != nil:
			return nil, refuse(brokers.InvalidRequest, "Broker id must be an integer, but it is: "+res.ResourceName)
		case id < 1 || int32(id) > d.cluster.Brokers():
			return nil, refuse(brokers.InvalidRequest, "Unexpected broker id, expected one of 1 to "+
				strconv.Itoa(int(d.cluster.Brokers()))+", but received "+res.ResourceName)
		}
		return d.brokerConfigs(res.ConfigNames), nil
	}
	return nil, refuse(brokers.InvalidRequest, "Only topics, groups and brokers have a configuration here.")
}

// groupConfigs are a group's entries, those named or, without names, all.
func (d *Door) groupConfigs(group string, names []string) []configEntry {
	var out []configEntry
	for _, k := range brokers.GroupConfigs() {
		if len(names) > 0 && !slices.Contains(names, k.Name) {
			continue
		}
		e := configEntry{Name: k.Name, Source: kmsg.ConfigSourceGroupConfig, key: k}
		value, own := d.cluster.GroupConfig(group, k.Name)
		given, set := d.cluster.Setting(k.Broker)
		if set {
			e.given = &given
		}
		switch {
		case own:
		case set:
			e.Source = sourceBroker
		default:
			e.Source = sourceDefault
		}
		e.Value = &value
		out = append(out, e)
	}
	return out
}

// topicOrError finds a topic by name, and refuses a name that can be none.
func (d *Door) topicOrError(name string) (*brokers.Topic, *brokers.Error) {
	if t := d.cluster.Topic(name); t != nil {
		return t, nil
	}
	n := brokers.NewTopic{Name: name, Partitions: -1, Replication: -1}
	if err := d.cluster.CheckTopic(&n); err != nil {
		return nil, err
	}
	return nil, unknownTopic()
}

// topicConfigs are a topic's entries, those named or, without names, all.
func topicConfigs(t *brokers.Topic, names []string) []configEntry {
	var out []configEntry
	for _, k := range brokers.TopicConfigs() {
		if len(names) > 0 && !slices.Contains(names, k.Name) {
			continue
		}
		value, own := t.OwnConfig(k.Name)
		e := configEntry{Name: k.Name, Source: sourceTopic, key: k}
		if given := t.Default(k.Name); given != k.Default {
			e.given = &given
		}
		if !own {
			value, e.Source = t.Config(k.Name), sourceDefault
			if e.given != nil {
				e.Source = sourceBroker
			}
		}
		e.Value = &value
		out = append(out, e)
	}
	return out
}

// brokerConfigs are the entries of a broker: what topics take their defaults
// from, and what it does by itself.
func (d *Door) brokerConfigs(names []string) []configEntry {
	keys := brokers.BrokerConfigs()
	for _, k := range brokers.TopicConfigs() {
		k.Name = k.Broker
		keys = append(keys, k)
	}
	for name := range d.cluster.Settings() {
		if !slices.ContainsFunc(keys, func(k brokers.ConfigKey) bool { return k.Name == name }) {
			keys = append(keys, brokers.ConfigKey{Name: name, Type: brokers.StringType, Doc: "Kept."})
		}
	}
	slices.SortFunc(keys, func(a, b brokers.ConfigKey) int { return strings.Compare(a.Name, b.Name) })
	var out []configEntry
	for _, k := range keys {
		if len(names) > 0 && !slices.Contains(names, k.Name) {
			continue
		}
		value, given := d.cluster.Setting(k.Name)
		e := configEntry{Name: k.Name, Value: &value, Source: sourceDefault, key: k, broker: true}
		if k.Broker = k.Name; given {
			e.Source, e.given = sourceBroker, &value
		}
		e.key = k
		out = append(out, e)
	}
	return out
}

func (e *configEntry) wire(synonyms, doc bool) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.NewDescribeConfigsResponseResourceConfig()
	out.Name, out.Value, out.Source, out.ConfigType = e.Name, e.Value, e.Source, kmsg.ConfigType(e.key.Type)
	out.IsDefault, out.ReadOnly = e.Source == sourceDefault, e.broker
	if doc && e.key.Doc != "" {
		out.Documentation = &e.key.Doc
	}
	if !synonyms {
		return out
	}
	if e.Source == sourceTopic || e.Source == kmsg.ConfigSourceGroupConfig {
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Value, s.Source = e.Name, e.Value, e.Source
		out.ConfigSynonyms = append(out.ConfigSynonyms, s)
	}
	if e.given != nil {
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Value, s.Source = e.key.Broker, e.given, sourceBroker
		out.ConfigSynonyms = append(out.ConfigSynonyms, s)
	}
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = e.key.Broker, &e.key.Default, sourceDefault
	out.ConfigSynonyms = append(out.ConfigSynonyms, s)
	return out
}
