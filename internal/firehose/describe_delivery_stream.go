package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

// DescribeDeliveryStream
//
// Describes a delivery stream and its destination, every default filled in; a bucket
// as both S3 shapes. There is one destination, so Limit changes nothing and with an
// ExclusiveStartDestinationId there is none left.
//
// Errors: ResourceNotFound.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_DescribeDeliveryStream.html
//
// Status: done
func (d *Door) DescribeDeliveryStream(ctx context.Context, in *model.DescribeDeliveryStreamInput) (*model.DescribeDeliveryStreamOutput, error) {
	r, err := d.delivery.Lookup(scopeOf(awsapi.CallerFrom(ctx)), in.DeliveryStreamName.V)
	if err != nil {
		return nil, wireError(err)
	}
	v := r.Delivery
	out := &model.DeliveryStreamDescription{
		CreateTimestamp: millis(r.Created), DeliveryStreamARN: opt.Of(r.ARN), DeliveryStreamName: opt.Of(r.Name),
		DeliveryStreamStatus: opt.Of(model.DeliveryStreamStatus(r.State)), DeliveryStreamType: opt.Of(model.DeliveryStreamType(v.Type)),
		Destinations: []model.DestinationDescription{}, HasMoreDestinations: opt.Of(false), Source: sourceShape(v),
		VersionId: opt.Of(delivery.VersionID(v)),
	}
	if v.Updated > 0 {
		out.LastUpdateTimestamp = millis(v.Updated)
	}
	if v.Type == delivery.DirectPut {
		out.DeliveryStreamEncryptionConfiguration = encryptionShape(v)
	}
	if !in.ExclusiveStartDestinationId.Set {
		to := describe(v.Destination.Kind, v.Destination.Config)
		to.DestinationId = opt.Of(delivery.DestinationID)
		out.Destinations = append(out.Destinations, to)
	}
	return &model.DescribeDeliveryStreamOutput{DeliveryStreamDescription: out}, nil
}

func encryptionShape(v *catalog.Delivery) *model.DeliveryStreamEncryptionConfiguration {
	if v.KeyType == "" {
		return &model.DeliveryStreamEncryptionConfiguration{Status: opt.Of(model.DeliveryStreamEncryptionStatusDisabled)}
	}
	e := &model.DeliveryStreamEncryptionConfiguration{
		Status: opt.Of(model.DeliveryStreamEncryptionStatusEnabled), KeyType: opt.Of(model.KeyType(v.KeyType)),
	}
	if v.KeyARN != "" {
		e.KeyARN = opt.Of(v.KeyARN)
	}
	return e
}

func sourceShape(v *catalog.Delivery) *model.SourceDescription {
	s := v.Source
	switch {
	case v.ThroughputHintMiB > 0:
		return &model.SourceDescription{DirectPutSourceDescription: &model.DirectPutSourceDescription{ThroughputHintInMBs: opt.Of(int32(v.ThroughputHintMiB))}}
	case v.Type == delivery.KinesisSource:
		return &model.SourceDescription{KinesisStreamSourceDescription: &model.KinesisStreamSourceDescription{
			DeliveryStartTimestamp: millis(s.Started), KinesisStreamARN: opt.Of(s.ARN), RoleARN: opt.Of(s.RoleARN),
		}}
	case v.Type == delivery.MSKSource:
		m := &model.MSKSourceDescription{
			AuthenticationConfiguration: &model.AuthenticationConfiguration{
				Connectivity: opt.Of(model.Connectivity(s.Connectivity)), RoleARN: opt.Of(s.RoleARN),
			},
			DeliveryStartTimestamp: millis(s.Started), MSKClusterARN: opt.Of(s.ARN), TopicName: opt.Of(s.Topic),
		}
		if s.ReadFrom >= 0 {
			m.ReadFromTimestamp = millis(s.ReadFrom)
		}
		return &model.SourceDescription{MSKSourceDescription: m}
	}
	return nil
}
