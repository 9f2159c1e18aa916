package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/faults"
	"thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/awsapi/model/kinesisvideo"
	"thalweg/internal/clock"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type world struct {
	*faults.Set
	clock *clock.Manual
	svc   *awsapi.Service
}

func newWorld() *world {
	w := &world{clock: clock.NewManual(start), svc: kinesis.NewService(kinesis.Unimplemented{})}
	w.Set = faults.New([]*awsapi.Service{w.svc, kinesisvideo.NewService(kinesisvideo.Unimplemented{})}, w.clock)
	return w
}

var errDone = errors.New("the handler was called")

// call has the set intercept a call about a stream, if it wants it.
func (w *world) call(op, stream string, next ...func(context.Context)) error {
	c := awsapi.Call{Service: w.svc, Op: w.svc.Op(op), Resource: "*"}
	if stream != "" {
		c.Resource = "arn:aws:kinesis:us-east-1:123456789012:stream/" + stream
	}
	if !w.Wants(c.Op) {
		return errDone
	}
	ctx := awsapi.WithCaller(context.Background(), awsapi.Caller{Account: "000000000000"})
	_, err := w.Intercept(ctx, c, func(ctx context.Context) (awsapi.Output, error) {
		for _, f := range next {
			f(ctx)
		}
		return nil, errDone
	})
	return err
}

func f(v float64) *float64 { return &v }

func TestKinds(t *testing.T) {
	for _, tc := range []struct {
		rule   faults.Rule
		want   string // code: message
		status int
	}{
		{faults.Rule{Operation: "PutRecord", Kind: faults.Throttle}, "ProvisionedThroughputExceededException: Rate exceeded for stream s under account 123456789012.", 400},
		{faults.Rule{Operation: "DescribeStream", Kind: faults.Throttle}, "LimitExceededException: Rate exceeded for stream s under account 123456789012.", 400},
		{faults.Rule{Operation: "ReceiveQueueRecords", Kind: faults.Throttle, Message: "slow"}, "ThrottlingException: slow", 400},
		{faults.Rule{Operation: "GetRecords", Kind: faults.Fail, Error: "ExpiredIteratorException", Message: "old"}, "ExpiredIteratorException: old", 400},
		{faults.Rule{Operation: "GetRecords", Kind: faults.Fail, Error: "InternalFailure"}, "InternalFailure: This error was injected.", 500},
		{faults.Rule{Operation: "GetRecords", Kind: faults.Fail, Error: "ServiceUnavailable", Status: 504}, "ServiceUnavailable: This error was injected.", 504},
	} {
		w := newWorld()
		if err := w.Add(1, []faults.Rule{tc.rule}); err != nil {
			t.Errorf("%+v: %v", tc.rule, err)
			continue
		}
		err := w.call(tc.rule.Operation, "s")
		var e *awsapi.Error
		if !errors.As(err, &e) || e.Error() != tc.want || e.Status != tc.status {
			t.Errorf("%+v: %v, status %d", tc.rule, err, e.Status)
		}
	}
}

