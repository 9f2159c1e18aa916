package streams_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var scope = catalog.Scope{Account: "000000000000", Region: "us-east-1"}

// fixedKeys gives every purpose one secret.
type fixedKeys struct{}

func (fixedKeys) Secret(purpose string) (k [32]byte) {
	copy(k[:], purpose)
	return k
}

// world is a service over a log in memory with a clock of its own.
type world struct {
	t     testing.TB
	fs    *vfs.Mem
	clock *clock.Manual
	log   *disk.Log
	svc   *streams.Service
	opts  streams.Options
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// newWorld makes a world that ends with the test.
func newWorld(t testing.TB, change ...func(*streams.Options)) *world {
	w := makeWorld(t, change...)
	t.Cleanup(func() { w.log.Close(context.Background()) })
	return w
}

// makeWorld makes a world whose log the caller closes.
func makeWorld(t testing.TB, change ...func(*streams.Options)) *world {
	w := &world{t: t, fs: vfs.NewMem(1), clock: clock.NewManual(start)}
	w.opts = streams.Options{Clock: w.clock, Keys: fixedKeys{}}
	for _, c := range change {
		c(&w.opts)
	}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.log, err = disk.Open(context.Background(), disk.Options{FS: w.fs, Dir: "data", Clock: w.clock, Manual: true, Keys: keystore()}); err != nil {
		w.t.Fatal(err)
	}
	cat, err := catalog.Open(context.Background(), w.log, w.clock)
	if err != nil {
		w.t.Fatal(err)
	}
	w.opts.Log, w.opts.Catalog = w.log, cat
	if w.svc, err = streams.New(w.opts); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) reopen() {
	w.t.Helper()
	if err := w.log.Close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

func (w *world) create(name string, shards int) *catalog.Resource {
	w.t.Helper()
	n := streams.NewStream{Scope: scope, Name: name, Mode: catalog.Provisioned, Shards: shards}
	if err := w.svc.Create(context.Background(), n); err != nil {
		w.t.Fatal(err)
	}
	return w.lookup(name)
}

func (w *world) lookup(name string) *catalog.Resource {
	w.t.Helper()
	r, err := w.svc.Lookup(scope, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

type rec struct {
	key, hash, data string
}

// put puts records in one call and returns where they went.
func (w *world) put(r *catalog.Resource, records ...rec) []streams.Placed {
	w.t.Helper()
	p := w.svc.NewPut(r)
	defer p.Release()
	for _, rc := range records {
		var hash []byte
		if rc.hash != "" {
			hash = []byte(rc.hash)
		}
		dst, err := p.Add([]byte(rc.key), hash, len(rc.data))
		if err != nil {
			w.t.Fatal(err)
		}
		copy(dst, rc.data)
	}
	p.Commit()
	out := make([]streams.Placed, p.Len())
	for i := range out {
		var err error
		if out[i], err = p.Result(i); err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

type seen struct {
	seq, key, data string
	arrival        int64
}

// get reads a page.
func (w *world) get(pos streams.Position, limit int) ([]seen, streams.Position, int64) {
	w.t.Helper()
	page, err := w.svc.Get(pos, limit)
	if err != nil {
		w.t.Fatal(err)
	}
	defer page.Close()
	var out []seen
	for page.Next() {
		r := page.Record()
		out = append(out, seen{r.Sequence.String(), string(r.Key), string(r.Data), r.Arrival})
	}
	return out, page.Position(), page.MillisBehindLatest()
}

func (w *world) at(r *catalog.Resource, shard int, at streams.StartingAt) streams.Position {
	w.t.Helper()
	_, sh, err := w.svc.Shard(scope, r.Name, fmt.Sprint(shard))
	if err != nil {
		w.t.Fatal(err)
	}
	pos, err := w.svc.Locate(r, sh, at)
	if err != nil {
		w.t.Fatal(err)
	}
	// Every position goes through its iterator: it must mean the same.
	again, err := w.svc.OpenIterator(scope, w.svc.AppendIterator(nil, pos))
	if err != nil || again != pos {
		w.t.Fatalf("%+v came back as %+v: %v", pos, again, err)
	}
	return pos
}

func datas(list []seen) string {
	var out []string
	for _, s := range list {
		out = append(out, s.data)
	}
	return strings.Join(out, " ")
}

func TestPutAndGet(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	first := w.put(r, rec{key: "a", data: "one"}, rec{key: "b", data: "two"})
	w.clock.Advance(1500 * time.Millisecond)
	second := w.put(r, rec{key: "a", data: "three"})
	for _, check := range []func(){func() {}, w.reopen} {
		check()
		r = w.lookup("s")
		got, pos, behind := w.get(w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon}), 100)
		if datas(got) != "one two three" || behind != 0 {
			t.Fatalf("%v behind %d", got, behind)
		}
		for i, p := range append(first[:2:2], second...) {
			if got[i].seq != p.Sequence.String() {
				t.Errorf("record %d: put as %s, read as %s", i, p.Sequence, got[i].seq)
			}
		}
		if got[0].arrival != start.UnixMilli() || got[2].arrival != start.UnixMilli()+1500 {
			t.Errorf("arrivals %d %d", got[0].arrival, got[2].arrival)
		}
		if got, _, behind := w.get(pos, 100); len(got) != 0 || behind != 0 {
			t.Fatalf("at the tip: %v behind %d", got, behind)
		}
	}
}

func TestIteratorTypes(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	latest := w.at(r, 0, streams.StartingAt{Type: streams.Latest})
	var seqs []string
	for i := range 5 {
		seqs = append(seqs, w.put(r, rec{key: "k", data: fmt.Sprint(i)})[0].Sequence.String())
		w.clock.Advance(time.Second)
	}
	_, sh, _ := w.svc.Shard(scope, "s", "0")
	base := start.UnixMilli()
	for _, c := range []struct {
		at   streams.StartingAt
		want string
	}{
		{streams.StartingAt{Type: streams.TrimHorizon}, "0 1 2 3 4"},
		{streams.StartingAt{Type: streams.Latest}, ""},
		{streams.StartingAt{Type: streams.AtSequenceNumber, Sequence: seqs[2]}, "2 3 4"},
		{streams.StartingAt{Type: streams.AfterSequenceNumber, Sequence: seqs[2]}, "3 4"},
		{streams.StartingAt{Type: streams.AtSequenceNumber, Sequence: streams.StartOf(sh).String()}, "0 1 2 3 4"},
		{streams.StartingAt{Type: streams.AfterSequenceNumber, Sequence: streams.StartOf(sh).String()}, "0 1 2 3 4"},
		{streams.StartingAt{Type: streams.AfterSequenceNumber, Sequence: streams.EndOf(sh).String()}, ""},
		{streams.StartingAt{Type: streams.AtTimestamp, Time: 1, HasTime: true}, "0 1 2 3 4"},
		{streams.StartingAt{Type: streams.AtTimestamp, Time: base + 2000, HasTime: true}, "2 3 4"},
		{streams.StartingAt{Type: streams.AtTimestamp, Time: base + 2001, HasTime: true}, "3 4"},
		{streams.StartingAt{Type: streams.AtTimestamp, Time: base + 4500, HasTime: true}, ""},
	} {
		if got, _, _ := w.get(w.at(r, 0, c.at), 100); datas(got) != c.want {
			t.Errorf("%+v: %q, want %q", c.at, datas(got), c.want)
		}
	}
	if got, _, _ := w.get(latest, 100); datas(got) != "0 1 2 3 4" {
		t.Errorf("LATEST of an empty shard, later: %q", datas(got))
	}
	// The same iterator gives the same records again.
	pos := w.at(r, 0, streams.StartingAt{Type: streams.AtSequenceNumber, Sequence: seqs[1]})
	for range 2 {
		if got, _, _ := w.get(pos, 2); datas(got) != "1 2" {
			t.Errorf("%q", datas(got))
		}
	}
}

func TestMillisBehindLatest(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.put(r, rec{key: "k", data: "0"}, rec{key: "k", data: "1"})
	w.clock.Advance(time.Minute)
	w.put(r, rec{key: "k", data: "2"})
	w.clock.Advance(time.Second)
	pos := w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon})
	for i, want := range []int64{61_000, 61_000, 0, 0} {
		var behind int64
		_, pos, behind = w.get(pos, 1)
		if behind != want {
			t.Errorf("page %d: behind %d, want %d", i, behind, want)
		}
	}
}

// A page holds 10 MiB, but one record in any case, and goes on where it ended.
func TestPageBytes(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	big := strings.Repeat("x", 4<<20)
	for range 3 {
		w.put(r, rec{key: "k", data: big})
	}
	w.put(r, rec{key: "k", data: big + big + big[:2<<20]})
	pos := w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon})
	for i, want := range []int{2, 1, 1, 0} {
		var got []seen
		got, pos, _ = w.get(pos, 100)
		if len(got) != want {
			t.Fatalf("page %d: %d records, want %d", i, len(got), want)
		}
	}
}

