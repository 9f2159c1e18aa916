package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/ids"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// listShardsLimit is the most shards in one answer.
const listShardsLimit = 1000

// ListShards
//
// Lists a stream's shards by number, at most 1000 an answer (MaxResults), those
// that ShardFilter selects. NextToken stands for stream and filter: with it
// neither StreamName, ExclusiveStartShardId, StreamCreationTimestamp nor
// ShardFilter may be given. A token lives 300 seconds. A stream of another
// creation second than StreamCreationTimestamp is not found. A closed shard is
// listed until the retention has passed since it closed; its children name it as
// their parent also after that.
//
// Errors: ResourceNotFound; ExpiredNextToken; InvalidArgument, also when
// ShardFilter lacks the ShardId or Timestamp that its type needs.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html
//
// Status: done
func (d *Door) ListShards(ctx context.Context, in *model.ListShardsInput) (*model.ListShardsOutput, error) {
	r, from, err := d.shardListing(ctx, in)
	if err != nil {
		return nil, err
	}
	shards, rest, more := d.streams.Shards(r, from, capped(in.MaxResults, listShardsLimit))
	out := &model.ListShardsOutput{Shards: shardShapes(shards)}
	if more {
		out.NextToken = opt.Of(d.streams.ShardsToken(r, rest))
	}
	return out, nil
}

// shardListing says what is to be listed, from where on.
func (d *Door) shardListing(ctx context.Context, in *model.ListShardsInput) (*catalog.Resource, streams.Listing, error) {
	from := streams.Listing{After: -1}
	if in.NextToken.Set {
		for _, with := range []struct {
			name string
			set  bool
		}{
			{"StreamName", in.StreamName.Set}, {"ExclusiveStartShardId", in.ExclusiveStartShardId.Set},
			{"StreamCreationTimestamp", in.StreamCreationTimestamp.Set}, {"ShardFilter", in.ShardFilter != nil},
		} {
			if with.set {
				return nil, from, model.NewInvalidArgumentException("NextToken and " + with.name + " cannot be provided together.")
			}
		}
		return d.nextShards(ctx, in.NextToken.V, in.StreamARN)
	}
	if !in.StreamName.Set && !in.StreamARN.Set {
		return nil, from, model.NewInvalidArgumentException("Either NextToken or StreamName should be provided.")
	}
	r, err := d.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, from, err
	}
	if in.StreamCreationTimestamp.Set && in.StreamCreationTimestamp.V.Unix() != r.Created/1000 {
		return nil, from, model.NewResourceNotFoundException("Stream " + r.Name + " under account " + r.Account + " not found.")
	}
	if from, err = shardFilter(in.ShardFilter); err != nil {
		return nil, from, err
	}
	start := in.ExclusiveStartShardId
	if from.Filter.Type == streams.AfterShardID {
		start = in.ShardFilter.ShardId
	}
	if start.Set {
		if err := streams.CheckShardID(r.Account, r.Name, start.V); err != nil {
			return nil, from, wireError(err)
		}
		after, _ := ids.ParseShard(start.V)
		from.After = int64(after)
	}
	return r, from, nil
}

// nextShards reads a token. It is the account's whose stream it is: another names
// the stream by its ARN beside it. Which stream that is only the token tells, so
// whether the caller may list it is asked here.
func (d *Door) nextShards(ctx context.Context, token string, streamARN opt.V[string]) (*catalog.Resource, streams.Listing, error) {
	scope := scopeOf(awsapi.CallerFrom(ctx))
	if streamARN.Set {
		a, err := parseStreamARN(streamARN.V)
		if err != nil {
			return nil, streams.Listing{}, err
		}
		scope = a.scope
	}
	r, from, err := d.streams.OpenShardsToken(scope, token)
	switch {
	case err != nil:
		return nil, from, pageError(err)
	case streamARN.Set && streamARN.V != r.ARN:
		return nil, from, pageError(streams.ErrPageToken)
	}
	if err := awsapi.Authorize(ctx, r.ARN); err != nil {
		return nil, from, err
	}
	return r, from, nil
}

func shardFilter(f *model.ShardFilter) (streams.Listing, error) {
	from := streams.Listing{After: -1}
	if f == nil {
		return from, nil
	}
	from.Filter.Type = streams.FilterType(f.Type.V)
	switch from.Filter.Type {
	case streams.AfterShardID:
		if !f.ShardId.Set {
			return from, model.NewInvalidArgumentException("ShardId must be provided when ShardFilter type is AFTER_SHARD_ID.")
		}
	case streams.OpenAtTimestamp, streams.FromTimestamp:
		if !f.Timestamp.Set {
			return from, model.NewInvalidArgumentException("Timestamp must be provided when ShardFilter type is " +
				string(from.Filter.Type) + ".")
		}
		from.Filter.Time = f.Timestamp.V.UnixMilli()
	}
	return from, nil
}
