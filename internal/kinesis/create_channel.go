package kinesis

import (
	"context"
	"crypto/rand"
	"strings"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/prefix"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// CreateChannel
//
// Makes a channel, durably: it delivers what is put to an on-demand stream of the caller's
// account and region from then on, each record once, into a bucket of the same account.
// Records come as they were put, aggregates of the Kinesis Producer Library too, in
// objects of up to 128 MiB before compression, or of what came within
// DataFreshnessInSeconds (300 to 900; 300 if not given). Those of a JSON or STRING
// channel stand on lines of their own, and what is not JSON, or not UTF-8, goes to the
// dead letters; without a DeadLetterQueueS3Configuration these go to the bucket itself.
//
// A channel's name is the account's once in a region. A stream can have one channel to a
// bucket; it can neither be deleted nor become provisioned while it has one. The bucket
// must be there before anything can be delivered; until then deliveries are tried again.
//
// The caller needs kinesis:GetRecords on the stream beside kinesis:CreateChannel: the role
// is kept and described, and not assumed.
//
// Errors: ResourceNotFound and ResourceInUse of the stream; ResourceInUse when the name is
// taken; LimitExceeded for the stream's second channel; Validation for a stream that is not
// on-demand, and for what this server does not build; InvalidArgument for other than one
// stream or one destination, for a stream or bucket of another account, for a template
// with other variables than AWS has, and for tags.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateChannel.html
//
// Status: partial: channels that deliver to buckets
// Deviation: S3TablesDestinationConfiguration is refused, and so is GSR_JSON: there is no Glue Schema Registry
// Deviation: EncryptionConfiguration is refused; what is on its way is always encrypted, under a key of the server
// Deviation: a StorageClass other than STANDARD is refused
// Deviation: a bucket of another account is refused
// Deviation: a new channel is ACTIVE at once instead of after seconds in CREATING, and never FAILED
// Deviation: roles are stored and not assumed; LoggingConfiguration is stored, errors are told in the server's log
// Deviation: AWS does not document what separates records and what makes keys unique; here it is a line feed, none between BYTE_ARRAY records, and an id before the extension
// Deviation: dead letters have the record's data beside what AWS's have
func (d *Door) CreateChannel(ctx context.Context, in *model.CreateChannelInput) (*model.CreateChannelOutput, error) {
	scope := scopeOf(awsapi.CallerFrom(ctx))
	if err := checkChannel(in, scope.Account); err != nil {
		return nil, err
	}
	from := in.StreamConfigurationList[0]
	st, err := d.channelSource(ctx, scope, from.StreamARN.V)
	if err != nil {
		return nil, err
	}
	id := strings.ToLower(rand.Text())
	x := &model.ChannelDescription{
		ChannelName: in.ChannelName, ChannelId: opt.Of(id), ServiceExecutionRoleARN: in.ServiceExecutionRoleARN,
		S3DestinationConfiguration: bucketShape(in.S3DestinationConfiguration, in.ChannelName.V, id),
		StreamConfigurationList: []model.ChannelStreamDescription{{
			StreamARN: opt.Of(st.ARN), StreamCreationTimestamp: millis(st.Created), RecordConfiguration: from.RecordConfiguration,
		}},
	}
	var logs *model.CloudWatchLogs
	if in.LoggingConfiguration != nil {
		logs = in.LoggingConfiguration.CloudWatchLogs
	}
	x.LoggingConfiguration = logging(logs, in.ChannelName.V, id)
	bucket := channelBucket(x)
	if bucket.Template, err = template(bucket.Template, x); err != nil {
		return nil, err
	}
	n := delivery.NewChannel{
		Key: delivery.ChannelKey(scope, id), ID: id, Name: in.ChannelName.V, Type: delivery.KinesisSource, Kind: delivery.BucketKind,
		Source: catalog.DeliverySource{ARN: st.ARN, RoleARN: in.ServiceExecutionRoleARN.V, Stream: st.Stream.Number, ReadFrom: -1},
		Shape:  keep(x), Tags: in.Tags,
	}
	if err := streams.CheckTags("channel "+n.Name+" under account "+scope.Account, in.Tags); err != nil {
		return nil, wireError(err)
	}
	if n.Config, err = bucket.Config(); err != nil {
		return nil, err
	}
	r, err := d.channels.CreateChannel(ctx, n)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.CreateChannelOutput{ChannelDescription: channelShape(r)}, nil
}

// checkChannel refuses what no channel can be made of.
func checkChannel(in *model.CreateChannelInput, account string) error {
	bucket, tables := in.S3DestinationConfiguration, in.S3TablesDestinationConfiguration
	switch {
	case len(in.StreamConfigurationList) != 1:
		return model.NewInvalidArgumentException("StreamConfigurationList must contain exactly one entry.")
	case (bucket == nil) == (tables == nil):
		return model.NewInvalidArgumentException("You must specify either S3DestinationConfiguration or S3TablesDestinationConfiguration, but not both.")
	case tables != nil:
		return model.NewValidationException("Delivery to S3 Tables is not supported by this server.")
	case in.EncryptionConfiguration != nil:
		return model.NewValidationException("EncryptionConfiguration is not supported by this server.")
	}
	record := in.StreamConfigurationList[0].RecordConfiguration
	switch {
	case record.RecordFormatType.V == model.RecordFormatTypeGsrJson:
		return model.NewInvalidArgumentException("RecordFormatType GSR_JSON is supported for S3TablesDestinationConfiguration only.")
	case record.GSRSchemaARN.Set:
		return model.NewInvalidArgumentException("GSRSchemaARN is supported for S3TablesDestinationConfiguration only.")
	case bucket.StorageConfiguration.StorageClass.Or(model.S3StorageClassStandard) != model.S3StorageClassStandard:
		return model.NewValidationException("StorageClass " + string(bucket.StorageConfiguration.StorageClass.V) + " is not supported by this server.")
	}
	for _, owner := range owners(bucket) {
		if owner != account {
			return model.NewInvalidArgumentException("ExpectedBucketOwner must be the account of the channel: delivery to buckets of other accounts " +
				"is not supported by this server.")
		}
	}
	return checkFreshness(bucket.DataFreshnessInSeconds.Or(minFreshness))
}

func owners(b *model.S3DestinationConfiguration) []string {
	out := []string{b.StorageConfiguration.ExpectedBucketOwner.V}
	if dead := b.DeadLetterQueueS3Configuration; dead != nil {
		out = append(out, dead.ExpectedBucketOwner.V)
	}
	return out
}

// channelSource is the stream that a channel is to read. Whoever makes one must be allowed
// to read it: there is no role that would be asked.
func (d *Door) channelSource(ctx context.Context, scope catalog.Scope, streamARN string) (*catalog.Resource, error) {
	a, err := parseStreamARN(streamARN)
	if err != nil {
		return nil, err
	}
	if a.scope != scope {
		return nil, model.NewInvalidArgumentException("The stream of a channel must be in the account and Region of the channel.")
	}
	if err := awsapi.AuthorizeAction(ctx, "kinesis:GetRecords", streamARN); err != nil {
		return nil, err
	}
	r, err := d.streams.Lookup(a.scope, a.name)
	return r, wireError(err)
}

// bucketShape is the destination as it is described, with what was not said.
func bucketShape(in *model.S3DestinationConfiguration, name, id string) *model.S3DestinationDescription {
	storage := *in.StorageConfiguration
	storage.StorageClass = opt.Of(model.S3StorageClassStandard)
	storage.OutputKeyTemplate = opt.Of(storage.OutputKeyTemplate.Or(channelTemplate))
	dead := model.DeadLetterQueueS3Configuration{BucketARN: storage.BucketARN, ExpectedBucketOwner: storage.ExpectedBucketOwner}
	if in.DeadLetterQueueS3Configuration != nil {
		dead = *in.DeadLetterQueueS3Configuration
	}
	dead.ErrorOutputPrefix = opt.Of(dead.ErrorOutputPrefix.Or("kinesis-channel/errors/" + name + "/" + id + "/"))
	return &model.S3DestinationDescription{
		DataFreshnessInSeconds: opt.Of(in.DataFreshnessInSeconds.Or(minFreshness)), StorageConfiguration: &storage,
		DeadLetterQueueS3Configuration: &dead,
	}
}

// channelBucket is the destination as the engine has it.
func channelBucket(x *model.ChannelDescription) *delivery.ChannelBucket {
	to := x.S3DestinationConfiguration
	b := &delivery.ChannelBucket{
		RoleARN: x.ServiceExecutionRoleARN.V, BucketARN: to.StorageConfiguration.BucketARN.V,
		Template: to.StorageConfiguration.OutputKeyTemplate.V, Compression: string(to.StorageConfiguration.CompressionType.V),
		FreshnessSeconds: int(to.DataFreshnessInSeconds.V),
		DeadARN:          to.DeadLetterQueueS3Configuration.BucketARN.V, DeadPrefix: to.DeadLetterQueueS3Configuration.ErrorOutputPrefix.V,
	}
	switch x.StreamConfigurationList[0].RecordConfiguration.RecordFormatType.V {
	case model.RecordFormatTypeJson:
		b.Record = delivery.JSONRecord
	case model.RecordFormatTypeString:
		b.Record = delivery.TextRecord
	}
	return b
}

// template names the channel in a template, and refuses variables that those of streams
// do not have.
func template(text string, x *model.ChannelDescription) (string, error) {
	text = strings.NewReplacer("!{channel-name}", x.ChannelName.V, "!{channel-id}", x.ChannelId.V).Replace(text)
	t, err := prefix.CompileTemplate(text)
	if err != nil {
		return "", wireError(err)
	}
	for _, name := range []string{"partition-id", "kafka-offset", "sequence-number"} {
		if t.Has(name) {
			return "", model.NewInvalidArgumentException("OutputKeyTemplate contains !{" + name + "}, which is not a supported variable")
		}
	}
	return text, nil
}
