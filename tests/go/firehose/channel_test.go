package firehose

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/events"
	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

// TestKillNineChannel kills the server amid puts to a stream and deliveries of its channel,
// whose time comes because the clock is moved. What was acknowledged is in the bucket once,
// and the ends of calls that were not answered are there once or not at all.
func TestKillNineChannel(t *testing.T) {
	n, err := events.Count(*eventCount)
	if err != nil {
		t.Fatal(err)
	}
	set, err := events.Load(harness.Root(), n)
	if err != nil {
		t.Fatal(err)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("%s; seed %d", set.Origin, *seed)
	rng := rand.New(rand.NewPCG(*seed, 1))
	s := newSuite(t)
	streams := sdk.Client(s.server.URL(), sdk.NoRetry)
	channel := s.channel(streams)
	var acked atomic.Int64
	doubtful := &doubt{of: map[events.ID]bool{}}
	owned := set.Split(*workers)
	err = harness.Parallel(t.Context(), *workers+1, func(ctx context.Context, i int) error {
		if i < *workers {
			return putSource(ctx, s.server.URL(), streams, owned[i], &acked, doubtful)
		}
		total := int64(len(set.Events))
		for k := range *kills {
			at := total * int64(k+1) / int64(*kills+1)
			for acked.Load() < at-rng.Int64N(total/int64(4**kills)) {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			// A delivery begins. The clock was set back by the kill before.
			if err := s.advance(ctx, fmt.Sprintf("%ds", 400*(k+1))); err != nil {
				return err
			}
			for range rng.IntN(200) { // it has begun, or is done
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := s.server.Kill(); err != nil {
				return err
			}
			if err := s.server.Restart(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.flush(url.PathEscape(channel[strings.Index(channel, "channel/"):]))
	s.deleteChannel(streams, channel) // so that nothing comes any more
	all := s.objects("kinesis-channel/")
	check(t, "channel", all, "kinesis-channel/", set, doubtful.of)
	t.Logf("%d objects", len(all))
	if !t.Failed() {
		harness.Evidence(t, "channel-kills", map[string]any{"seed": *seed, "events": len(set.Events), "origin": set.Origin, "kills": *kills,
			"doubtful": len(doubtful.of), "objects": len(all)})
	}
}

// channel makes an on-demand stream "source" and a channel of it.
func (s *suite) channel(streams *kinesis.Client) string {
	s.t.Helper()
	ctx := s.t.Context()
	if _, err := streams.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("source"),
		StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}}); err != nil {
		s.t.Fatal(err)
	}
	owner := aws.String("000000000000")
	out, err := streams.CreateChannel(ctx, &kinesis.CreateChannelInput{
		ChannelName: aws.String("events"), ServiceExecutionRoleARN: role,
		StreamConfigurationList: []types.ChannelStreamConfiguration{{
			StreamARN:           aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/source"),
			RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeByteArray},
		}},
		S3DestinationConfiguration: &types.S3DestinationConfiguration{StorageConfiguration: &types.S3StorageConfiguration{
			BucketARN: aws.String("arn:aws:s3:::" + bucket), ExpectedBucketOwner: owner, CompressionType: types.S3CompressionTypeNone,
		}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	arn := out.ChannelDescription.ChannelARN
	if err := kinesis.NewChannelActiveWaiter(streams).Wait(ctx, &kinesis.DescribeChannelInput{ChannelARN: arn}, 10*time.Second); err != nil {
		s.t.Fatal(err)
	}
	return *arn
}

// deleteChannel deletes a channel, and waits until it is gone.
func (s *suite) deleteChannel(streams *kinesis.Client, arn string) {
	s.t.Helper()
	if _, err := streams.DeleteChannel(s.t.Context(), &kinesis.DeleteChannelInput{ChannelARN: &arn}); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for {
		list, err := streams.ListChannels(ctx, &kinesis.ListChannelsInput{})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(list.ChannelSummaries) == 0 {
			return
		}
		if err := pause(ctx); err != nil {
			s.t.Fatal("the channel is still there: ", err)
		}
	}
}

// advance moves the server's clock.
func (s *suite) advance(ctx context.Context, by string) error {
	req, err := http.NewRequestWithContext(ctx, "POST", s.server.URL()+"/_thalweg/clock", strings.NewReader(fmt.Sprintf(`{"advance":%q}`, by)))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("move the clock: %s", resp.Status)
	}
	return resp.Body.Close()
}
