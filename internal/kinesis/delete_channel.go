package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DeleteChannel
//
// Ends a channel, durably. A batch that is on its way is tried once more at most; records
// that are not delivered then stay in the stream alone. The channel is DELETING until that
// is done, and then gone; what it has delivered stays. A second call changes nothing.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no channel.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteChannel.html
//
// Status: done
func (d *Door) DeleteChannel(ctx context.Context, in *model.DeleteChannelInput) (*model.DeleteChannelOutput, error) {
	r, err := d.channel(in.ChannelARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.channels.DeleteChannel(ctx, r))
}
