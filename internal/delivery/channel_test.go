package delivery_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/process"
	"thalweg/internal/errs"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

var channelKey = delivery.ChannelKey(scope, "events")

// channel makes the stream "source" and a channel of it.
func (w *world) channel() (*catalog.Resource, error) {
	ctx := context.Background()
	if err := w.streams.Create(ctx, streams.NewStream{Scope: scope, Name: "source", Mode: catalog.OnDemand}); err != nil {
		return nil, err
	}
	r, err := w.streams.Lookup(scope, "source")
	if err != nil {
		return nil, err
	}
	return w.channelOf(r, delivery.ChannelBucket{Template: "!{yyyy}/!{mm}!{extension}", Compression: "NONE", Record: delivery.JSONRecord})
}

func (w *world) channelOf(r *catalog.Resource, b delivery.ChannelBucket) (*catalog.Resource, error) {
	b.RoleARN, b.BucketARN, b.DeadARN, b.DeadPrefix = "arn:aws:iam::000000000000:role/r", "arn:aws:s3:::bucket", "arn:aws:s3:::bucket", "dead/"
	b.FreshnessSeconds = 300
	c, err := b.Config()
	if err != nil {
		return nil, err
	}
	n := delivery.NewChannel{
		Key: channelKey, ID: "events", Name: "moves", Type: delivery.KinesisSource, Kind: delivery.BucketKind, Config: c,
		Source: catalog.DeliverySource{ARN: r.ARN, Stream: r.Stream.Number, ReadFrom: -1}, Shape: []byte(`{}`),
	}
	if r.Stream.Topic != nil {
		n.Type = delivery.MSKSource
	}
	return w.s.CreateChannel(context.Background(), n)
}

func stages(c dest.Config, e dest.Env) ([]dest.Processor, error) { return process.Open(c, e, nil) }

func TestChannelStaysOutOfDeliveryStreams(t *testing.T) {
	w := newWorld(t)
	w.process = stages
	r, err := w.channel()
	if err != nil {
		t.Fatal(err)
	}
	if list, _ := w.s.List(scope, "", "", 10); len(list) != 0 || len(w.s.All()) != 0 {
		t.Errorf("a listing of delivery streams has %v", list)
	}
	if _, err := w.s.Lookup(scope, "events"); errs.KindOf(err) != errs.NotFound {
		t.Errorf("found as a delivery stream: %v", err)
	}
	if err := w.s.Delete(context.Background(), scope, "events"); errs.KindOf(err) != errs.NotFound {
		t.Errorf("deleted as a delivery stream: %v", err)
	}
	w.create("events") // the name is not shared
	if _, err := w.s.Channel(channelKey, delivery.MSKSource); errs.KindOf(err) != errs.NotFound {
		t.Errorf("found as a channel of a topic: %v", err)
	}
	if other := delivery.ChannelKey(catalog.Scope{Account: "111111111111", Region: scope.Region}, "events"); other != r.Key {
		if _, err := w.s.Channel(other, delivery.KinesisSource); errs.KindOf(err) != errs.NotFound {
			t.Errorf("found in another account: %v", err)
		}
	}
}

