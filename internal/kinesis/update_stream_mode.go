package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
)

// UpdateStreamMode
//
// Makes a stream on-demand or provisioned. Its shards, their records and their
// iterators stay as they are; from then on the shards of an on-demand stream are
// the server's to split, those of a provisioned one the caller's. An on-demand
// stream with WarmThroughputMiBps gets as many shards as that takes. The present
// mode is no change.
//
// An on-demand stream grows by itself: a shard whose writes come, over ten
// seconds, to more than half of 1 MiB/s or of 1,000 records/s is split in the
// middle of its hash key range, unless nearly all of it is for one half, as with
// one busy key. It does not shrink.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// LimitExceeded for more than two changes in 24 hours, and for more than 50
// on-demand streams; InvalidArgument for WarmThroughputMiBps without the
// account's commitment or on a provisioned stream, and for a provisioned stream
// under the distribution strategy AUTO.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamMode.html
//
// Status: done
// Deviation: the mode is changed at once instead of after minutes in UPDATING
func (d *Door) UpdateStreamMode(ctx context.Context, in *model.UpdateStreamModeInput) (*model.UpdateStreamModeOutput, error) {
	a, err := parseStreamARN(in.StreamARN.V)
	if err != nil {
		return nil, err
	}
	mode := catalog.StreamMode(in.StreamModeDetails.StreamMode.V)
	return nil, wireError(d.streams.SetMode(ctx, a.scope, a.name, mode, int(in.WarmThroughputMiBps.V)))
}
