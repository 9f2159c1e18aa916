package streams_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/streams"
)

// textEvents is an encoding that a test can read. made counts the events written,
// however many read them.
type textEvents struct{ made *int }

func (e textEvents) Begin(dst []byte) []byte {
	if e.made != nil {
		*e.made++
	}
	return append(dst, "begin\n"...)
}

func (textEvents) Record(dst []byte, r *streams.Record, n int) []byte {
	return fmt.Appendf(dst, "%d %d %s\n", n, len(r.Data), r.Data)
}

func (textEvents) End(dst []byte, n int, end *streams.EventEnd) []byte {
	dst = fmt.Appendf(dst, "end %d %d %q", n, end.MillisBehindLatest, end.Continuation)
	for _, sh := range end.Children {
		dst = fmt.Appendf(dst, " %d", sh.Number)
	}
	return append(dst, '\n')
}

func (textEvents) Size(r *streams.Record) int { return len(r.Data) + 24 }

func (textEvents) Format() string { return "text" }

// event is what textEvents wrote.
type event struct {
	records      []string
	continuation string
	behind       int64
	children     []string
}

func parseEvent(t testing.TB, b []byte) (e event) {
	t.Helper()
	text, ok := strings.CutPrefix(string(b), "begin\n")
	for n := 0; ok && !strings.HasPrefix(text, "end "); n++ {
		var number, size int
		if _, err := fmt.Sscanf(text, "%d %d ", &number, &size); err != nil || number != n {
			t.Fatalf("record %d: %.40q %v", n, text, err)
		}
		text = text[len(fmt.Sprintf("%d %d ", number, size)):]
		e.records, text = append(e.records, text[:size]), text[size+1:]
	}
	fields := strings.Fields(text)
	if !ok || len(fields) < 4 || fields[1] != strconv.Itoa(len(e.records)) {
		t.Fatalf("event %.40q ends %.80q", b, text)
	}
	behind, err1 := strconv.ParseInt(fields[2], 10, 64)
	continuation, err2 := strconv.Unquote(fields[3])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	e.behind, e.continuation, e.children = behind, continuation, fields[4:]
	return e
}

