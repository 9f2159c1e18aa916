package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/opt"
)

// defaultListed is how many delivery streams are listed when Limit does not say
// (API_ListDeliveryStreams).
const defaultListed = 10

// ListDeliveryStreams
//
// Names delivery streams in order, those after ExclusiveStartDeliveryStreamName, which
// need not exist, and of one type if asked for; ten at a time unless Limit says
// otherwise.
//
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_ListDeliveryStreams.html
//
// Status: done
func (d *Door) ListDeliveryStreams(ctx context.Context, in *model.ListDeliveryStreamsInput) (*model.ListDeliveryStreamsOutput, error) {
	page, more := d.delivery.List(scopeOf(awsapi.CallerFrom(ctx)), string(in.DeliveryStreamType.V),
		in.ExclusiveStartDeliveryStreamName.V, int(in.Limit.Or(defaultListed)))
	out := &model.ListDeliveryStreamsOutput{DeliveryStreamNames: []string{}, HasMoreDeliveryStreams: opt.Of(more)}
	for _, r := range page {
		out.DeliveryStreamNames = append(out.DeliveryStreamNames, r.Name)
	}
	return out, nil
}
