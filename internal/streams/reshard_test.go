package streams_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/logtest"
	"thalweg/internal/streams"
)

var histories = flag.Int("streams.histories", 1000, "random reshard histories to try")

// history is a stream that is put to and redrawn at random, and what its clients
// know of it.
type history struct {
	*world
	rand    *rand.Rand
	name    string
	initial int
	count   int // records put
	// acked are the sequence numbers of each key's records, in the order put; a
	// record's data is its place in it.
	acked map[string][]string
}

func (h *history) shards() []catalog.Shard { return h.lookup(h.name).Stream.Shards }

// open returns the open shards by rising range.
func (h *history) open() []catalog.Shard {
	open := slices.DeleteFunc(slices.Clone(h.shards()), func(sh catalog.Shard) bool { return !sh.Open() })
	slices.SortFunc(open, func(a, b catalog.Shard) int { return a.Range.Start.Compare(b.Range.Start) })
	return open
}

// puts puts records in one call, as r says, which may be long out of date; before
// is called in the middle.
func (h *history) puts(r *catalog.Resource, before func()) {
	h.t.Helper()
	p := h.svc.NewPut(r)
	defer p.Release()
	keys := make([]string, 1+h.rand.IntN(8))
	next := map[string]int{}
	for i := range keys {
		key := "k" + strconv.Itoa(h.rand.IntN(12))
		data := strconv.Itoa(len(h.acked[key]) + next[key])
		next[key]++
		keys[i] = key
		dst, err := p.Add([]byte(key), nil, len(data))
		if err != nil {
			h.t.Fatal(err)
		}
		copy(dst, data)
	}
	before()
	p.Commit()
	for i, key := range keys {
		at, err := p.Result(i)
		if err != nil {
			h.t.Fatal(err)
		}
		h.acked[key] = append(h.acked[key], at.Sequence.String())
	}
}

