package streams_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/streams"
)

func limited(m limits.Mode) func(*streams.Options) {
	return func(o *streams.Options) { o.Limits = m }
}

// tryPut puts n records of size bytes each, key included, to one shard, and
// returns which were stored, as a picture: "++-", and what refused the others.
func (w *world) tryPut(r *catalog.Resource, hash string, n, size int) (picture string, refusal error) {
	w.t.Helper()
	p := w.svc.NewPut(r)
	defer p.Release()
	for i := range n {
		dst, err := p.Add([]byte("k"), []byte(hash), size-1)
		if err != nil {
			w.t.Fatal(err)
		}
		clear(dst)
		copy(dst, fmt.Sprint(i))
	}
	p.Commit()
	for i := range n {
		if _, err := p.Result(i); err != nil {
			picture, refusal = picture+"-", err
		} else {
			picture += "+"
		}
	}
	return picture, refusal
}

const (
	first = "0"                                       // a hash key of the first of two shards
	last  = "340282366920938463463374607431768211455" // and of the second
	mib   = 1 << 20
)

// TestLimits uses each limit up at once, and finds that it holds for one shard,
// account, stream or consumer only, and comes back in its time.
func TestLimits(t *testing.T) {
	subscribe := func(consumer string) func(*world, *catalog.Resource) error {
		return func(w *world, _ *catalog.Resource) error {
			if _, err := w.svc.Consumer(streams.ConsumerID{Scope: scope, Stream: "s", Name: consumer}); err != nil {
				w.consumer(consumer)
			}
			sub, err := w.trySubscribe(t.Context(), consumer, fromTip)
			if err == nil {
				sub.Close()
			}
			if errs.KindOf(err) == errs.InUse {
				return nil // let through, and refused for another reason
			}
			return err
		}
	}
	shardText := "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000."
	put := func(size int) func(*world, *catalog.Resource) error {
		return func(w *world, r *catalog.Resource) error { _, err := w.tryPut(r, first, 1, size); return err }
	}
	call := func(stream, op string, rate streams.CallRate) func(*world, *catalog.Resource) error {
		return func(w *world, _ *catalog.Resource) error { return w.svc.AdmitCall(scope, stream, op, rate) }
	}
	for _, tc := range []struct {
		limit streams.Limit
		use   func(*world, *catalog.Resource) error
		other func(*world, *catalog.Resource) error // does not draw on the same
		times int                                   // at once
		again time.Duration                         // until there is one more
		kind  errs.Kind
		text  string
	}{
		{limit: streams.WriteBytes, use: put(64 << 10), times: 16, again: time.Second / 16, kind: errs.Throttled, text: shardText,
			other: func(w *world, r *catalog.Resource) error { _, err := w.tryPut(r, last, 16, 64<<10); return err }},
		{limit: streams.WriteRecords, use: put(10), times: 1000, again: time.Millisecond, kind: errs.Throttled, text: shardText,
			other: func(w *world, r *catalog.Resource) error { _, err := w.tryPut(r, last, 500, 10); return err }},
		{limit: streams.ReadCalls, times: 5, again: time.Second / 5, kind: errs.Throttled, text: shardText,
			use:   func(w *world, r *catalog.Resource) error { return w.tryGet(r, 0) },
			other: func(w *world, r *catalog.Resource) error { return w.tryGet(r, 1) }},
		{limit: streams.IteratorCalls, times: 5, again: time.Second / 5, kind: errs.Throttled, text: shardText,
			use:   func(w *world, r *catalog.Resource) error { return w.svc.AdmitIterator(r, 0) },
			other: func(w *world, r *catalog.Resource) error { return w.svc.AdmitIterator(r, 1) }},
		{limit: streams.SubscribeCalls, times: 1, again: time.Second, kind: errs.LimitExceeded, text: shardText,
			use: subscribe("c"), other: subscribe("d")},
		{limit: streams.ManageCalls, times: 10, again: time.Second / 10, kind: errs.LimitExceeded,
			text: "Rate exceeded for stream s under account 000000000000.",
			use:  call("s", "DescribeStream", streams.CallRate{PerSecond: 10}), other: call("s", "DescribeStreamSummary", streams.CallRate{PerSecond: 10})},
		{limit: streams.ManageCalls, times: 5, again: time.Second / 5, kind: errs.LimitExceeded,
			text: "Rate exceeded for account 000000000000.",
			use:  call("", "ListStreams", streams.CallRate{PerSecond: 5}),
			other: func(w *world, _ *catalog.Resource) error {
				return w.svc.AdmitCall(catalog.Scope{Account: "111111111111", Region: "us-east-1"}, "", "ListStreams", streams.CallRate{PerSecond: 5})
			}},
		{limit: streams.ManageCalls, times: 1000, again: time.Millisecond, kind: errs.LimitExceeded,
			text:  "Rate exceeded for stream s under account 000000000000.",
			use:   call("s", "ListShards", streams.CallRate{PerSecond: 1000, PerStream: true}),
			other: call("s2", "ListShards", streams.CallRate{PerSecond: 1000, PerStream: true})},
	} {
		t.Run(tc.limit.String()+"/"+fmt.Sprint(tc.times), func(t *testing.T) {
			w := newWorld(t, limited(limits.AWS))
			r := w.create("s", 2)
			for i := range tc.times {
				if err := tc.use(w, r); err != nil {
					t.Fatalf("use %d of %d: %v", i+1, tc.times, err)
				}
			}
			check := func() {
				t.Helper()
				err := tc.use(w, r)
				if errs.KindOf(err) != tc.kind || err == nil || err.Error() != tc.text {
					t.Errorf("one more: %v %v", errs.KindOf(err), err)
				}
			}
			check()
			if err := tc.other(w, r); err != nil {
				t.Errorf("another is refused too: %v", err)
			}
			w.clock.Advance(tc.again - time.Microsecond)
			check()
			w.clock.Advance(time.Microsecond)
			if err := tc.use(w, r); err != nil {
				t.Errorf("after %v: %v", tc.again, err)
			}
			check()
			w.clock.Advance(time.Minute)
			for i := range tc.times {
				if err := tc.use(w, r); err != nil {
					t.Fatalf("use %d of %d after a rest: %v", i+1, tc.times, err)
				}
			}
			check()
			if refused, passed := w.svc.Exceeded(tc.limit); refused != 4 || passed != 0 {
				t.Errorf("counted %d refused, %d passed; want 4, 0", refused, passed)
			}
		})
	}
}