// A batch is delivered when its oldest record is as old as the channel says, and not before;
// a changed freshness holds for what waits.
func TestChannelFreshness(t *testing.T) {
	w := newWorld(t)
	w.process = stages
	r, err := w.channel()
	if err != nil {
		t.Fatal(err)
	}
	l := &told{acked: map[string][]string{}, doubtful: map[string][]string{}}
	if !l.putTo(w, "a", `{"n":1}`) {
		t.Fatal("not put")
	}
	w.clock.Advance(299 * time.Second)
	if got := w.all(); len(got) != 0 {
		t.Fatalf("delivered early: %v", got)
	}
	r, err = w.s.UpdateChannel(context.Background(), r, func(_ *catalog.Channel, c dest.Config) (dest.Config, error) {
		return delivery.WithFreshness(c, 200)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.delivers(r)
	if got := w.all(); len(got) != 1 || got[0].body != "{\"n\":1}\n" || !strings.HasPrefix(got[0].key, "2026/04-") {
		t.Errorf("delivered %v", got)
	}
}

// The extension says what the bytes are, and stands behind what makes the key unique.
func TestChannelCompression(t *testing.T) {
	for compression, extension := range map[string]string{"NONE": "", "GZIP": ".gz", "ZSTD": ".zst"} {
		w := newWorld(t)
		w.process = stages
		ctx := context.Background()
		if err := w.streams.Create(ctx, streams.NewStream{Scope: scope, Name: "source", Mode: catalog.OnDemand}); err != nil {
			t.Fatal(err)
		}
		st, err := w.streams.Lookup(scope, "source")
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.channelOf(st, delivery.ChannelBucket{Template: "x!{extension}", Compression: compression})
		if err != nil {
			t.Fatal(err)
		}
		l := &told{acked: map[string][]string{}, doubtful: map[string][]string{}}
		if !l.putTo(w, "a", "what was put") {
			t.Fatal("not put")
		}
		if err := w.s.Flush(ctx, r); err != nil {
			t.Fatal(err)
		}
		all := w.all()
		if len(all) != 1 || !strings.HasPrefix(all[0].key, "x-") || len(all[0].key) != len("x-")+36+len(extension) || !strings.HasSuffix(all[0].key, extension) {
			t.Fatalf("%s: delivered %v", compression, all)
		}
		if got := unpacked(t, compression, all[0].body); got != "what was put" {
			t.Errorf("%s: %q", compression, got)
		}
	}
}

func unpacked(t *testing.T, compression, body string) string {
	t.Helper()
	in, err := io.Reader(strings.NewReader(body)), error(nil)
	switch compression {
	case "GZIP":
		in, err = gzip.NewReader(in)
	case "ZSTD":
		in, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// delivers waits until what is there has been delivered, without asking for it.
func (w *world) delivers(r *catalog.Resource) {
	w.t.Helper()
	deadline := clock.System().NewTimer(20 * time.Second)
	defer deadline.Stop()
	for tick := clock.System(); len(w.all()) == 0; {
		again := tick.NewTimer(time.Millisecond)
		select {
		case <-again.C():
		case <-deadline.C():
			w.t.Fatalf("not delivered: %+v", w.s.Explain(r))
		}
	}
}

// A channel of a topic makes an object for each partition where its template says so.
func TestChannelOfTopic(t *testing.T) {
	w := newWorld(t)
	w.process = stages
	ctx := context.Background()
	if err := w.streams.Create(ctx, streams.NewStream{Scope: scope, Name: "source", Mode: catalog.Provisioned, Shards: 2,
		Topic: &catalog.Topic{Replicas: 1}}); err != nil {
		t.Fatal(err)
	}
	st, err := w.streams.Lookup(scope, "source")
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.channelOf(st, delivery.ChannelBucket{Template: "p!{partition-id}/!{kafka-offset}", Compression: "NONE", Record: delivery.TextRecord})
	if err != nil {
		t.Fatal(err)
	}
	l := &told{acked: map[string][]string{}, doubtful: map[string][]string{}}
	for round := range 2 {
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			if !l.putTo(w, key, fmt.Sprint(key, round)) {
				t.Fatal("not put")
			}
		}
		if err := w.s.Flush(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	begun := map[string]bool{}
	for _, o := range w.all() {
		begun[o.key[:strings.LastIndex(o.key, "/")+19]] = true
		lines = append(lines, strings.Fields(o.body)...)
	}
	slices.Sort(lines)
	if got := strings.Join(lines, " "); got != "a0 a1 b0 b1 c0 c1 d0 d1 e0 e1" || len(begun) != 4 ||
		!begun["p0/000000000000000000"] || !begun["p1/000000000000000000"] {
		t.Errorf("delivered %s as %v", got, begun)
	}
	if err := w.streams.DeleteTopic(ctx, scope, "source"); err != nil {
		t.Fatal(err)
	}
	if w.s.ChannelStream(r) != nil {
		t.Error("the topic is there")
	}
	if err := w.s.DeleteChannel(ctx, r); err != nil {
		t.Fatal(err)
	}
	if err := w.s.Gone(ctx, r); err != nil {
		t.Fatal(err)
	}
}

// TestChannelCrash cuts the power at call after call of a channel's life. A channel that was
// said to be there delivers, and one that was said to go goes, and lets its stream go; no
// record is delivered twice, and before the deletion none is missing.
func TestChannelCrash(t *testing.T) {
	total := 0
	for n := range 3 {
		_, calls := crashRun(t, vfs.NewMem(uint64(n)), (*told).channel)
		total = max(total, calls)
	}
	tried := 0
	for at := 1; at < total && !t.Failed(); at += max(1, total / *crashes) {
		fs := vfs.NewMem(uint64(at))
		fs.Inject(func(op vfs.Op) error {
			if op.N == at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		l, _ := crashRun(t, fs, (*told).channel)
		l.checkChannel(t, at, fs.Crash(uint64(at)))
		tried++
	}
	t.Logf("%d crash points of %d calls", tried, total)
}

// channel is the life of one.
func (l *told) channel(w *world) bool {
	r, err := w.channel()
	if l.created = err == nil; !l.created {
		return false
	}
	for i := range 6 {
		if !l.putTo(w, "k", fmt.Sprintf("{\"n\":%d}\n", i)) {
			return false
		}
		if i%2 == 1 && !w.awaits(r, w.s.Flush) {
			return false
		}
	}
	l.deleting = true
	if l.deleted = w.s.DeleteChannel(context.Background(), r) == nil; !l.deleted {
		return false
	}
	return w.awaits(r, w.s.Gone)
}

func (l *told) checkChannel(t *testing.T, at int, fs *vfs.Mem) {
	w := &world{t: t, fs: fs, clock: clock.NewManual(start), kinds: map[string]dest.Spec{}, process: l.stages}
	if err := w.open(); err != nil {
		t.Errorf("%d: open: %v", at, err)
		return
	}
	defer w.close()
	r, err := w.s.Channel(channelKey, delivery.KinesisSource)
	if l.created && !l.deleting && err != nil {
		t.Errorf("%d: the channel is gone: %v", at, err)
		return
	}
	if err == nil && r.State == catalog.Active {
		if l.deleted {
			t.Errorf("%d: the deletion is forgotten", at)
		}
		if !w.awaits(r, w.s.Flush) {
			t.Errorf("%d: not delivered", at)
		}
		if err := w.s.DeleteChannel(context.Background(), r); err != nil {
			t.Errorf("%d: delete: %v", at, err)
		}
	}
	if err == nil && !w.awaits(r, w.s.Gone) {
		t.Errorf("%d: not gone", at)
	}
	var got []string
	for _, o := range w.all() {
		got = append(got, strings.Fields(o.body)...)
	}
	slices.Sort(got)
	if n := len(got); len(slices.Compact(got)) != n {
		t.Errorf("%d: delivered twice: %v", at, got)
	}
	if !l.deleting {
		for _, record := range l.acked["k"] {
			if !slices.Contains(got, strings.TrimSpace(record)) {
				t.Errorf("%d: %s was not delivered: %v", at, record, got)
			}
		}
	}
	if _, err := w.streams.Lookup(scope, "source"); err == nil {
		if err := w.streams.Delete(context.Background(), scope, "source"); err != nil {
			t.Errorf("%d: delete the stream: %v", at, err)
		}
	}
}
