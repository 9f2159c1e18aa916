package brokers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// teller is a transactional producer.
type teller struct {
	w        *world
	producer int64
	epoch    int16
	sequence map[string]int // by topic
}

func (w *world) teller(had ...int64) *teller {
	w.t.Helper()
	producer, epoch := int64(-1), int16(-1)
	if len(had) == 2 {
		producer, epoch = had[0], int16(had[1])
	}
	id, e, err := w.cluster.Transactions().Init(context.Background(), "teller", 60_000, producer, epoch)
	if err != nil {
		w.t.Fatal(err)
	}
	return &teller{w: w, producer: id, epoch: e, sequence: map[string]int{}}
}

// write adds the partition to the transaction and appends a record to it.
func (x *teller) write(topic string, value string) {
	x.w.t.Helper()
	ctx := context.Background()
	parts := []Commit{{Topic: topic}}
	if err := x.w.cluster.Transactions().AddPartitions(ctx, "teller", x.producer, x.epoch, parts); err != nil || parts[0].Err != nil {
		x.w.t.Fatal(err, parts[0].Err)
	}
	var b batch.Builder
	b.Append(batch.Record{Key: []byte("k"), Value: []byte(value), Timestamp: x.w.clock.Now().UnixMilli()})
	raw := b.Finish()
	raw[53], raw[54], raw[55], raw[56] = 0, 0, 0, byte(x.sequence[topic])
	x.sequence[topic]++
	raw = byProducer(raw, batch.Transactional, x.producer, x.epoch)
	t := x.w.cluster.Topic(topic)
	e, refused := x.w.cluster.Entry(t, 0, raw)
	if refused != nil {
		x.w.t.Fatal(refused)
	}
	txn, refused := x.w.cluster.Transactions().Enter(ctx, "teller")
	if refused != nil {
		x.w.t.Fatal(refused)
	}
	defer txn.Leave()
	if refused := txn.Check(t, 0, x.producer, x.epoch); refused != nil {
		x.w.t.Fatal(refused)
	}
	if _, err := log.Do(x.w.log, log.Request{Entries: []log.Entry{e}}); err != nil {
		x.w.t.Fatal(err)
	}
}

func (x *teller) commitOffset(topic string, offset int64) {
	x.w.t.Helper()
	ctx := context.Background()
	ts := x.w.cluster.Transactions()
	if err := ts.AddGroup(ctx, "teller", x.producer, x.epoch, "g"); err != nil {
		x.w.t.Fatal(err)
	}
	txn, refused := ts.Enter(ctx, "teller")
	if refused != nil {
		x.w.t.Fatal(refused)
	}
	defer txn.Leave()
	list := []Commit{{Topic: topic, Committed: Committed{Offset: offset}}}
	if err := x.w.cluster.Groups().CommitInTxn(ctx, txn, x.producer, x.epoch, "g", "", "", -1, list, false); err != nil || list[0].Err != nil {
		x.w.t.Fatal(err, list[0].Err)
	}
}

func (x *teller) end(commit bool) Code {
	return codeOf(x.w.cluster.Transactions().End(context.Background(), "teller", x.producer, x.epoch, commit))
}

// shown is what a reader of committed records sees of partition 0.
func (w *world) shown(topic string) string {
	w.t.Helper()
	p, _ := w.cluster.Topic(topic).Partition(0)
	out := ""
	for at := int64(0); ; {
		got, err := w.log.Read(p, at, 1<<20, log.Committed)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(got.List) == 0 {
			got.Release()
			return out
		}
		for _, b := range got.List {
			at = b.Base + int64(b.Count)
			h, err := batch.ParseHeader(b.Bytes)
			if err != nil {
				w.t.Fatal(err)
			}
			if h.Attributes&batch.Control != 0 || aborted(got.Aborted, h) {
				continue
			}
			it, err := batch.Records(b.Bytes)
			if err != nil {
				w.t.Fatal(err)
			}
			for it.Next() {
				out += string(it.Record().Value) + " "
			}
		}
		got.Release()
	}
}

func aborted(list []log.AbortedTxn, h batch.Header) bool {
	for _, a := range list {
		if a.ProducerID == h.ProducerID && a.FirstOffset <= h.BaseOffset && h.BaseOffset <= a.LastOffset {
			return true
		}
	}
	return false
}

// TestTransactionsOutliveTheServer: an open transaction is open after a crash, with
// its offsets, and ends as its producer says.
func TestTransactionsOutliveTheServer(t *testing.T) {
	for _, commit := range []bool{true, false} {
		for seed := range uint64(10) {
			w := newWorld(t)
			w.topic("a", 1)
			w.topic("b", 1)
			x := w.teller()
			x.write("a", "a1")
			x.write("b", "b1")
			x.commitOffset("a", 7)
			if got := w.shown("a") + w.shown("b") + w.committed("g"); got != "" {
				t.Fatalf("shown before its end: %s", got)
			}
			if err := w.beside.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			w.fs = w.fs.Crash(seed)
			w.open()
			x.w = w
			if got := w.shown("a") + w.shown("b") + w.committed("g"); got != "" {
				t.Fatalf("shown after a crash: %s", got)
			}
			x.write("a", "a2")
			if got := x.end(commit); got != OK {
				t.Fatalf("end: code %d", got)
			}
			want := ""
			if commit {
				want = `a1 a2 b1 a/0=7 "" `
			}
			for range 2 {
				if got := w.shown("a") + w.shown("b") + w.committed("g"); got != want {
					t.Fatalf("commit %v: %q, want %q", commit, got, want)
				}
				if err := w.beside.Stop(context.Background()); err != nil {
					t.Fatal(err)
				}
				w.fs = w.fs.Crash(seed)
				w.open()
			}
			x.w = w
			if got := x.end(commit); got != OK {
				t.Fatalf("the answer that was not seen: code %d", got)
			}
		}
	}
}

