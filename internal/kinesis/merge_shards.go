package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// MergeShards
//
// Closes two shards whose hash key ranges meet, named in either order, and makes
// one in their place, in one durable step. The child has ShardToMerge as its
// ParentShardId and AdjacentShardToMerge as its AdjacentParentShardId. Records
// stay where they are, as with SplitShard.
//
// Errors: ResourceNotFound for stream and shards; Validation for an on-demand
// stream; ResourceInUse while the stream is not ACTIVE; InvalidArgument for a
// closed shard, or for two that are not adjacent.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_MergeShards.html
//
// Status: done
// Deviation: ResourceInUse while a Kafka producer has a transaction open in a shard that is to be closed; for a minute after each attempt none begins there
// Deviation: the child is there at once instead of after seconds in UPDATING
func (d *Door) MergeShards(ctx context.Context, in *model.MergeShardsInput) (*model.MergeShardsOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Merge(ctx, a.scope, a.name, in.ShardToMerge.V, in.AdjacentShardToMerge.V))
}
