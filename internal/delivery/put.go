package delivery

import (
	"context"
	"errors"
	"fmt"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// maxKeptBuffer is the largest batch buffer that is kept for the next put.
const maxKeptBuffer = 4 << 20

// Call names the call of a client that a put is, so that the same call sent again is
// answered as it was and puts nothing.
type Call struct {
	// Principal is who makes it, Invocation the id that the client's every attempt
	// bears; "" is none.
	Principal, Invocation string
}

// Placed is where the records of a put are: one behind the other.
type Placed struct {
	Partition log.PartitionID
	Base      int64
	Encrypted bool
}

// ID is the RecordId of the i-th record.
func (p Placed) ID(i int) string { return RecordID(p.Partition, p.Base+int64(i)) }

// Put puts records, at least one, which are durable when it returns, together or
// not at all. Errors: NotFound, Invalid for a delivery stream with a source, Throttled,
// NoSpace, ReadOnly.
func (s *Service) Put(ctx context.Context, scope catalog.Scope, name string, records [][]byte, call Call) (Placed, error) {
	r, err := s.usable(scope, name)
	if err != nil {
		return Placed{}, err
	}
	l := s.line(r)
	size := int64(0)
	for _, data := range records {
		size += int64(len(data))
	}
	if call.Invocation == "" {
		if err := s.admit(r, l, len(records), size); err != nil {
			return Placed{}, err
		}
		return s.append(r, l, records, nil)
	}
	id := call.fingerprint(records)
	for {
		was, mine, err := l.dedup.begin(s, r, id)
		if err != nil {
			return Placed{}, err
		}
		if mine {
			break
		}
		if was.pending != nil { // the same call is under way: its answer is this one's
			select {
			case <-was.pending:
				continue
			case <-ctx.Done():
				return Placed{}, ctx.Err()
			}
		}
		return was.placed, nil
	}
	var placed Placed
	if err = s.admit(r, l, len(records), size); err == nil {
		placed, err = s.append(r, l, records, &id)
	}
	l.dedup.end(id, placed, clock.Millis(s.clock), err == nil)
	return placed, err
}

// append appends the records and waits for them to be durable.
func (s *Service) append(r *catalog.Resource, l *line, records [][]byte, call *callID) (Placed, error) {
	b := s.builders.Get().(*batch.Builder)
	b.Reset()
	defer func() {
		if b.Cap() > maxKeptBuffer {
			*b = batch.Builder{}
		}
		s.builders.Put(b)
	}()
	now := clock.Millis(s.clock)
	size := int64(0)
	for i, data := range records {
		rec := batch.Record{Timestamp: now}
		if i == 0 && call != nil {
			rec.Headers = rec.Headers.AppendHeader(callHeader, call[:])
		}
		copy(b.Reserve(rec, len(data)), data)
		size += int64(len(data))
	}
	p := r.Delivery.Partition(0)
	results, err := log.Do(s.log, log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: p, Batch: b.Finish()}}})
	if err != nil {
		l.meter.Throttled.Add(int64(len(records)))
		return Placed{}, s.putError(r, err)
	}
	l.meter.InRecords.Add(int64(len(records)))
	l.meter.InBytes.Add(size)
	l.meter.InPuts.Add(1)
	l.mu.Lock()
	running := l.running
	l.mu.Unlock()
	if !running {
		s.rouse(r)
	}
	return Placed{Partition: p, Base: results[0].Offset, Encrypted: results[0].KeyID != 0}, nil
}

func (s *Service) putError(r *catalog.Resource, err error) error {
	switch kind := errs.KindOf(err); {
	case errors.Is(err, log.ErrNotFound), errors.Is(err, log.ErrSealed):
		return notFound(r.Key)
	case kind == errs.Throttled:
		return &errs.Error{Kind: errs.Throttled, Msg: "Slow down.", Err: err}
	case kind == errs.NoSpace, kind == errs.ReadOnly:
		return errs.Wrap(kind, fmt.Sprintf("put to Firehose %s", r.Name), err)
	}
	return errs.Wrap(errs.Internal, "put to Firehose "+r.Name, err)
}
