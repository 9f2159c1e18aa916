package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// listStreamsLimit is the most streams in one answer.
const listStreamsLimit = 100

// ListStreams
//
// Lists the caller's streams by name, at most 100 an answer (Limit), those after
// ExclusiveStartStreamName or after the page that NextToken goes on from, which
// comes first when both are given. A token lives 300 seconds.
//
// Errors: ExpiredNextToken; InvalidArgument for a token that is none of ours.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreams.html
//
// Status: done
func (d *Door) ListStreams(ctx context.Context, in *model.ListStreamsInput) (*model.ListStreamsOutput, error) {
	scope := scopeOf(awsapi.CallerFrom(ctx))
	after := in.ExclusiveStartStreamName.V
	if in.NextToken.Set {
		var err error
		if after, err = d.streams.OpenStreamsToken(scope, in.NextToken.V); err != nil {
			return nil, pageError(err)
		}
	}
	page, more := d.streams.List(scope, after, capped(in.Limit, listStreamsLimit))
	out := &model.ListStreamsOutput{
		HasMoreStreams:  opt.Of(more),
		StreamNames:     make([]string, len(page)),
		StreamSummaries: make([]model.StreamSummary, len(page)),
	}
	for i, r := range page {
		out.StreamNames[i] = r.Name
		out.StreamSummaries[i] = model.StreamSummary{
			StreamName: opt.Of(r.Name), StreamARN: opt.Of(r.ARN),
			StreamStatus:            opt.Of(model.StreamStatus(d.streams.Status(r))),
			StreamModeDetails:       modeShape(r),
			StreamCreationTimestamp: millis(r.Created),
		}
	}
	if more {
		out.NextToken = opt.Of(d.streams.StreamsToken(scope, page[len(page)-1].Name))
	}
	return out, nil
}