// Records past the retention are out of sight although nothing removed them, and
// a longer retention does not bring them back.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	ctx := context.Background()
	w.put(r, rec{key: "k", data: "old"})
	w.clock.Advance(23 * time.Hour)
	w.put(r, rec{key: "k", data: "young"})
	trim := streams.StartingAt{Type: streams.TrimHorizon}
	if got, _, _ := w.get(w.at(r, 0, trim), 100); datas(got) != "old young" {
		t.Fatalf("%q", datas(got))
	}
	w.clock.Advance(2 * time.Hour)
	if got, _, _ := w.get(w.at(r, 0, trim), 100); datas(got) != "young" {
		t.Fatalf("%q", datas(got))
	}
	if err := w.svc.SetRetention(ctx, scope, "s", 48, true); err != nil {
		t.Fatal(err)
	}
	r = w.lookup("s")
	if got, _, _ := w.get(w.at(r, 0, trim), 100); datas(got) != "young" {
		t.Fatalf("after a longer retention: %q", datas(got))
	}
	w.clock.Advance(30 * time.Hour)
	if got, _, _ := w.get(w.at(r, 0, trim), 100); datas(got) != "young" {
		t.Fatalf("%q", datas(got))
	}
	if err := w.svc.SetRetention(ctx, scope, "s", 24, false); err != nil {
		t.Fatal(err)
	}
	if got, pos, behind := w.get(w.at(w.lookup("s"), 0, trim), 100); len(got) != 0 || behind != 0 || pos.Offset != 2 {
		t.Fatalf("after a shorter retention: %q at %d behind %d", datas(got), pos.Offset, behind)
	}
	if info, err := w.log.Info(w.lookup("s").Stream.PartitionOf(0)); err != nil || info.Config.MaxAge != 24*time.Hour {
		t.Fatalf("%+v %v", info, err)
	}
}

