package kinesis

import (
	"context"
	"strings"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// DescribeStreamConsumer
//
// Describes a consumer that is named by its ARN, or by its stream's ARN and its
// name. The ARN of an earlier consumer of the same name is not found.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN of something else, names
// that do not agree, and too few of them.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamConsumer.html
//
// Status: done
func (d *Door) DescribeStreamConsumer(ctx context.Context, in *model.DescribeStreamConsumerInput) (*model.DescribeStreamConsumerOutput, error) {
	_, r, err := d.consumer(ctx, in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	c := d.consumerShape(r)
	streamARN, _, _ := strings.Cut(r.ARN, "/consumer/")
	return &model.DescribeStreamConsumerOutput{ConsumerDescription: &model.ConsumerDescription{
		ConsumerARN: c.ConsumerARN, ConsumerCreationTimestamp: c.ConsumerCreationTimestamp, ConsumerName: c.ConsumerName,
		ConsumerStatus: c.ConsumerStatus, StreamARN: opt.Of(streamARN),
	}}, nil
}
