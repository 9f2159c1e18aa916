package brokers

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/catalog"
)

// ConfigType is a configuration entry's type, as DescribeConfigs names it.
type ConfigType int8

// The types that topics' entries have.
const (
	BoolType   ConfigType = 1
	StringType ConfigType = 2
	IntType    ConfigType = 3
	LongType   ConfigType = 5
	DoubleType ConfigType = 6
	ListType   ConfigType = 7
)

// ConfigKey describes a topic's configuration entry.
type ConfigKey struct {
	Name    string
	Type    ConfigType
	Default string
	// Broker is the name of the broker's entry that gives the default; "" is none.
	Broker string
	Doc    string
	min    float64
	max    float64
	words  []string
	ages   bool // by_duration with an age is another of the words
}

const (
	maxInt  = math.MaxInt32
	maxLong = math.MaxInt64
)

// topicConfigs are the entries that a topic can have, by name. Names, defaults
// and bounds: Apache Kafka 4.x, kafka.apache.org/documentation/#topicconfigs.
// What says "kept" has no effect on this log beyond being kept and shown.
var topicConfigs = []ConfigKey{
	{Name: "cleanup.policy", Type: ListType, Default: "delete", Broker: "log.cleanup.policy", words: []string{"compact", "delete"},
		Doc: "delete: records are removed past retention. compact: of every key the last record is kept."},
	{Name: "compression.gzip.level", Type: IntType, Default: "-1", Broker: "compression.gzip.level", min: -1, max: 9, Doc: "Kept."},
	{Name: "compression.lz4.level", Type: IntType, Default: "9", Broker: "compression.lz4.level", min: 1, max: 17, Doc: "Kept."},
	{Name: "compression.type", Type: StringType, Default: "producer", Broker: "compression.type", words: []string{"producer"},
		Doc: "Batches stay as the producer made them."},
	{Name: "compression.zstd.level", Type: IntType, Default: "3", Broker: "compression.zstd.level", min: -131072, max: 22, Doc: "Kept."},
	{Name: "delete.retention.ms", Type: LongType, Default: "86400000", Broker: "log.cleaner.delete.retention.ms", max: maxLong,
		Doc: "How long tombstones, and the markers of transactions, stay from the first compaction that meets them."},
	{Name: "file.delete.delay.ms", Type: LongType, Default: "60000", Broker: "log.segment.delete.delay.ms", max: maxLong, Doc: "Kept."},
	{Name: "flush.messages", Type: LongType, Default: "9223372036854775807", Broker: "log.flush.interval.messages", min: 1, max: maxLong, Doc: "Kept: --durability decides."},
	{Name: "flush.ms", Type: LongType, Default: "9223372036854775807", Broker: "log.flush.interval.ms", max: maxLong, Doc: "Kept: --durability decides."},
	{Name: "index.interval.bytes", Type: IntType, Default: "4096", Broker: "log.index.interval.bytes", max: maxInt, Doc: "Kept."},
	{Name: "max.compaction.lag.ms", Type: LongType, Default: "9223372036854775807", Broker: "log.cleaner.max.compaction.lag.ms", min: 1, max: maxLong,
		Doc: "How long after its arrival a record is compacted in any case."},
	{Name: "max.message.bytes", Type: IntType, Default: "1048588", Broker: "message.max.bytes", max: maxInt,
		Doc: "The largest record batch, as it comes."},
	{Name: "message.timestamp.after.max.ms", Type: LongType, Default: "3600000", Broker: "log.message.timestamp.after.max.ms", max: maxLong,
		Doc: "How far a record's time may be ahead of the server's."},
	{Name: "message.timestamp.before.max.ms", Type: LongType, Default: "9223372036854775807", Broker: "log.message.timestamp.before.max.ms", max: maxLong,
		Doc: "How far a record's time may be behind the server's."},
	{Name: "message.timestamp.type", Type: StringType, Default: "CreateTime", Broker: "log.message.timestamp.type", words: []string{"CreateTime", "LogAppendTime"},
		Doc: "Whose time a record bears."},
	{Name: "min.cleanable.dirty.ratio", Type: DoubleType, Default: "0.5", Broker: "log.cleaner.min.cleanable.ratio", max: 1,
		Doc: "How large a part of a partition is new before it is compacted again."},
	{Name: "min.compaction.lag.ms", Type: LongType, Default: "0", Broker: "log.cleaner.min.compaction.lag.ms", max: maxLong,
		Doc: "How long after its arrival a record is not compacted."},
	{Name: "min.insync.replicas", Type: IntType, Default: "1", Broker: "min.insync.replicas", min: 1, max: maxInt, Doc: "Kept: all replicas are one log."},
	{Name: "preallocate", Type: BoolType, Default: "false", Broker: "log.preallocate", Doc: "Kept."},
	{Name: "retention.bytes", Type: LongType, Default: "-1", Broker: "log.retention.bytes", min: -1, max: maxLong,
		Doc: "How much of a partition is kept; -1 is without bound."},
	{Name: "retention.ms", Type: LongType, Default: "604800000", Broker: "log.retention.ms", min: -1, max: maxLong,
		Doc: "How long a record is kept after its arrival; -1 is for ever."},
	{Name: "segment.bytes", Type: IntType, Default: "1073741824", Broker: "log.segment.bytes", min: 14, max: maxInt,
		Doc: "How many bytes have to be new for compaction; never more than 16 MiB."},
	{Name: "segment.index.bytes", Type: IntType, Default: "10485760", Broker: "log.index.size.max.bytes", min: 4, max: maxInt, Doc: "Kept."},
	{Name: "segment.jitter.ms", Type: LongType, Default: "0", Broker: "log.roll.jitter.ms", max: maxLong, Doc: "Kept."},
	{Name: "segment.ms", Type: LongType, Default: "604800000", Broker: "log.roll.ms", min: 1, max: maxLong,
		Doc: "How old what is new may be, before it is compacted even if it is less."},
	{Name: "unclean.leader.election.enable", Type: BoolType, Default: "false", Broker: "unclean.leader.election.enable", Doc: "Kept: there is no other replica to elect."},
}

