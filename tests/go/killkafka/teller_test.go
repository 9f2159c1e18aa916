package killkafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/events"
	"thalweg/tests/harness"
)

// counts is what the tellers did, each in transactions but for committed, which is
// in events.
type counts struct {
	committed atomic.Int64
	open      atomic.Int64 // begun, and how it ended not known yet

	commits, aborts                   atomic.Int64 // as asked for, and answered
	foundCommitted, foundAborted, cut atomic.Int64 // in doubt, and found so; of these, cut before their end was asked for
}

// teller writes its events in order, in transactions of random size. Each commits,
// with its records, how many events are done by then as the offset of a group: what
// became of a transaction whose end was not answered stands there once the
// transactional id is initialised again.
type teller struct {
	*counts
	server *harness.Server
	id     string
	events []events.Event
	rng    *rand.Rand
	// impatient clients give up at the first broken connection and initialise
	// again; the others try on with what they have.
	impatient bool
}

// errDoubt is a transaction whose end is not known.
var errDoubt = errors.New("in doubt")

func (w *teller) run(ctx context.Context) error {
	done, doubted := 0, 0 // events committed, and those of a transaction in doubt
	for done < len(w.events) {
		cl, settled, err := w.open(ctx)
		if err != nil {
			return err
		}
		switch {
		case doubted > 0 && settled == done+doubted:
			w.foundCommitted.Add(1)
			w.committed.Add(int64(doubted))
		case settled != done:
			err = fmt.Errorf("%s: %d events are committed, want %d or %d more", w.id, settled, done, doubted)
		case doubted > 0:
			w.foundAborted.Add(1)
		}
		done, doubted = settled, 0
		for err == nil && done < len(w.events) {
			n := min(1+w.rng.IntN(*maxBatch), len(w.events)-done)
			commit := kgo.TransactionEndTry(w.rng.IntN(8) > 0)
			err = w.transaction(ctx, cl, w.events[done:done+n], done+n, commit)
			switch {
			case errors.Is(err, errDoubt) && commit == kgo.TryCommit:
				doubted = n
			case err == nil && commit == kgo.TryCommit:
				done += n
				w.committed.Add(int64(n))
			}
		}
		cl.CloseAllowingRebalance()
		if err != nil && (!errors.Is(err, errDoubt) || ctx.Err() != nil) {
			return errors.Join(err, context.Cause(ctx))
		}
	}
	return nil
}

// open connects, ends what an earlier client of this teller left open, and returns
// how many events are committed.
func (w *teller) open(ctx context.Context) (*kgo.Client, int, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(w.server.Ready().Kafka), kgo.TransactionalID(w.id), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0), kgo.MetadataMinAge(10 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond })}
	if w.impatient {
		opts = append(opts, kgo.RequestRetries(0))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, 0, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, _, err = cl.ProducerID(ctx); err == nil {
			var settled int
			if settled, err = w.settled(ctx, cl); err == nil {
				return cl, settled, nil
			}
		}
		if ctx.Err() != nil || definite(err) {
			cl.Close()
			return nil, 0, fmt.Errorf("%s: initialise: %w", w.id, err)
		}
		<-tick.C
	}
}

// definite tells a broker's refusal from an answer that did not come and from one
// that asks to try again.
func definite(err error) bool {
	var refusal *kerr.Error
	return errors.As(err, &refusal) && !refusal.Retriable
}

// settled is the offset that the teller's group has, which no open transaction can
// change.
func (w *teller) settled(ctx context.Context, cl *kgo.Client) (int, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic, gt.Partitions = topic, []int32{0}
	g.Group, g.Topics = w.id, append(g.Topics, gt)
	req.Groups, req.RequireStable = append(req.Groups, g), true
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return 0, err
	}
	p := resp.Groups[0].Topics[0].Partitions[0]
	if err := errors.Join(kerr.ErrorForCode(resp.Groups[0].ErrorCode), kerr.ErrorForCode(p.ErrorCode)); err != nil {
		return 0, err
	}
	return int(max(p.Offset, 0)), nil
}

// transaction writes the batch and that done events are done by then. A transaction
// whose end was not answered is errDoubt, whatever broke.
func (w *teller) transaction(ctx context.Context, cl *kgo.Client, batch []events.Event, done int, commit kgo.TransactionEndTry) error {
	w.counts.open.Add(1)
	defer w.counts.open.Add(-1)
	if err := cl.BeginTransaction(); err != nil {
		return w.doubt(err)
	}
	records := make([]*kgo.Record, len(batch))
	for i, e := range batch {
		records[i] = &kgo.Record{Partition: partitionOf(e), Key: []byte(e.Key()), Value: e.Data(0)}
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.cut.Add(1)
		return w.doubt(err)
	}
	if err := w.offset(ctx, cl, int64(done)); err != nil {
		w.cut.Add(1)
		return w.doubt(err)
	}
	if err := cl.EndTransaction(ctx, commit); err != nil {
		return w.doubt(err)
	}
	if commit == kgo.TryCommit {
		w.commits.Add(1)
	} else {
		w.aborts.Add(1)
	}
	return nil
}

func (w *teller) doubt(err error) error {
	if definite(err) {
		return fmt.Errorf("%s: %w", w.id, err)
	}
	return fmt.Errorf("%w: %w", errDoubt, err)
}

// offset puts the count of events done into the transaction.
func (w *teller) offset(ctx context.Context, cl *kgo.Client, done int64) error {
	id, epoch, err := cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = w.id, id, epoch, w.id
	added, err := add.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(added.ErrorCode); err != nil {
		return fmt.Errorf("add the group: %w", err)
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = w.id, w.id, id, epoch
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset = done
	if rt.TopicID, err = topicID(ctx, cl); err != nil {
		return err
	}
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		return fmt.Errorf("commit the offset: %w", err)
	}
	return nil
}

// topicID is what newer versions of requests name the topic by.
func topicID(ctx context.Context, cl *kgo.Client) (id [16]byte, err error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return id, err
	}
	return resp.Topics[0].TopicID, kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}