// tryGet reads a page from the beginning of a shard.
func (w *world) tryGet(r *catalog.Resource, shard int) error {
	w.t.Helper()
	p, err := w.svc.GetRecords(w.at(r, shard, streams.StartingAt{Type: streams.TrimHorizon}), streams.MaxGetRecords)
	if err != nil {
		return err
	}
	defer p.Close()
	for p.Next() {
	}
	return p.Err()
}

// A shard's records of one call fail from the first that finds no room; other
// shards' do not, and what is stored is readable and in order.
func TestLimitsRefusePartOfACall(t *testing.T) {
	w := newWorld(t, limited(limits.AWS))
	r := w.create("s", 2)
	p := w.svc.NewPut(r)
	defer p.Release()
	sizes := []struct {
		hash string
		size int
	}{{first, mib / 2}, {last, 10}, {first, mib / 4}, {first, mib / 2}, {first, 10}, {last, mib / 2}, {first, mib / 4}}
	for i, s := range sizes {
		dst, err := p.Add([]byte("k"), []byte(s.hash), s.size)
		if err != nil {
			t.Fatal(err)
		}
		clear(dst)
		copy(dst, fmt.Sprint(i))
	}
	p.Commit()
	picture, sequences := "", map[string]string{}
	for i := range sizes {
		at, err := p.Result(i)
		if err != nil {
			picture += "-"
			if errs.KindOf(err) != errs.Throttled || !strings.Contains(err.Error(), "shardId-000000000000 in stream s under") {
				t.Errorf("record %d: %v", i, err)
			}
			continue
		}
		picture += "+"
		sequences[at.Sequence.String()] = fmt.Sprint(i)
	}
	if picture != "+++--+-" {
		t.Errorf("stored %s", picture)
	}
	w.clock.Advance(time.Minute)
	for shard, want := range []string{"0 2", "1 5"} {
		list, _, _ := w.get(w.at(r, shard, streams.StartingAt{Type: streams.TrimHorizon}), 100)
		var got []string
		for _, rec := range list {
			data := strings.TrimRight(rec.data, "\x00")
			got = append(got, data)
			if sequences[rec.seq] != data {
				t.Errorf("record %s was answered as %s", data, sequences[rec.seq])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("shard %d holds %v, want %s", shard, got, want)
		}
	}
}

// A call of which nothing has room writes nothing.
func TestLimitsRefuseAWholeCall(t *testing.T) {
	w := newWorld(t, limited(limits.AWS))
	r := w.create("s", 2)
	if got, err := w.tryPut(r, first, 1, mib); got != "+" {
		t.Fatal(got, err)
	}
	before := w.log.Stats().Frames
	if got, _ := w.tryPut(r, first, 3, 10); got != "---" {
		t.Error(got)
	}
	if after := w.log.Stats().Frames; after != before {
		t.Errorf("%d frames were written for it", after-before)
	}
}

// A stream that takes large records takes one of the largest at once, and then
// waits for its average.
func TestLimitsLetLargeRecordsBurst(t *testing.T) {
	w := newWorld(t, limited(limits.AWS))
	n := streams.NewStream{Scope: scope, Name: "s", Mode: catalog.Provisioned, Shards: 1, MaxRecordKiB: 10240}
	if err := w.svc.Create(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	r := w.lookup("s")
	for _, step := range []struct {
		wait time.Duration
		size int
		want string
	}{
		{0, 10*mib + 1, "+"}, // a record of 10 MiB, and its key
		{0, 10, "-"},
		{time.Second, mib - 100, "+"}, // as it fills again
		{time.Second, 2 * mib, "-"},
		{8 * time.Second, 9 * mib, "+"},
	} {
		w.clock.Advance(step.wait)
		if got, err := w.tryPut(r, first, 1, step.size); got != step.want {
			t.Errorf("%d bytes after %v: %s %v", step.size, step.wait, got, err)
		}
	}
}

// A new on-demand stream takes 4 MiB a second, a shard's worth of each key range.
func TestLimitsOnDemand(t *testing.T) {
	w := newWorld(t, limited(limits.AWS))
	if err := w.svc.Create(context.Background(), streams.NewStream{Scope: scope, Name: "s", Mode: catalog.OnDemand}); err != nil {
		t.Fatal(err)
	}
	r := w.lookup("s")
	for range 2 {
		for _, sh := range r.Stream.Shards {
			if got, err := w.tryPut(r, sh.Range.Start.String(), 5, mib/4); got != "++++-" {
				t.Errorf("%s: %s %v", sh.Number, got, err)
			}
		}
		w.clock.Advance(time.Second)
	}
}

// After an answer of 10 MiB a shard gives nothing for five seconds; answers within
// the rate go on.
func TestLimitsBarReads(t *testing.T) {
	w := newWorld(t, limited(limits.AWS))
	r := w.create("s", 2)
	for range 12 {
		if got, err := w.tryPut(r, first, 1, mib); got != "+" {
			t.Fatal(got, err)
		}
		if got, err := w.tryPut(r, last, 1, mib/2); got != "+" {
			t.Fatal(got, err)
		}
		w.clock.Advance(time.Second)
	}
	pos := w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon})
	read := func() (int, error) {
		p, err := w.svc.GetRecords(pos, streams.MaxGetRecords)
		if err != nil {
			return 0, err
		}
		defer p.Close()
		for p.Next() {
		}
		pos = p.Position()
		return p.Count(), p.Err()
	}
	if n, err := read(); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	for _, wait := range []time.Duration{0, time.Second, 4*time.Second - time.Millisecond} {
		w.clock.Advance(wait)
		if _, err := read(); errs.KindOf(err) != errs.Throttled {
			t.Errorf("read although barred: %v", err)
		}
	}
	w.clock.Advance(time.Millisecond)
	if n, err := read(); n != 2 || err != nil {
		t.Errorf("after five seconds: %d %v", n, err)
	}
	if n, err := read(); n != 0 || err != nil { // 2 MiB were there
		t.Errorf("at the tip: %d %v", n, err)
	}
	pos = w.at(r, 1, streams.StartingAt{Type: streams.TrimHorizon})
	if n, err := read(); n != 12 || err != nil {
		t.Errorf("the other shard: %d %v", n, err)
	}
}

