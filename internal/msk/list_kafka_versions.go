package msk

import (
	"context"
	"slices"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// ListKafkaVersions
//
// Lists the versions that a cluster can be made with. Clients are shown the APIs of
// that version of Apache Kafka, as far as docs/kafka.md has them; what they do is
// what Apache Kafka 4 does.
//
// Errors: BadRequest for a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/kafka-versions.html
//
// Status: done
// Deviation: versions of an API that Apache Kafka 4 no longer has are not served by a cluster of an older version either
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
