package msk

import (
	"context"
	"slices"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// ListKafkaVersions
//
// Lists the versions that a cluster can be made with. Its brokers speak the protocol
// of Apache Kafka 4 in any case; see docs/kafka.md for the versions of each API.
//
// Errors: BadRequest for a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/kafka-versions.html
//
// Status: done
func (d *Door) ListKafkaVersions(_ context.Context, in *model.ListKafkaVersionsInput) (*model.ListKafkaVersionsOutput, error) {
	all := versions()
	slices.Sort(all)
	page, token, err := pageOf(all, in.NextToken, in.MaxResults, func(v string) string { return v })
	if err != nil {
		return nil, err
	}
	out := &model.ListKafkaVersionsOutput{NextToken: token, KafkaVersions: []model.KafkaVersion{}}
	for _, v := range page {
		out.KafkaVersions = append(out.KafkaVersions, model.KafkaVersion{Version: opt.Of(v), Status: opt.Of(model.KafkaVersionStatusActive)})
	}
	return out, nil
}