// consumer registers a consumer of the stream s.
func (w *world) consumer(name string) *catalog.Resource {
	w.t.Helper()
	c, err := w.svc.Register(context.Background(), streams.NewConsumer{Scope: scope, Stream: "s", Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) trySubscribe(ctx context.Context, consumer string, at streams.StartingAt) (*streams.Subscription, error) {
	return w.svc.Subscribe(ctx, streams.NewSubscription{
		Consumer: streams.ConsumerID{Scope: scope, Stream: "s", Name: consumer}, Shard: "0", At: at,
	})
}

func (w *world) subscribe(consumer string, at streams.StartingAt) *streams.Subscription {
	w.t.Helper()
	sub, err := w.trySubscribe(context.Background(), consumer, at)
	if err != nil {
		w.t.Fatal(err)
	}
	return sub
}

// next returns the next event, which must be there.
func next(t testing.TB, sub *streams.Subscription) event {
	t.Helper()
	b, err := sub.Next(textEvents{})
	if err != nil {
		t.Fatal(err)
	}
	return parseEvent(t, b)
}

func ended(t testing.TB, sub *streams.Subscription) error {
	t.Helper()
	for {
		if _, err := sub.Next(textEvents{}); err != nil {
			return err
		}
	}
}

func after(sequence string) streams.StartingAt {
	return streams.StartingAt{Type: streams.AfterSequenceNumber, Sequence: sequence}
}

var (
	fromStart = streams.StartingAt{Type: streams.TrimHorizon}
	fromTip   = streams.StartingAt{Type: streams.Latest}
)

// later runs f beside the test and returns its result.
func later[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

// TestSubscription follows one shard: what is there, what comes, silence.
func TestSubscription(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.consumer("c")
	w.put(r, rec{key: "k", data: "a"}, rec{key: "k", data: "b"})
	sub := w.subscribe("c", fromStart)
	defer sub.Close()
	e := next(t, sub)
	if fmt.Sprint(e.records) != "[a b]" || e.behind != 0 || len(e.children) != 0 {
		t.Errorf("%+v", e)
	}
	arrives := later(func() event { return next(t, sub) })
	w.clock.AwaitTimers(1) // nothing to tell yet
	placed := w.put(r, rec{key: "k", data: "c"})
	e = <-arrives
	if fmt.Sprint(e.records) != "[c]" || e.continuation < placed[0].Sequence.String() {
		t.Errorf("%+v after %s", e, placed[0].Sequence)
	}
	last := e.continuation
	for range 3 {
		silence := later(func() event { return next(t, sub) })
		w.clock.AwaitTimers(1)
		w.clock.Advance(streams.Heartbeat)
		if e = <-silence; len(e.records) != 0 || e.continuation <= last {
			t.Errorf("%+v after %s", e, last)
		}
		last = e.continuation
	}
	w.put(r, rec{key: "k", data: "d"})
	w.clock.Advance(streams.SubscriptionPause)
	again := w.subscribe("c", after(last))
	defer again.Close()
	if e = next(t, again); fmt.Sprint(e.records) != "[d]" {
		t.Errorf("%+v", e)
	}
	if err := ended(t, sub); errs.KindOf(err) != errs.InUse {
		t.Errorf("the first ended with %v", err)
	}
}

// TestSubscriptionStarts begins at each of the places.
func TestSubscriptionStarts(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.consumer("c")
	var placed []streams.Placed
	for i := range 4 {
		w.clock.Advance(time.Second)
		placed = append(placed, w.put(r, rec{key: "k", data: strconv.Itoa(i)})...)
	}
	second := placed[1].Sequence.String()
	for _, c := range []struct {
		at   streams.StartingAt
		want string
	}{
		{fromStart, "[0 1 2 3]"}, {fromTip, "[]"}, {after(second), "[2 3]"},
		{streams.StartingAt{Type: streams.AtSequenceNumber, Sequence: second}, "[1 2 3]"},
		{streams.StartingAt{Type: streams.AtTimestamp, Time: start.Add(3 * time.Second).UnixMilli(), HasTime: true}, "[2 3]"},
		{after(streams.StartOf(&r.Stream.Shards[0]).String()), "[0 1 2 3]"},
	} {
		sub := w.subscribe("c", c.at)
		if e := next(t, sub); fmt.Sprint(e.records) != c.want {
			t.Errorf("%+v: %v", c.at, e.records)
		}
		sub.Close()
		w.clock.Advance(streams.SubscriptionPause)
	}
	_, err := w.trySubscribe(context.Background(), "c", after("nonsense"))
	if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), "used in GetShardIterator on shard") {
		t.Error(err)
	}
}

// TestSubscriptionEnds ends in every way.
func TestSubscriptionEnds(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		end  func(w *world, cancel func())
		want func(error) bool
	}{
		"its time": {func(w *world, _ func()) { w.clock.Advance(streams.SubscriptionLife) },
			func(err error) bool { return err == io.EOF }},
		"the server": {func(w *world, _ func()) { w.svc.EndSubscriptions() },
			func(err error) bool { return err == io.EOF }},
		"the client": {func(_ *world, cancel func()) { cancel() },
			func(err error) bool { return errors.Is(err, context.Canceled) }},
		"the consumer": {func(w *world, _ func()) {
			if err := w.svc.Deregister(ctx, streams.ConsumerID{Scope: scope, Stream: "s", Name: "c"}); err != nil {
				w.t.Error(err)
			}
		}, func(err error) bool { return errs.KindOf(err) == errs.NotFound }},
		"the stream": {func(w *world, _ func()) {
			if err := w.svc.DeleteWithConsumers(ctx, scope, "s"); err != nil {
				w.t.Error(err)
			}
		}, func(err error) bool { return errs.KindOf(err) == errs.NotFound }},
		"the log": {func(w *world, _ func()) { w.log.Close(ctx) },
			func(err error) bool { return errs.KindOf(err) == errs.Closed }},
	} {
		t.Run(name, func(t *testing.T) {
			budget := limits.NewBudget(1 << 30)
			w := newWorld(t, func(o *streams.Options) { o.Memory = budget })
			w.create("s", 1)
			w.consumer("c")
			base := budget.Used()
			inner, cancel := context.WithCancel(ctx)
			defer cancel()
			sub, err := w.trySubscribe(inner, "c", fromTip)
			if err != nil || budget.Used() == base {
				t.Fatal(err, budget.Used())
			}
			next(t, sub)
			end := later(func() error { return ended(t, sub) })
			w.clock.AwaitTimers(1)
			c.end(w, cancel)
			if err := <-end; !c.want(err) {
				t.Errorf("ended with %v", err)
			}
			sub.Close()
			if budget.Used() > base {
				t.Errorf("%d bytes are still held", budget.Used()-base)
			}
		})
	}
}