func TestRouting(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 3)
	for i := range 200 {
		key := fmt.Sprintf("key-%d", i)
		h := ids.HashOf([]byte(key))
		shard := w.put(r, rec{key: key, data: "d"})[0].Shard
		if !r.Stream.Shards[shard].Range.Contains(h) {
			t.Fatalf("%s went to %s", key, shard)
		}
		if by := w.put(r, rec{key: "other", hash: h.String(), data: "d"})[0].Shard; by != shard {
			t.Fatalf("%s as explicit hash key went to %s, not %s", h, by, shard)
		}
	}
	for i, sh := range r.Stream.Shards {
		for _, h := range []ids.Hash{sh.Range.Start, sh.Range.End} {
			if got := w.put(r, rec{key: "k", hash: h.String(), data: "d"})[0].Shard; int(got) != i {
				t.Errorf("%s: %s, want shard %d", h, got, i)
			}
		}
	}
	p := w.svc.NewPut(r)
	defer p.Release()
	for _, bad := range []string{"340282366920938463463374607431768211456", "x", ""} {
		if _, err := p.Add([]byte("k"), []byte(bad), 1); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// An explicit hash key is kept with the record, for whoever reads it by offset.
func TestExplicitHashKeyHeader(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.put(r, rec{key: "k", hash: "12345", data: "d"})
	found, err := w.log.Read(r.Stream.PartitionOf(0), 0, 1<<20, log.Uncommitted)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Release()
	it, err := batch.Records(found.List[0].Bytes)
	if err != nil || !it.Next() {
		t.Fatal(err)
	}
	if v, ok := it.Record().Headers.Get(streams.HashKeyHeader); !ok || string(v) != "12345" {
		t.Errorf("%q %v", v, ok)
	}
}

// Foreign records show as the design says: no key, a key that is no partition
// key, no value; control batches do not show.
func TestForeignRecords(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	var b batch.Builder
	b.Append(batch.Record{Value: []byte("no key")})
	b.Append(batch.Record{Key: []byte("k")})
	b.Append(batch.Record{Key: []byte{}, Value: []byte("empty key")})
	b.Append(batch.Record{Key: []byte{0xff}, Value: []byte("no text")})
	b.Append(batch.Record{Key: bytes.Repeat([]byte("x"), 257), Value: []byte("long key")})
	b.Append(batch.Record{Key: bytes.Repeat([]byte("\u00e9"), 256), Value: []byte("256 characters")})
	entry := log.Entry{Kind: log.Data, Partition: r.Stream.PartitionOf(0), Batch: b.Finish()}
	if _, err := log.Do(w.log, log.Request{Entries: []log.Entry{entry}}); err != nil {
		t.Fatal(err)
	}
	got, _, _ := w.get(w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon}), 100)
	want := []string{"-", "k", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "qBAK5qoZQNC2Y7sxzUZhQuu9vVGHExuS2TgYmHgy64k", "", strings.Repeat("\u00e9", 256)}
	if len(got) != len(want) {
		t.Fatalf("%d records", len(got))
	}
	for i, g := range got {
		if want[i] != "" && g.key != want[i] || len(g.key) < 1 || len(g.key) > 512 {
			t.Errorf("record %d: key %q, want %q", i, g.key, want[i])
		}
	}
}

