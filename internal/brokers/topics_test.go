package brokers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/streams"
)

func TestTopicsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	w.topic("there", 1)
	if err := w.cluster.streams.Create(t.Context(), streams.NewStream{Scope: w.cluster.scope, Name: "stream", Mode: catalog.Provisioned, Shards: 1}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		n    NewTopic
		want Code
	}{
		"there already":       {NewTopic{Name: "there", Partitions: 1, Replication: 1}, TopicAlreadyExists},
		"a stream":            {NewTopic{Name: "stream", Partitions: 1, Replication: 1}, TopicAlreadyExists},
		"no name":             {NewTopic{Partitions: 1, Replication: 1}, InvalidTopic},
		"dots":                {NewTopic{Name: "..", Partitions: 1, Replication: 1}, InvalidTopic},
		"a slash":             {NewTopic{Name: "a/b", Partitions: 1, Replication: 1}, InvalidTopic},
		"a long name":         {NewTopic{Name: strings.Repeat("x", 250), Partitions: 1, Replication: 1}, InvalidTopic},
		"no partitions":       {NewTopic{Name: "t", Partitions: 0, Replication: 1}, InvalidPartitions},
		"too many partitions": {NewTopic{Name: "t", Partitions: 10_001, Replication: 1}, InvalidPartitions},
		"no replicas":         {NewTopic{Name: "t", Partitions: 1, Replication: 0}, InvalidReplication},
		"too many replicas":   {NewTopic{Name: "t", Partitions: 1, Replication: 4}, InvalidReplication},
		"unknown entry":       {NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{"nope": "1"}}, InvalidConfig},
		"no number":           {NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{"retention.ms": "soon"}}, InvalidConfig},
		"too small":           {NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{"retention.ms": "-2"}}, InvalidConfig},
		"too large":           {NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{"min.cleanable.dirty.ratio": "1.5"}}, InvalidConfig},
		"lags that conflict": {NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{
			"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "4"}}, InvalidConfig},
		"no such policy": {NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{"cleanup.policy": "shred"}}, InvalidConfig},
		"neither nor":    {NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{"preallocate": "maybe"}}, InvalidConfig},
		"a hole":         {NewTopic{Name: "t", Partitions: -1, Replication: -1, Assignment: map[int32][]int32{0: {1}, 2: {1}}}, InvalidAssignment},
		"no such broker": {NewTopic{Name: "t", Partitions: -1, Replication: -1, Assignment: map[int32][]int32{0: {4}}}, InvalidAssignment},
		"twice the same": {NewTopic{Name: "t", Partitions: -1, Replication: -1, Assignment: map[int32][]int32{0: {1, 1}}}, InvalidAssignment},
		"both":           {NewTopic{Name: "t", Partitions: 1, Replication: 1, Assignment: map[int32][]int32{0: {1}}}, InvalidRequest},
	} {
		if _, err := w.cluster.CreateTopic(t.Context(), tc.n); codeOf(err) != tc.want {
			t.Errorf("%s: %v, want code %d", name, err, tc.want)
		}
	}
}

