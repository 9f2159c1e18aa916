package firehose

import (
	"context"
	"flag"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"thalweg/tests/harness"
)

var (
	idle    = flag.Int("idle", 1000, "delivery streams that do nothing")
	idleRSS = flag.Int64("idle-rss", 64<<20, "memory that the server may take with them")
)

// TestIdle makes delivery streams, uses each once, starts the server again, and looks
// at its memory: one that has nothing to deliver takes its configuration and no
// goroutine.
func TestIdle(t *testing.T) {
	s := newSuite(t, "--durability", "os")
	err := harness.Parallel(t.Context(), 4, func(ctx context.Context, worker int) error {
		for i := worker; i < *idle; i += 4 {
			name := fmt.Sprintf("idle-%d", i)
			_, err := s.client.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
				DeliveryStreamName: &name, ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
					BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: aws.String("arn:aws:iam::000000000000:role/firehose"),
					Prefix: aws.String("idle/"), BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)},
				}})
			if err != nil {
				return err
			}
			if _, err := s.client.PutRecord(ctx, &firehose.PutRecordInput{DeliveryStreamName: &name, Record: &types.Record{Data: []byte("x")}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range *idle {
		s.flush(fmt.Sprintf("idle-%d", i))
	}
	if err := s.server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := harness.MemoryOf(s.server.Ready().PID)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d idle delivery streams: %d MiB resident, started in %v", *idle, m.RSS>>20, s.server.Took())
	if m.RSS > *idleRSS {
		t.Errorf("%d bytes resident, at most %d", m.RSS, *idleRSS)
	}
}
