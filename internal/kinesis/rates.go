package kinesis

import (
	"context"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/streams"
)

// callRates are how often an operation may be called in a second, from its page
// of the API reference. An operation that is not here has no rate of calls: its
// limits, if any, are those of a shard.
var callRates = map[string]streams.CallRate{
	"AddTagsToStream":            {PerSecond: 5},
	"CreateChannel":              {PerSecond: 5},
	"CreateStream":               {PerSecond: 5},
	"DeleteChannel":              {PerSecond: 5},
	"DeleteStream":               {PerSecond: 5},
	"DeregisterStreamConsumer":   {PerSecond: 5, PerStream: true},
	"DescribeAccountSettings":    {PerSecond: 5},
	"DescribeChannel":            {PerSecond: 5},
	"DescribeLimits":             {PerSecond: 1},
	"DescribeStream":             {PerSecond: 10},
	"DescribeStreamConsumer":     {PerSecond: 20, PerStream: true},
	"DescribeStreamSummary":      {PerSecond: 20},
	"ListChannels":               {PerSecond: 5},
	"ListShards":                 {PerSecond: 1000, PerStream: true},
	"ListStreamConsumers":        {PerSecond: 5, PerStream: true},
	"ListStreams":                {PerSecond: 5},
	"ListTagsForStream":          {PerSecond: 5},
	"MergeShards":                {PerSecond: 5},
	"RegisterStreamConsumer":     {PerSecond: 5, PerStream: true},
	"RemoveTagsFromStream":       {PerSecond: 5},
	"SplitShard":                 {PerSecond: 5},
	"UpdateAccountSettings":      {PerSecond: 5},
	"UpdateChannel":              {PerSecond: 5},
	"UpdateShardCount":           {PerSecond: 10},
	"UpdateStreamWarmThroughput": {PerSecond: 5},
}

// admit draws a call on its operation's rate.
func (d *Door) admit(ctx context.Context, op *awsapi.Op, in awsapi.Input) error {
	rate, ok := callRates[op.Name]
	if !ok {
		return nil
	}
	scope, stream := scopeOf(awsapi.CallerFrom(ctx)), ""
	if p, ok := arn.Parse(d.subject(ctx, in)); ok {
		if name, ok := strings.CutPrefix(p.Resource, "stream/"); ok {
			scope = catalog.Scope{Account: p.Account, Region: p.Region}
			stream, _, _ = strings.Cut(name, "/") // a consumer's goes on
		}
	}
	return wireError(d.streams.AdmitCall(scope, stream, op.Name, rate))
}

// subject names what a request is about: also where it names only a token or an
// iterator, which name a stream.
func (d *Door) subject(ctx context.Context, in awsapi.Input) string {
	caller := awsapi.CallerFrom(ctx)
	var r *catalog.Resource
	switch in := in.(type) {
	case *model.GetRecordsInput:
		if pos, err := d.streams.OpenIterator(scopeOf(caller), []byte(in.ShardIterator.V)); err == nil {
			r = pos.Stream
		}
	case *model.ListShardsInput:
		if in.NextToken.Set {
			r, _, _ = d.streams.OpenShardsToken(scopeOf(caller), in.NextToken.V)
		}
	}
	if r != nil {
		return r.ARN
	}
	return in.Resource(caller)
}