// TestTopicsOutliveTheServer: a topic's id, partitions and entries are the same
// after a restart, and its id is another when it is made again.
func TestTopicsOutliveTheServer(t *testing.T) {
	w := newWorld(t)
	before := w.topic("game", 3, "retention.ms", "60000", "retention.bytes", "1000000")
	w.restart()
	after := w.cluster.Topic("game")
	if after == nil || after.ID() != before.ID() || after.Partitions() != 3 || after.Config("retention.ms") != "60000" {
		t.Fatalf("%+v", after)
	}
	if w.cluster.TopicByID(before.ID()) != after {
		t.Fatal("it is not found by its id")
	}
	p, _ := after.Partition(2)
	if info, err := w.log.Info(p); err != nil || info.Config.MaxAge != time.Minute || info.Config.MaxBytes != 1_000_000 {
		t.Fatalf("%+v, %v", info, err)
	}
	if err := w.cluster.DeleteTopic(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	again := w.topic("game", 1)
	if again.ID() == before.ID() || w.cluster.TopicByID(before.ID()) != nil {
		t.Fatal("a topic that is gone is found by its id")
	}
}

func TestConfigsChange(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 1, "retention.ms", "60000")
	change := func(replace bool, changes ...ConfigChange) Code {
		return codeOf(w.cluster.ChangeConfigs(t.Context(), w.cluster.Topic("game"), changes, replace, false))
	}
	p, _ := topic.Partition(0)
	for _, step := range []struct {
		replace bool
		change  ConfigChange
		want    Code
		config  string // of cleanup.policy and retention.ms
		age     time.Duration
	}{
		{false, ConfigChange{Name: "cleanup.policy", Value: "compact", Op: AppendConfig}, OK, "delete,compact 60000", time.Minute},
		{false, ConfigChange{Name: "cleanup.policy", Value: "delete", Op: SubtractConfig}, OK, "compact 60000", 0},
		{false, ConfigChange{Name: "retention.ms", Op: DeleteConfig}, OK, "compact 604800000", 0},
		{false, ConfigChange{Name: "retention.ms", Value: "1", Op: AppendConfig}, InvalidConfig, "compact 604800000", 0},
		{false, ConfigChange{Name: "retention.ms", Value: "x"}, InvalidConfig, "compact 604800000", 0},
		{false, ConfigChange{Name: "nope", Value: "x"}, InvalidConfig, "compact 604800000", 0},
		{true, ConfigChange{Name: "retention.ms", Value: "5000"}, OK, "delete 5000", 5 * time.Second},
	} {
		if got := change(step.replace, step.change); got != step.want {
			t.Fatalf("%+v: code %d", step, got)
		}
		now := w.cluster.Topic("game")
		if got := now.Config("cleanup.policy") + " " + now.Config("retention.ms"); got != step.config {
			t.Fatalf("%+v: %s", step, got)
		}
		if info, err := w.log.Info(p); err != nil || info.Config.MaxAge != step.age {
			t.Fatalf("%+v: %+v, %v", step, info.Config, err)
		}
	}
}

// put appends one batch of records with these times.
func (w *world) put(t *Topic, times ...int64) {
	w.t.Helper()
	var b batch.Builder
	for _, at := range times {
		b.Append(batch.Record{Key: []byte("k"), Value: []byte(fmt.Sprint(at)), Timestamp: at})
	}
	e, refused := w.cluster.Entry(t, 0, b.Finish())
	if refused != nil {
		w.t.Fatal(refused)
	}
	if _, err := log.Do(w.log, log.Request{Entries: []log.Entry{e}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestOffsetsByTime(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 1)
	now := w.clock.Now().UnixMilli()
	w.put(topic, now-1000, now-500, now-800) // offsets 0 to 2
	w.put(topic, now+50_000)                 // ahead of the server's clock, within the limit
	w.put(topic, now-900, now)
	for _, tc := range []struct {
		at, offset, time int64
	}{
		{Earliest, 0, -1}, {EarliestLocal, 0, -1}, {Latest, 6, -1}, {LatestTiered, -1, -1}, {MaxTimestamp, 3, now + 50_000},
		{0, 0, now - 1000}, {now - 1000, 0, now - 1000}, {now - 999, 1, now - 500}, {now - 400, 3, now + 50_000}, {now + 50_000, 3, now + 50_000},
		{now + 50_001, -1, -1},
	} {
		got, err := w.cluster.OffsetAt(t.Context(), topic, 0, tc.at, false)
		if err != nil || got.Offset != tc.offset || got.Time != tc.time {
			t.Errorf("at %d: %+v, %v; want offset %d, time %d", tc.at, got, err, tc.offset, tc.time)
		}
	}
	if _, err := w.cluster.OffsetAt(t.Context(), topic, 0, -9, false); codeOf(err) != UnsupportedVersion {
		t.Errorf("a time that is none: %v", err)
	}
	if _, err := w.cluster.OffsetAt(t.Context(), topic, 5, Latest, false); codeOf(err) != UnknownTopic {
		t.Errorf("a partition that there is not: %v", err)
	}
	if start, err := w.cluster.Trim(topic, 0, 3); err != nil || start != 3 {
		t.Fatal(start, err)
	}
	if got, err := w.cluster.OffsetAt(t.Context(), topic, 0, 0, false); err != nil || got.Offset != 3 {
		t.Errorf("after a trim: %+v, %v", got, err)
	}
}

// TestEpochs: each start that was not clean begins an epoch, and where one ended
// is found.
func TestEpochs(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 1)
	epochs := []int32{}
	for range 3 {
		w.put(topic, w.clock.Now().UnixMilli(), w.clock.Now().UnixMilli())
		p, _ := topic.Partition(0)
		e, err := w.cluster.LeaderEpoch(p)
		if err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, e)
		if err := w.beside.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.fs = w.fs.Crash(1) // the machine stops
		w.open()
		topic = w.cluster.Topic("game")
	}
	for i, e := range epochs {
		found, end, err := w.cluster.EpochEnd(topic, 0, e)
		if err != nil || found != e || end != int64(2*(i+1)) {
			t.Errorf("epoch %d of %v: %d, %d, %v", e, epochs, found, end, err)
		}
	}
	if found, end, err := w.cluster.EpochEnd(topic, 0, epochs[2]+100); err != nil || found != -1 || end != -1 {
		t.Errorf("an epoch to come: %d, %d, %v", found, end, err)
	}
}

