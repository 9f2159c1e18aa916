package delivery

import (
	"encoding/json"
	"errors"
	"strconv"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/invariants"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Outcome is how a plan ended.
type Outcome string

const (
	// Delivered to the destination, but for the records that were refused.
	Delivered Outcome = "delivered"
	// Failed: the destination did not take it in time, and it is in the error output.
	Failed Outcome = "failed"
	// Lost: acknowledged, and nowhere. A delivery stream was deleted before.
	Lost Outcome = "lost"
)

// Entry is one plan's line in the ledger.
type Entry struct {
	Plan
	Stream   string  `json:"delivery_stream"`
	Outcome  Outcome `json:"outcome"`
	Attempts int     `json:"attempts"`
	// Started and Done are in Unix milliseconds.
	Started int64         `json:"started"`
	Done    int64         `json:"done"`
	Objects []dest.Object `json:"objects,omitempty"`
	Backup  []dest.Object `json:"backup,omitempty"`
	Errors  []dest.Object `json:"errors,omitempty"`
	// Refused are the records in Errors that a stage or the destination refused.
	Refused int64  `json:"refused,omitempty"`
	Error   string `json:"error,omitempty"`
}

func versionText(v uint64) string { return strconv.FormatUint(v, 10) }

// lost tells that the plan ends as a loss: its delivery stream is being deleted.
func (d *delivery) lost(err error) bool {
	if !errors.Is(err, errGivenUp) {
		return false
	}
	d.e.Outcome, d.e.Error = Lost, err.Error()
	return true
}

// done commits the end of the plan: cursors, ledger, and what need not be kept.
func (d *delivery) done() error {
	l, s := d.line, d.s
	now := clock.Millis(s.clock)
	d.e.Done = now
	events := []event{{Number: l.number, Done: d.plan.ID}}
	if d.e.Outcome == Lost {
		events = append(events, event{Lost: &d.e})
		l.meter.Lost.Add(d.plan.Records)
		s.o.Logger.Error("records lost: their delivery stream was deleted", "stream", d.r.Name, "account", d.r.Account,
			"records", d.plan.Records, "plan", d.plan.ID, "error", d.e.Error)
	}
	entries, err := s.ledgerEntries(d.r.Delivery, &d.e)
	if err != nil {
		return err
	}
	if gone := s.departed(d.r.Delivery, l); len(gone) > 0 {
		events = append(events, event{Number: l.number, Forget: gone})
	}
	if d.r.Delivery.Type == DirectPut {
		if e, ok := s.trim(d.r.Delivery.Partition(0), d.plan, now); ok {
			entries = append(entries, e)
		}
	}
	if err := s.commit(events, entries...); err != nil {
		return err
	}
	if d.e.Outcome == Delivered {
		l.meter.OutRecords.Add(d.plan.Records)
		l.meter.OutBytes.Add(d.plan.Bytes)
		l.meter.OutObjects.Add(int64(len(d.e.Objects)))
		l.meter.Freshness.Store(now - d.plan.Oldest)
	}
	l.set(Status{})
	if d.plan.Staged {
		return s.o.Files.Remove(d.plan.ID)
	}
	return nil
}

// ledgerEntries append e to a delivery stream's ledger, which is made first if it
// is not there.
func (s *Service) ledgerEntries(d *catalog.Delivery, e *Entry) (out []log.Entry, err error) {
	p := d.Partition(1)
	if _, err := s.log.Info(p); errors.Is(err, log.ErrNotFound) {
		out = append(out, log.Entry{Kind: log.Create, Partition: p, Config: ledgerConfig(d)})
	} else if err != nil {
		return nil, err
	}
	text, err := json.Marshal(e)
	invariants.Check(err == nil, "encode ledger entry: %v", err)
	var b batch.Builder
	b.Append(batch.Record{Value: text, Timestamp: e.Done})
	return append(out, log.Entry{Kind: log.Data, Partition: p, Batch: b.Finish()}), nil
}

func ledgerConfig(d *catalog.Delivery) log.Config {
	return log.Config{MaxBytes: ledgerBytes, KeyID: d.DataKey}
}

// departed are the cursors of shards that are gone.
func (s *Service) departed(d *catalog.Delivery, l *line) (gone []Range) {
	if d.Source == nil {
		return nil
	}
	from := s.catalog.StreamNumber(d.Source.Stream)
	if from == nil {
		return nil
	}
	there := map[log.PartitionID]bool{}
	for i := range from.Stream.Shards {
		there[from.Stream.PartitionOf(from.Stream.Shards[i].Number)] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.cursors {
		if !there[p] {
			gone = append(gone, Range{Stream: p.Stream, Generation: p.Generation, Index: p.Index})
		}
	}
	return gone
}

// trim is the entry that gives up what was delivered and is past its time.
func (s *Service) trim(p log.PartitionID, plan *Plan, now int64) (log.Entry, bool) {
	info, err := s.log.Info(p)
	if err != nil {
		return log.Entry{}, false
	}
	keep, _, err := s.log.OffsetForTime(p, now-s.o.Keep.Milliseconds())
	if err != nil {
		return log.Entry{}, false
	}
	for _, r := range plan.Ranges {
		if r.Partition() == p {
			keep = min(keep, r.To)
		}
	}
	return log.Entry{Kind: log.Trim, Partition: p, Offset: keep}, keep > info.Start
}

// Ledger yields the plans of r that came to their end, oldest first, as far as they
// are kept, until yield says no.
func (s *Service) Ledger(r *catalog.Resource, yield func(*Entry) bool) error {
	p := r.Delivery.Partition(1)
	info, err := s.log.Info(p)
	if errors.Is(err, log.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for at := info.Start; at < info.End; {
		got, err := s.log.Read(p, at, readChunk, log.Committed)
		if err != nil {
			return err
		}
		if len(got.List) == 0 {
			got.Release()
			return nil
		}
		for _, b := range got.List {
			at = b.Base + int64(b.Count)
			if stop, err := ledgerBatch(b.Bytes, yield); stop || err != nil {
				got.Release()
				return err
			}
		}
		got.Release()
	}
	return nil
}

func ledgerBatch(b []byte, yield func(*Entry) bool) (stop bool, err error) {
	it, err := batch.Records(b)
	if err != nil {
		return false, errs.Wrap(errs.Corrupt, "read ledger", err)
	}
	for it.Next() {
		var e Entry
		if err := json.Unmarshal(it.Record().Value, &e); err != nil {
			return false, errs.Wrap(errs.Corrupt, "read ledger", err)
		}
		if !yield(&e) {
			return true, nil
		}
	}
	return false, it.Err()
}

// Lost returns what was lost of delivery streams that are gone, oldest first.
func (s *Service) Lost() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Entry(nil), s.lost...)
}
