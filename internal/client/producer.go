package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/clock"
	"thalweg/internal/lifecycle"
)

// Limits of one PutRecords call, below those of every version of the API
// (https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html).
const (
	maxCallRecords = 500
	maxCallBytes   = 4 << 20
)

// Record is one record to put. Data must not be changed before it is
// acknowledged.
type Record struct {
	Key  string
	Data []byte
}

// Ack is one record's acknowledgement.
type Ack struct {
	Record
	ShardID, SequenceNumber string
}

// PutAPI is the one call a Producer makes.
type PutAPI interface {
	PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, opts ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
}

// ProducerConfig says how a Producer works. API, Stream and Clock are needed.
type ProducerConfig struct {
	API    PutAPI
	Stream string
	Clock  clock.Clock
	// Calls is how many calls may be under way at once; 0 is 4.
	Calls int
	// PerKey bounds the records of one key in one call. 1 is right for any
	// server. 0, no bound, is right for one that stops storing a shard's records
	// within a call at the first of them that it refuses, as Thalweg does.
	PerKey int
	// Buffer is how many bytes may wait before Put blocks; 0 is 16 MiB.
	Buffer int64
	// Patience is how long calls may fail in a row before the producer gives up;
	// 0 is two minutes.
	Patience time.Duration
	// OnAck is told each acknowledgement, in order per key, from several
	// goroutines. OnCall is told each answered call and how long it took.
	OnAck  func(Ack)
	OnCall func(records int, took time.Duration)
	// OnWait is told, before each wait, that calls have failed since lastGood and
	// why the last one did; from several goroutines.
	OnWait func(lastGood time.Time, why error)
}

// ProducerStats counts what a Producer did.
type ProducerStats struct {
	Acked, AckedBytes int64
	Calls             int64
	// Refused counts records that an answer refused and that were put again.
	Refused int64
	// Resent counts calls made again because no answer was seen. Each may have
	// been stored before: these, and only these, can cause repeats.
	Resent int64
	// Reordered counts records that the server stored ahead of an earlier one of
	// their key that it refused in the same call.
	Reordered int64
}

// Producer sends records through PutRecords and keeps the order of each key:
// while a call that holds a key is under way or being retried, no other call
// holds that key. Calls over different keys run side by side, and each carries
// whatever waits, so there is no timer to tune.
//
// Within one call PutRecords refuses records one by one. With PerKey 1 that
// cannot disturb a key's order. With PerKey 0 it could, on a server that stores
// later records of a shard after refusing an earlier one; the producer notices,
// counts it in Reordered and goes on with PerKey 1.
//
// A Producer is safe for concurrent use; the order of a key is that of the calls
// of Put.
type Producer struct {
	cfg   ProducerConfig
	group *lifecycle.Group

	mu      sync.Mutex
	changed sync.Cond // on mu; broadcast when any of the below changes
	queues  map[string]*keyQueue
	ready   []*keyQueue // with records, not in a call
	waiting int64       // bytes in queues
	open    int         // records put and not acknowledged
	perKey  int
	stats   ProducerStats
	closed  bool
	err     error // the first failure; final
}

type keyQueue struct {
	key     string
	records []Record
	busy    bool
}

var errProducerClosed = errors.New("producer is closed")

// NewProducer starts a producer. Close it.
func NewProducer(cfg ProducerConfig) *Producer {
	if cfg.Calls == 0 {
		cfg.Calls = 4
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = 16 << 20
	}
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	p := &Producer{cfg: cfg, queues: map[string]*keyQueue{}, perKey: cfg.PerKey}
	p.changed.L = &p.mu
	p.group = lifecycle.NewGroup(context.Background())
	for range cfg.Calls {
		p.group.Go("put records", p.work)
	}
	return p
}

// Put queues records in order. It blocks while the buffer is full, and fails
// once the producer has failed, is closed, or ctx ends; then none or some of the
// records are queued.
func (p *Producer) Put(ctx context.Context, records ...Record) error {
	stop := context.AfterFunc(ctx, p.wake)
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	told := true // the workers know of every record queued
	for _, r := range records {
		for p.waiting >= p.cfg.Buffer && p.err == nil && !p.closed && ctx.Err() == nil {
			if !told {
				p.changed.Broadcast()
				told = true
			}
			p.changed.Wait()
		}
		switch {
		case p.err != nil:
			return p.err
		case p.closed:
			return errProducerClosed
		case ctx.Err() != nil:
			return ctx.Err()
		}
		q := p.queues[r.Key]
		if q == nil {
			q = &keyQueue{key: r.Key}
			p.queues[r.Key] = q
		}
		q.records = append(q.records, r)
		if len(q.records) == 1 && !q.busy {
			p.ready = append(p.ready, q)
		}
		p.waiting += size(r)
		p.open++
		told = false
	}
	p.changed.Broadcast()
	return nil
}

func size(r Record) int64 { return int64(len(r.Key) + len(r.Data)) }

func (p *Producer) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

// Flush waits until every record put before it is acknowledged.
func (p *Producer) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.wake)
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.open > 0 && p.err == nil && ctx.Err() == nil {
		p.changed.Wait()
	}
	if p.err != nil {
		return p.err
	}
	if p.open > 0 {
		return ctx.Err()
	}
	return nil
}

// Close ends the producer at once; what was not flushed may or may not be
// stored. It returns the failure, if there was one.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	if err := p.group.Stop(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Stats returns the counts so far.
func (p *Producer) Stats() ProducerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// work sends batches until the producer is closed or has failed.
func (p *Producer) work(ctx context.Context) error {
	for {
		batch := p.take()
		if batch == nil {
			return nil
		}
		if err := p.deliver(ctx, batch); err != nil {
			p.mu.Lock()
			if p.err == nil && !p.closed {
				p.err = err
			}
			p.changed.Broadcast()
			p.mu.Unlock()
			return nil
		}
	}
}

