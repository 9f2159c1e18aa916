package msk

import (
	"context"
	"crypto/rand"
	"strings"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

// CreateChannel
//
// Makes a channel, durably: it delivers what is produced to a topic from then on, each
// committed record once, into a bucket of the cluster's account. The values of records come
// as they were produced, in objects of up to 128 MiB before compression, or of what came
// within DataFreshnessInSeconds (300 to 900; 600 if not given); an object for each
// partition if the template has it. Those of a JSON or STRING channel stand on lines of
// their own, and what is not JSON, or not UTF-8, goes to the dead letters.
//
// The cluster has Express brokers, or is the default one. A channel's name is its cluster's
// once, and no cluster is deleted while it has one. The bucket must be there before anything
// can be delivered; until then deliveries are tried again.
//
// The caller needs kafka-cluster:ReadData on the topic beside kafka:CreateChannel: the role
// is kept and described, and not assumed.
//
// Errors: NotFound of the cluster and the topic; Conflict when the name is taken; Forbidden
// for a caller of another account, whatever the cluster's policy; BadRequest
// for other brokers, for other than one topic or one destination, for a template that
// breaks AWS's rules, for a bucket of another account, for what this server does not build,
// and while the cluster does not run.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-channels.html
//
// Status: partial: channels that deliver to buckets
// Deviation: IcebergDestinationConfiguration is refused, and so is JSON_SCHEMA_GSR: there is no Glue Schema Registry
// Deviation: EncryptionConfiguration is refused; what is on its way is always encrypted, under a key of the server
// Deviation: a StorageClass other than STANDARD is refused
// Deviation: a bucket of another account is refused
// Deviation: a new channel is ACTIVE at once instead of after a while in CREATING, and there is no cluster operation for it
// Deviation: roles are stored and not assumed; LoggingInfo is stored, errors are told in the server's log
// Deviation: AWS does not document what separates records; here it is a line feed, none between BYTE_ARRAY records
// Deviation: dead letters have the record's data beside what AWS's have; without an ErrorOutputPrefix they are under msk-channel/errors/NAME/
// Deviation: DataFreshnessInSeconds is at least 300, as the developer guide says; CloudFormation's schema says 60
func (d *Door) CreateChannel(ctx context.Context, in *model.CreateChannelInput) (*model.CreateChannelOutput, error) {
	cluster, c, err := d.topics(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if awsapi.CallerFrom(ctx).Account != cluster.Account { // whom the cluster's policy lets in has no say over its account's buckets
		return nil, model.NewForbiddenException("Cross-account pass role is not allowed.")
	}
	if err := checkChannel(in, cluster); err != nil {
		return nil, err
	}
	topic, err := channelTopic(ctx, cluster, c, in.TopicConfigurationList[0].TopicArn)
	if err != nil {
		return nil, err
	}
	to := *in.S3DestinationConfiguration
	to.DataFreshnessInSeconds = opt.Of(to.DataFreshnessInSeconds.Or(defaultFreshness))
	id := strings.ToLower(rand.Text())
	b := delivery.ChannelBucket{
		RoleARN: to.ServiceExecutionRoleArn.V, BucketARN: to.Storage.BucketArn.V, Compression: string(to.Storage.CompressionType.V),
		FreshnessSeconds: int(to.DataFreshnessInSeconds.V), DeadARN: to.DeadLetterQueueS3.BucketArn.V,
		DeadPrefix: to.DeadLetterQueueS3.ErrorOutputPrefix.Or("msk-channel/errors/" + in.ChannelName.V + "/"),
	}
	if b.Template, err = template(to.Storage, id, topic.Name()); err != nil {
		return nil, err
	}
	switch in.TopicConfigurationList[0].RecordConverter.ValueConverter.V {
	case model.ValueConverterJson:
		b.Record = delivery.JSONRecord
	case model.ValueConverterString:
		b.Record = delivery.TextRecord
	}
	x := &model.DescribeChannelOutput{
		ChannelName: in.ChannelName, DestinationType: opt.Of(model.ChannelDestinationTypeS3), LoggingInfo: in.LoggingInfo,
		S3DestinationConfiguration: &to, TopicConfigurationList: in.TopicConfigurationList,
	}
	n := delivery.NewChannel{
		Key: channelKey(cluster, in.ChannelName.V), ID: id, Name: in.ChannelName.V, Type: delivery.MSKSource, Kind: delivery.BucketKind,
		Source: catalog.DeliverySource{ARN: in.TopicConfigurationList[0].TopicArn.V, RoleARN: b.RoleARN, Topic: topic.Name(), Stream: topic.Stream(),
			ReadFrom: -1},
		Shape: shape(x), Tags: in.Tags,
	}
	if len(n.Shape) > maxChannel {
		return nil, invalid("channelName", "The request says too much of the channel.")
	}
	if n.Config, err = b.Config(); err != nil {
		return nil, err
	}
	r, err := d.channels.CreateChannel(ctx, n)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.CreateChannelOutput{ChannelArn: opt.Of(r.ARN)}, nil
}

// maxChannel is how many bytes of a channel's description are kept.
const maxChannel = 32 << 10

// checkChannel refuses what no channel can be made of.
func checkChannel(in *model.CreateChannelInput, cluster *catalog.Resource) error {
	to := in.S3DestinationConfiguration
	switch {
	case !express(cluster):
		return invalid("clusterArn", "Channels are supported for clusters with Express brokers only.")
	case !channelName.MatchString(in.ChannelName.V):
		return invalid("channelName", "A channel's name has 1 to 128 characters of a-z, A-Z, 0-9, _, . and -.")
	case len(in.TopicConfigurationList) != 1:
		return invalid("topicConfigurationList", "Exactly one topic must be specified.")
	case (to == nil) == (in.IcebergDestinationConfiguration == nil):
		return invalid("s3DestinationConfiguration", "Exactly one of s3DestinationConfiguration and icebergDestinationConfiguration must be specified.")
	case to == nil:
		return invalid("icebergDestinationConfiguration", "Delivery to Iceberg tables is not supported by this server.")
	case in.EncryptionConfiguration != nil:
		return invalid("encryptionConfiguration", "EncryptionConfiguration is not supported by this server.")
	case in.TopicConfigurationList[0].RecordConverter.ValueConverter.V == model.ValueConverterJsonSchemaGsr || in.TopicConfigurationList[0].RecordSchema != nil:
		return invalid("topicConfigurationList", "Schemas are supported for icebergDestinationConfiguration only.")
	case to.Storage.StorageClass.V != model.S3StorageClassStandard:
		return invalid("storageClass", "The storage class "+string(to.Storage.StorageClass.V)+" is not supported by this server.")
	case !bucketARN.MatchString(to.Storage.BucketArn.V) || !bucketARN.MatchString(to.DeadLetterQueueS3.BucketArn.V):
		return invalid("bucketArn", "The bucket ARN is not valid.")
	case !roleARN.MatchString(to.ServiceExecutionRoleArn.V):
		return invalid("serviceExecutionRoleArn", "The role ARN is not valid.")
	case !literal.MatchString(to.DeadLetterQueueS3.ErrorOutputPrefix.V):
		return invalid("errorOutputPrefix", "An error output prefix has letters, digits and /_-.+= only.")
	}
	for _, owner := range []opt.V[string]{to.Storage.ExpectedBucketOwner, to.DeadLetterQueueS3.ExpectedBucketOwner} {
		if owner.Or(cluster.Account) != cluster.Account {
			return invalid("expectedBucketOwner", "Delivery to buckets of other accounts is not supported by this server.")
		}
	}
	if err := clusters.CheckTags(in.Tags); err != nil {
		return wireError(err)
	}
	return checkFreshness(to.DataFreshnessInSeconds.Or(defaultFreshness))
}

// express tells a cluster that can have channels.
func express(r *catalog.Resource) bool {
	if r.Cluster.Number == 0 {
		return true
	}
	return !r.Cluster.Serverless && strings.HasPrefix(provisioned(r).BrokerNodeGroupInfo.InstanceType.V, "express.")
}

// channelTopic is the topic of a cluster that an ARN names. Whoever makes a channel of it
// must be allowed to read it: there is no role that would be asked.
func channelTopic(ctx context.Context, cluster *catalog.Resource, c *brokers.Cluster, topicARN opt.V[string]) (*brokers.Topic, error) {
	name, ok := strings.CutPrefix(topicARN.V, arnOf(cluster, "topic")+"/")
	if !ok {
		return nil, invalid("topicArn", topicARN.V+" is not the ARN of a topic of the cluster.")
	}
	if err := awsapi.AuthorizeAction(ctx, "kafka-cluster:ReadData", topicARN.V); err != nil {
		return nil, err
	}
	t := c.Topic(name)
	if t == nil || t.Internal() {
		return nil, model.NewNotFoundException("The topic " + name + " does not exist.")
	}
	return t, nil
}
