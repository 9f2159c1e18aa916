package kinesis

import (
	"context"
	"strconv"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// parseConsumerARN reads the ARN of a consumer; ok is false for any other text.
func parseConsumerARN(text string) (id streams.ConsumerID, ok bool) {
	p, isARN := arn.Parse(text)
	rest, isStream := strings.CutPrefix(p.Resource, "stream/")
	stream, rest, isConsumer := strings.Cut(rest, "/consumer/")
	name, second, hasSecond := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(second, 10, 64)
	if !isARN || p.Service != "kinesis" || !isStream || !isConsumer || !hasSecond || stream == "" || name == "" ||
		strings.ContainsAny(stream+name, "/:") || err != nil || n <= 0 || strconv.FormatInt(n, 10) != second {
		return id, false
	}
	return streams.ConsumerID{
		Scope: catalog.Scope{Account: p.Account, Region: p.Region}, Stream: stream, Name: name, Second: n,
	}, true
}

func consumerID(text string) (streams.ConsumerID, error) {
	id, ok := parseConsumerARN(text)
	if !ok {
		return id, model.NewInvalidArgumentException("Invalid ARN: " + text)
	}
	return id, nil
}

// resolveConsumer reads the two ways to name a consumer: by its ARN, by its
// stream's ARN and its name, or by all of them when they agree.
func resolveConsumer(consumerARN, streamARN, name opt.V[string]) (streams.ConsumerID, error) {
	if !consumerARN.Set {
		if !streamARN.Set || !name.Set {
			return streams.ConsumerID{}, model.NewInvalidArgumentException("Must provide either ConsumerARN or both StreamARN and ConsumerName.")
		}
		a, err := parseStreamARN(streamARN.V)
		return streams.ConsumerID{Scope: a.scope, Stream: a.name, Name: name.V}, err
	}
	id, err := consumerID(consumerARN.V)
	if err != nil {
		return id, err
	}
	if streamARN.Set {
		a, err := parseStreamARN(streamARN.V)
		if err != nil {
			return id, err
		}
		if a.scope != id.Scope || a.name != id.Stream {
			return id, model.NewInvalidArgumentException("ConsumerARN " + consumerARN.V + " and StreamARN " + streamARN.V +
				" do not name the same stream.")
		}
	}
	if name.Set && name.V != id.Name {
		return id, model.NewInvalidArgumentException("ConsumerARN " + consumerARN.V + " and ConsumerName " + name.V +
			" do not name the same consumer.")
	}
	return id, nil
}

// consumer returns the consumer that a request names. One that is named by its
// stream is asked about by its own ARN too: a consumer's policy is its own.
func (d *Door) consumer(ctx context.Context, consumerARN, streamARN, name opt.V[string]) (streams.ConsumerID, *catalog.Resource, error) {
	id, err := resolveConsumer(consumerARN, streamARN, name)
	if err != nil {
		return id, nil, err
	}
	r, err := d.streams.Consumer(id)
	if err != nil {
		return id, nil, wireError(err)
	}
	if !consumerARN.Set {
		if err := awsapi.Authorize(ctx, r.ARN); err != nil {
			return id, nil, err
		}
	}
	return id, r, nil
}

func (d *Door) consumerShape(r *catalog.Resource) model.Consumer {
	return model.Consumer{
		ConsumerARN: opt.Of(r.ARN), ConsumerCreationTimestamp: millis(r.Created), ConsumerName: opt.Of(r.Consumer.Name),
		ConsumerStatus: opt.Of(model.ConsumerStatus(d.streams.Status(r))),
	}
}
