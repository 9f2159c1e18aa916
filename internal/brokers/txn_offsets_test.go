package brokers

import (
	"testing"
)

// TestTheLaterCommitHolds: of an offset committed in a transaction and one beside it,
// the later in the log holds once the transaction has committed, as in Apache Kafka.
// Compaction leaves only that one.
func TestTheLaterCommitHolds(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 2)
	ctx := t.Context()
	ts, gs := w.cluster.Transactions(), w.cluster.Groups()
	id, epoch, err := ts.Init(ctx, "t", 60_000, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	w.commit("g", "game", 1, 1)
	x, err := ts.Enter(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	list := []Commit{{Topic: "game", Partition: 0, Committed: Committed{Offset: 5}}, {Topic: "game", Partition: 1, Committed: Committed{Offset: 5}}}
	if err := gs.CommitInTxn(ctx, x, id, epoch, "g", "", "", -1, list, true); err != nil {
		t.Fatal(err)
	}
	x.Leave()
	w.commit("g", "game", 0, 9)
	if err := ts.End(ctx, "t", id, epoch, true); err != nil {
		t.Fatal(err)
	}
	const want = `game/0=9 "at 9" game/1=5 "" `
	if got := w.committed("g"); got != want {
		t.Errorf("committed are %s, want %s", got, want)
	}
	w.restart()
	if got := w.committed("g"); got != want {
		t.Errorf("after a restart, committed are %s, want %s", got, want)
	}
}
