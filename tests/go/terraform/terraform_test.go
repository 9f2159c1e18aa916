// Package terraform makes the calls that Terraform's AWS provider makes for a
// stream, a consumer and a resource policy, in its order and with its waits:
// create, read, update, read, delete. What is read after an apply must be what
// was applied, or every plan would show a difference.
package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// stream is the state of an aws_kinesis_stream.
type stream struct {
	Name          string
	Mode          types.StreamMode
	Shards        int32 // of a provisioned stream
	Retention     int32
	Metrics       []string // sorted
	Encryption    types.EncryptionType
	Key           string
	MaxRecordSize int32
	Tags          map[string]string
}

// provider makes the calls.
type provider struct {
	t *testing.T
	*kinesis.Client
}

func newProvider(t *testing.T) *provider {
	server := harness.ForTest(t, harness.Options{})
	return &provider{t: t, Client: sdk.Client(server.URL(), sdk.NoRetry)}
}

func (p *provider) ctx() context.Context { return p.t.Context() }

func (p *provider) must(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// await describes a stream until it is ACTIVE.
func (p *provider) await(name string) *types.StreamDescriptionSummary {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx(), time.Minute)
	defer cancel()
	for {
		out, err := p.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		p.must("describe", err)
		switch s := out.StreamDescriptionSummary; s.StreamStatus {
		case types.StreamStatusActive:
			return s
		case types.StreamStatusCreating, types.StreamStatusUpdating:
		default:
			p.t.Fatalf("stream %s is %s", name, s.StreamStatus)
		}
	}
}

// create makes a stream as its configuration says and returns its ARN.
func (p *provider) create(c stream) string {
	p.t.Helper()
	in := &kinesis.CreateStreamInput{StreamName: &c.Name, StreamModeDetails: &types.StreamModeDetails{StreamMode: c.Mode}}
	if c.Mode == types.StreamModeProvisioned {
		in.ShardCount = &c.Shards
	}
	if c.MaxRecordSize > 0 {
		in.MaxRecordSizeInKiB = &c.MaxRecordSize
	}
	_, err := p.CreateStream(p.ctx(), in)
	p.must("create", err)
	made := p.await(c.Name)
	// The retention is asked for even if it is what a new stream has.
	p.setRetention(c.Name, 24, c.Retention)
	p.setMetrics(c.Name, nil, c.Metrics)
	p.setEncryption(c.Name, stream{Encryption: types.EncryptionTypeNone}, c)
	p.setTags(c.Name, nil, c.Tags)
	return *made.StreamARN
}

// read is the state that a refresh finds.
func (p *provider) read(name string) stream {
	p.t.Helper()
	s := p.await(name)
	got := stream{Name: *s.StreamName, Mode: s.StreamModeDetails.StreamMode, Retention: *s.RetentionPeriodHours,
		Encryption: s.EncryptionType, Key: aws.ToString(s.KeyId), MaxRecordSize: *s.MaxRecordSizeInKiB, Tags: map[string]string{}}
	if got.Mode == types.StreamModeProvisioned {
		got.Shards = *s.OpenShardCount
	}
	for _, m := range s.EnhancedMonitoring[0].ShardLevelMetrics {
		got.Metrics = append(got.Metrics, string(m))
	}
	slices.Sort(got.Metrics)
	tags, err := p.ListTagsForStream(p.ctx(), &kinesis.ListTagsForStreamInput{StreamName: &name})
	p.must("list tags", err)
	for _, t := range tags.Tags {
		got.Tags[*t.Key] = *t.Value
	}
	byARN, err := p.ListTagsForResource(p.ctx(), &kinesis.ListTagsForResourceInput{ResourceARN: s.StreamARN})
	p.must("list tags by ARN", err)
	if diff := cmp.Diff(tags.Tags, byARN.Tags, cmp.AllowUnexported(types.Tag{})); diff != "" {
		p.t.Errorf("the two calls give other tags:\n%s", diff)
	}
	return got
}

