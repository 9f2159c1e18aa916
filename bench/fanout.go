package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/awsapi/codec/eventstream"
	"thalweg/tests/harness"
	"thalweg/tests/lean"
)

const (
	pushEvery = 5 * time.Millisecond // between two puts
	idleSubs  = 1000
	idleName  = "memory of 1,000 idle subscriptions"
)

// fanoutName is the workload of that many consumers.
func fanoutName(consumers int) string { return fmt.Sprintf("fan-out 1 KiB x%d", consumers) }

// measureFanout puts a record every few milliseconds and takes the time from
// before the put to the arrival at each consumer. Every record says when it was
// put; the clock is one, for all are on this machine.
func measureFanout(ctx context.Context, s *server, consumers int, o options) (result, error) {
	stream := fmt.Sprintf("fan-%d", consumers)
	if err := createStream(s, stream, 1, false); err != nil {
		return result{}, err
	}
	subs := make([]*pushed, consumers)
	defer func() {
		for _, p := range subs {
			if p != nil {
				p.close()
			}
		}
	}()
	for i := range subs {
		arn, err := register(ctx, s, stream, fmt.Sprintf("c%d", i))
		if err != nil {
			return result{}, err
		}
		if subs[i], err = subscribe(s, arn, 0); err != nil {
			return result{}, err
		}
	}
	var counting, stop atomic.Bool
	var seen atomic.Int64
	var mu sync.Mutex
	var took []time.Duration // guarded by mu
	var res result
	err := harness.Parallel(ctx, consumers+2, func(ctx context.Context, i int) error {
		switch i {
		case consumers:
			return pushRecords(ctx, s, stream, &stop)
		case consumers + 1:
			defer func() {
				stop.Store(true)
				for _, p := range subs {
					p.close()
				}
			}()
			if err := wait(ctx, warmUp); err != nil {
				return err
			}
			return res.watch(ctx, s.pid(), o.seconds, &counting, func() bool { return seen.Load() > 0 })
		}
		var own []time.Duration
		defer func() {
			mu.Lock()
			took = append(took, own...)
			mu.Unlock()
		}()
		for {
			put, err := subs[i].next()
			if stop.Load() {
				return nil
			}
			if err != nil {
				return fmt.Errorf("consumer %d: %w", i, err)
			}
			now := time.Now()
			for _, at := range put {
				if counting.Load() {
					own = append(own, now.Sub(at))
					seen.Add(1)
				}
			}
		}
	})
	if err != nil {
		return result{}, err
	}
	if res.Records = seen.Load(); res.Records == 0 {
		return result{}, errors.New("no record arrived")
	}
	res.PerSecond *= float64(res.Records)
	res.CPUPerMillion *= 1e6 / float64(res.Records)
	slices.Sort(took)
	res.P50Millis, res.P99Millis = millis(quantile(took, 0.50)), millis(quantile(took, 0.99))
	return res, nil
}

