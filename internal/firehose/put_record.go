package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

// PutRecord
//
// Puts one record, of 1,000 KiB at most, and answers when it is durable. Its RecordId
// says where it is, for ever: `thalweg firehose where` reads it. Nothing is added to
// the data, no newline either. A call that an SDK sends again within five minutes,
// since it saw no answer, is answered as it was the first time and puts nothing (the
// SDK's invocation id, the principal and the data tell).
//
// Errors: ResourceNotFound; InvalidArgument for a delivery stream with a source;
// ServiceUnavailable when the server's memory is spent, the disk is full or the log is
// read-only.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecord.html
//
// Status: done
func (d *Door) PutRecord(ctx context.Context, in *model.PutRecordInput) (*model.PutRecordOutput, error) {
	placed, err := d.put(ctx, in.DeliveryStreamName.V, [][]byte{in.Record.Data})
	if err != nil {
		return nil, err
	}
	return &model.PutRecordOutput{Encrypted: opt.Of(placed.Encrypted), RecordId: opt.Of(placed.ID(0))}, nil
}

func (d *Door) put(ctx context.Context, name string, records [][]byte) (delivery.Placed, error) {
	c := awsapi.CallerFrom(ctx)
	size := 0
	for _, r := range records {
		size += len(r)
	}
	if !awsapi.Hold(ctx, size) { // the batch that is made of them
		return delivery.Placed{}, model.NewServiceUnavailableException("Slow down.")
	}
	scope := catalog.Scope{Account: c.Account, Region: c.Region}
	placed, err := d.delivery.Put(ctx, scope, name, records, delivery.Call{Principal: c.PrincipalARN, Invocation: c.Invocation})
	return placed, wireError(err)
}