// A stream made again gets another creation second, and nothing of the old one
// is read through it.
func TestRecreate(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		r := w.create("s", 1)
		w.put(r, rec{key: "k", data: "old"})
		old := w.svc.AppendIterator(nil, w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon}))
		oldSeq := w.put(r, rec{key: "k", data: "old"})[0].Sequence
		if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.Lookup(scope, "s"); errs.KindOf(err) != errs.NotFound {
			t.Fatalf("deleted: %v", err)
		}
		if restart {
			w.reopen()
		}
		if p := w.log.Partitions(); len(p) != 1 {
			t.Fatalf("partitions left: %v", p)
		}
		again := w.create("s", 1)
		if again.Created/1000 <= r.Created/1000 || again.Stream.Number == r.Stream.Number {
			t.Fatalf("%+v after %+v", again, r)
		}
		if _, err := w.svc.OpenIterator(scope, old); errs.KindOf(err) != errs.NotFound {
			t.Errorf("iterator of the old stream: %v", err)
		}
		seq := w.put(again, rec{key: "k", data: "new"})[0].Sequence
		if seq.String() <= oldSeq.String() {
			t.Errorf("%s is not above %s", seq, oldSeq)
		}
		_, err := w.svc.Locate(again, &again.Stream.Shards[0], streams.StartingAt{Type: streams.AtSequenceNumber, Sequence: oldSeq.String()})
		if errs.KindOf(err) != errs.Invalid {
			t.Errorf("old sequence number: %v", err)
		}
	}
}

// A stream made again within a second begins ahead of the clock; its own numbers
// and its own creation are good all the same.
func TestRecreateWithinASecond(t *testing.T) {
	w := newWorld(t)
	var r *catalog.Resource
	for r = w.create("s", 1); r.Created <= clock.Millis(w.clock); r = w.create("s", 1) {
		if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.svc.CheckOrdering(r, w.put(r, rec{key: "k", data: "1"})[0].Sequence.String()); err != nil {
		t.Errorf("SequenceNumberForOrdering of its own: %v", err)
	}
	pos, err := w.svc.Locate(r, &r.Stream.Shards[0], streams.StartingAt{Type: streams.AtTimestamp, Time: r.Created, HasTime: true})
	if err != nil {
		t.Fatalf("AT_TIMESTAMP of its creation: %v", err)
	}
	if got, _, _ := w.get(pos, 10); datas(got) != "1" {
		t.Errorf("AT_TIMESTAMP of its creation shows %q", datas(got))
	}
}

func TestTransitions(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.Transition = time.Second })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.svc.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	r := w.create("s", 1)
	if got := w.svc.Status(r); got != catalog.Creating {
		t.Fatal(got)
	}
	if _, err := w.svc.Usable(scope, []byte("s")); errs.KindOf(err) != errs.NotFound {
		t.Fatalf("put while CREATING: %v", err)
	}
	if err := w.svc.Delete(ctx, scope, "s"); errs.KindOf(err) != errs.InUse {
		t.Fatalf("delete while CREATING: %v", err)
	}
	w.clock.Advance(time.Second)
	if got := w.svc.Status(r); got != catalog.Active {
		t.Fatal(got)
	}
	if err := w.svc.Delete(ctx, scope, "s"); err != nil {
		t.Fatal(err)
	}
	if got := w.svc.Status(w.lookup("s")); got != catalog.Deleting {
		t.Fatal(got)
	}
	w.put(w.lookup("s"), rec{key: "k", data: "still works"})
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Second)
	if _, err := w.svc.Lookup(scope, "s"); errs.KindOf(err) != errs.NotFound {
		t.Fatalf("after its time: %v", err)
	}
	w.create("s", 2)
	waiter := w.log.Watch([]log.Position{{Partition: r.Stream.PartitionOf(0)}}, 1)
	<-waiter.C // deleted, by the sweep or by its successor
	waiter.Stop()
	if _, err := w.log.Info(r.Stream.PartitionOf(0)); !errors.Is(err, log.ErrNotFound) {
		t.Fatalf("partition of the old stream: %v", err)
	}
}

