package process

import (
	"context"
	"encoding/json"
	"unicode/utf8"

	"thalweg/internal/delivery/dest"
)

// RecordValidation is the processor that lets only records of its parameter Format pass:
// JSON or STRING.
const RecordValidation = "RecordValidation"

// validation lets records pass that ok approves of.
type validation struct {
	ok            func(data []byte) bool
	code, message string
}

func openValidation(p processor) (dest.Processor, error) {
	switch p.parameter("Format", "") {
	case "JSON":
		return validation{json.Valid, "Validation.InvalidJson", "The record is not valid JSON."}, nil
	case "STRING":
		return validation{utf8.Valid, "Validation.InvalidString", "The record is not valid UTF-8."}, nil
	}
	return nil, invalid("Format must be JSON or STRING")
}

func (v validation) Process(ctx context.Context, in []dest.Record) (out []dest.Record, failed []dest.Failure, err error) {
	for i := range in {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if v.ok(in[i].Data) {
			out = append(out, in[i])
			continue
		}
		failed = append(failed, dest.Failure{Record: in[i], Type: "record-validation-failed", Code: v.code, Message: v.message, Attempts: 1})
	}
	return out, failed, nil
}
