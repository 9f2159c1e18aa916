package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// RemoveTagsFromStream
//
// Removes tags from a stream; keys that it does not have are passed over.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for characters AWS does not take.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RemoveTagsFromStream.html
//
// Status: done
func (d *Door) RemoveTagsFromStream(ctx context.Context, in *model.RemoveTagsFromStreamInput) (*model.RemoveTagsFromStreamOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Untag(ctx, a.scope, a.name, in.TagKeys))
}