// A stream that is redrawn shows as UPDATING for a while, in which it takes
// records and no other change.
func TestUpdating(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.Transition = time.Second })
	ctx := context.Background()
	w.create("s", 1)
	w.clock.Advance(time.Second)
	if err := w.svc.Split(ctx, scope, "s", "0", "5"); err != nil {
		t.Fatal(err)
	}
	r := w.lookup("s")
	if got := w.svc.Status(r); got != catalog.Updating || streams.OpenShards(r) != 2 {
		t.Fatal(got)
	}
	w.put(r, rec{key: "k", data: "goes to a child"})
	err := w.svc.Merge(ctx, scope, "s", "1", "2")
	if errs.KindOf(err) != errs.InUse || err.Error() != "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING" {
		t.Fatal(err)
	}
	w.clock.Advance(time.Second)
	if got := w.svc.Status(r); got != catalog.Active {
		t.Fatal(got)
	}
	if err := w.svc.Merge(ctx, scope, "s", "1", "2"); err != nil {
		t.Fatal(err)
	}
}

func TestQuotas(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.ShardQuota = func(string) int { return 10 } })
	w.create("a", 6)
	n := streams.NewStream{Scope: scope, Name: "b", Mode: catalog.OnDemand}
	if err := w.svc.Create(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	n.Name, n.Mode, n.Shards = "c", catalog.Provisioned, 1
	err := w.svc.Create(context.Background(), n)
	if errs.KindOf(err) != errs.LimitExceeded || !strings.Contains(err.Error(), "Current shard count for the account: 10. Limit: 10. "+
		"Number of additional shards that would have resulted from this request: 1.") {
		t.Fatal(err)
	}
	if got := w.svc.Usage(scope); got != (streams.Usage{OpenShards: 10, ShardLimit: 10, OnDemandStreams: 1}) {
		t.Fatalf("%+v", got)
	}
	n.Scope.Region = "eu-west-1"
	if err := w.svc.Create(context.Background(), n); err != nil {
		t.Fatalf("another region: %v", err)
	}
}

// Under AUTO keys do not decide and may be absent.
// Shards are memory: over all accounts and regions they take at most half of the
// budget, and give it back.
func TestShardsDrawOnMemory(t *testing.T) {
	budget := limits.NewBudget(64 << 10)
	w := newWorld(t, func(o *streams.Options) { o.Memory = budget })
	create := func(region, name string, shards int) error {
		at := catalog.Scope{Account: "000000000000", Region: region}
		return w.svc.Create(context.Background(), streams.NewStream{Scope: at, Name: name, Mode: catalog.Provisioned, Shards: shards})
	}
	if err := create("a-1", "s", 5); err != nil {
		t.Fatal(err)
	}
	if err := create("a-1", "s", 1); errs.KindOf(err) != errs.Exists {
		t.Errorf("again: %v", err)
	}
	if err := create("b-1", "s", 4); errs.KindOf(err) != errs.LimitExceeded || !strings.Contains(err.Error(), "--memory") {
		t.Errorf("beyond half of the memory: %v", err)
	}
	if err := create("b-1", "s", 3); err != nil {
		t.Errorf("up to half of the memory: %v", err)
	}
	if got := budget.Used(); got != 32<<10 {
		t.Errorf("%d bytes are taken", got)
	}
	w.reopen()
	if got := budget.Used(); got != 64<<10 { // the first service never gave back
		t.Errorf("after a restart %d bytes are taken", got)
	}
	if err := w.svc.Delete(context.Background(), catalog.Scope{Account: "000000000000", Region: "a-1"}, "s"); err != nil {
		t.Fatal(err)
	}
	if got := budget.Used(); got != 44<<10 {
		t.Errorf("after a delete %d bytes are taken", got)
	}
	if err := create("c-1", "s", 5); err != nil {
		t.Errorf("in the place of a deleted stream: %v", err)
	}
}