// update takes a stream from one configuration to another.
func (p *provider) update(arn string, from, to stream) {
	p.t.Helper()
	name := to.Name
	if from.Mode != to.Mode {
		_, err := p.UpdateStreamMode(p.ctx(), &kinesis.UpdateStreamModeInput{StreamARN: &arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: to.Mode}})
		p.must("mode", err)
		p.await(name)
	}
	if to.Mode == types.StreamModeProvisioned && from.Shards != to.Shards {
		_, err := p.UpdateShardCount(p.ctx(), &kinesis.UpdateShardCountInput{
			StreamName: &name, ScalingType: types.ScalingTypeUniformScaling, TargetShardCount: &to.Shards,
		})
		p.must("shard count", err)
		p.await(name)
	}
	if from.Retention != to.Retention {
		p.setRetention(name, from.Retention, to.Retention)
	}
	p.setMetrics(name, from.Metrics, to.Metrics)
	p.setEncryption(name, from, to)
	if from.MaxRecordSize != to.MaxRecordSize {
		_, err := p.UpdateMaxRecordSize(p.ctx(), &kinesis.UpdateMaxRecordSizeInput{StreamARN: &arn, MaxRecordSizeInKiB: &to.MaxRecordSize})
		p.must("record size", err)
		p.await(name)
	}
	p.setTags(name, from.Tags, to.Tags)
}

func (p *provider) setRetention(name string, from, to int32) {
	p.t.Helper()
	var err error
	if to >= from {
		_, err = p.IncreaseStreamRetentionPeriod(p.ctx(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &name, RetentionPeriodHours: &to})
	} else {
		_, err = p.DecreaseStreamRetentionPeriod(p.ctx(), &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: &name, RetentionPeriodHours: &to})
	}
	p.must("retention", err)
	p.await(name)
}

// only returns what is in a and not in b.
func only(a, b []string) (out []types.MetricsName) {
	for _, m := range a {
		if !slices.Contains(b, m) {
			out = append(out, types.MetricsName(m))
		}
	}
	return out
}

func (p *provider) setMetrics(name string, from, to []string) {
	p.t.Helper()
	if off := only(from, to); len(off) > 0 {
		_, err := p.DisableEnhancedMonitoring(p.ctx(), &kinesis.DisableEnhancedMonitoringInput{StreamName: &name, ShardLevelMetrics: off})
		p.must("disable metrics", err)
		p.await(name)
	}
	if on := only(to, from); len(on) > 0 {
		_, err := p.EnableEnhancedMonitoring(p.ctx(), &kinesis.EnableEnhancedMonitoringInput{StreamName: &name, ShardLevelMetrics: on})
		p.must("enable metrics", err)
		p.await(name)
	}
}

func (p *provider) setEncryption(name string, from, to stream) {
	p.t.Helper()
	if from.Encryption == to.Encryption && from.Key == to.Key {
		return
	}
	if to.Encryption == types.EncryptionTypeKms {
		_, err := p.StartStreamEncryption(p.ctx(), &kinesis.StartStreamEncryptionInput{StreamName: &name, EncryptionType: to.Encryption, KeyId: &to.Key})
		p.must("encrypt", err)
	} else {
		_, err := p.StopStreamEncryption(p.ctx(), &kinesis.StopStreamEncryptionInput{StreamName: &name, EncryptionType: types.EncryptionTypeKms, KeyId: &from.Key})
		p.must("stop encrypting", err)
	}
	p.await(name)
}

