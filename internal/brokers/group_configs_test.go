package brokers

import (
	"strconv"
	"strings"
	"testing"
)

// TestGroupConfigs: a group's entries are checked, kept over a restart, told to its
// members, and gone when they are taken away.
func TestGroupConfigs(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 1)
	ctx := t.Context()
	const interval, session = "consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"
	change := func(op ConfigOp, name, value string) Code {
		return codeOf(w.cluster.ChangeGroupConfigs(ctx, "g", []ConfigChange{{Name: name, Op: op, Value: value}}, false, false))
	}
	for _, tc := range []struct {
		name, value string
		want        Code
	}{
		{interval, "1000", OK}, {interval, "999", InvalidConfig}, {interval, "x", InvalidConfig}, {session, "6000", OK}, {session, "70000", InvalidConfig},
		{"consumer.nothing", "1", InvalidConfig},
	} {
		if got := change(SetConfig, tc.name, tc.value); got != tc.want {
			t.Errorf("%s=%s: %d, want %d", tc.name, tc.value, got, tc.want)
		}
	}
	if err := w.cluster.ChangeGroupConfigs(ctx, "", nil, false, false); codeOf(err) != InvalidRequest {
		t.Error(err)
	}
	if err := w.cluster.ChangeGroupConfigs(ctx, "g", []ConfigChange{{Name: interval, Value: "2000"}}, false, true); err != nil {
		t.Error(err)
	}
	w.restart()
	if out := w.enter("g", "a", "game"); out.Interval != 1000 {
		t.Errorf("%+v", out)
	}
	if out := w.enter("other", "a", "game"); out.Interval != 5000 {
		t.Errorf("%+v", out)
	}
	if change(DeleteConfig, interval, "") != OK || change(DeleteConfig, session, "") != OK {
		t.Fatal("not deleted")
	}
	w.restart()
	if v, own := w.cluster.GroupConfig("g", interval); v != "5000" || own {
		t.Error(v, own)
	}
	if err := w.cluster.Configure(ctx, map[string]string{"group." + interval: "3000"}); err != nil {
		t.Fatal(err)
	}
	if v, own := w.cluster.GroupConfig("g", interval); v != "3000" || own {
		t.Error(v, own)
	}
}

// TestConfigsAreBounded: entries have no values that only fill memory, and a cluster
// not more groups with entries than somebody would give them by hand.
func TestConfigsAreBounded(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	long := strings.Repeat("0", 100_000) + "6000"
	set := func(group, value string) Code {
		return codeOf(w.cluster.ChangeGroupConfigs(ctx, group, []ConfigChange{{Name: "consumer.session.timeout.ms", Value: value}}, false, false))
	}
	if got := set("g", long); got != InvalidConfig {
		t.Errorf("a long value of a group: %d", got)
	}
	if got := set(long, "6000"); got != InvalidRequest {
		t.Errorf("a group with a long name: %d", got)
	}
	for i := range maxConfiguredGroups {
		if got := set(strconv.Itoa(i), "6000"); got != OK {
			t.Fatalf("group %d: %d", i, got)
		}
	}
	if got := set("one more", "6000"); got != PolicyViolation {
		t.Errorf("one more group: %d", got)
	}
	if got := set("0", "7000"); got != OK {
		t.Errorf("one of those: %d", got)
	}
	n := NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: map[string]string{"cleanup.policy": strings.Repeat("delete,", 10_000)}}
	if _, err := w.cluster.CreateTopic(ctx, n); codeOf(err) != InvalidConfig || len(err.Msg) > 1000 {
		t.Errorf("a long value of a topic: %v", codeOf(err))
	}
}
