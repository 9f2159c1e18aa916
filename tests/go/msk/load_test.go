package msk

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/aws/aws-sdk-go-v2/service/kafka/types"
	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/harness"
)

// operated waits until an operation has come to its end.
func (u user) operated(arn *string, err error) {
	u.t.Helper()
	u.must("begin an operation", err)
	for deadline := time.Now().Add(time.Minute); ; {
		out, err := u.DescribeClusterOperation(u.t.Context(), &kafka.DescribeClusterOperationInput{ClusterOperationArn: arn})
		u.must("describe operation", err)
		switch *out.ClusterOperationInfo.OperationState {
		case "UPDATE_COMPLETE":
			return
		case "UPDATE_FAILED":
			u.t.Fatalf("%+v", out.ClusterOperationInfo)
		}
		if time.Now().After(deadline) {
			u.t.Fatal("an operation does not end")
		}
	}
}

// TestChangesUnderLoad: brokers come, go and are rebooted, and listeners open and
// close, under an idempotent producer. What it was told is stored is there once, in
// its order.
func TestChangesUnderLoad(t *testing.T) {
	s := harness.ForTest(t, harness.Options{})
	u := at(t, s, "000000000000")
	arn := u.create("games", 3)
	u.await(arn)
	brokers := u.bootstrap(arn)
	produce(t, brokers, "scores", 0)

	// One record after another, each to both partitions.
	const soon = 20 * time.Millisecond // a client waits for seconds otherwise, before it looks again
	cl := client(t, brokers, kgo.DefaultProduceTopic("scores"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(soon),
		kgo.RetryBackoffFn(func(int) time.Duration { return soon }))
	ctx, cancel := context.WithCancel(t.Context())
	acked, one := make(chan int), make(chan struct{})
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			value := []byte(strconv.Itoa(n))
			for p := range int32(2) {
				if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: value, Partition: p}).FirstErr(); err != nil {
					t.Errorf("record %d: %v", n, err)
				}
			}
			select {
			case one <- struct{}{}:
			default: // nobody waits for one
			}
		}
		acked <- n
	}()
	some := func() { // records that are stored between two changes
		for range 20 {
			<-one
		}
	}
	version := func() *string { return u.await(arn).CurrentVersion }
	some()
	for _, n := range []int32{5, 1, 3} {
		out, err := u.UpdateBrokerCount(t.Context(), &kafka.UpdateBrokerCountInput{ClusterArn: &arn, CurrentVersion: version(), TargetNumberOfBrokerNodes: &n})
		u.must("update count", err)
		u.operated(out.ClusterOperationArn, err)
		some()
	}
	for _, id := range []string{"1", "2", "3"} {
		out, err := u.RebootBroker(t.Context(), &kafka.RebootBrokerInput{ClusterArn: &arn, BrokerIds: []string{id}})
		u.must("reboot", err)
		u.operated(out.ClusterOperationArn, err)
		some()
	}
	out, err := u.UpdateSecurity(t.Context(), &kafka.UpdateSecurityInput{ClusterArn: &arn, CurrentVersion: version(),
		ClientAuthentication: &types.ClientAuthentication{Sasl: &types.Sasl{Iam: &types.Iam{Enabled: aws.Bool(true)}},
			Unauthenticated: &types.Unauthenticated{Enabled: aws.Bool(true)}}})
	u.must("update security", err)
	u.operated(out.ClusterOperationArn, err)
	some()
	cancel()
	n := <-acked

	reader := client(t, u.bootstrap(arn), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		"scores": {0: kgo.NewOffset().AtStart(), 1: kgo.NewOffset().AtStart()}}))
	limit, done := context.WithTimeout(t.Context(), 30*time.Second)
	defer done()
	next := make([]int, 2)
	for next[0] < n || next[1] < n {
		f := reader.PollFetches(limit)
		if err := f.Err0(); err != nil {
			t.Fatalf("%v, %v of %d read", err, next, n)
		}
		f.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != strconv.Itoa(next[r.Partition]) {
				t.Fatalf("partition %d has %s where %d should be", r.Partition, r.Value, next[r.Partition])
			}
			next[r.Partition]++
		})
	}
	t.Logf("%d records to each of two partitions", n)
}
