// Package desttest is what the tests of destinations share: batches of known records, and
// what a destination is opened with.
package desttest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/log"
)

// Plan is the plan of every batch.
const Plan = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

// Begin is when the first record of every batch arrived; a second lies between any two.
var Begin = time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)

// Stream is the delivery stream of every batch.
var Stream = dest.Stream{ARN: "arn:aws:firehose:us-east-1:000000000000:deliverystream/game", Name: "game",
	Account: "000000000000", Region: "us-east-1"}

// Batch returns a batch of these records, at offsets 100 and on of partition 7.0.0.
func Batch(data ...string) dest.Batch {
	p := log.PartitionID{Stream: 7}
	b := dest.Batch{Stream: Stream, Plan: Plan, Version: "1", Created: Begin.Add(time.Hour), Oldest: Begin,
		Ranges: []dest.Range{{Partition: p, From: 100, To: 100 + int64(len(data))}}}
	for _, d := range data {
		b.Bytes += int64(len(d))
	}
	b.Records = func(ctx context.Context, yield func(*dest.Record) error) error {
		for i, d := range data {
			if err := ctx.Err(); err != nil {
				return err
			}
			// The bytes are of this call alone, as the engine's are.
			r := &dest.Record{ID: fmt.Sprintf("r%d", i), Partition: p, Offset: 100 + int64(i), PartitionKey: "k",
				Arrival: Begin.Add(time.Duration(i) * time.Second).UnixMilli(), Data: []byte(d)}
			if err := yield(r); err != nil {
				return err
			}
			clear(r.Data)
		}
		return nil
	}
	return b
}

// Files counts the scratch files that are open.
type Files struct{ Open atomic.Int32 }

// Env returns what destinations are opened with. A secret is sealed by "sealed " before it.
func (f *Files) Env() dest.Env {
	return dest.Env{Stream: Stream, Clock: clock.NewManual(Begin.Add(time.Hour)),
		Secret: func(s string) (string, error) {
			if s, ok := bytes.CutPrefix([]byte(s), []byte("sealed ")); ok {
				return string(s), nil
			}
			return "", fmt.Errorf("%q is not sealed", s)
		},
		Scratch: func() (dest.Scratch, error) {
			f.Open.Add(1)
			return &scratch{files: f}, nil
		}}
}

type scratch struct {
	files *Files
	data  bytes.Buffer
	bytes.Reader
}

func (s *scratch) Write(p []byte) (int, error) { return s.data.Write(p) }

func (s *scratch) Seek(offset int64, whence int) (int64, error) {
	if s.Reader.Size() != int64(s.data.Len()) {
		s.Reader.Reset(s.data.Bytes())
	}
	return s.Reader.Seek(offset, whence)
}

func (s *scratch) Close() error {
	s.files.Open.Add(-1)
	return nil
}

var _ io.ReadSeeker = (*scratch)(nil)
