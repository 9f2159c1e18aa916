package brokers

import (
	"context"
	"testing"

	"thalweg/internal/catalog"
	"thalweg/internal/lifecycle"
)

// another opens a second cluster beside that of w.
func (w *world) another(t *testing.T) *Cluster {
	t.Helper()
	c := New(Options{Log: w.cluster.log, Catalog: w.cluster.catalog, Streams: w.cluster.streams, Clock: w.clock, Keys: fixedKeys{}, Brokers: 1,
		Name: "other", Number: 1, Identity: Identity{1, 2, 3},
		Scope: catalog.Scope{Account: "000000000000", Region: "us-east-1", Cluster: "01020300-0000-0000-0000-000000000000"}})
	beside := lifecycle.NewGroup(context.WithoutCancel(t.Context()))
	beside.Go("groups", c.Groups().Run)
	beside.Go("answers", c.Groups().Deliver)
	beside.Go("transactions", c.Transactions().Run)
	t.Cleanup(func() {
		if err := beside.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestClustersShareNothing: topics, groups' and transactions' own topics, producer
// ids and users of two clusters on one log are those of each.
func TestClustersShareNothing(t *testing.T) {
	w := newWorld(t)
	other := w.another(t)
	mine := w.topic("t", 2)
	if other.Topic("t") != nil || other.TopicByID(mine.ID()) != nil || len(other.Topics()) != 0 {
		t.Fatal("a topic of one cluster shows in another")
	}
	theirs, err := other.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 1, Replication: -1})
	if err != nil {
		t.Fatal(err)
	}
	if theirs.ID() == mine.ID() || theirs.Partitions() != 1 || w.cluster.Topic("t").Partitions() != 2 {
		t.Error("two topics of one name are the same")
	}
	if _, err := w.cluster.streams.Lookup(other.scope, "t"); err == nil {
		t.Error("a topic of a cluster that is not the default one shows as a stream")
	}
	for _, c := range []*Cluster{w.cluster, other} {
		if err := c.Transactions().Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.Topic("__transaction_state") == nil {
			t.Errorf("%s has no topic of its own for transactions", c.Name())
		}
		if id, err := c.NewProducerID(t.Context()); err != nil || id >= 2*producerBlock {
			t.Errorf("%s gave out producer id %d: %v", c.Name(), id, err)
		}
	}
	if w.cluster.SecurityPartition() == other.SecurityPartition() || w.cluster.ID() == other.ID() ||
		w.cluster.ARN("topic", "t") == other.ARN("topic", "t") {
		t.Error("two clusters have a name in common")
	}
	if got := other.ARN("group", "g"); got != "arn:aws:kafka:us-east-1:000000000000:group/other/01020300-0000-0000-0000-000000000000-1/g" {
		t.Error(got)
	}
	if err := other.DeleteTopic(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if w.cluster.Topic("t") == nil || other.Topic("t") != nil {
		t.Error("the wrong topic was removed")
	}
}