func (p *provider) setTags(name string, from, to map[string]string) {
	p.t.Helper()
	var gone []string
	for k := range from {
		if _, kept := to[k]; !kept {
			gone = append(gone, k)
		}
	}
	if len(gone) > 0 {
		_, err := p.RemoveTagsFromStream(p.ctx(), &kinesis.RemoveTagsFromStreamInput{StreamName: &name, TagKeys: gone})
		p.must("remove tags", err)
	}
	set := maps.Clone(to)
	maps.DeleteFunc(set, func(k, v string) bool { old, had := from[k]; return had && old == v })
	if len(set) > 0 {
		_, err := p.AddTagsToStream(p.ctx(), &kinesis.AddTagsToStreamInput{StreamName: &name, Tags: set})
		p.must("add tags", err)
	}
}

// remove deletes a stream and waits until it is gone.
func (p *provider) remove(name string) {
	p.t.Helper()
	_, err := p.DeleteStream(p.ctx(), &kinesis.DeleteStreamInput{StreamName: &name, EnforceConsumerDeletion: aws.Bool(true)})
	p.must("delete", err)
	p.awaitGone("stream", func(ctx context.Context) error {
		_, err := p.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		return err
	})
}

// awaitGone calls until the answer is that there is nothing.
func (p *provider) awaitGone(what string, call func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx(), time.Minute)
	defer cancel()
	for {
		err := call(ctx)
		var gone *types.ResourceNotFoundException
		if errors.As(err, &gone) {
			return
		}
		p.must("wait until the "+what+" is gone", err)
	}
}

// settled fails if a plan after the apply of want would show a difference.
func (p *provider) settled(step string, want stream) {
	p.t.Helper()
	if want.Tags == nil {
		want.Tags = map[string]string{}
	}
	if diff := cmp.Diff(want, p.read(want.Name)); diff != "" {
		p.t.Errorf("%s: applied and read differ:\n%s", step, diff)
	}
}

func TestStream(t *testing.T) {
	p := newProvider(t)
	base := stream{Name: "game", Mode: types.StreamModeProvisioned, Shards: 2, Retention: 24,
		Encryption: types.EncryptionTypeNone, MaxRecordSize: 1024}
	arn := p.create(base)
	p.settled("create", base)

	full := base
	full.Shards, full.Retention, full.MaxRecordSize = 4, 48, 2048
	full.Metrics = []string{"IncomingBytes", "OutgoingBytes"}
	full.Encryption, full.Key = types.EncryptionTypeKms, "alias/aws/kinesis"
	full.Tags = map[string]string{"team": "arena", "env": "test"}
	p.update(arn, base, full)
	p.settled("update", full)

	less := full
	less.Shards, less.Retention, less.MaxRecordSize = 2, 24, 1024
	less.Metrics = []string{"IteratorAgeMilliseconds", "OutgoingBytes"}
	less.Encryption, less.Key = types.EncryptionTypeNone, ""
	less.Tags = map[string]string{"env": "live"}
	p.update(arn, full, less)
	p.settled("second update", less)

	demand := less
	demand.Mode, demand.Shards = types.StreamModeOnDemand, 0
	p.update(arn, less, demand)
	p.settled("on-demand", demand)
	p.remove(base.Name)

	// Everything at once, and on-demand from the start.
	full.Name = "all"
	p.create(full)
	p.settled("create with everything", full)
	p.remove(full.Name)
	demand.Name = "demand"
	p.create(demand)
	p.settled("create on-demand", demand)
	p.remove(demand.Name)
}

// consumer is the state of an aws_kinesis_stream_consumer.
type consumer struct {
	Name, Stream string
	Tags         map[string]string
}

