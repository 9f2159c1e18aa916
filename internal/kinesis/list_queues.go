package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
)

// listQueuesLimit is the most queues in one answer.
const listQueuesLimit = 100

// ListQueues
//
// Lists the queues of the account and region by name, at most 100 an answer
// (MaxResults): all, or those over the streams of StreamFilter, which may say their
// creation second too. NextToken goes on after the last; the filter has to be given
// again. A token lives 300 seconds.
//
// Errors: ExpiredNextToken; InvalidArgument for a token that is none of ours and for a
// filter's ARN that names no stream.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListQueues.html
//
// Status: done
func (d *Door) ListQueues(ctx context.Context, in *model.ListQueuesInput) (*model.ListQueuesOutput, error) {
	scope, after := scopeOf(awsapi.CallerFrom(ctx)), ""
	for _, f := range in.StreamFilter {
		if _, err := parseStreamARN(f.StreamARN.V); err != nil {
			return nil, err
		}
	}
	if in.NextToken.Set {
		var err error
		if after, err = d.streams.OpenQueuesToken(scope, in.NextToken.V); err != nil {
			return nil, pageError(err)
		}
	}
	page, more := d.streams.Queues(scope, after, capped(in.MaxResults, listQueuesLimit), func(r *catalog.Resource) bool {
		return d.overStream(r, in.StreamFilter)
	})
	out := &model.ListQueuesOutput{QueueSummaries: []model.QueueSummary{}}
	for _, r := range page {
		st, err := d.streams.QueueStream(r)
		if err != nil {
			continue // deleted since
		}
		out.QueueSummaries = append(out.QueueSummaries, model.QueueSummary{
			QueueName: opt.Of(r.Queue.Name), QueueARN: opt.Of(r.ARN), QueueStatus: opt.Of(model.QueueStatus(r.State)),
			QueueCreationTimestamp: millis(r.Created),
			Streams:                []model.QueueStreamIdentifier{{StreamARN: opt.Of(st.ARN), StreamCreationTimestamp: millis(st.Created)}},
		})
	}
	if more {
		out.NextToken = opt.Of(d.streams.QueuesToken(scope, page[len(page)-1].Queue.Name))
	}
	return out, nil
}

// overStream reports whether a queue is over one of the streams; none are all.
func (d *Door) overStream(r *catalog.Resource, filter []model.QueueStreamFilter) bool {
	if len(filter) == 0 {
		return true
	}
	st, err := d.streams.QueueStream(r)
	for i := range filter {
		f := &filter[i]
		if err == nil && f.StreamARN.V == st.ARN &&
			(!f.StreamCreationTimestamp.Set || f.StreamCreationTimestamp.V.Unix() == st.Created/1000) {
			return true
		}
	}
	return false
}
