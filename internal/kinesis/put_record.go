package kinesis

import (
	"context"
	"fmt"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// PutRecord
//
// Puts one record and answers when it is durable. The shard is that of the MD5
// of PartitionKey, or of ExplicitHashKey; under the distribution strategy AUTO
// neither decides and PartitionKey may be absent. Sequence numbers of a shard
// rise strictly, so SequenceNumberForOrdering is checked and then kept in any
// case. A record whose shard is split or merged meanwhile goes to the child.
//
// Errors: ResourceNotFound, also while the stream is CREATING; InvalidArgument
// for a hash key out of range or a SequenceNumberForOrdering that is none;
// Validation for data larger than the stream takes; ProvisionedThroughputExceeded
// when the server's memory is spent, and beyond the shard's rate where AWS's limits
// hold; InternalFailure when the disk is full or the log is read-only, in words;
// DryRunOperation, or Throttling beyond one dry run a second of the stream where
// AWS's limits hold.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html
//
// Status: done
func (d *Door) PutRecord(ctx context.Context, in *model.PutRecordInput) (*model.PutRecordOutput, error) {
	r, err := d.usable(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if v := violation(r, "", in.PartitionKey.Set, len(in.Data)); v != "" {
		return nil, invalidRecords([]string{v})
	}
	p := d.streams.NewPut(r)
	defer p.Release()
	if err := add(p, in.PartitionKey, in.ExplicitHashKey, in.Data); err != nil {
		return nil, wireError(err)
	}
	if in.SequenceNumberForOrdering.Set {
		if err := d.streams.CheckOrdering(r, in.SequenceNumberForOrdering.V); err != nil {
			return nil, wireError(err)
		}
	}
	if in.DryRun.V {
		return nil, d.dryRun(r)
	}
	p.Commit()
	at, err := p.Result(0)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.PutRecordOutput{
		EncryptionType: encryptedShape(p.Encrypted()),
		SequenceNumber: opt.Of(at.Sequence.String()), ShardId: opt.Of(at.Shard.String()),
	}, nil
}

// add adds one record to p.
func add(p *streams.Put, key, hashKey opt.V[string], data []byte) error {
	var k, h []byte
	if key.Set {
		k = []byte(key.V)
	}
	if hashKey.Set {
		h = []byte(hashKey.V)
	}
	dst, err := p.Add(k, h, len(data))
	copy(dst, data)
	return err
}

// violation says in AWS's words what of a record does not fit its stream, "" if
// nothing. The model cannot say it: the bounds are the stream's own. at is the
// path to the record.
func violation(r *catalog.Resource, at string, hasKey bool, size int) string {
	switch limit := r.Stream.MaxRecordKiB << 10; {
	case size > limit:
		return fmt.Sprintf("Value at '%sdata' failed to satisfy constraint: Member must have length less than or equal to %d", at, limit)
	case !hasKey && !r.Stream.AutoDistribution:
		return fmt.Sprintf("Value null at '%spartitionKey' failed to satisfy constraint: Member must not be null", at)
	}
	return ""
}

// invalidRecords is the error for violations found by violation.
func invalidRecords(violations []string) error {
	s, text := "s", ""
	if len(violations) == 1 {
		s = ""
	}
	for i, v := range violations {
		if i > 0 {
			text += "; "
		}
		text += v
	}
	return model.NewValidationException(fmt.Sprintf("%d validation error%s detected: %s", len(violations), s, text))
}