// TestSubscriptionPause refuses a second one within five seconds of the first,
// ended or not, and lets one take over after them.
func TestSubscriptionPause(t *testing.T) {
	w := newWorld(t)
	w.create("s", 1)
	w.consumer("c")
	w.consumer("other")
	want := "Another active subscription exists for this consumer: 000000000000:s:shardId-000000000000:c"
	refused := func() {
		t.Helper()
		if _, err := w.trySubscribe(context.Background(), "c", fromTip); errs.KindOf(err) != errs.InUse || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	first := w.subscribe("c", fromTip)
	refused()
	w.subscribe("other", fromTip).Close()
	first.Close()
	w.clock.Advance(streams.SubscriptionPause - time.Millisecond)
	refused()
	w.clock.Advance(time.Millisecond)
	second := w.subscribe("c", fromTip)
	if n := w.svc.Subscriptions(); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
	w.clock.Set(start.Add(-time.Hour)) // a clock set back keeps nobody waiting
	third := w.subscribe("c", fromTip)
	if err := ended(t, second); errs.KindOf(err) != errs.InUse || err.Error() != want {
		t.Errorf("%v", err)
	}
	second.Close()
	third.Close()
	w.svc.EndSubscriptions()
	w.clock.Advance(streams.SubscriptionPause)
	late := w.subscribe("c", fromTip)
	defer late.Close()
	if _, err := late.Next(textEvents{}); err != io.EOF {
		t.Errorf("a subscription to a server that stops: %v", err)
	}
}

// TestConsumerLimits counts consumers against the quota and the memory.
func TestConsumerLimits(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.Transition = time.Minute })
	w.create("s", 1)
	w.clock.Advance(time.Minute)
	register := func(name string) error {
		_, err := w.svc.Register(context.Background(), streams.NewConsumer{Scope: scope, Stream: "s", Name: name})
		return err
	}
	for i := range streams.MaxConsumersCreating {
		w.consumer(strconv.Itoa(i))
	}
	if err := register("x"); errs.KindOf(err) != errs.LimitExceeded || !strings.Contains(err.Error(), "CREATING") {
		t.Error(err)
	}
	_, err := w.trySubscribe(context.Background(), "0", fromTip)
	if want := "Consumer 0 with creation timestamp 1767323105 under stream s and account 000000000000 is not in ACTIVE status."; errs.KindOf(err) != errs.InUse ||
		err.Error() != want {
		t.Error(err)
	}
	for i := streams.MaxConsumersCreating; i < streams.MaxConsumers; i++ {
		w.clock.Advance(time.Minute)
		w.consumer(strconv.Itoa(i))
	}
	w.clock.Advance(time.Minute)
	if err := register("x"); errs.KindOf(err) != errs.LimitExceeded || !strings.Contains(err.Error(), "Limit: 20") {
		t.Error(err)
	}
	if _, err := w.svc.SetCommitment(context.Background(), scope, true); err != nil {
		t.Fatal(err)
	}
	w.consumer("x")
	w.reopen()
	if n := w.svc.ConsumerCount(w.lookup("s")); n != streams.MaxConsumers+1 {
		t.Errorf("%d consumers after a restart", n)
	}

	budget := limits.NewBudget(64 << 10) // half of it is for 8 of them
	w = newWorld(t, func(o *streams.Options) { o.Memory = budget })
	w.create("s", 4)
	for i := range 4 {
		w.consumer(strconv.Itoa(i))
	}
	if err := register("x"); errs.KindOf(err) != errs.LimitExceeded {
		t.Error(err)
	}
	if err := w.svc.DeleteWithConsumers(context.Background(), scope, "s"); err != nil || budget.Used() != 0 {
		t.Errorf("%v, %d bytes are held for nothing", err, budget.Used())
	}
}