// settled waits until no transaction is open in partition 0.
func (w *world) settled(topic string) {
	w.t.Helper()
	p, _ := w.cluster.Topic(topic).Partition(0)
	for {
		info, err := w.log.Info(p)
		if err != nil {
			w.t.Fatal(err)
		}
		if info.Stable == info.End {
			return
		}
		if w.t.Context().Err() != nil {
			w.t.Fatal("it does not end")
		}
	}
}

// TestTransactionsTimeOut: one that stays open is aborted, and its producer can go
// on by asking for its next epoch.
func TestTransactionsTimeOut(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1)
	x := w.teller()
	x.write("a", "lost")
	w.clock.Advance(time.Minute)
	w.settled("a")
	if got := x.end(true); got != ProducerFenced {
		t.Fatalf("end: code %d", got)
	}
	next := w.teller(x.producer, int64(x.epoch))
	if next.producer != x.producer || next.epoch <= x.epoch {
		t.Fatalf("%+v after %+v", next, x)
	}
	next.write("a", "kept")
	if next.end(true) != OK || w.shown("a") != "kept " {
		t.Fatal(w.shown("a"))
	}
	// Its predecessor has no way back.
	if _, _, err := w.cluster.Transactions().Init(t.Context(), "teller", 60_000, x.producer, x.epoch); codeOf(err) != ProducerFenced {
		t.Fatal(err)
	}
}

// TestTransactionsAreRewritten: however many transactions there were, the log of
// them stays small, and a restart knows the last.
func TestTransactionsAreRewritten(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1)
	x := w.teller()
	store := func() log.Info {
		p, _ := w.cluster.Topic(TransactionsTopic).Partition((javaHash("teller") & 0x7fffffff) % txnPartitions)
		info, err := w.log.Info(p)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	for n := 0; store().Start == 0; n++ {
		if n > 50_000 {
			t.Fatalf("never trimmed: %+v", store())
		}
		parts := []Commit{{Topic: "a"}}
		if err := w.cluster.Transactions().AddPartitions(t.Context(), "teller", x.producer, x.epoch, parts); err != nil {
			t.Fatal(err)
		}
		if got := x.end(n%2 == 0); got != OK {
			t.Fatal(got)
		}
	}
	if i := store(); i.Bytes > 3*rewriteBytes {
		t.Errorf("%d bytes are kept", i.Bytes)
	}
	w.restart()
	x.w = w
	next := w.teller()
	if next.producer != x.producer || next.epoch != x.epoch+1 {
		t.Errorf("%+v after %+v", next, x)
	}
}

// TestEpochsRunOut: when a producer has had all its epochs, it gets another id.
func TestEpochsRunOut(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1)
	first := w.teller()
	txn, err := w.cluster.Transactions().Enter(t.Context(), "teller")
	if err != nil {
		t.Fatal(err)
	}
	txn.epoch = lastEpoch - 1
	txn.Leave()
	last := w.teller()
	last.write("a", "open")
	next := w.teller()
	if last.epoch != lastEpoch || last.producer != first.producer || next.producer == first.producer || next.epoch != 0 {
		t.Fatalf("%+v, %+v, %+v", first, last, next)
	}
	next.write("a", "new")
	if next.end(true) != OK || w.shown("a") != "new " {
		t.Fatal(fmt.Sprint(w.shown("a")))
	}
}

// TestEpochsRunOutAtAnEnd: the end of a transaction gives another id when there is
// no epoch left, and gives it again when it is asked for again. A transaction that
// times out with the last epoch leaves no other way on.
func TestEpochsRunOutAtAnEnd(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1)
	ts := w.cluster.Transactions()
	use := func(epoch int16) {
		t.Helper()
		txn, err := ts.Enter(t.Context(), "teller")
		if err != nil {
			t.Fatal(err)
		}
		txn.epoch = epoch
		txn.Leave()
	}
	first := w.teller()
	use(lastEpoch)
	first.epoch = lastEpoch
	first.write("a", "last")
	var second int64
	for range 2 {
		id, epoch, err := ts.EndAndRaise(t.Context(), "teller", first.producer, lastEpoch, true)
		if err != nil || id == first.producer || epoch != 0 || second != 0 && second != id {
			t.Fatalf("producer %d, epoch %d, %v", id, epoch, err)
		}
		second = id
	}
	if _, _, err := ts.EndAndRaise(t.Context(), "teller", first.producer, lastEpoch, false); codeOf(err) != InvalidTxnState {
		t.Fatal(err)
	}
	if got := w.shown("a"); got != "last " {
		t.Fatal(got)
	}
	use(lastEpoch)
	x := &teller{w: w, producer: second, epoch: lastEpoch, sequence: map[string]int{}}
	x.write("a", "lost")
	w.clock.Advance(time.Minute)
	w.settled("a")
	if next := w.teller(); next.producer == second || next.epoch != 0 {
		t.Fatalf("%+v", next)
	}
}
