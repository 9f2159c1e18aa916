package process

import (
	"bytes"
	"context"
	"encoding/base64"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/scan"
	"thalweg/internal/kpl"
)

// parts gathers the records that are made of others, and counts those of one source
// record.
type parts struct {
	out  []dest.Record
	last string
	sub  int
}

// add adds a record made of r.
func (p *parts) add(r *dest.Record, data []byte) *dest.Record {
	if r.ID != p.last || len(p.out) == 0 {
		p.last, p.sub = r.ID, 0
	}
	made := *r
	made.Data, made.Sub = data, p.sub
	p.sub++
	p.out = append(p.out, made)
	return &p.out[len(p.out)-1]
}

// aggregates takes apart what the Kinesis Producer Library has put together. A record
// that is no aggregate is left as it is.
type aggregates struct{}

func (aggregates) Process(_ context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	var p parts
	for i := range in {
		a, ok := kpl.Parse(in[i].Data)
		if !ok {
			p.add(&in[i], in[i].Data)
			continue
		}
		for _, r := range a.Records() {
			p.add(&in[i], r.Data).PartitionKey = string(r.PartitionKey)
		}
	}
	return p.out, nil, nil
}

// split is RecordDeAggregation: find cuts a record into its parts, and reports false
// for one that cannot be cut.
type split struct {
	find func(data []byte, yield func(part []byte) bool) bool
}

func openSplit(p processor) (dest.Processor, error) {
	text := p.parameter("Delimiter", "")
	switch p.parameter("SubRecordType", "") {
	case "JSON":
		if text != "" {
			return nil, invalid("Delimiter is for SubRecordType DELIMITED only")
		}
		return split{objects}, nil
	case "DELIMITED":
		between, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(between) == 0 {
			return nil, invalid("Delimiter must be a base64 encoded string")
		}
		return split{func(data []byte, yield func([]byte) bool) bool {
			for part := range bytes.SplitSeq(data, between) {
				if len(part) > 0 && !yield(part) {
					break
				}
			}
			return true
		}}, nil
	}
	return nil, invalid("SubRecordType must be JSON or DELIMITED")
}

func (s split) Process(_ context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	var p parts
	var failed []dest.Failure
	for i := range in {
		r := &in[i]
		count := 0
		if !s.find(r.Data, func([]byte) bool { count++; return count <= MaxParts }) {
			failed = append(failed, dest.Failure{Record: *r, Type: "processing-failed", Code: "RecordDeAggregation.InvalidJson",
				Message: "The record is not a sequence of JSON objects.", Attempts: 1})
			continue
		}
		if count > MaxParts {
			p.add(r, r.Data)
			continue
		}
		s.find(r.Data, func(part []byte) bool { p.add(r, part); return true })
	}
	return p.out, failed, nil
}

// objects finds JSON objects that follow one another, with or without space between.
func objects(data []byte, yield func(part []byte) bool) bool {
	s := scan.New(data)
	for {
		switch s.Peek() {
		case '{':
		case 0:
			return s.End() == nil
		default:
			return false
		}
		part, err := s.Value()
		if err != nil {
			return false
		}
		if !yield(part) {
			return true
		}
	}
}
