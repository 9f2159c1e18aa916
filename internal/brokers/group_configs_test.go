package brokers

import "testing"

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