// TestSubscriptionMemory gives small events to those who get no memory for large
// ones, waits for what a large record needs, and refuses who finds nothing left.
func TestSubscriptionMemory(t *testing.T) {
	budget := limits.NewBudget(4 << 20) // a quarter of it is for subscriptions
	w := newWorld(t, func(o *streams.Options) { o.Memory = budget })
	r := w.create("s", 1)
	for _, name := range []string{"a", "b", "c"} {
		w.consumer(name)
	}
	var all []rec
	for range 100 {
		all = append(all, rec{key: "k", data: strings.Repeat("x", 10_000)})
	}
	placed := w.put(r, all...)
	count := func(e event) int { return len(e.records) }
	// Each begins elsewhere, so that they share nothing.
	first, second := w.subscribe("a", fromStart), w.subscribe("b", after(placed[0].Sequence.String()))
	third := w.subscribe("c", after(placed[1].Sequence.String()))
	if n := count(next(t, first)); n != 25 { // held until the next call
		t.Errorf("%d records with memory to spare", n)
	}
	if n := count(next(t, second)); n != 25 {
		t.Errorf("%d records with memory to spare", n)
	}
	for range 3 {
		if n := count(next(t, third)); n != 1 {
			t.Errorf("%d records without memory to spare", n)
		}
	}
	w.put(r, rec{key: "k", data: strings.Repeat("y", 300_000)})
	w.clock.Advance(streams.SubscriptionPause)
	large := w.subscribe("c", fromTip)
	next(t, large)
	w.put(r, rec{key: "k", data: strings.Repeat("z", 300_000)})
	waits := later(func() event { return next(t, large) })
	first.Close()
	if e := <-waits; count(e) != 1 || len(e.records[0]) != 300_000 {
		t.Errorf("a large record: %d records", count(e))
	}
	second.Close()
	third.Close()
	large.Close()

	n := 0
	var subs []*streams.Subscription
	for ; n < 100; n++ {
		w.clock.Advance(streams.SubscriptionPause)
		name := "d" + strconv.Itoa(n)
		if n < streams.MaxConsumers-3 {
			w.consumer(name)
		}
		sub, err := w.trySubscribe(context.Background(), name, fromTip)
		if err != nil {
			break
		}
		subs = append(subs, sub)
	}
	for _, sub := range subs {
		sub.Close()
	}
	if n < 10 {
		t.Errorf("only %d subscriptions on a megabyte", n)
	}
}