func (p *provider) readConsumer(arn *string) (consumer, types.ConsumerStatus) {
	p.t.Helper()
	out, err := p.DescribeStreamConsumer(p.ctx(), &kinesis.DescribeStreamConsumerInput{ConsumerARN: arn})
	p.must("describe consumer", err)
	d := out.ConsumerDescription
	if *d.ConsumerARN != *arn || d.ConsumerCreationTimestamp == nil {
		p.t.Errorf("described %+v for %s", d, *arn)
	}
	tags, err := p.ListTagsForResource(p.ctx(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
	p.must("list tags of consumer", err)
	got := consumer{Name: *d.ConsumerName, Stream: *d.StreamARN, Tags: map[string]string{}}
	for _, t := range tags.Tags {
		got.Tags[*t.Key] = *t.Value
	}
	return got, d.ConsumerStatus
}

func TestConsumer(t *testing.T) {
	p := newProvider(t)
	arn := p.create(stream{Name: "game", Mode: types.StreamModeProvisioned, Shards: 1, Retention: 24, Encryption: types.EncryptionTypeNone})
	want := consumer{Name: "scores", Stream: arn, Tags: map[string]string{"team": "arena"}}
	out, err := p.RegisterStreamConsumer(p.ctx(), &kinesis.RegisterStreamConsumerInput{ConsumerName: &want.Name, StreamARN: &arn, Tags: want.Tags})
	p.must("register", err)
	id := out.Consumer.ConsumerARN
	ctx, cancel := context.WithTimeout(p.ctx(), time.Minute)
	defer cancel()
	for {
		got, status := p.readConsumer(id)
		if status == types.ConsumerStatusActive {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("applied and read differ:\n%s", diff)
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the consumer stays %s", status)
		}
	}
	_, err = p.TagResource(p.ctx(), &kinesis.TagResourceInput{ResourceARN: id, Tags: map[string]string{"env": "live"}})
	p.must("tag", err)
	_, err = p.UntagResource(p.ctx(), &kinesis.UntagResourceInput{ResourceARN: id, TagKeys: []string{"team"}})
	p.must("untag", err)
	want.Tags = map[string]string{"env": "live"}
	if got, _ := p.readConsumer(id); cmp.Diff(want, got) != "" {
		t.Errorf("applied and read differ:\n%s", cmp.Diff(want, got))
	}
	p.policy(*id, "kinesis:SubscribeToShard")
	_, err = p.DeregisterStreamConsumer(p.ctx(), &kinesis.DeregisterStreamConsumerInput{ConsumerARN: id})
	p.must("deregister", err)
	p.awaitGone("consumer", func(ctx context.Context) error {
		_, err := p.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: id})
		return err
	})
	p.remove("game")
}

func TestResourcePolicy(t *testing.T) {
	p := newProvider(t)
	arn := p.create(stream{Name: "game", Mode: types.StreamModeProvisioned, Shards: 1, Retention: 24, Encryption: types.EncryptionTypeNone})
	p.policy(arn, "kinesis:PutRecord")
	p.remove("game")
}

// policy is the life of an aws_kinesis_resource_policy: created, updated, removed.
func (p *provider) policy(resource, action string) {
	p.t.Helper()
	for _, account := range []string{"111111111111", "222222222222"} {
		text := fmt.Sprintf(`{"Version":"2012-10-17","Id":"share","Statement":[{"Sid":"other","Effect":"Allow",
			"Principal":{"AWS":%q},"Action":["kinesis:DescribeStreamSummary",%q],"Resource":%q}]}`, account, action, resource)
		_, err := p.PutResourcePolicy(p.ctx(), &kinesis.PutResourcePolicyInput{ResourceARN: &resource, Policy: &text})
		p.must("put policy", err)
		out, err := p.GetResourcePolicy(p.ctx(), &kinesis.GetResourcePolicyInput{ResourceARN: &resource})
		p.must("get policy", err)
		if diff := cmp.Diff(parsed(p.t, text), parsed(p.t, *out.Policy)); diff != "" {
			p.t.Errorf("applied and read differ:\n%s", diff)
		}
	}
	_, err := p.DeleteResourcePolicy(p.ctx(), &kinesis.DeleteResourcePolicyInput{ResourceARN: &resource})
	p.must("delete policy", err)
	p.awaitGone("policy", func(ctx context.Context) error {
		_, err := p.GetResourcePolicy(ctx, &kinesis.GetResourcePolicyInput{ResourceARN: &resource})
		return err
	})
}

func parsed(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