// TopicConfigs are the entries that topics can have, by name.
func TopicConfigs() []ConfigKey { return slices.Clone(topicConfigs) }

func configKey(name string) *ConfigKey {
	i, ok := slices.BinarySearchFunc(topicConfigs, name, func(k ConfigKey, name string) int { return strings.Compare(k.Name, name) })
	if !ok {
		return nil
	}
	return &topicConfigs[i]
}

// check refuses a value as Kafka's ConfigDef does.
func (k *ConfigKey) check(value string) *Error {
	bad := func(why string) *Error {
		return refuse(InvalidConfig, "Invalid value %s for configuration %s: %s", value, k.Name, why)
	}
	if len(value) > maxConfigValue {
		return refuse(InvalidConfig, "The value of configuration %s has more than %d bytes.", k.Name, maxConfigValue)
	}
	switch k.Type {
	case BoolType:
		if v := strings.ToLower(value); v != "true" && v != "false" {
			return bad("Expected value to be either true or false")
		}
	case IntType, LongType:
		bits, name := 64, "LONG"
		if k.Type == IntType {
			bits, name = 32, "INT"
		}
		n, err := strconv.ParseInt(value, 10, bits)
		switch {
		case err != nil:
			return bad("Not a number of type " + name)
		case float64(n) < k.min:
			return bad("Value must be at least " + strconv.FormatFloat(k.min, 'f', -1, 64))
		case float64(n) > k.max:
			return bad("Value must be no more than " + strconv.FormatFloat(k.max, 'f', -1, 64))
		}
	case DoubleType:
		f, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil || math.IsNaN(f):
			return bad("Not a number of type DOUBLE")
		case f < k.min:
			return bad("Value must be at least " + strconv.FormatFloat(k.min, 'f', -1, 64))
		case f > k.max:
			return bad("Value must be no more than " + strconv.FormatFloat(k.max, 'f', -1, 64))
		}
	case StringType:
		if k.ages {
			return k.checkAge(value)
		}
		if !slices.Contains(k.words, value) {
			return bad("String must be one of: " + strings.Join(k.words, ", "))
		}
	case ListType:
		for _, v := range splitList(value) {
			if !slices.Contains(k.words, v) {
				return bad("String must be one of: " + strings.Join(k.words, ", "))
			}
		}
	}
	return nil
}

// checkAge is check for an entry that may be an age.
func (k *ConfigKey) checkAge(value string) *Error {
	age, ok := strings.CutPrefix(value, byDuration)
	if ok {
		_, ok = isoMillis(age)
	}
	if ok || slices.Contains(k.words, value) {
		return nil
	}
	return refuse(InvalidConfig, "Invalid value `%s` for configuration %s. The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.", value, k.Name)
}

