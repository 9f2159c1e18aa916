package killkafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
	"thalweg/tests/ledger"
	"thalweg/tests/sdk"
)

// read is one event at its offset, as either door shows it.
type read struct {
	offset int64
	ledger.Record
}

// readKafka reads every partition from the start, through every kill, to the end
// that it has once done is closed.
func readKafka(ctx context.Context, server *harness.Server, isolation kgo.IsolationLevel, done <-chan struct{}) ([][]read, error) {
	from := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		from[p] = kgo.NewOffset().AtStart()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(server.Ready().Kafka), kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	all, next := make([][]read, partitions), make([]int64, partitions)
	var ends []int64
	for {
		if ends == nil && closed(done) {
			if ends, err = listEnds(ctx, cl); err != nil {
				return nil, err
			}
		}
		left := ends == nil
		for p, end := range ends {
			left = left || next[p] < end
		}
		if !left {
			return all, nil
		}
		poll, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := cl.PollFetches(poll)
		cancel()
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read Kafka at %v of %v: %w", next, ends, err)
		}
		for _, e := range fetches.Errors() {
			if definite(e.Err) {
				return nil, fmt.Errorf("read partition %d: %w", e.Partition, e.Err)
			}
		}
		for r := range fetches.RecordsAll() {
			if r.Offset < next[r.Partition] {
				return nil, fmt.Errorf("partition %d: offset %d after %d", r.Partition, r.Offset, next[r.Partition]-1)
			}
			next[r.Partition] = r.Offset + 1
			if r.Attrs.IsControl() {
				continue
			}
			got, err := ledger.Identify(fmt.Sprint(r.Offset), r.Value)
			if err != nil {
				return nil, err
			}
			all[r.Partition] = append(all[r.Partition], read{r.Offset, got.Record})
		}
	}
}

// listEnds returns the end of each partition.
func listEnds(ctx context.Context, cl *kgo.Client) ([]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range int32(partitions) {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	ends := make([]int64, partitions)
	for _, p := range resp.Topics[0].Partitions {
		err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		ends[p.Partition] = p.Offset
	}
	return ends, err
}

// readKinesis reads one shard with GetRecords, likewise.
func readKinesis(ctx context.Context, client *kinesis.Client, partition int, done <-chan struct{}) ([]read, error) {
	shard := fmt.Sprintf("shardId-%012d", partition)
	f, err := sdk.Follow(ctx, client, topic, shard)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var all []read
	for {
		last := closed(done)
		page, atTip, err := f.Next(ctx)
		if err != nil && (!sdk.Lost(err) || ctx.Err() != nil) {
			return nil, fmt.Errorf("read %s: %w", shard, err)
		}
		for _, r := range page {
			offset, err := sdk.OffsetOf(r.Seq)
			if err != nil {
				return nil, err
			}
			all = append(all, read{offset, r.Record})
		}
		if last && err == nil && atTip && len(page) == 0 {
			return all, nil
		}
		if len(page) == 0 {
			<-tick.C
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
