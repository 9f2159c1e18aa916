package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/events"
	"thalweg/tests/harness"
)

const (
	kafkaPartitions = 4
	pace            = time.Millisecond // between records of the workloads that measure waiting
	ackName         = "produce 1 KiB, 1,000/s, to acknowledged"
	endToEndName    = "produce 1 KiB, 1,000/s, to received"
)

func produceName(size int, codec string) string { return "produce " + sizeName(size) + ", " + codec }
func consumeName(size int, codec string) string { return "consume " + sizeName(size) + ", " + codec }

// measureKafka fills a topic as fast as it goes and drains it, for both sizes and
// plain and compressed; then it measures how long one record takes.
func (r *report) measureKafka(ctx context.Context, s *server, t target, o options) error {
	do := func(name string, run func(topic string) (result, error), topic string) error {
		res, err := run(topic)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		res.Server, res.Workload, res.Client = t.name, name, "franz-go"
		fmt.Println(res.line())
		r.Results = append(r.Results, res)
		return nil
	}
	for _, size := range []int{100, 1024} {
		for _, codec := range []string{"none", "lz4"} {
			if !strings.Contains(produceName(size, codec), o.only) {
				continue
			}
			topic := fmt.Sprintf("bench-%d-%s", size, codec)
			if err := createTopic(ctx, s.kafka, topic); err != nil {
				return err
			}
			err := errors.Join(
				do(produceName(size, codec), func(topic string) (result, error) { return fill(ctx, s, topic, size, codec, o) }, topic),
				do(consumeName(size, codec), func(topic string) (result, error) { return drain(ctx, s, topic, size, o) }, topic),
				deleteTopic(ctx, s.kafka, topic))
			if err != nil {
				return err
			}
		}
	}
	if !strings.Contains(ackName, o.only) {
		return nil
	}
	if err := createTopic(ctx, s.kafka, "bench-pace"); err != nil {
		return err
	}
	acks, received, err := paced(ctx, s, "bench-pace", o)
	if err != nil {
		return fmt.Errorf("%s: %w", ackName, err)
	}
	return errors.Join(
		do(ackName, func(string) (result, error) { return acks, nil }, ""),
		do(endToEndName, func(string) (result, error) { return received, nil }, ""))
}

// payloads are values of the given size, cut of the modelled events, so that they
// compress as such.
func payloads(size int) [][]byte {
	var all []byte
	for _, e := range events.Model(1, 4000).Events {
		all = append(all, e.Line...)
	}
	var out [][]byte
	for ; len(all) >= size && len(out) < 1000; all = all[size:] {
		out = append(out, all[:size:size])
	}
	return out
}

func kafkaClient(addr string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr)}, opts...)...)
}

// scaled makes a result of what was watched.
func (r result) scaled(records int64, size int) (result, error) {
	if r.Records = records; records == 0 {
		return r, errors.New("nothing was done in time")
	}
	bytes := float64(records) * float64(size)
	r.PerSecond *= float64(records)
	r.MBPerSecond = r.PerSecond * float64(size) / 1e6
	r.CPUPerGB = r.CPUPerMillion / bytes * 1e9
	r.CPUPerMillion *= 1e6 / float64(records)
	return r, nil
}

// fill produces from two clients with their defaults: idempotent, acks=all, batches
// of up to 1 MB.
func fill(ctx context.Context, s *server, topic string, size int, codec string, o options) (result, error) {
	compression := kgo.NoCompression()
	if codec == "lz4" {
		compression = kgo.Lz4Compression()
	}
	values := payloads(size)
	var counting, stop atomic.Bool
	var records atomic.Int64
	var res result
	const clients = 2
	err := harness.Parallel(ctx, clients+1, func(ctx context.Context, i int) error {
		if i == clients {
			defer stop.Store(true)
			if err := wait(ctx, warmUp); err != nil {
				return err
			}
			return res.watch(ctx, s.pid(), o.seconds, &counting, func() bool { return records.Load() > 0 })
		}
		cl, err := kafkaClient(s.kafka, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(compression))
		if err != nil {
			return err
		}
		defer cl.Close()
		var failed atomic.Pointer[error]
		done := func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			} else if counting.Load() {
				records.Add(1)
			}
		}
		for n := 0; !stop.Load() && failed.Load() == nil && ctx.Err() == nil; n++ {
			cl.Produce(ctx, kgo.SliceRecord(values[n%len(values)]), done)
		}
		err = cl.Flush(ctx)
		if first := failed.Load(); first != nil {
			err = errors.Join(err, *first)
		}
		return err
	})
	if err != nil {
		return result{}, err
	}
	return res.scaled(records.Load(), size)
}

// drain consumes what fill left, over and over.
func drain(ctx context.Context, s *server, topic string, size int, o options) (result, error) {
	ends, err := topicEnds(ctx, s.kafka, topic)
	if err != nil {
		return result{}, err
	}
	var counting, stop atomic.Bool
	var records atomic.Int64
	var res result
	err = harness.Parallel(ctx, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			defer stop.Store(true)
			if err := wait(ctx, warmUp); err != nil {
				return err
			}
			return res.watch(ctx, s.pid(), o.seconds, &counting, func() bool { return records.Load() > 0 })
		}
		for !stop.Load() && ctx.Err() == nil {
			if err := drainOnce(ctx, s.kafka, topic, ends, &counting, &stop, &records); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return result{}, err
	}
	return res.scaled(records.Load(), size)
}