func TestAutoDistribution(t *testing.T) {
	w := newWorld(t)
	n := streams.NewStream{Scope: scope, Name: "s", Mode: catalog.OnDemand, AutoDistribution: true}
	if err := w.svc.Create(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	r := w.lookup("s")
	p := w.svc.NewPut(r)
	for range 8 {
		dst, err := p.Add(nil, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		dst[0] = 'd'
	}
	p.Commit()
	count := map[ids.Shard]int{}
	for i := range p.Len() {
		at, err := p.Result(i)
		if err != nil {
			t.Fatal(err)
		}
		count[at.Shard]++
	}
	p.Release()
	if len(count) != 4 || count[0] != 2 {
		t.Errorf("%v", count)
	}
	page, err := w.svc.Get(w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon}), 10)
	if err != nil || !page.Next() || page.Record().Key != nil {
		t.Errorf("%v %+v", err, page.Record())
	}
	page.Close()
}

// TestModel puts and reads at random and compares with slices.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		shards := rapid.IntRange(1, 4).Draw(rt, "shards")
		r := w.create("s", shards)
		model := make([][]seen, shards)
		last := ""
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			w.clock.Advance(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				var records []rec
				for range rapid.IntRange(1, 12).Draw(rt, "records") {
					records = append(records, rec{
						key:  rapid.StringMatching(`[a-z]{1,8}`).Draw(rt, "key"),
						data: rapid.StringMatching(`[a-z]{0,40}`).Draw(rt, "data"),
					})
				}
				for i, p := range w.put(r, records...) {
					model[p.Shard] = append(model[p.Shard], seen{
						p.Sequence.String(), records[i].key, records[i].data, w.clock.Now().UnixMilli(),
					})
				}
			case 2:
				w.reopen()
				r = w.lookup("s")
			case 3:
				shard := rapid.IntRange(0, shards-1).Draw(rt, "shard")
				limit := rapid.IntRange(1, 7).Draw(rt, "limit")
				from := 0
				at := streams.StartingAt{Type: streams.TrimHorizon}
				if n := len(model[shard]); n > 0 && rapid.Bool().Draw(rt, "by sequence") {
					from = rapid.IntRange(0, n-1).Draw(rt, "from")
					at = streams.StartingAt{Type: streams.AtSequenceNumber, Sequence: model[shard][from].seq}
				}
				pos := w.at(r, shard, at)
				for from <= len(model[shard]) {
					var got []seen
					got, pos, _ = w.get(pos, limit)
					want := model[shard][from:min(from+limit, len(model[shard]))]
					if len(got) != len(want) {
						rt.Fatalf("shard %d from %d: %d records, want %d", shard, from, len(got), len(want))
					}
					for i := range got {
						if got[i] != want[i] || from+i > 0 && got[i].seq <= last {
							rt.Fatalf("shard %d record %d: %+v, want %+v after %s", shard, from+i, got[i], want[i], last)
						}
						last = got[i].seq
					}
					last = ""
					from += limit
				}
			}
		}
	})
}

// TestRoutesOfRemovedStreams has neither a late put nor a stream that takes the name
// leave anything behind of one that is gone.
func TestRoutesOfRemovedStreams(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.Transition = time.Second })
	for range 3 {
		w.create("s", 1)
		w.clock.Advance(time.Second)
		r := w.lookup("s")
		w.put(r, rec{key: "k", data: "x"})
		if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Second) // it is removed by the next one's creation
		w.create("s", 1)
		p := w.svc.NewPut(r)
		if _, err := p.Add([]byte("k"), nil, 0); err != nil {
			t.Fatal(err)
		}
		p.Commit()
		if _, err := p.Result(0); errs.KindOf(err) != errs.NotFound {
			t.Errorf("put to a stream that is gone: %v", err)
		}
		p.Release()
		w.clock.Advance(time.Second)
		if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Second)
	}
	if n := w.svc.Routes(); n != 0 {
		t.Errorf("%d routes are left", n)
	}
}