// TestCompactedTopics gives the log what a topic's entries say of compaction, and
// refuses what such a topic cannot have.
func TestCompactedTopics(t *testing.T) {
	w := newWorld(t)
	create := func(name string, configs map[string]string) *Topic {
		t.Helper()
		topic, err := w.cluster.CreateTopic(t.Context(), NewTopic{Name: name, Partitions: 1, Replication: 1, Configs: configs})
		if err != nil {
			t.Fatal(err)
		}
		return topic
	}
	config := func(topic *Topic) log.Config {
		t.Helper()
		p, _ := topic.Partition(0)
		info, err := w.log.Info(p)
		if err != nil {
			t.Fatal(err)
		}
		return info.Config
	}
	table := create("table", map[string]string{
		"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.25", "segment.bytes": "1000", "segment.ms": "2000",
		"min.compaction.lag.ms": "3000", "max.compaction.lag.ms": "4000", "delete.retention.ms": "5000",
	})
	want := log.Config{Compaction: log.Compaction{
		On: true, MinDirty: 0.25, MinBytes: 1000, MinWait: 2 * time.Second, MinLag: 3 * time.Second, MaxLag: 4 * time.Second, Tombstones: 5 * time.Second,
	}}
	if got := config(table); got != want {
		t.Errorf("config: %+v, want %+v", got, want)
	}
	if _, err := w.cluster.Trim(table, 0, 0); codeOf(err) != PolicyViolation {
		t.Errorf("a trim: %v", err)
	}
	both := create("both", map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "60000"})
	if got := config(both); !got.Compaction.On || got.MaxAge != time.Minute {
		t.Errorf("compact,delete: %+v", got)
	}
	if _, err := w.cluster.Trim(both, 0, 0); err != nil {
		t.Errorf("a trim of compact,delete: %v", err)
	}
	if err := w.cluster.ChangeConfigs(t.Context(), both, []ConfigChange{{Name: "cleanup.policy", Value: "compact", Op: SubtractConfig}}, false, false); err != nil {
		t.Fatal(err)
	}
	if got := config(w.cluster.Topic("both")); got.Compaction != (log.Compaction{}) || w.cluster.Topic("both").res.Stream.Topic.Hidden {
		t.Errorf("no longer compacted: %+v", got)
	}
}
