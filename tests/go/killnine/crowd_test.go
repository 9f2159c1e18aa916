package killnine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/events"
	"thalweg/tests/harness"
	"thalweg/tests/lean"
	"thalweg/tests/ledger"
	"thalweg/tests/sdk"
)

// maxBatch is the most records that one call of a worker holds: small enough
// for many calls between two kills.
const maxBatch = 40

// crowd is what writers, readers and the killer share.
type crowd struct {
	server *harness.Server
	book   *ledger.Ledger
	gate   *gate
	stop   chan struct{} // closed when the last kill is done

	acked      atomic.Int64 // records
	inFlight   atomic.Int64 // calls
	unanswered atomic.Int64 // calls, so far
	runs       atomic.Int64 // the highest run begun, plus one
}

// await looks every 200 us whether cond holds.
func (c *crowd) await(ctx context.Context, cond func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gate keeps clients away from a server that is down: the port of a listener
// that is gone could be given to a client that dials it.
type gate struct {
	mu   sync.Mutex
	pass chan struct{} // guarded by mu; closed while the gate is open
}

func newGate() *gate {
	g := &gate{pass: make(chan struct{})}
	close(g.pass)
	return g
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.pass)
}

// wait returns when the gate is open.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	pass := g.pass
	g.mu.Unlock()
	select {
	case <-pass:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errUnanswered is a call whose answer never came.
var errUnanswered = errors.New("unanswered")

// putFunc makes one call: PutRecord for one record, PutRecords for more. An
// answered error is returned as it is, a lost answer as errUnanswered.
type putFunc func(ctx context.Context, key []string, data [][]byte) ([]ledger.Place, error)

// worker writes its events in order, run after run, one call at a time.
type worker struct {
	*crowd
	events []events.Event
	rng    *rand.Rand
	put    putFunc
}

func (w *worker) run(ctx context.Context) error {
	for run := 0; ; run++ {
		w.runs.Store(max(w.runs.Load(), int64(run+1)))
		for rest := w.events; len(rest) > 0; {
			batch := rest[:min(1+w.rng.IntN(maxBatch), len(rest))]
			rest = rest[len(batch):]
			for {
				again, err := w.call(ctx, run, batch)
				if err != nil {
					return err
				}
				if !again {
					break
				}
			}
			select {
			case <-w.stop:
				return nil
			default:
			}
		}
		if len(w.events) == 0 {
			return nil
		}
	}
}

// call sends one batch and notes it in the ledger. It asks to be called again
// if no answer came.
func (w *worker) call(ctx context.Context, run int, batch []events.Event) (again bool, err error) {
	keys, data := make([]string, len(batch)), make([][]byte, len(batch))
	records := make([]ledger.Record, len(batch))
	for i, e := range batch {
		keys[i], data[i] = e.Key(), e.Data(run)
		records[i] = ledger.Record{ID: e.ID(run), Sum: events.Sum(data[i])}
	}
	if err := w.gate.wait(ctx); err != nil {
		return false, err
	}
	call := w.book.Sent(records)
	w.inFlight.Add(1)
	places, err := w.put(ctx, keys, data)
	switch {
	case err == nil:
		w.book.Acked(call, places)
		w.acked.Add(int64(len(places)))
	case errors.Is(err, errUnanswered) && ctx.Err() == nil:
		w.unanswered.Add(1)
	default:
		w.book.Failed(call, err)
	}
	w.inFlight.Add(-1)
	if err == nil || errors.Is(err, errUnanswered) {
		return err != nil, ctx.Err()
	}
	return false, fmt.Errorf("put %d records: %w", len(batch), err)
}

// follow reads a shard through every kill with the iterator it has, until
// everything is written, then on to the tip.
func (c *crowd) follow(ctx context.Context, client *kinesis.Client, shard string) ([]ledger.Read, error) {
	f, err := sdk.Follow(ctx, client, stream, shard)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var all []ledger.Read
	for {
		if err := c.gate.wait(ctx); err != nil {
			return nil, err
		}
		done := c.stopped() && c.inFlight.Load() == 0
		page, atTip, err := f.Next(ctx)
		if err != nil && !errors.Is(sdkError(err), errUnanswered) {
			return nil, fmt.Errorf("read %s: %w", shard, err)
		}
		all = append(all, page...)
		if done && err == nil && atTip && len(page) == 0 {
			return all, nil
		}
		if len(page) == 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil, fmt.Errorf("read %s: %w", shard, errors.Join(err, ctx.Err()))
			}
		}
	}
}