// TestSubscriptionsAgainstModel has subscribers come, read, go and come again
// after their continuation while records are put: each sees all of them, once and
// in order.
func TestSubscriptionsAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer w.log.Close(context.Background())
		r := w.create("s", 1)
		type reader struct {
			name string
			sub  *streams.Subscription
			at   streams.StartingAt
			seen int
		}
		var all []*reader
		for i := range 3 {
			all = append(all, &reader{name: w.consumer("c" + strconv.Itoa(i)).Consumer.Name, at: fromStart})
		}
		put := 0
		read := func(rd *reader) {
			b, err := rd.sub.Next(textEvents{})
			if err != nil {
				rt.Fatal(err)
			}
			e := parseEvent(t, b)
			for _, data := range e.records {
				if data[:strings.Index(data, ".")] != strconv.Itoa(rd.seen) {
					rt.Fatalf("%s got %.10s instead of %d", rd.name, data, rd.seen)
				}
				rd.seen++
			}
			rd.at = after(e.continuation)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				var records []rec
				for range rapid.IntRange(1, 8).Draw(rt, "records") {
					size := rapid.SampledFrom([]int{0, 100, 5000, 20_000}).Draw(rt, "size")
					records = append(records, rec{key: "k", data: strconv.Itoa(put) + "." + strings.Repeat("x", size)})
					put++
				}
				w.put(r, records...)
			},
			"read": func(rt *rapid.T) {
				rd := rapid.SampledFrom(all).Draw(rt, "reader")
				if rd.sub == nil {
					w.clock.Advance(streams.SubscriptionPause)
					rd.sub = w.subscribe(rd.name, rd.at)
				}
				if rd.seen < put {
					read(rd)
				}
			},
			"leave": func(rt *rapid.T) {
				if rd := rapid.SampledFrom(all).Draw(rt, "reader"); rd.sub != nil {
					rd.sub.Close()
					rd.sub = nil
				}
			},
			"age": func(rt *rapid.T) {
				w.clock.Advance(time.Duration(rapid.IntRange(1, 4000).Draw(rt, "ms")) * time.Millisecond)
			},
			"restart": func(*rapid.T) {
				for _, rd := range all {
					if rd.sub != nil {
						rd.sub.Close()
						rd.sub = nil
					}
				}
				w.reopen()
				r = w.lookup("s")
			},
		})
		for _, rd := range all {
			if rd.sub == nil {
				w.clock.Advance(streams.SubscriptionPause)
				rd.sub = w.subscribe(rd.name, rd.at)
			}
			for rd.seen < put {
				read(rd)
			}
			rd.sub.Close()
		}
	})
}

// TestSubscriptionReshard tells the end of a shard that is split while it is being
// read, once and with its children, and again to who comes later.
func TestSubscriptionReshard(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.consumer("c")
	w.put(r, rec{key: "k", data: "a"})
	sub := w.subscribe("c", fromStart)
	before := next(t, sub)
	final := later(func() event { return next(t, sub) })
	w.clock.AwaitTimers(1)
	if err := w.svc.Split(context.Background(), scope, "s", "shardId-000000000000", "5"); err != nil {
		t.Fatal(err)
	}
	if e := <-final; len(e.records) != 0 || e.continuation != "" || len(e.children) != 2 || e.children[0] != "1" {
		t.Errorf("%+v", e)
	}
	if _, err := sub.Next(textEvents{}); err != io.EOF {
		t.Errorf("after the end of the shard: %v", err)
	}
	sub.Close()
	for at, want := range map[streams.StartingAt]string{fromStart: "[a]", fromTip: "[]", after(before.continuation): "[]"} {
		w.clock.Advance(streams.SubscriptionPause)
		sub := w.subscribe("c", at)
		if e := next(t, sub); fmt.Sprint(e.records) != want || e.continuation != "" || len(e.children) != 2 {
			t.Errorf("%+v: %+v", at, e)
		}
		if err := ended(t, sub); err != io.EOF {
			t.Error(err)
		}
		sub.Close()
	}
}

