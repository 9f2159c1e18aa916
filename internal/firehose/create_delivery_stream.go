package firehose

import (
	"context"
	"fmt"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

// CreateDeliveryStream
//
// Makes a delivery stream with exactly one destination: DirectPut, the default, or
// with a Kinesis stream or a topic as its source, which is read from the moment of the
// creation (a topic from ReadFromTimestamp, if given). The topic is of a cluster of this
// server, or of one elsewhere that --kafka-sources names. It exists,
// durably, when the call returns, so it is ACTIVE then and a waiter never waits. A
// bucket must exist before anything can be delivered to it; until then deliveries
// are tried again. So are they to a bucket of another account, which is never written
// to; to a store that --s3-endpoint names, the operator's credentials say what may be.
//
// Records go into Iceberg tables of the account's own catalog, the one at /iceberg, each
// exactly once: see package delivery/dest/iceberg for what is rejected, and how. A table
// need not exist before records come for it.
//
// Roles are kept and described. They are not assumed: what the server may do to a
// destination is its operator's to say.
//
// Errors: InvalidArgument for a configuration that AWS refuses, a source that is not
// there, and for DatabaseAsSource, which is not built; LimitExceeded beyond 5,000;
// ResourceInUse when the name is taken; InvalidKMSResource for a key of another
// account or region.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html
//
// Status: partial: destinations and sources as the deviations say
// Deviation: a new delivery stream is ACTIVE at once instead of after seconds in CREATING
// Deviation: DatabaseAsSource is refused
// Deviation: of Kafka clusters that are not this server's those can be sources that --kafka-sources names
// Deviation: Snowflake is refused as a destination
// Deviation: records are inserted into Iceberg tables: update and delete go to the error output, as Iceberg.UnsupportedOperation; UniqueKeys are refused
// Deviation: of Iceberg's catalogs, the account's own one of this server is served: other accounts', S3 Tables' and WarehouseLocation are refused, as are TableCreationConfiguration, SchemaEvolutionConfiguration, PartitionSpec and the S3ErrorOutputPrefix of a table
// Deviation: a column of an Iceberg table that is not required, and that a record does not have, is null; a record with none of the columns is rejected as Iceberg.MissingColumnWithinRecord
// Deviation: dates and times may come to Iceberg tables as Iceberg's texts, not as numbers only; Iceberg.MalformedRecord, Iceberg.SchemaTypeMismatch, Iceberg.UnsupportedTable and Iceberg.TooManyPartitions (beyond 500 in a batch) are this server's names
// Deviation: a record whose conversion has more than 262,144 values, nulls counted, is rejected as DataFormatConversion.MalformedData, or Iceberg.SchemaTypeMismatch
// Deviation: roles are stored and not assumed
// Deviation: objects are put to S3 with its own default encryption; a KMS key named in an EncryptionConfiguration is stored and described
// Deviation: CloudWatchLoggingOptions are stored; errors are told in the server's log and by `thalweg firehose explain`
// Deviation: a delivery to S3 is tried until the bucket takes it; AWS gives up, and loses the records, after 24 hours
// Deviation: one buffer for a delivery stream, whatever its load; AWS's makes smaller objects when it scales
func (d *Door) CreateDeliveryStream(ctx context.Context, in *model.CreateDeliveryStreamInput) (*model.CreateDeliveryStreamOutput, error) {
	caller := awsapi.CallerFrom(ctx)
	n := delivery.New{Scope: scopeOf(caller), Name: in.DeliveryStreamName.V, Type: string(in.DeliveryStreamType.Or(model.DeliveryStreamTypeDirectPut))}
	var err error
	if n.Kind, n.Config, err = configured(in); err != nil {
		return nil, wireError(err)
	}
	if err := checkSources(n.Type, in); err != nil {
		return nil, err
	}
	switch n.Type {
	case delivery.DirectPut:
		if in.DirectPutSourceConfiguration != nil {
			n.ThroughputHintMiB = int(in.DirectPutSourceConfiguration.ThroughputHintInMBs.V)
		}
	case delivery.KinesisSource:
		if n.Source, err = d.kinesisSource(ctx, in.KinesisStreamSourceConfiguration); err != nil {
			return nil, err
		}
	case delivery.MSKSource:
		if n.Source, err = d.topicSource(ctx, in.MSKSourceConfiguration); err != nil {
			return nil, err
		}
	default:
		return nil, model.NewInvalidArgumentException("The delivery stream type " + n.Type + " is not supported by this server.")
	}
	if key := in.DeliveryStreamEncryptionConfigurationInput; key != nil {
		if n.Type != delivery.DirectPut {
			return nil, model.NewInvalidArgumentException("DeliveryStreamEncryptionConfigurationInput is only applicable for DirectPut stream type")
		}
		if n.Key, err = keyOf(n.Scope, key); err != nil {
			return nil, err
		}
	}
	if n.Tags, err = tagsOf(in.Tags); err != nil {
		return nil, err
	}
	if len(n.Tags) > 0 {
		if err := awsapi.AuthorizeAction(ctx, "firehose:TagDeliveryStream", caller.ARN("firehose", "deliverystream/"+n.Name)); err != nil {
			return nil, err
		}
	}
	r, err := d.delivery.Create(ctx, n)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.CreateDeliveryStreamOutput{DeliveryStreamARN: opt.Of(r.ARN)}, nil
}

// checkSources refuses the configuration of another type's source.
func checkSources(kind string, in *model.CreateDeliveryStreamInput) error {
	for _, s := range []struct {
		name, kind string
		given      bool
	}{
		{"KinesisStreamSourceConfig", delivery.KinesisSource, in.KinesisStreamSourceConfiguration != nil},
		{"MSKSourceConfig", delivery.MSKSource, in.MSKSourceConfiguration != nil},
		{"DatabaseSourceConfig", "DatabaseAsSource", in.DatabaseSourceConfiguration != nil},
		{"DirectPutSourceConfig", delivery.DirectPut, in.DirectPutSourceConfiguration != nil},
	} {
		switch {
		case s.given && s.kind != kind:
			return model.NewInvalidArgumentException(fmt.Sprintf("%s is only applicable for %s stream type", s.name, s.kind))
		case !s.given && s.kind == kind && kind != delivery.DirectPut:
			return model.NewInvalidArgumentException(fmt.Sprintf("%s can't be null for %s stream type", s.name, kind))
		}
	}
	return nil
}

// kinesisSource finds the stream that is to be read. Whoever makes a delivery stream
// of it must be allowed to read it: there is no role that would be asked.
func (d *Door) kinesisSource(ctx context.Context, c *model.KinesisStreamSourceConfiguration) (*catalog.DeliverySource, error) {
	text := c.KinesisStreamARN.V
	p, ok := arn.Parse(text)
	name, isStream := strings.CutPrefix(p.Resource, "stream/")
	if !ok || p.Service != "kinesis" || !isStream {
		return nil, model.NewInvalidArgumentException("Invalid ARN: " + text)
	}
	if err := awsapi.AuthorizeAction(ctx, "kinesis:GetRecords", text); err != nil {
		return nil, err
	}
	r, err := d.streams.Lookup(catalog.Scope{Account: p.Account, Region: p.Region}, name)
	if err != nil {
		return nil, model.NewInvalidArgumentException(message(err))
	}
	return &catalog.DeliverySource{ARN: text, RoleARN: c.RoleARN.V, Stream: r.Stream.Number}, nil
}

// topicSource finds the topic that is to be read: one of a cluster of this server, or of
// those elsewhere that its operator has named. Whether the caller may read one of these
// is asked as if the cluster were the caller's; that the account may, the operator says.
func (d *Door) topicSource(ctx context.Context, c *model.MSKSourceConfiguration) (*catalog.DeliverySource, error) {
	text := c.MSKClusterARN.V
	p, ok := arn.Parse(text)
	rest, isCluster := strings.CutPrefix(p.Resource, "cluster/")
	name, uuid, _ := strings.Cut(strings.TrimSuffix(rest, "-1"), "/")
	if !ok || p.Service != "kafka" || !isCluster || name == "" || uuid == "" {
		return nil, model.NewInvalidArgumentException("Invalid ARN: " + text)
	}
	s := &catalog.DeliverySource{ARN: text, RoleARN: c.AuthenticationConfiguration.RoleARN.V, Topic: c.TopicName.V,
		Connectivity: string(c.AuthenticationConfiguration.Connectivity.V), ReadFrom: -1}
	if c.ReadFromTimestamp.Set {
		s.ReadFrom = c.ReadFromTimestamp.V.UnixMilli()
	}
	topic := strings.Replace(p.Resource, "cluster/", "topic/", 1) + "/" + c.TopicName.V
	if caller := awsapi.CallerFrom(ctx); d.delivery.Reaches(caller.Account, text) {
		if err := awsapi.AuthorizeAction(ctx, "kafka-cluster:ReadData", caller.ARN("kafka", topic)); err != nil {
			return nil, err
		}
		s.Remote = true
		return s, nil
	}
	if err := awsapi.AuthorizeAction(ctx, "kafka-cluster:ReadData", arn.New("kafka", p.Region, p.Account, topic).String()); err != nil {
		return nil, err
	}
	cluster, err := d.clusters.Lookup(catalog.Scope{Account: p.Account, Region: p.Region}, name, uuid)
	if err != nil || cluster.ARN != text { // its policy was asked by this name
		return nil, model.NewInvalidArgumentException("The cluster " + text + " is none of this server's.")
	}
	topics, err := d.clusters.Brokers(cluster)
	if err != nil {
		return nil, wireError(err)
	}
	t := topics.Topic(c.TopicName.V)
	if t == nil || t.Internal() {
		return nil, model.NewInvalidArgumentException("Topic " + c.TopicName.V + " does not exist in the cluster " + text + ".")
	}
	s.Stream = t.Stream()
	return s, nil
}
