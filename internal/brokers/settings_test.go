package brokers

import (
	"testing"

	"thalweg/internal/catalog"
)

// TestSettingsHold: what a cluster's brokers are set to holds for its topics, those
// that there are and those to come, unless a topic says something else.
func TestSettingsHold(t *testing.T) {
	w := newWorld(t)
	before := w.topic("before", 1)
	own := w.topic("own", 1, "retention.ms", "5000")
	err := w.cluster.Configure(t.Context(), map[string]string{
		"num.partitions": "4", "default.replication.factor": "2", "log.retention.hours": "2", "message.max.bytes": "2000",
		"auto.create.topics.enable": "false", "delete.topic.enable": "false", "num.io.threads": "8",
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := w.cluster.CreateTopic(t.Context(), NewTopic{Name: "after", Partitions: -1, Replication: -1})
	if err != nil {
		t.Fatal(err)
	}
	if after.Partitions() != 4 || after.Replicas() != 2 {
		t.Errorf("a new topic has %d partitions in %d replicas", after.Partitions(), after.Replicas())
	}
	const hours = 2 * 3600_000
	for name, want := range map[string]int64{"before": hours, "after": hours, "own": 5000} {
		topic := w.cluster.Topic(name)
		if got := topic.res.Stream.Topic.MaxAgeMillis; got != want || topic.number("retention.ms") != want {
			t.Errorf("%s keeps records for %d ms, says %d; want %d", name, got, topic.number("retention.ms"), want)
		}
		if topic.limits.maxBytes != 2000 {
			t.Errorf("%s takes batches of %d bytes", name, topic.limits.maxBytes)
		}
	}
	if w.cluster.CreatesTopics() {
		t.Error("topics are made by naming them")
	}
	if code := codeOf(w.cluster.DeleteTopic(t.Context(), own)); code != TopicDeletionDisabled {
		t.Errorf("deleting a topic: %d", code)
	}
	if v, given := w.cluster.Setting("num.io.threads"); v != "8" || !given {
		t.Errorf("num.io.threads is %q", v)
	}

	if err := w.cluster.Configure(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := w.cluster.Topic("before"); got.number("retention.ms") != before.number("retention.ms") || got.limits.maxBytes != before.limits.maxBytes {
		t.Error("settings hold that were taken back")
	}
	if err := w.cluster.DeleteTopic(t.Context(), w.cluster.Topic("own")); err != nil {
		t.Error(err)
	}
}

// TestTopicsFromBeforeCompaction: topics that were made when there was none are
// compacted from the next start on.
func TestTopicsFromBeforeCompaction(t *testing.T) {
	w := newWorld(t)
	want := w.topic("table", 1, "cleanup.policy", "compact").res.Stream.Topic.Compaction
	err := w.cluster.streams.ChangeTopic(t.Context(), w.cluster.scope, "table", func(topic *catalog.Topic) error {
		topic.Compaction = catalog.Compaction{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.restart()
	if err := w.cluster.Configure(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := w.cluster.Topic("table").res.Stream.Topic.Compaction; got != want || !got.On {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, bad := range []map[string]string{
		{"no.such.setting": "1"}, {"num.partitions": "0"}, {"num.partitions": "many"}, {"compression.type": "gzip"},
		{"log.retention.hours": "x"}, {"retention.ms": "1"}, {"auto.create.topics.enable": "maybe"}, {"log.cleanup.policy": "nothing"},
	} {
		if code := codeOf(CheckSettings(bad)); code != InvalidConfig {
			t.Errorf("%v: %d", bad, code)
		}
	}
	s, err := newSettings(map[string]string{"log.retention.hours": "-1", "log.retention.minutes": "9223372036854775807"})
	if err != nil || s.topics["retention.ms"] != "9223372036854720000" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = newSettings(map[string]string{"log.retention.hours": "1", "log.retention.ms": "-7"}); err != nil || s.topics["retention.ms"] != "-1" {
		t.Errorf("%+v, %v", s, err)
	}
}
