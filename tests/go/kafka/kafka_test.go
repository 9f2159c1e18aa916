// Package kafka uses the real binary as a Kafka cluster, with franz-go: it puts
// records through it while it is killed, and through the two doors of one stream.
package kafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
)

var (
	kills   = flag.Int("kills", 3, "how often to kill the server")
	newAcks = flag.Int64("acks", 1500, "records to be acknowledged between two kills, at least")
)

const partitions = 4

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

func newClient(t testing.TB, server *harness.Server, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(server.Ready().Kafka), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t testing.TB, cl *kgo.Client, name string, partitions int32) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, -1
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 5000
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("create %s: %v, %+v", name, err, resp)
	}
}

// drain reads every partition from the start to its end.
func drain(t testing.TB, server *harness.Server, topic string, n int32) map[int32][]*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl := newClient(t, server)
	defer cl.Close()
	ends := listEnds(t, cl, topic, n)
	from := map[string]map[int32]kgo.Offset{topic: {}}
	left := 0
	for p, end := range ends {
		if end > 0 {
			from[topic][p] = kgo.NewOffset().AtStart()
			left++
		}
	}
	cl.AddConsumePartitions(from)
	got := map[int32][]*kgo.Record{}
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got[r.Partition] = append(got[r.Partition], r)
			if r.Offset == ends[r.Partition]-1 {
				left--
			}
		})
	}
	return got
}

func listEnds(t testing.TB, cl *kgo.Client, topic string, n int32) map[int32]int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range n {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[int32]int64{}
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != 0 {
			t.Fatalf("partition %d: code %d", p.Partition, p.ErrorCode)
		}
		ends[p.Partition] = p.Offset
	}
	return ends
}

// ack is what a producer was told.
type ack struct {
	partition int32
	offset    int64
	value     string
}

// TestKillNine: under kill -9, every acknowledged record is at its offset, and an
// idempotent producer's records are there once and in order, however often it
// tried.
func TestKillNine(t *testing.T) {
	t.Parallel() // most of its time it waits
	server := harness.ForTest(t, harness.Options{})
	admin := newClient(t, server)
	createTopic(t, admin, "players", partitions)
	stop := make(chan struct{})
	var acked atomic.Int64
	acks := make([][]ack, partitions)
	err := harness.Parallel(t.Context(), partitions+1, func(ctx context.Context, i int) error {
		if i == partitions {
			defer close(stop)
			return killer(ctx, server, &acked, t.Logf)
		}
		var err error
		acks[i], err = produce(ctx, newClient(t, server, kgo.ProducerLinger(0), kgo.MaxBufferedRecords(64)), int32(i), stop, &acked)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, drain(t, server, "players", partitions), acks)
	if err := errors.Join(server.Kill(), server.Verify(t.Context()), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	check(t, drain(t, server, "players", partitions), acks)
	t.Logf("%d records acknowledged through %d kills", acked.Load(), *kills)
}

// produce sends records numbered from 0 to one partition until stop.
func produce(ctx context.Context, cl *kgo.Client, partition int32, stop <-chan struct{}, acked *atomic.Int64) ([]ack, error) {
	var mu sync.Mutex
	var out []ack
	var failed error
	for n := 0; ; n++ {
		select {
		case <-stop:
			err := cl.Flush(ctx)
			mu.Lock()
			defer mu.Unlock()
			return out, errors.Join(err, failed)
		default:
		}
		value := fmt.Sprintf("%d %s", n, strings.Repeat("x", n%700))
		cl.Produce(ctx, &kgo.Record{Topic: "players", Partition: partition, Key: []byte(strconv.Itoa(n)), Value: []byte(value)},
			func(r *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = errors.Join(failed, err)
					return
				}
				out = append(out, ack{r.Partition, r.Offset, value})
				acked.Add(1)
			})
	}
}

// killer kills the server each time enough was acknowledged.
func killer(ctx context.Context, server *harness.Server, acked *atomic.Int64, logf func(string, ...any)) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for k := range *kills {
		for base := acked.Load(); acked.Load() < base+*newAcks; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("wait for acknowledgements: %w", ctx.Err())
			}
		}
		before := acked.Load()
		if err := errors.Join(server.Kill(), server.Restart(ctx)); err != nil {
			return err
		}
		logf("kill %d after %d acknowledgements, ready in %v", k+1, before, server.Took())
	}
	base := acked.Load()
	for acked.Load() < base+*newAcks/10 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func check(t *testing.T, got map[int32][]*kgo.Record, acks [][]ack) {
	t.Helper()
	for p := range acks {
		records := got[int32(p)]
		for i, r := range records {
			if r.Offset != int64(i) || string(r.Key) != strconv.Itoa(i) {
				t.Fatalf("partition %d, place %d: offset %d, record %s: lost, repeated or out of order", p, i, r.Offset, r.Key)
			}
		}
		for _, a := range acks[p] {
			if a.offset >= int64(len(records)) || crc32.ChecksumIEEE(records[a.offset].Value) != crc32.ChecksumIEEE([]byte(a.value)) {
				t.Fatalf("partition %d: offset %d was acknowledged and is not there as it was", p, a.offset)
			}
		}
	}
}
