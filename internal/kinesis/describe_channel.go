package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DescribeChannel
//
// Describes a channel, with the defaults that its creator left out.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no channel.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeChannel.html
//
// Status: done
func (d *Door) DescribeChannel(_ context.Context, in *model.DescribeChannelInput) (*model.DescribeChannelOutput, error) {
	r, err := d.channel(in.ChannelARN)
	if err != nil {
		return nil, err
	}
	return &model.DescribeChannelOutput{ChannelDescription: channelShape(r)}, nil
}