// maxConfigValue bounds what is kept of an entry: numbers and lists of words can be as
// long as one likes.
const maxConfigValue = 1024

func splitList(value string) []string {
	var out []string
	for v := range strings.SplitSeq(value, ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func compacts(policy string) bool { return slices.Contains(splitList(policy), "compact") }

// checkConfigs refuses unknown entries and bad values.
func checkConfigs(configs map[string]string) *Error {
	for _, name := range sortedKeys(configs) {
		k := configKey(name)
		if k == nil {
			return refuse(InvalidConfig, "Unknown topic config name: %s", name)
		}
		if err := k.check(configs[name]); err != nil {
			return err
		}
	}
	return checkLags(configs)
}

// checkLags refuses records that may not be compacted before they have to be.
func checkLags(configs map[string]string) *Error {
	lag := func(name string) int64 {
		v, ok := configs[name]
		if !ok {
			v = configKey(name).Default
		}
		n, _ := strconv.ParseInt(v, 10, 64) // has been checked
		return n
	}
	if least, most := lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"); least > most {
		return refuse(InvalidConfig, "conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", least, most)
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Config is the value of an entry: the topic's own, or the default that the
// brokers are set to.
func (t *Topic) Config(name string) string {
	if v, ok := t.configs[name]; ok {
		return v
	}
	return t.Default(name)
}

// Default is the value of an entry of a topic that says nothing of it.
func (t *Topic) Default(name string) string {
	if t.OwnedByStreams() {
		return (&settings{}).topicDefault(name)
	}
	return t.settings.topicDefault(name)
}

// OwnConfig is the topic's own value of an entry.
func (t *Topic) OwnConfig(name string) (string, bool) {
	v, ok := t.configs[name]
	return v, ok
}

// number is the value of an entry that has been checked to be a number.
func (t *Topic) number(name string) int64 {
	n, err := strconv.ParseInt(t.Config(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// applyConfigs derives what the log and the streams need of a topic's entries.
func (c *Cluster) applyConfigs(name string, t *catalog.Topic) {
	set := c.settings.Load()
	value := func(key string) string {
		if v, ok := t.Configs[key]; ok {
			return v
		}
		return set.topicDefault(key)
	}
	number := func(key string) int64 {
		n, err := strconv.ParseInt(value(key), 10, 64)
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	t.MaxAgeMillis, t.MaxBytes = 0, 0
	if slices.Contains(splitList(value("cleanup.policy")), "delete") {
		t.MaxAgeMillis, t.MaxBytes = min(number("retention.ms"), maxAgeMillis), number("retention.bytes")
		if value("retention.ms") == "0" {
			t.MaxAgeMillis = 1
		}
		if value("retention.bytes") == "0" {
			t.MaxBytes = 1
		}
	}
	t.Compaction = catalog.Compaction{}
	if compacts(value("cleanup.policy")) {
		ratio, _ := strconv.ParseFloat(value("min.cleanable.dirty.ratio"), 64) // has been checked
		t.Compaction = catalog.Compaction{
			On: true, MinDirty: ratio, MinBytes: number("segment.bytes"), MinWaitMillis: min(number("segment.ms"), maxAgeMillis),
			MinLagMillis: min(number("min.compaction.lag.ms"), maxAgeMillis), TombstoneMillis: min(number("delete.retention.ms"), maxAgeMillis),
			MaxLagMillis: min(number("max.compaction.lag.ms"), maxAgeMillis),
		}
	}
	t.Hidden = t.Internal || t.Compaction.On || len(name) > maxStreamName || c.scope.Cluster != ""
}

// maxAgeMillis is the longest retention that the log can keep; 292 years.
const maxAgeMillis = math.MaxInt64 / 1_000_000

// streamConfigs are the entries that a stream's own settings amount to.
func streamConfigs(s *catalog.Stream) map[string]string {
	return map[string]string{
		"max.message.bytes": strconv.Itoa(s.MaxRecordKiB<<10 + 12 + streamBatchRoom),
		"retention.ms":      strconv.FormatInt(int64(s.RetentionHours)*3600_000, 10),
	}
}

// streamBatchRoom is what a batch of one record of a stream's largest size has
// beside its data: key, headers and framing.
const streamBatchRoom = 2048
