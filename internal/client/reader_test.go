package client

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"thalweg/internal/clock"
)

// fakeShard holds records 0..n-1, numbered by their index plus one; an iterator
// is the next index as text.
type fakeShard struct {
	n      int
	script []error // one taken per GetRecords
	starts []types.ShardIteratorType
}

func (f *fakeShard) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	f.starts = append(f.starts, in.ShardIteratorType)
	at := 0
	if in.StartingSequenceNumber != nil {
		at, _ = strconv.Atoi(*in.StartingSequenceNumber)
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(strconv.Itoa(at))}, nil
}

func (f *fakeShard) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	if len(f.script) > 0 {
		err := f.script[0]
		f.script = f.script[1:]
		if err != nil {
			return nil, err
		}
	}
	at, _ := strconv.Atoi(*in.ShardIterator)
	out := &kinesis.GetRecordsOutput{MillisBehindLatest: aws.Int64(0)}
	for ; at < f.n && len(out.Records) < 3; at++ {
		out.Records = append(out.Records, types.Record{SequenceNumber: aws.String(strconv.Itoa(at + 1)), Data: []byte(strconv.Itoa(at))})
	}
	if at < f.n {
		out.NextShardIterator = aws.String(strconv.Itoa(at))
	}
	return out, nil
}

func TestShardReadsOnAcrossTrouble(t *testing.T) {
	expired := &smithy.GenericAPIError{Code: "ExpiredIteratorException"}
	slow := &smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"}
	synctest.Test(t, func(t *testing.T) {
		f := &fakeShard{n: 10, script: []error{slow, nil, expired, nil, slow, slow, nil}}
		s := &Shard{API: f, Clock: clock.System(), Stream: "s", ID: "shardId-000000000000", Start: Latest(), Idle: time.Second}
		next := 0
		err := s.Read(t.Context(), func(p Page) error {
			for _, r := range p.Records {
				if string(r.Data) != strconv.Itoa(next) {
					t.Errorf("read %s, want %d", r.Data, next)
				}
				next++
			}
			return nil
		})
		if err != nil || next != 10 {
			t.Errorf("read %d of 10 records: %v", next, err)
		}
		want := []types.ShardIteratorType{types.ShardIteratorTypeLatest, types.ShardIteratorTypeAfterSequenceNumber}
		if len(f.starts) != 2 || f.starts[0] != want[0] || f.starts[1] != want[1] {
			t.Errorf("iterators %v, want %v", f.starts, want)
		}
	})
}

func TestShardKeepsItsTimeWhenLatestExpiresUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeShard{n: 1, script: []error{&smithy.GenericAPIError{Code: "ExpiredIteratorException"}}}
		s := &Shard{API: f, Clock: clock.System(), Stream: "s", ID: "shardId-000000000000", Start: Latest()}
		if err := s.Read(t.Context(), func(Page) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if len(f.starts) != 2 || f.starts[1] != types.ShardIteratorTypeAtTimestamp {
			t.Errorf("iterators %v", f.starts)
		}
	})
}

func TestShardStops(t *testing.T) {
	stop := errors.New("enough")
	f := &fakeShard{n: 10}
	s := &Shard{API: f, Clock: clock.System(), Stream: "s", ID: "shardId-000000000000", Start: TrimHorizon()}
	if err := s.Read(t.Context(), func(Page) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("err = %v", err)
	}
	f.script = []error{&smithy.GenericAPIError{Code: "AccessDeniedException"}}
	if err := s.Read(t.Context(), func(Page) error { return nil }); Code(err) != "AccessDeniedException" {
		t.Errorf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Read(ctx, func(Page) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}