// take waits for keys that are ready and returns the records of one call. The
// keys are busy until release. It returns nil when there will be none.
func (p *Producer) take() []Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) == 0 && !p.closed && p.err == nil {
		p.changed.Wait()
	}
	if p.closed || p.err != nil {
		return nil
	}
	var batch []Record
	var bytes int64
	for len(p.ready) > 0 && len(batch) < maxCallRecords {
		q := p.ready[0]
		n := 0
		for _, r := range q.records {
			full := len(batch)+n == maxCallRecords || (bytes > 0 && bytes+size(r) > maxCallBytes)
			if full || (p.perKey > 0 && n == p.perKey) {
				break
			}
			bytes += size(r)
			n++
		}
		if n == 0 {
			break
		}
		p.ready = p.ready[1:]
		batch = append(batch, q.records[:n]...)
		q.records = q.records[n:]
		q.busy = true
	}
	p.waiting -= bytes
	p.changed.Broadcast()
	return batch
}

// release makes keys free for another call; p.mu is held.
func (p *Producer) release(keys []string) {
	for _, key := range keys {
		q := p.queues[key]
		if q == nil || !q.busy {
			continue // named twice
		}
		q.busy = false
		if len(q.records) > 0 {
			p.ready = append(p.ready, q)
		} else {
			delete(p.queues, key)
		}
	}
}

// deliver calls until every record of batch is acknowledged. The keys of
// records that were refused stay busy meanwhile, which is what keeps them in
// order. It fails when the call can never succeed or patience ends.
func (p *Producer) deliver(ctx context.Context, batch []Record) error {
	backoff := newBackoff()
	lastGood := p.cfg.Clock.Now()
	for len(batch) > 0 {
		start := p.cfg.Clock.Now()
		out, err := p.cfg.API.PutRecords(ctx, p.input(batch))
		now := p.cfg.Clock.Now()
		var why error
		switch {
		case err == nil && len(out.Records) != len(batch):
			return fmt.Errorf("the server answered %d records of %d", len(out.Records), len(batch))
		case err == nil:
			if p.cfg.OnCall != nil {
				p.cfg.OnCall(len(batch), now.Sub(start))
			}
			var rest []Record
			rest, why = p.settle(batch, out.Records)
			if len(rest) < len(batch) {
				lastGood = now
				backoff = newBackoff()
			}
			if batch = rest; len(batch) == 0 {
				return nil
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case !Retryable(err):
			return err
		default:
			why = err
			if Unanswered(err) && !Unreachable(err) {
				p.mu.Lock()
				p.stats.Resent++
				p.mu.Unlock()
			}
		}
		if now.Sub(lastGood) > p.cfg.Patience {
			return fmt.Errorf("gave up after %v without success: %w", p.cfg.Patience, why)
		}
		if p.cfg.OnWait != nil {
			p.cfg.OnWait(lastGood, why)
		}
		if err := backoff.wait(ctx, p.cfg.Clock); err != nil {
			return err
		}
	}
	return nil
}

func (p *Producer) input(batch []Record) *kinesis.PutRecordsInput {
	in := &kinesis.PutRecordsInput{StreamName: aws.String(p.cfg.Stream), Records: make([]types.PutRecordsRequestEntry, len(batch))}
	for i := range batch {
		in.Records[i] = types.PutRecordsRequestEntry{PartitionKey: &batch[i].Key, Data: batch[i].Data}
	}
	return in
}

// settle takes one answer: acknowledged records are reported, keys without a
// refused record are released, and the refused records are returned in order
// with the reason of the first.
func (p *Producer) settle(batch []Record, results []types.PutRecordsResultEntry) (rest []Record, why error) {
	refused := map[string]bool{}
	var acks []Ack
	var reordered, bytes int64
	for i, r := range results {
		rec := batch[i]
		if r.ErrorCode != nil {
			refused[rec.Key] = true
			rest = append(rest, rec)
			if why == nil {
				why = fmt.Errorf("%s: %s", *r.ErrorCode, aws.ToString(r.ErrorMessage))
			}
			continue
		}
		if refused[rec.Key] {
			reordered++
		}
		bytes += size(rec)
		acks = append(acks, Ack{Record: rec, ShardID: aws.ToString(r.ShardId), SequenceNumber: aws.ToString(r.SequenceNumber)})
	}
	if p.cfg.OnAck != nil {
		for _, a := range acks {
			p.cfg.OnAck(a)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Calls++
	p.stats.Acked += int64(len(acks))
	p.stats.AckedBytes += bytes
	p.stats.Refused += int64(len(rest))
	if p.stats.Reordered += reordered; reordered > 0 {
		p.perKey = 1
	}
	p.open -= len(acks)
	var done []string
	for _, a := range acks {
		if !refused[a.Key] {
			done = append(done, a.Key)
		}
	}
	p.release(done)
	p.changed.Broadcast()
	return rest, why
}

// backoff waits longer each time: full jitter, 25 ms doubling to 5 s.
type backoff struct{ next time.Duration }

func newBackoff() *backoff { return &backoff{next: 25 * time.Millisecond} }

func (b *backoff) wait(ctx context.Context, clk clock.Clock) error {
	d := b.next/2 + rand.N(b.next/2)
	b.next = min(2*b.next, 5*time.Second)
	return sleepOn(ctx, clk, d)
}

func sleep(ctx context.Context, d time.Duration) error { return sleepOn(ctx, clock.System(), d) }

// sleepOn waits for d or the end of ctx, whose error it then returns.
func sleepOn(ctx context.Context, clk clock.Clock, d time.Duration) error {
	t := clk.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