func TestReset(t *testing.T) {
	w := newWorld()
	if err := w.Add(1, []faults.Rule{{Operation: "PutRecord", Kind: faults.Reset, Count: 1}, {Operation: "PutRecord", Kind: faults.Reset, After: true}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true} {
		done := false
		if err := w.call("PutRecord", "s", func(context.Context) { done = true }); !errors.Is(err, awsapi.ErrBreak) || done != want {
			t.Errorf("%v, done %v, want done %v", err, done, want)
		}
	}
}

// A delay goes by the clock, and what comes after it happens as well.
func TestLatency(t *testing.T) {
	w := newWorld()
	if err := w.Add(1, []faults.Rule{{Operation: "PutRecord", Kind: faults.Latency, MS: 60_000}, {Operation: "PutRecord", Kind: faults.Throttle}}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- w.call("PutRecord", "s") }()
	w.clock.AwaitTimers(1)
	w.clock.Advance(60*time.Second - 1)
	select {
	case err := <-done:
		t.Fatalf("answered before its time: %v", err)
	default:
	}
	w.clock.Advance(1)
	if err := <-done; err == nil || !strings.Contains(err.Error(), "ProvisionedThroughput") {
		t.Error(err)
	}
}

// play makes calls and returns what became of them.
func play(t *testing.T, seed uint64, rules ...faults.Rule) string {
	t.Helper()
	w := newWorld()
	if err := w.Add(seed, rules); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for range 200 {
		err := w.call("PutRecords", "s", func(ctx context.Context) {
			if fault := awsapi.EntryFaults(ctx); fault != nil {
				for range 5 {
					out.WriteString(fmt.Sprintf("%.1s", fault()+"."))
				}
			}
		})
		out.WriteString(map[bool]string{true: " ", false: "x"}[errors.Is(err, errDone)])
	}
	return out.String()
}

func TestSameSeedSameFaults(t *testing.T) {
	rules := []faults.Rule{
		{Operation: "PutRecords", Kind: faults.Throttle, Rate: f(0.2)},
		{Operation: "PutRecords", Kind: faults.Partial, Rate: f(0.5), Share: f(0.3), Error: "InternalFailure"},
	}
	one := play(t, 7, rules...)
	if again := play(t, 7, rules...); again != one {
		t.Errorf("seed 7 gave\n%s\nand\n%s", one, again)
	}
	if other := play(t, 8, rules...); other == one {
		t.Error("seed 8 gives what seed 7 does")
	}
	if n := strings.Count(one, "x"); n < 20 || n > 60 {
		t.Errorf("%d of 200 were throttled at a rate of 0.2", n)
	}
	if failed, kept := strings.Count(one, "I"), strings.Count(one, "."); failed < 60 || failed > 200 || kept < 200 {
		t.Errorf("%d entries failed and %d did not, at a share of 0.3", failed, kept)
	}
}

func TestRulesAreLimited(t *testing.T) {
	w := newWorld()
	rule := faults.Rule{Operation: "PutRecord", Kind: faults.Throttle, Stream: "s", Count: 2}
	if err := w.Add(1, []faults.Rule{rule}); err != nil {
		t.Fatal(err)
	}
	for i, tc := range []struct {
		op, stream string
		hit        bool
	}{{"PutRecord", "t", false}, {"PutRecord", "", false}, {"PutRecords", "s", false}, {"PutRecord", "s", true}, {"PutRecord", "s", true}, {"PutRecord", "s", false}} {
		if err := w.call(tc.op, tc.stream); errors.Is(err, errDone) == tc.hit {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if w.Wants(w.svc.Op("PutRecord")) {
		t.Error("a used up rule still costs")
	}
	if got := w.List(); len(got) != 1 || got[0].Met != 2 || got[0].Hit != 2 || got[0].Operation != "PutRecord" {
		t.Errorf("%+v", got)
	}
	if err := w.Add(1, make([]faults.Rule, faults.MaxRules)); err == nil {
		t.Error("empty rules are taken")
	}
	many := make([]faults.Rule, faults.MaxRules)
	for i := range many {
		many[i] = rule
	}
	if err := w.Add(1, many); err == nil || !strings.Contains(err.Error(), "64 rules") {
		t.Error(err)
	}
	w.Clear()
	if err := w.Add(1, many); err != nil {
		t.Error(err)
	}
	w.Clear()
	if w.Wants(w.svc.Op("PutRecord")) || len(w.List()) != 0 {
		t.Error("rules are left")
	}
}

func TestBadRules(t *testing.T) {
	ok := faults.Rule{Operation: "PutRecords", Kind: faults.Throttle}
	for _, tc := range []struct {
		rule faults.Rule
		want string
	}{
		{faults.Rule{}, `no operation ""`},
		{faults.Rule{Operation: "Put", Kind: faults.Throttle}, `no operation "Put"`},
		{faults.Rule{Operation: "PutRecords", Service: "firehose", Kind: faults.Throttle}, `of service "firehose"`},
		{faults.Rule{Operation: "PutRecords"}, `the kind "" is none of`},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Throttle, Rate: f(0)}, "rate must be"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Throttle, Rate: f(1.5)}, "rate must be"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Throttle, Count: -1}, "count must not"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Throttle, MS: 5}, "throttle takes no ms"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Latency}, "ms must be between 1 and 600000"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Latency, MS: 600_001}, "ms must be"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Partial, Share: f(-1)}, "share must be"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Partial, Error: "LimitExceededException"}, "fails with one of"},
		{faults.Rule{Operation: "PutRecord", Kind: faults.Partial}, "no entries"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Fail, Error: "LimitExceededException"}, "does not declare"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Fail}, "does not declare"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Fail, Error: "InternalFailure", Status: 200}, "between 400 and 599"},
		{faults.Rule{Operation: "PutRecords", Kind: faults.Reset, Error: "InternalFailure"}, "reset takes no error"},
		{faults.Rule{Operation: "CreateStream", Service: "kinesisvideo", Kind: faults.Fail, Error: "LimitExceededException"}, "kinesisvideo.CreateStream does not declare"},
	} {
		w := newWorld()
		if err := w.Add(1, []faults.Rule{ok, tc.rule}); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "rule 2: ") {
			t.Errorf("%+v: %v, want %q", tc.rule, err, tc.want)
		}
		if len(w.List()) != 0 {
			t.Error("one of two rules was taken")
		}
	}
}