// Pushes keep to 2 MiB a second for each consumer, after a burst of as much: the
// subscription waits, and nothing is refused.
func TestLimitsPacePushes(t *testing.T) {
	const size = 200 << 10 // each is an event: two do not fit into one
	prepare := func(mode string) *world {
		w := newWorld(t)
		r := w.create("s", 1)
		w.consumer("c")
		for range 20 {
			if got, err := w.tryPut(r, first, 1, size); got != "+" {
				t.Fatal(got, err)
			}
		}
		if err := w.svc.Tag(t.Context(), scope, "s", map[string]string{streams.LimitsTag: mode}); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := prepare("warn")
	sub := w.subscribe("c", fromStart)
	for range 20 {
		next(t, sub)
	}
	sub.Close()
	if refused, passed := w.svc.Exceeded(streams.PushBytes); refused != 0 || passed != 10 {
		t.Errorf("warn: %d refused, %d passed, of 20 pushes 10 fit", refused, passed)
	}

	w = prepare("aws")
	sub = w.subscribe("c", fromStart)
	defer sub.Close()
	for range 11 { // the last of them is owed in part
		next(t, sub)
	}
	for _, owed := range []time.Duration{152, 200, 200} { // KiB, which takes:
		owed = owed * time.Second / 2048
		pushed := later(func() event { return next(t, sub) })
		w.clock.AwaitTimers(1)
		w.clock.Advance(owed - time.Millisecond)
		select {
		case <-pushed:
			t.Errorf("pushed before %v were over", owed)
		default:
		}
		w.clock.Advance(time.Millisecond)
		if e := <-pushed; len(e.records) != 1 {
			t.Errorf("%d records", len(e.records))
		}
	}
	if refused, _ := w.svc.Exceeded(streams.PushBytes); refused != 0 {
		t.Errorf("%d refused", refused)
	}
}

// Warn refuses nothing, counts what AWS would refuse, and tells of it now and
// then.
func TestLimitsWarn(t *testing.T) {
	var told bytes.Buffer
	w := newWorld(t, limited(limits.Warn), func(o *streams.Options) { o.Logger = slog.New(slog.NewTextHandler(&told, nil)) })
	r := w.create("s", 2)
	if got, err := w.tryPut(r, first, 24, 64<<10); got != strings.Repeat("+", 24) {
		t.Error(got, err)
	}
	for range 7 {
		if err := w.tryGet(r, 0); err != nil {
			t.Error(err)
		}
	}
	want := map[streams.Limit]int64{streams.WriteBytes: 8, streams.ReadBytes: 5}
	for l := range streams.LimitCount {
		if refused, passed := w.svc.Exceeded(l); refused != 0 || passed != want[l] {
			t.Errorf("%v: %d refused, %d passed, want %d passed", l, refused, passed, want[l])
		}
	}
	if n := strings.Count(told.String(), "\n"); n != 1 {
		t.Errorf("told %d times:\n%s", n, told.String())
	}
	w.clock.Advance(10 * time.Second)
	for range 6 {
		_ = w.tryGet(r, 1)
	}
	if n := strings.Count(told.String(), "\n"); n != 2 || !strings.Contains(told.String(), "limit=read_calls account=000000000000 stream=s times_since_last_told=6") {
		t.Errorf("told %d times:\n%s", n, told.String())
	}
}

// A stream's tag decides over the server's mode, in both directions, at once.
func TestLimitsTag(t *testing.T) {
	for _, tc := range []struct {
		server limits.Mode
		tag    string
		want   string
	}{
		{limits.Off, "", "++"}, {limits.Off, "aws", "+-"}, {limits.AWS, "off", "++"}, {limits.AWS, "", "+-"}, {limits.AWS, "warn", "++"}, {"", "", "++"},
	} {
		w := newWorld(t, limited(tc.server))
		r := w.create("s", 1)
		if tc.tag != "" {
			if err := w.svc.Tag(t.Context(), scope, "s", map[string]string{streams.LimitsTag: tc.tag}); err != nil {
				t.Fatal(err)
			}
			r = w.lookup("s")
		}
		if got, _ := w.tryPut(r, first, 2, mib); got != tc.want {
			t.Errorf("server %q, tag %q: %s, want %s", tc.server, tc.tag, got, tc.want)
		}
	}
	w := newWorld(t)
	w.create("s", 1)
	bad := map[string]string{streams.LimitsTag: "on"}
	if err := w.svc.Tag(t.Context(), scope, "s", bad); errs.KindOf(err) != errs.Invalid {
		t.Error(err)
	}
	err := w.svc.Create(t.Context(), streams.NewStream{Scope: scope, Name: "t", Mode: catalog.Provisioned, Shards: 1, Tags: bad})
	if errs.KindOf(err) != errs.Invalid {
		t.Error(err)
	}
}

// The two doors draw on one bucket.
func TestAdmitWrite(t *testing.T) {
	w := newWorld(t, limited(limits.AWS))
	r := w.create("s", 2)
	if !w.svc.AdmitWrite(r, 0, 600, 1000) || w.svc.AdmitWrite(r, 0, 600, 1000) {
		t.Error("1000 records a second, in two halves of 600")
	}
	if got, _ := w.tryPut(r, first, 500, 10); got != strings.Repeat("+", 400)+strings.Repeat("-", 100) {
		t.Errorf("400 of 500 were left: %s", got)
	}
}

// Whatever is refused, whatever is split meanwhile: each record that was answered
// as stored is in its shard, at its number, in order, and no other is.
func TestRefusedAgainstModel(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		w := makeWorld(outer, limited(limits.AWS))
		defer w.log.Close(context.Background())
		mode := rapid.SampledFrom([]catalog.StreamMode{catalog.Provisioned, catalog.OnDemand}).Draw(t, "mode")
		n := streams.NewStream{Scope: scope, Name: "s", Mode: mode, Shards: 3, AutoDistribution: mode == catalog.OnDemand && rapid.Bool().Draw(t, "auto")}
		if err := w.svc.Create(context.Background(), n); err != nil {
			t.Fatal(err)
		}
		stored := map[int][]string{} // by shard
		for call := range rapid.IntRange(1, 4).Draw(t, "calls") {
			p := w.svc.NewPut(w.lookup("s"))
			count := rapid.IntRange(1, 40).Draw(t, "records")
			made := map[int]bool{}
			for i := range count {
				dst, err := p.Add([]byte(fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key"))), nil, rapid.SampledFrom([]int{8, 100_000, 600_000}).Draw(t, "size"))
				if err != nil {
					t.Fatal(err)
				}
				clear(dst)
				copy(dst, fmt.Sprintf("%d.%d", call, i))
			}
			for i := range count {
				if made[i] = rapid.IntRange(0, 5).Draw(t, "fault") == 0; made[i] {
					p.Fail(i, errs.Internal)
				}
			}
			if mode == catalog.Provisioned && rapid.Bool().Draw(t, "split") {
				open := w.lookup("s").Stream.Shards
				if sh := open[len(open)-1]; sh.Open() {
					_ = w.svc.Split(context.Background(), scope, "s", sh.Number.String(), sh.Range.Middle().String())
				}
			}
			p.Commit()
			for i := range count {
				at, err := p.Result(i)
				kind := errs.KindOf(err)
				switch {
				case err == nil && !made[i]:
					stored[int(at.Shard)] = append(stored[int(at.Shard)], at.Sequence.String()+" "+fmt.Sprintf("%d.%d", call, i))
				case made[i] && kind == errs.Internal, !made[i] && kind == errs.Throttled:
				default:
					t.Fatalf("record %d of call %d: %v, made to fail %v", i, call, err, made[i])
				}
			}
			p.Release()
			w.clock.Advance(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
		}
		r := w.lookup("s")
		for _, sh := range r.Stream.Shards {
			list, _, _ := w.get(w.at(r, int(sh.Number), fromStart), 1000)
			var got []string
			for _, rec := range list {
				got = append(got, rec.seq+" "+strings.TrimRight(rec.data, "\x00"))
			}
			if strings.Join(got, "\n") != strings.Join(stored[int(sh.Number)], "\n") {
				t.Fatalf("shard %s holds\n%s\nand was said to hold\n%s", sh.Number, strings.Join(got, "\n"), strings.Join(stored[int(sh.Number)], "\n"))
			}
		}
	})
}
