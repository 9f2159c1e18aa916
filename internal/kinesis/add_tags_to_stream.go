package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// AddTagsToStream
//
// Adds tags to a stream, or replaces the values of those it has; 50 at most.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for characters AWS does not take and for too many tags.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_AddTagsToStream.html
//
// Status: done
func (d *Door) AddTagsToStream(ctx context.Context, in *model.AddTagsToStreamInput) (*model.AddTagsToStreamOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Tag(ctx, a.scope, a.name, in.Tags))
}
