package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// listConsumersLimit is the most consumers in one answer.
const listConsumersLimit = 100

// ListStreamConsumers
//
// Lists a stream's consumers by name, at most 100 an answer (MaxResults).
// NextToken goes on in the same stream, and may not come with
// StreamCreationTimestamp. A token lives 300 seconds. A stream of another creation
// second than StreamCreationTimestamp is not found.
//
// Errors: ResourceNotFound; ExpiredNextToken; InvalidArgument, also for a token of
// another stream.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreamConsumers.html
//
// Status: done
func (d *Door) ListStreamConsumers(_ context.Context, in *model.ListStreamConsumersInput) (*model.ListStreamConsumersOutput, error) {
	if in.NextToken.Set && in.StreamCreationTimestamp.Set {
		return nil, model.NewInvalidArgumentException("NextToken and StreamCreationTimestamp cannot be provided together.")
	}
	a, err := parseStreamARN(in.StreamARN.V)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.Lookup(a.scope, a.name)
	if err != nil {
		return nil, wireError(err)
	}
	if in.StreamCreationTimestamp.Set && in.StreamCreationTimestamp.V.Unix() != r.Created/1000 {
		return nil, model.NewResourceNotFoundException("Stream " + r.Name + " under account " + r.Account + " not found.")
	}
	after := ""
	if in.NextToken.Set {
		if after, err = d.streams.OpenConsumersToken(r, in.NextToken.V); err != nil {
			return nil, pageError(err)
		}
	}
	page, more := d.streams.Consumers(r, after, capped(in.MaxResults, listConsumersLimit))
	out := &model.ListStreamConsumersOutput{Consumers: make([]model.Consumer, len(page))}
	for i, c := range page {
		out.Consumers[i] = d.consumerShape(c)
	}
	if more {
		out.NextToken = opt.Of(d.streams.ConsumersToken(r, page[len(page)-1].Consumer.Name))
	}
	return out, nil
}
