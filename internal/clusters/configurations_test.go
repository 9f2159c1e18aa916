package clusters

import (
	"strings"
	"testing"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

func TestConfigurations(t *testing.T) {
	w := newWorld(t, PortRange{})
	n := NewConfiguration{Scope: here, Name: "small", Properties: "num.partitions = 3\n# kept\n\nlog.retention.hours=1"}
	c, err := w.svc.CreateConfiguration(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.CreateConfiguration(ctx, n); errs.KindOf(err) != errs.Exists {
		t.Error("two have one name:", err)
	}
	if c, err = w.svc.Revise(ctx, c, "more", "num.partitions=5"); err != nil || len(c.Configuration.Revisions) != 2 {
		t.Fatal(c, err)
	}
	r, err := w.svc.Create(ctx, NewCluster{Scope: here, Name: "a", Brokers: 2, Kinds: []Kind{Plaintext}, Configuration: c, Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	partitions := func() int32 {
		t.Helper()
		cl, err := w.svc.Brokers(r)
		if err != nil {
			t.Fatal(err)
		}
		n := brokers.NewTopic{Name: "t", Partitions: -1, Replication: -1}
		if err := cl.CheckTopic(&n); err != nil {
			t.Fatal(err)
		}
		if n.Replication != 2 {
			t.Errorf("topics have %d replicas", n.Replication)
		}
		return n.Partitions
	}
	if got := partitions(); got != 3 {
		t.Errorf("topics have %d partitions", got)
	}
	if err := w.svc.DeleteConfiguration(ctx, c); errs.KindOf(err) != errs.InUse {
		t.Error("a configuration in use was deleted:", err)
	}
	change := func(revision int64) error {
		_, err := w.svc.Update(ctx, w.get("a"), Change{State: catalog.Updating, Do: func(tx *catalog.Tx, r *catalog.Resource, _ *catalog.ClusterOperation) error {
			return w.svc.Apply(tx, r, c, revision)
		}})
		return err
	}
	if err := change(3); errs.KindOf(err) != errs.NotFound {
		t.Error("a revision that there is not was taken:", err)
	}
	if err := change(2); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := partitions(); got != 5 {
		t.Errorf("topics have %d partitions", got)
	}
	w.restart()
	if got := partitions(); got != 5 {
		t.Errorf("after a restart topics have %d partitions", got)
	}
	if err := w.svc.Delete(ctx, w.get("a"), ""); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if err := w.svc.DeleteConfiguration(ctx, c); err != nil {
		t.Error(err)
	}
	if _, err := w.svc.Configuration(here, "small", c.Configuration.UUID); err == nil {
		t.Error("it is still there")
	}
}

func TestProperties(t *testing.T) {
	for text, want := range map[string]string{
		"num.partitions":                     "NAME=VALUE",
		"=1":                                 "NAME=VALUE",
		"num.partitions=1\nnum.partitions=2": "twice",
		"listeners=PLAINTEXT://:9092":        "Unknown broker config name: listeners",
		"num.partitions=-1":                  "Value must be at least 1",
		strings.Repeat("#", MaxProperties+1): "at most",
	} {
		if _, err := ParseProperties(text); errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func FuzzProperties(f *testing.F) {
	f.Add("num.partitions = 3\n# kept\n\nlog.retention.hours=1")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseProperties(text)
		if err == nil && brokers.CheckSettings(set) != nil {
			t.Errorf("%q was taken: %v", text, set)
		}
	})
}

func TestSecrets(t *testing.T) {
	w := newWorld(t, PortRange{})
	w.secrets["AmazonMSK_alice"] = Secret{"alice", "wonderland"}
	w.secrets["AmazonMSK_empty"] = Secret{"", "x"}
	const alice = "arn:aws:secretsmanager:us-east-1:000000000000:secret:AmazonMSK_alice-AbCdEf"
	if err := w.svc.Associate(ctx, w.get("default"), alice); err != nil {
		t.Fatal(err)
	}
	user := func() bool {
		users := w.svc.live[Key(here, "default")].security.Users()
		return len(users) == 1
	}
	if !user() || len(w.get("default").Cluster.Secrets) != 1 {
		t.Error("there is no user")
	}
	w.restart()
	if !user() {
		t.Error("the user is gone")
	}
	for text, want := range map[string]errs.Kind{
		"arn:aws:secretsmanager:us-east-1:000000000000:secret:AmazonMSK_bob-AbCdEf": errs.NotFound,
		"arn:aws:secretsmanager:us-east-1:000000000000:secret:AmazonMSK_empty":      errs.Invalid,
		"arn:aws:secretsmanager:us-east-1:000000000000:secret:alice":                errs.Invalid,
		"arn:aws:secretsmanager:us-east-1:000000000000:secret:AmazonMSK_../alice":   errs.Invalid,
		"alice": errs.Invalid,
	} {
		if err := w.svc.Associate(ctx, w.get("default"), text); err == nil || errs.KindOf(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := w.svc.Disassociate(ctx, w.get("default"), alice); err != nil {
		t.Fatal(err)
	}
	if user() || len(w.get("default").Cluster.Secrets) != 0 {
		t.Error("the user is still there")
	}
	if err := w.svc.Disassociate(ctx, w.get("default"), alice); errs.KindOf(err) != errs.NotFound {
		t.Error(err)
	}
}
