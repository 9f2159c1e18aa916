package delivery

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

// maxTried is how many records are tried at once.
const maxTried = 500

// Trial is what would become of records.
type Trial struct {
	Records []Tried `json:"records"`
	// Objects are those that would be made, where the destination's are known without
	// delivering to it.
	Objects []dest.Object `json:"objects,omitempty"`
}

// Tried is a record that processing has made of one of those given, or what became of
// that else.
type Tried struct {
	// Record counts those given, from 1.
	Record  int    `json:"record"`
	Outcome string `json:"outcome"` // delivered, failed or dropped
	// Data are those to be delivered, or those that failed.
	Data []byte            `json:"data,omitempty"`
	Keys map[string]string `json:"keys,omitempty"`
	// Type, Code and Message say why it failed, as the error output would.
	Type    string `json:"type,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// Try takes sample records through all that a delivery stream does to records, as it is
// configured now. Functions are called; nothing is stored or delivered. Errors: Invalid
// for more than 500 records, those of the stages.
func (s *Service) Try(ctx context.Context, r *catalog.Resource, samples [][]byte) (Trial, error) {
	if len(samples) == 0 || len(samples) > maxTried {
		return Trial{}, errs.New(errs.Invalid, fmt.Sprintf("1 to %d records can be tried at once, not %d", maxTried, len(samples)))
	}
	d := &r.Delivery.Destination
	stages, err := s.o.Process(d.Config, s.env(r))
	if err != nil {
		return Trial{}, err
	}
	now := s.clock.Now()
	in := make([]dest.Record, len(samples))
	for i, data := range samples {
		in[i] = dest.Record{ID: strconv.Itoa(i), Offset: int64(i), Sequence: strconv.Itoa(i), ShardID: "shardId-000000000000", PartitionKey: "sample",
			Arrival: clock.Millis(s.clock), Data: data}
	}
	var t Trial
	here := map[int]bool{}
	fail := func(f *dest.Failure) {
		here[int(f.Record.Offset)] = true
		t.Records = append(t.Records, Tried{Record: int(f.Record.Offset) + 1, Outcome: "failed", Data: f.Record.Data, Type: f.Type, Code: f.Code, Message: f.Message})
	}
	for _, stage := range stages {
		out, failed, err := stage.Process(ctx, in)
		if err != nil {
			return Trial{}, err
		}
		for i := range failed {
			fail(&failed[i])
		}
		in = out
	}
	rejected, err := s.tryBatch(ctx, r, in, now, &t)
	if err != nil {
		return Trial{}, err
	}
	for i := range in {
		if j := slices.IndexFunc(rejected, func(x dest.Rejected) bool { return x.Index == i }); j >= 0 {
			x := &rejected[j]
			fail(&dest.Failure{Record: in[i], Type: x.Type, Code: x.Code, Message: x.Message})
			continue
		}
		here[int(in[i].Offset)] = true
		t.Records = append(t.Records, Tried{Record: int(in[i].Offset) + 1, Outcome: "delivered", Data: in[i].Data, Keys: in[i].Keys})
	}
	for i := range samples {
		if !here[i] {
			t.Records = append(t.Records, Tried{Record: i + 1, Outcome: "dropped"})
		}
	}
	slices.SortStableFunc(t.Records, func(a, b Tried) int { return a.Record - b.Record })
	return t, nil
}

// tryBatch has the destination do to the records what it would, where it can without
// delivering them. It puts records with equal keys together.
func (s *Service) tryBatch(ctx context.Context, r *catalog.Resource, in []dest.Record, now time.Time, t *Trial) ([]dest.Rejected, error) {
	d := &r.Delivery.Destination
	try := s.o.Destinations[d.Kind].Try
	if try == nil || len(in) == 0 {
		return nil, nil
	}
	to, err := try(d.Config, s.env(r))
	if err != nil {
		return nil, err
	}
	first := map[string]int{}
	for i := range in {
		if key := string(appendMap(nil, in[i].Keys)); first[key] == 0 {
			first[key] = len(first) + 1
		}
	}
	slices.SortStableFunc(in, func(a, b dest.Record) int {
		return first[string(appendMap(nil, a.Keys))] - first[string(appendMap(nil, b.Keys))]
	})
	b := dest.Batch{Stream: s.env(r).Stream, Plan: newUUID(), Version: versionText(d.Version), Created: now, Oldest: now}
	for i := range in {
		b.Bytes += int64(len(in[i].Data))
	}
	b.Records = func(_ context.Context, yield func(*dest.Record) error) error {
		for i := range in {
			one := in[i]
			one.Data = slices.Clone(one.Data)
			if err := yield(&one); err != nil {
				return err
			}
		}
		return nil
	}
	res, err := to.Deliver(ctx, b)
	t.Objects = res.Objects
	return res.Rejected, err
}