// pushRecords puts one record after the other, each with the time of its put,
// and never more than one at once.
func pushRecords(ctx context.Context, s *server, stream string, stop *atomic.Bool) error {
	conn, err := lean.Dial(s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	signer := s.signer(true)
	data := make([]byte, 1024)
	for !stop.Load() {
		at := time.Now()
		binary.BigEndian.PutUint64(data, uint64(at.UnixNano()))
		if err := putAnswer(conn.Do(signer.Request("PutRecord", lean.PutRecordBody(stream, lean.Record{Key: "k", Data: data})))); err != nil {
			return err
		}
		if err := wait(ctx, pushEvery-time.Since(at)); err != nil {
			return err
		}
	}
	return nil
}

// measureIdle returns what a server's memory grows by while it holds subscriptions
// to which nothing comes.
func measureIdle(ctx context.Context, s *server) (int64, error) {
	const stream = "fan-idle"
	if err := createStream(s, stream, idleSubs, false); err != nil {
		return 0, err
	}
	arn, err := register(ctx, s, stream, "idle")
	if err != nil {
		return 0, err
	}
	before, err := harness.MemoryOf(s.pid())
	if err != nil {
		return 0, err
	}
	for shard := range idleSubs {
		p, err := subscribe(s, arn, shard)
		if err != nil {
			return 0, fmt.Errorf("subscription %d: %w", shard, err)
		}
		defer p.close()
		if _, err := p.next(); err != nil {
			return 0, err
		}
	}
	if err := wait(ctx, 12*time.Second); err != nil { // two heartbeats
		return 0, err
	}
	after, err := harness.MemoryOf(s.pid())
	return after.RSS - before.RSS, err
}

// register makes a consumer and waits until it is active.
func register(ctx context.Context, s *server, stream, name string) (string, error) {
	conn, err := lean.Dial(s.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	signer := s.signer(true)
	var described struct {
		StreamDescriptionSummary struct{ StreamARN string }
	}
	body := fmt.Appendf(nil, `{"StreamName":"%s"}`, stream)
	if err := conn.Call(signer.Request("DescribeStreamSummary", body), &described); err != nil {
		return "", err
	}
	var made struct {
		Consumer struct{ ConsumerARN string }
	}
	body = fmt.Appendf(nil, `{"StreamARN":"%s","ConsumerName":"%s"}`, described.StreamDescriptionSummary.StreamARN, name)
	if err := conn.Call(signer.Request("RegisterStreamConsumer", body), &made); err != nil {
		return "", err
	}
	body = fmt.Appendf(nil, `{"ConsumerARN":"%s"}`, made.Consumer.ConsumerARN)
	for {
		var now struct {
			ConsumerDescription struct{ ConsumerStatus string }
		}
		if err := conn.Call(signer.Request("DescribeStreamConsumer", body), &now); err != nil {
			return "", err
		}
		if now.ConsumerDescription.ConsumerStatus == "ACTIVE" {
			return made.Consumer.ConsumerARN, nil
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("wait for consumer %s: %w", name, err)
		}
	}
}

// pushed is a subscription under way over a connection of its own.
type pushed struct {
	conn net.Conn
	body io.ReadCloser
	buf  []byte
	used int
}

func subscribe(s *server, consumer string, shard int) (*pushed, error) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	p := &pushed{conn: conn, buf: make([]byte, 4<<10)}
	signer := s.signer(true)
	_, err = conn.Write(signer.Request("SubscribeToShard", fmt.Appendf(nil,
		`{"ConsumerARN":"%s","ShardId":"shardId-%012d","StartingPosition":{"Type":"LATEST"}}`, consumer, shard)))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 4<<10), nil)
	if err == nil && resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // only to be shown
		err = fmt.Errorf("%s: %s", resp.Status, said)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p.body = resp.Body
	return p, nil
}

func (p *pushed) close() { _ = p.conn.Close() } // often a second time

// next reads the next event and returns when its records were put.
func (p *pushed) next() ([]time.Time, error) {
	for {
		m, n, err := eventstream.Parse(p.buf[:p.used])
		switch {
		case err == nil:
			put, err := p.times(&m)
			p.used = copy(p.buf, p.buf[n:p.used])
			if err != nil || m.Header(":event-type") == "SubscribeToShardEvent" {
				return put, err
			}
			continue
		case !errors.Is(err, eventstream.ErrShort):
			return nil, err
		}
		if p.used == len(p.buf) {
			p.buf = append(p.buf, make([]byte, len(p.buf))...)
		}
		got, err := p.body.Read(p.buf[p.used:])
		if p.used += got; err != nil && got == 0 {
			return nil, err
		}
	}
}

func (p *pushed) times(m *eventstream.Message) (put []time.Time, err error) {
	if m.Header(":message-type") == "exception" {
		return nil, fmt.Errorf("%s: %s", m.Header(":exception-type"), m.Payload)
	}
	var event struct{ Records []struct{ Data []byte } }
	if err := json.Unmarshal(m.Payload, &event); err != nil {
		return nil, err
	}
	for _, r := range event.Records {
		if len(r.Data) < 8 {
			return nil, errors.New("a record that nobody put")
		}
		put = append(put, time.Unix(0, int64(binary.BigEndian.Uint64(r.Data))))
	}
	return put, nil
}