// reshard makes one change at random.
func (h *history) reshard() {
	h.t.Helper()
	open := h.open()
	i := h.rand.IntN(len(open))
	sh := open[i]
	var err error
	switch kind := h.rand.IntN(6); {
	case kind < 3 && len(open) < 24:
		at := sh.Range.Middle()
		if h.rand.IntN(3) == 0 { // close to one end
			at = sh.Range.Start.Next().Next()
		} else if h.rand.IntN(3) == 0 {
			at = sh.Range.End.Prev()
		}
		err = h.svc.Split(context.Background(), scope, h.name, sh.Number.String(), at.String())
		if outside := at.Compare(sh.Range.Start.Next()) <= 0 || at.Compare(sh.Range.End) >= 0; outside && errs.KindOf(err) == errs.Invalid {
			err = nil // too narrow a shard
		}
	case kind < 5 && i+1 < len(open):
		a, b := sh.Number, open[i+1].Number
		if h.rand.IntN(2) == 0 {
			a, b = b, a
		}
		err = h.svc.Merge(context.Background(), scope, h.name, a.String(), b.String())
	default:
		target := (len(open)+1)/2 + h.rand.IntN(2*len(open)-(len(open)+1)/2+1)
		_, err = h.svc.Scale(context.Background(), scope, h.name, target)
		if errs.KindOf(err) == errs.LimitExceeded && strings.Contains(err.Error(), "more than 10 times") {
			err = nil
		} else if err == nil && len(h.open()) != target {
			h.t.Fatalf("scaled to %d, not to %d", len(h.open()), target)
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestReshardHistories redraws streams at random, with puts before, between and
// in the middle, and holds the outcome against everything that is promised.
func TestReshardHistories(t *testing.T) {
	w := newWorld(t)
	for seed := range *histories {
		h := &history{world: w, rand: rand.New(rand.NewPCG(uint64(seed), 1)), name: fmt.Sprintf("h%d", seed), acked: map[string][]string{}}
		h.initial = 1 + h.rand.IntN(4)
		h.create(h.name, h.initial)
		stale := h.lookup(h.name)
		for range 3 + h.rand.IntN(10) {
			switch h.rand.IntN(6) {
			case 0:
				h.puts(stale, func() {})
			case 1:
				h.puts(h.lookup(h.name), func() {})
			case 2:
				h.puts(h.lookup(h.name), h.reshard)
			case 3, 4:
				h.reshard()
			case 5:
				h.clock.Advance(time.Duration(h.rand.IntN(2500)) * time.Millisecond)
				stale = h.lookup(h.name)
			}
		}
		h.puts(stale, func() {})
		if seed%50 == 0 {
			h.reopen()
		}
		h.check()
		if t.Failed() {
			t.Fatalf("in the history of seed %d", seed)
		}
		if err := h.svc.Delete(context.Background(), scope, h.name); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(w.log.Partitions()); got != 1 {
		t.Errorf("%d partitions are left", got)
	}
}

// check holds the stream against what is promised.
func (h *history) check() {
	h.t.Helper()
	r := h.lookup(h.name)
	checkLineage(h.t, r.Stream.Shards, h.initial)

	// Parents are read before children: their numbers are lower.
	read := map[string][]seen{}
	last := map[ids.Shard]string{}
	for _, sh := range r.Stream.Shards {
		list, pos, _ := h.get(h.at(r, int(sh.Number), streams.StartingAt{Type: streams.TrimHorizon}), 10_000)
		last[sh.Number] = streams.StartOf(&sh).String()
		for _, rec := range list {
			read[rec.key] = append(read[rec.key], rec)
			if rec.seq <= last[sh.Number] {
				h.t.Errorf("%v: %s after %s", sh.Number, rec.seq, last[sh.Number])
			}
			last[sh.Number] = rec.seq
		}
		for _, p := range sh.Parents {
			if last[p] >= streams.StartOf(&sh).String() || last[p] >= streams.EndOf(shardNumbered(r, p)).String() {
				h.t.Errorf("%v reaches to %s, its child %v begins at %s", p, last[p], sh.Number, streams.StartOf(&sh))
			}
		}
		if page, err := h.svc.Get(pos, 1); err != nil || page.Next() || page.Ended() != !sh.Open() {
			h.t.Errorf("end of %v: %v", sh.Number, err)
		} else {
			page.Close()
		}
	}
	for key, acked := range h.acked {
		if len(read[key]) != len(acked) {
			h.t.Fatalf("key %s: %d of %d records", key, len(read[key]), len(acked))
		}
		for i, rec := range read[key] {
			if rec.data != strconv.Itoa(i) || rec.seq != acked[i] || i > 0 && rec.seq <= acked[i-1] {
				h.t.Fatalf("key %s: record %d is %s at %s, acknowledged at %s", key, i, rec.data, rec.seq, acked[i])
			}
		}
	}
}

func shardNumbered(r *catalog.Resource, n ids.Shard) *catalog.Shard {
	for i := range r.Stream.Shards {
		if r.Stream.Shards[i].Number == n {
			return &r.Stream.Shards[i]
		}
	}
	return nil
}

// checkLineage holds shards against what is promised of them: at every time one
// shard for every hash key, and complete descent.
func checkLineage(t testing.TB, shards []catalog.Shard, initial int) {
	t.Helper()
	byNumber := map[ids.Shard]catalog.Shard{}
	children := map[ids.Shard][]catalog.Shard{}
	times := []int64{shards[0].Created, 1<<62 - 1}
	for i, sh := range shards {
		if byNumber[sh.Number] = sh; int(sh.Number) != i {
			t.Errorf("shard %d is %v", i, sh.Number)
		}
		if (len(sh.Parents) == 0) != (i < initial) || len(sh.Parents) > 2 {
			t.Errorf("%v has the parents %v", sh.Number, sh.Parents)
		}
		for _, p := range sh.Parents {
			parent := byNumber[p]
			children[p] = append(children[p], sh)
			if parent.Open() || parent.Closed != sh.Created || sh.Created/1000 <= parent.Created/1000 || p >= sh.Number {
				t.Errorf("%+v is a child of %+v", sh, parent)
			}
			if streams.EndOf(&parent).String() >= streams.StartOf(&sh).String() {
				t.Errorf("%v begins at %s before %v ends", sh.Number, streams.StartOf(&sh), p)
			}
		}
		times = append(times, sh.Created, sh.Created-1)
	}
	for _, sh := range shards {
		if len(children[sh.Number]) == 0 != sh.Open() {
			t.Errorf("%v has the children %v", sh.Number, children[sh.Number])
		}
		if sh.Open() {
			continue
		}
		// The ranges of parents and of children cover the same.
		var above, below []ids.Range
		for _, c := range children[sh.Number] {
			below = append(below, c.Range)
		}
		for _, p := range children[sh.Number][0].Parents {
			above = append(above, byNumber[p].Range)
		}
		if a, b := joined(above), joined(below); a != b || len(above)+len(below) != 3 {
			t.Errorf("%v of %v, children of %v", below, above, sh.Number)
		}
	}
	for _, at := range times {
		if at < shards[0].Created {
			continue
		}
		var open []ids.Range
		for _, sh := range shards {
			if sh.Created <= at && (sh.Open() || at < sh.Closed) {
				open = append(open, sh.Range)
			}
		}
		if got := joined(open); got != (ids.Range{End: ids.MaxHash}) {
			t.Errorf("at %d these are open: %v", at, open)
		}
	}
}

// joined is what ranges cover, if they meet without gap or overlap.
func joined(ranges []ids.Range) ids.Range {
	slices.SortFunc(ranges, func(a, b ids.Range) int { return a.Start.Compare(b.Start) })
	for i := 1; i < len(ranges); i++ {
		if ranges[i-1].End == ids.MaxHash || ranges[i-1].End.Next() != ranges[i].Start {
			return ids.Range{}
		}
	}
	return ids.Range{Start: ranges[0].Start, End: ranges[len(ranges)-1].End}
}

// A put whose shard is split, and split again, under its hands puts its records
// where they belong, in their order, and tells nobody.
func TestPutAcrossReshards(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 2)
	ctx := context.Background()
	p := w.svc.NewPut(r)
	defer p.Release()
	top := ids.MaxHash.String()
	for _, rc := range []rec{{"a", "0", "0"}, {"b", top, "1"}, {"a", "0", "2"}, {"c", "", "3"}, {"b", top, "4"}, {"e", top, ""}} {
		var hash []byte
		if rc.hash != "" {
			hash = []byte(rc.hash)
		}
		dst, err := p.Add([]byte(rc.key), hash, len(rc.data))
		if err != nil {
			t.Fatal(err)
		}
		copy(dst, rc.data)
	}
	middle := ids.Range{End: ids.MaxHash}.Middle()
	for _, s := range []struct {
		shard string
		at    ids.Hash
	}{{"1", ids.Range{Start: middle, End: ids.MaxHash}.Middle()}, {"3", ids.MaxHash.Prev()}} {
		if err := w.svc.Split(ctx, scope, "s", s.shard, s.at.String()); err != nil {
			t.Fatal(err)
		}
	}
	p.Commit()
	want := []ids.Shard{0, 5, 0, 0, 5, 5}
	for i := range p.Len() {
		at, err := p.Result(i)
		if err != nil {
			t.Fatal(err)
		}
		if at.Shard != want[i] && i != 3 {
			t.Errorf("record %d went to %v", i, at.Shard)
		}
	}
	r = w.lookup("s")
	list, _, _ := w.get(w.at(r, 5, streams.StartingAt{Type: streams.TrimHorizon}), 10)
	if datas(list) != "1 4 " {
		t.Errorf("child has %q", datas(list))
	}
	found := 0
	for i := range r.Stream.Shards {
		list, _, _ := w.get(w.at(r, i, streams.StartingAt{Type: streams.TrimHorizon}), 10)
		found += len(list)
	}
	if found != 6 {
		t.Errorf("%d records in all", found)
	}
}

// A put that waits out a reshard finds its stream gone.
func TestDeletedAfterReshard(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	p := w.svc.NewPut(r)
	defer p.Release()
	if _, err := p.Add([]byte("k"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Scale(context.Background(), scope, "s", 2); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
		t.Fatal(err)
	}
	p.Commit()
	if _, err := p.Result(0); errs.KindOf(err) != errs.NotFound {
		t.Error(err)
	}
}

// Ten changes of the shard count in any 24 hours, through a restart too; one that
// changes nothing is none.
func TestScalings(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.create("s", 2)
	scale := func(n int) error {
		_, err := w.svc.Scale(ctx, scope, "s", n)
		return err
	}
	for i := range 10 {
		if err := errors.Join(scale(2+(i+1)%2), scale(2+(i+1)%2)); err != nil {
			t.Fatal(i, err)
		}
		w.clock.Advance(time.Hour)
	}
	w.reopen()
	if err := scale(3); errs.KindOf(err) != errs.LimitExceeded || !strings.Contains(err.Error(), "more than 10 times") {
		t.Fatal(err)
	}
	w.clock.Advance(14*time.Hour - 1)
	if err := scale(3); errs.KindOf(err) != errs.LimitExceeded {
		t.Fatal(err)
	}
	w.clock.Advance(time.Millisecond)
	if err := scale(3); err != nil {
		t.Fatal(err)
	}
	if err := scale(4); errs.KindOf(err) != errs.LimitExceeded {
		t.Fatal("the eleventh within a day of the second:", err)
	}
	checkLineage(t, w.lookup("s").Stream.Shards, 2)
}

// New shards count towards the quota and draw on the memory; a refused reshard
// gives back what it drew and changes nothing.
func TestReshardQuotas(t *testing.T) {
	budget := limits.NewBudget(64 << 10) // half of it is eight shards
	w := newWorld(t, func(o *streams.Options) {
		o.ShardQuota, o.Memory = func(string) int { return 5 }, budget
	})
	ctx := context.Background()
	w.create("s", 3)
	if _, err := w.svc.Scale(ctx, scope, "s", 6); errs.KindOf(err) != errs.LimitExceeded ||
		!strings.Contains(err.Error(), "Current shard count for the account: 3. Limit: 5. "+
			"Number of additional shards that would have resulted from this request: 3.") {
		t.Fatal(err)
	}
	for range 2 {
		open := w.lookup("s").Stream.Shards
		sh := open[len(open)-1]
		if err := w.svc.Split(ctx, scope, "s", sh.Number.String(), sh.Range.Middle().String()); err != nil {
			t.Fatal(err)
		}
	}
	// Seven shards are there, five of them open.
	before := w.lookup("s")
	if err := w.svc.Merge(ctx, scope, "s", "0", "1"); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Merge(ctx, scope, "s", "7", "2"); errs.KindOf(err) != errs.NotFound && errs.KindOf(err) != errs.Invalid &&
		errs.KindOf(err) != errs.LimitExceeded {
		t.Fatal(err)
	}
	if err := w.svc.Split(ctx, scope, "s", "7", "5"); errs.KindOf(err) != errs.LimitExceeded ||
		!strings.Contains(err.Error(), "memory") {
		t.Fatal(err)
	}
	if got := w.lookup("s"); got.Version != before.Version+1 {
		t.Errorf("version %d after one change of version %d", got.Version, before.Version)
	}
	if err := w.svc.Delete(ctx, scope, "s"); err != nil {
		t.Fatal(err)
	}
	w.create("t", 5)
}

// The children of an encrypted stream's shards are under its key, for puts that
// were on their way too.
func TestReshardKeepsEncryption(t *testing.T) {
	w := newWorld(t)
	w.create("s", 1)
	if err := w.encrypt("s", "key/a"); err != nil {
		t.Fatal(err)
	}
	r := w.lookup("s")
	p := w.svc.NewPut(r)
	defer p.Release()
	if _, err := p.Add([]byte("k"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Scale(context.Background(), scope, "s", 2); err != nil {
		t.Fatal(err)
	}
	p.Commit()
	if at, err := p.Result(0); err != nil || at.Shard == 0 || !p.Encrypted() {
		t.Errorf("%+v, %v, encrypted: %v", at, err, p.Encrypted())
	}
	if w.keyOf(w.lookup("s")) != r.Stream.DataKey {
		t.Error("the key changed")
	}
}

// A shard is not closed while a Kafka producer's transaction is open in it: whether
// that was committed could not be told any more. It is closing then, for a minute
// or until it is closed, so that no other begins.
func TestReshardWaitsForTransactions(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	put := func(b []byte) {
		t.Helper()
		if _, err := log.Do(w.log, log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: r.Stream.PartitionOf(0), Batch: b}}}); err != nil {
			t.Fatal(err)
		}
	}
	split := func() error { return w.svc.Split(context.Background(), scope, "s", "0", "5") }
	put(logtest.Produced(2, 7, 0, 0, batch.Transactional))
	if err := split(); errs.KindOf(err) != errs.InUse || !strings.Contains(err.Error(), "transaction") {
		t.Fatalf("split in a transaction: %v", err)
	}
	if got := w.lookup("s"); len(got.Stream.Shards) != 1 || !got.Stream.Shards[0].Open() {
		t.Fatalf("after the refusal: %+v", got.Stream.Shards)
	}
	p := r.Stream.PartitionOf(0)
	w.clock.Advance(time.Minute - 1)
	if !w.svc.Closing(p) {
		t.Error("the shard takes transactions again")
	}
	w.clock.Advance(time.Millisecond)
	if w.svc.Closing(p) {
		t.Error("nobody tries to close the shard any more")
	}
	if err := split(); errs.KindOf(err) != errs.InUse || !w.svc.Closing(p) {
		t.Fatalf("split again: %v", err)
	}
	put(logtest.Marker(7, 0, true))
	if err := split(); err != nil || w.svc.Closing(p) {
		t.Fatal(err)
	}
	if list, _, _ := w.get(w.at(w.lookup("s"), 0, streams.StartingAt{Type: streams.TrimHorizon}), 10); len(list) != 2 {
		t.Errorf("%d records of the transaction, want 2", len(list))
	}
}

// A listing by time covers the key space of a topic that was grown, whenever it is
// about: a consumer that begins with it would lack the new shards else.
func TestGrownTopicIsWhole(t *testing.T) {
	w := newWorld(t)
	n := streams.NewStream{Scope: scope, Name: "t", Mode: catalog.Provisioned, Shards: 2, Topic: &catalog.Topic{}}
	if err := w.svc.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	made := w.clock.Now().UnixMilli()
	w.clock.Advance(time.Hour)
	if err := w.svc.GrowTopic(t.Context(), scope, "t", 5); err != nil {
		t.Fatal(err)
	}
	for _, f := range []streams.Filter{{}, {Type: streams.AtTrimHorizon}, {Type: streams.OpenAtTimestamp, Time: made + 60_000}, {Type: streams.AtLatest}} {
		if page, _, _ := w.svc.Shards(w.lookup("t"), streams.Listing{Filter: f, After: -1}, 10); len(page) != 5 {
			t.Errorf("%v: %d shards of 5", f, len(page))
		}
	}
}

// What is hidden from readers of streams is so for every way to name a shard.
func TestHiddenTopicIsNotRead(t *testing.T) {
	w := newWorld(t)
	n := streams.NewStream{Scope: scope, Name: "t", Mode: catalog.Provisioned, Shards: 1, Topic: &catalog.Topic{}}
	if err := w.svc.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	r, sh, err := w.svc.Shard(scope, "t", "0")
	if err != nil {
		t.Fatal(err)
	}
	pos, err := w.svc.Locate(r, sh, streams.StartingAt{Type: streams.TrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	iterator := w.svc.AppendIterator(nil, pos)
	if err := w.svc.ChangeTopic(t.Context(), scope, "t", func(c *catalog.Topic) error { c.Hidden = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.svc.Shard(scope, "t", "0"); errs.KindOf(err) != errs.NotFound {
		t.Errorf("a shard of a hidden topic: %v", err)
	}
	if _, err := w.svc.OpenIterator(scope, iterator); errs.KindOf(err) != errs.NotFound {
		t.Errorf("an iterator from before it was hidden: %v", err)
	}
}

func TestTopicIsNotRedrawn(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	n := streams.NewStream{Scope: scope, Name: "t", Mode: catalog.Provisioned, Shards: 2, Topic: &catalog.Topic{}}
	if err := w.svc.Create(ctx, n); err != nil {
		t.Fatal(err)
	}
	r := w.lookup("t")
	_, scaled := w.svc.Scale(ctx, scope, "t", 4)
	for _, err := range []error{
		w.svc.Split(ctx, scope, "t", "0", "5"), w.svc.Merge(ctx, scope, "t", "0", "1"), scaled,
		w.svc.SetMode(ctx, scope, "t", catalog.OnDemand, 0),
	} {
		if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), "CreatePartitions") {
			t.Error(err)
		}
	}
	if w.lookup("t") != r {
		t.Error("it changed")
	}
}

// A reshard that the log refuses leaves the stream and the memory as they were.
func TestReshardRefused(t *testing.T) {
	w := newWorld(t)
	refusing := &refusingAll{Log: w.log}
	r := w.create("s", 1)
	cat, err := catalog.Open(context.Background(), refusing, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Log, w.opts.Catalog = refusing, cat
	if w.svc, err = streams.New(w.opts); err != nil {
		t.Fatal(err)
	}
	refusing.err = log.ErrNoSpace
	if err := w.svc.Split(context.Background(), scope, "s", "0", "5"); errs.KindOf(err) != errs.NoSpace {
		t.Fatal(err)
	}
	refusing.err = nil
	if got := w.lookup("s"); got.Version != r.Version || !got.Stream.Shards[0].Open() {
		t.Fatalf("%+v", got)
	}
	w.put(w.lookup("s"), rec{key: "k", data: "still works"})
}

// refusingAll refuses every append with an error.
type refusingAll struct {
	log.Log
	err error
}

func (l *refusingAll) Append(req log.Request, done func([]log.Result)) {
	if l.err == nil {
		l.Log.Append(req, done)
		return
	}
	out := make([]log.Result, len(req.Entries))
	for i := range out {
		out[i].Err = l.err
	}
	done(out)
}
