package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
)

// TestExactlyOnceThroughKills: records go from one topic to another through a group
// and transactions while the server is killed, and some transactions are aborted on
// purpose. Readers of committed records find each of them once.
func TestExactlyOnceThroughKills(t *testing.T) {
	t.Parallel() // most of its time it waits
	const records = 4000
	server := harness.ForTest(t, harness.Options{})
	admin := newClient(t, server)
	createTopic(t, admin, "in", partitions)
	createTopic(t, admin, "out", partitions)
	for i := range records {
		admin.Produce(t.Context(), &kgo.Record{Topic: "in", Partition: int32(i % partitions), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := admin.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var copied atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := harness.Parallel(ctx, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			for copied.Load() < records {
				if err := copyRecords(ctx, server, &copied, records); err != nil && ctx.Err() != nil {
					return errors.Join(err, ctx.Err())
				}
			}
			return nil
		}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for k := range *kills { // each in the middle of the next share
			for copied.Load() < int64(records*(2*k+1)/(2**kills)) {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := errors.Join(server.Kill(), server.Restart(ctx)); err != nil {
				return err
			}
			t.Logf("kill %d after %d records", k+1, copied.Load())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(server.Kill(), server.Verify(t.Context()), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	reader := newClient(t, server, kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	for quiet := 0; quiet < 10 && ctx.Err() == nil; quiet++ { // what comes twice would come soon
		poll, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		reader.PollFetches(poll).EachRecord(func(r *kgo.Record) {
			got[string(r.Value)]++
			quiet = 0
		})
		stop()
	}
	for i := range records {
		if n := got[fmt.Sprint(i)]; n != 1 {
			t.Fatalf("record %d is there %d times", i, n)
		}
	}
}

// committedSum is the sum of what a group has committed.
func committedSum(ctx context.Context, cl *kgo.Client, group string) (sum int64, err error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	req.Groups, req.Group = append(req.Groups, g), group
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return 0, err
	}
	for _, g := range resp.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				sum += p.Offset
			}
		}
	}
	return sum, nil
}

// copyRecords copies until all is copied or its session cannot go on.
func copyRecords(ctx context.Context, server *harness.Server, copied *atomic.Int64, records int64) error {
	sess, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(server.Ready().Kafka), kgo.ConsumerGroup("copy"), kgo.ConsumeTopics("in"),
		kgo.TransactionalID("copy"), kgo.DefaultProduceTopic("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))
	if err != nil {
		return err
	}
	defer sess.Close()
	// What a session before this one left open is ended now, not when its time is over:
	// until then the group's offsets cannot be read.
	if _, _, err := sess.Client().ProducerID(ctx); err != nil {
		return err
	}
	for round := 0; copied.Load() < records; round++ {
		poll, stop := context.WithTimeout(ctx, time.Second)
		fetches := sess.PollRecords(poll, 100)
		stop()
		if err := ctx.Err(); err != nil {
			return err
		}
		if fetches.NumRecords() == 0 {
			// A commit may have been done and not answered: what it did counts.
			sum, err := committedSum(ctx, sess.Client(), "copy")
			if err != nil {
				return err
			}
			copied.Store(sum)
			continue
		}
		if err := sess.Begin(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) { sess.Produce(ctx, &kgo.Record{Value: r.Value}, nil) })
		end, stop := context.WithTimeout(ctx, 20*time.Second)
		committed, err := sess.End(end, kgo.TransactionEndTry(round%5 != 3))
		stop()
		if err != nil {
			return err
		}
		if committed {
			copied.Add(int64(fetches.NumRecords()))
		}
	}
	return nil
}