func (c *crowd) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// sdkPutter puts with aws-sdk-go-v2, never retrying.
type sdkPutter struct{ client *kinesis.Client }

func newSDKPutter(url string) *sdkPutter { return &sdkPutter{sdk.Client(url, sdk.NoRetry)} }

func (p *sdkPutter) put(ctx context.Context, keys []string, data [][]byte) ([]ledger.Place, error) {
	name := aws.String(stream)
	if len(data) == 1 {
		out, err := p.client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: name, Data: data[0], PartitionKey: &keys[0]})
		if err != nil {
			return nil, sdkError(err)
		}
		return []ledger.Place{{Shard: *out.ShardId, Seq: *out.SequenceNumber}}, nil
	}
	entries := make([]types.PutRecordsRequestEntry, len(data))
	for i := range data {
		entries[i] = types.PutRecordsRequestEntry{Data: data[i], PartitionKey: &keys[i]}
	}
	out, err := p.client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: entries})
	if err != nil {
		return nil, sdkError(err)
	}
	places := make([]ledger.Place, len(out.Records))
	for i, r := range out.Records {
		if r.ErrorCode != nil {
			return nil, fmt.Errorf("record %d of %d: %s %s", i, len(data), *r.ErrorCode, aws.ToString(r.ErrorMessage))
		}
		places[i] = ledger.Place{Shard: *r.ShardId, Seq: *r.SequenceNumber}
	}
	return places, nil
}

// sdkError marks a lost answer as unanswered.
func sdkError(err error) error {
	if !sdk.Lost(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnanswered, err)
}

// leanPutter puts with the lean client over one connection at a time.
type leanPutter struct {
	addr   string
	signer lean.Signer
	conn   *lean.Conn
}

func newLeanPutter(addr string) *leanPutter {
	return &leanPutter{addr: addr, signer: lean.Signer{
		Host: addr, AccessKey: sdk.AccessKey, SecretKey: sdk.SecretKey, Region: sdk.Region,
	}}
}

func (p *leanPutter) put(_ context.Context, keys []string, data [][]byte) ([]ledger.Place, error) {
	if p.conn == nil {
		conn, err := lean.Dial(p.addr)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnanswered, err)
		}
		p.conn = conn
	}
	puts, err := p.call(keys, data)
	var answered *lean.WireError
	if err != nil {
		if errors.As(err, &answered) {
			return nil, err
		}
		_ = p.conn.Close() // of no more use
		p.conn = nil
		return nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	places := make([]ledger.Place, len(puts))
	for i, r := range puts {
		if r.SequenceNumber == "" {
			return nil, fmt.Errorf("record %d of %d: %s %s", i, len(data), r.ErrorCode, r.ErrorMessage)
		}
		places[i] = ledger.Place{Shard: r.ShardId, Seq: r.SequenceNumber}
	}
	return places, nil
}

func (p *leanPutter) call(keys []string, data [][]byte) ([]lean.Put, error) {
	if len(data) == 1 {
		out := make([]lean.Put, 1)
		body := lean.PutRecordBody(stream, lean.Record{Key: keys[0], Data: data[0]})
		return out, p.conn.Call(p.signer.Request("PutRecord", body), &out[0])
	}
	records := make([]lean.Record, len(data))
	for i := range data {
		records[i] = lean.Record{Key: keys[i], Data: data[i]}
	}
	var out lean.Puts
	err := p.conn.Call(p.signer.Request("PutRecords", lean.PutRecordsBody(stream, records)), &out)
	return out.Records, err
}