// TestSubscriptionsShare has an event made once for all who wait at the same place
// in one format, and given back when it is old and when the last one goes.
func TestSubscriptionsShare(t *testing.T) {
	const n = 10
	budget := limits.NewBudget(1 << 30)
	w := newWorld(t, func(o *streams.Options) { o.Memory = budget })
	r := w.create("s", 1)
	var subs []*streams.Subscription
	for i := range n {
		w.consumer("c" + strconv.Itoa(i))
		subs = append(subs, w.subscribe("c"+strconv.Itoa(i), fromTip))
		next(t, subs[i])
	}
	base := budget.Used()
	made := new(int)
	var all []<-chan string
	for _, sub := range subs {
		all = append(all, later(func() string {
			b, err := sub.Next(textEvents{made})
			if err != nil {
				return err.Error()
			}
			return string(b)
		}))
	}
	w.clock.AwaitTimers(n)
	w.put(r, rec{key: "k", data: strings.Repeat("x", 100_000)})
	first := <-all[0]
	for i, c := range all[1:] {
		if got := <-c; got != first {
			t.Errorf("%d got %.80q, the first %.80q", i+1, got, first)
		}
	}
	if e := parseEvent(t, []byte(first)); len(e.records) != 1 || *made != 1 {
		t.Errorf("%d records, made %d times", len(e.records), *made)
	}
	held := budget.Used() - base
	if held < 100_000 || held > 500_000 {
		t.Errorf("%d bytes held for an event that is shared", held)
	}

	// Silence: what was shared is of no use any more.
	var silent []<-chan event
	for _, sub := range subs {
		silent = append(silent, later(func() event { return next(t, sub) }))
	}
	w.clock.AwaitTimers(n)
	w.clock.Advance(streams.Heartbeat)
	for _, c := range silent {
		if e := <-c; len(e.records) != 0 {
			t.Errorf("%d records", len(e.records))
		}
	}
	quiet := later(func() event { return next(t, subs[0]) })
	w.clock.AwaitTimers(1)
	if n := budget.Used(); n != base {
		t.Errorf("%d bytes are held in silence", n-base)
	}
	w.put(r, rec{key: "k", data: "y"})
	<-quiet
	for _, sub := range subs {
		sub.Close()
	}
	if n := budget.Used(); n >= base {
		t.Errorf("%d bytes are held by nobody", n)
	}
}

// hookedClock calls a hook, if there is one, whenever it is asked the time.
type hookedClock struct {
	clock.Clock
	hook func()
}

func (c *hookedClock) Now() time.Time {
	if c.hook != nil {
		c.hook()
	}
	return c.Clock.Now()
}

// TestSubscribeWhileDeregistered removes a consumer at every moment of a call that
// subscribes it: no subscription outlives its consumer.
func TestSubscribeWhileDeregistered(t *testing.T) {
	const moments = 12
	hooked := &hookedClock{}
	w := newWorld(t, func(o *streams.Options) {
		hooked.Clock = o.Clock
		o.Clock = hooked
	})
	w.create("s", 1)
	refused := 0
	for moment := range moments {
		w.consumer("c")
		id := streams.ConsumerID{Scope: scope, Stream: "s", Name: "c"}
		deregister := func() {
			hooked.hook = nil
			if err := w.svc.Deregister(context.Background(), id); err != nil {
				t.Fatal(err)
			}
		}
		asked := 0
		hooked.hook = func() {
			if asked++; asked > moment {
				deregister()
			}
		}
		sub, err := w.trySubscribe(context.Background(), "c", fromTip)
		if hooked.hook != nil {
			deregister()
		}
		if err != nil {
			refused++
		} else {
			_, err = sub.Next(textEvents{})
			sub.Close()
		}
		if errs.KindOf(err) != errs.NotFound {
			t.Errorf("deregistered when the time was asked the %d. time: %v", moment+1, err)
		}
		w.clock.Advance(streams.SubscriptionPause)
	}
	if refused == 0 || refused == moments {
		t.Errorf("%d of %d calls were refused", refused, moments)
	}
	if n := w.svc.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions", n)
	}
}
