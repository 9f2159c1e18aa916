package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// CreateConfiguration
//
// Makes a configuration with its first revision. ServerProperties are lines of
// NAME=VALUE in Apache Kafka's names for brokers. These have an effect: the defaults
// of topics (log.retention.ms, .minutes and .hours, log.retention.bytes,
// message.max.bytes, log.message.timestamp.type and its like),
// auto.create.topics.enable, default.replication.factor, delete.topic.enable,
// num.partitions, group.min.session.timeout.ms, group.max.session.timeout.ms,
// offsets.retention.minutes, transaction.max.timeout.ms and
// transactional.id.expiration.ms. What is about threads, sockets, replicas and
// ZooKeeper is kept and shown. There can be 100 configurations of 50 revisions.
//
// Errors: Conflict for a name that is taken; BadRequest for a property that is
// neither, or has a value that it cannot have, and beyond those bounds.
// https://docs.aws.amazon.com/msk/1.0/apireference/configurations.html
//
// Status: done
// Deviation: properties that Amazon MSK takes and this server can neither do nor pass over, such as allow.everyone.if.no.acl.found, are refused
func (d *Door) CreateConfiguration(ctx context.Context, in *model.CreateConfigurationInput) (*model.CreateConfigurationOutput, error) {
	for _, v := range in.KafkaVersions {
		if err := checkVersion(v, "kafkaVersions"); err != nil {
			return nil, err
		}
	}
	r, err := d.clusters.CreateConfiguration(ctx, clusters.NewConfiguration{Scope: caller(ctx), Name: in.Name.V, Description: in.Description.V,
		KafkaVersions: in.KafkaVersions, Properties: string(in.ServerProperties)})
	if err != nil {
		return nil, wireError(err)
	}
	return &model.CreateConfigurationOutput{Arn: opt.Of(r.ARN), CreationTime: millis(r.Created), LatestRevision: latest(r), Name: opt.Of(r.Name),
		State: opt.Of(model.ConfigurationStateActive)}, nil
}

// configuration is what an ARN names. That there is none is a BadRequest, as on AWS:
// Terraform's provider knows it by that.
func (d *Door) configuration(text opt.V[string], member string) (*catalog.Resource, error) {
	n, err := parseARN(text.V, member, "configuration")
	if err != nil {
		return nil, err
	}
	r, err := d.clusters.Configuration(n.scope, n.name, n.uuid)
	if err == nil && r.ARN != text.V {
		err = clusters.ErrNoConfiguration
	}
	if err != nil {
		return nil, invalid(member, message(err))
	}
	return r, nil
}

func revision(r *catalog.Resource, n int) *model.ConfigurationRevision {
	v := &r.Configuration.Revisions[n-1]
	return &model.ConfigurationRevision{CreationTime: millis(v.Created), Description: opt.Of(v.Description), Revision: opt.Of(int64(n))}
}

// latest is the last revision of a configuration.
func latest(r *catalog.Resource) *model.ConfigurationRevision {
	return revision(r, len(r.Configuration.Revisions))
}

func kafkaVersions(r *catalog.Resource) []string {
	return append([]string{}, r.Configuration.KafkaVersions...)
}