func drainOnce(ctx context.Context, addr, topic string, ends int64, counting, stop *atomic.Bool, records *atomic.Int64) error {
	cl, err := kafkaClient(addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for got := int64(0); got < ends && !stop.Load(); {
		poll, cancel := context.WithTimeout(ctx, 5*time.Second)
		fetches := cl.PollFetches(poll)
		cancel()
		if err := fetches.Err(); err != nil {
			return err
		}
		n := int64(fetches.NumRecords())
		got += n
		if counting.Load() {
			records.Add(n)
		}
	}
	return nil
}

// paced produces a record each millisecond, whether or not the one before is
// acknowledged, and consumes them at the tip. Both are measured from when the record
// was due.
func paced(ctx context.Context, s *server, topic string, o options) (acks, received result, err error) {
	value := payloads(1024)[0]
	begun := time.Now()
	var mu sync.Mutex
	var acked, got []time.Duration // guarded by mu
	var counting, stop atomic.Bool
	note := func(into *[]time.Duration, due time.Duration) {
		took := time.Since(begun) - due
		if counting.Load() {
			mu.Lock()
			*into = append(*into, took)
			mu.Unlock()
		}
	}
	reader, err := kafkaClient(s.kafka, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return acks, received, err
	}
	defer reader.Close()
	var res result
	err = harness.Parallel(ctx, 3, func(ctx context.Context, i int) error {
		switch i {
		case 0:
			defer stop.Store(true)
			if err := wait(ctx, 3*warmUp); err != nil {
				return err
			}
			return res.watch(ctx, s.pid(), o.seconds, &counting, func() bool { return true })
		case 1:
			for !stop.Load() {
				poll, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				fetches := reader.PollFetches(poll)
				cancel()
				fetches.EachRecord(func(r *kgo.Record) { note(&got, time.Duration(binary.BigEndian.Uint64(r.Value))) })
			}
			return ctx.Err()
		}
		writer, err := kafkaClient(s.kafka, kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
		if err != nil {
			return err
		}
		defer writer.Close()
		var failed atomic.Pointer[error]
		for due := time.Since(begun); !stop.Load() && failed.Load() == nil; due += pace {
			if err := wait(ctx, due-time.Since(begun)); err != nil {
				return err
			}
			own := slices.Clone(value)
			binary.BigEndian.PutUint64(own, uint64(due))
			writer.Produce(ctx, kgo.SliceRecord(own), func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(&err)
					return
				}
				note(&acked, due)
			})
		}
		err = writer.Flush(ctx)
		if first := failed.Load(); first != nil {
			err = errors.Join(err, *first)
		}
		return err
	})
	if err != nil {
		return acks, received, err
	}
	mu.Lock()
	defer mu.Unlock()
	of := func(took []time.Duration) (result, error) {
		r, err := res.scaled(int64(len(took)), 1024)
		r.MBPerSecond, r.CPUPerGB = 0, 0 // of the pace, not of the server
		slices.Sort(took)
		r.P50Millis, r.P99Millis = millis(quantile(took, 0.50)), millis(quantile(took, 0.99))
		return r, err
	}
	acks, err1 := of(acked)
	received, err2 := of(got)
	return acks, received, errors.Join(err1, err2)
}

// ask sends one request to a broker of its own connection.
func ask[R any](ctx context.Context, addr string, send func(context.Context, *kgo.Client) (R, error)) (R, error) {
	cl, err := kafkaClient(addr)
	if err != nil {
		var none R
		return none, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return send(ctx, cl)
}

func createTopic(ctx context.Context, addr, topic string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, kafkaPartitions, 1
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 30_000
	resp, err := ask(ctx, addr, func(ctx context.Context, cl *kgo.Client) (*kmsg.CreateTopicsResponse, error) {
		return req.RequestWith(ctx, cl)
	})
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

func deleteTopic(ctx context.Context, addr, topic string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.Topic = &topic
	req.Topics, req.TopicNames, req.TimeoutMillis = append(req.Topics, rt), []string{topic}, 30_000
	resp, err := ask(ctx, addr, func(ctx context.Context, cl *kgo.Client) (*kmsg.DeleteTopicsResponse, error) {
		return req.RequestWith(ctx, cl)
	})
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// topicEnds is how many records a topic holds.
func topicEnds(ctx context.Context, addr, topic string) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range int32(kafkaPartitions) {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := ask(ctx, addr, func(ctx context.Context, cl *kgo.Client) (*kmsg.ListOffsetsResponse, error) {
		return req.RequestWith(ctx, cl)
	})
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for _, p := range resp.Topics[0].Partitions {
		n += p.Offset
		err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
	}
	return n, err
}
