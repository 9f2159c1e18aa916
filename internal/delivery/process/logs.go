package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"

	"thalweg/internal/delivery/dest"
)

// maxPlain is how large a record may become by decompression.
const maxPlain = 16 << 20

// decompression unpacks GZIP.
type decompression struct{}

func (decompression) Process(ctx context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	out := make([]dest.Record, 0, len(in))
	var failed []dest.Failure
	var z gzip.Reader
	for i := range in {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		plain, err := unpack(&z, in[i].Data)
		if err != nil {
			failed = append(failed, dest.Failure{Record: in[i], Type: "decompression-failed", Code: "Decompression.Failed",
				Message: "The record could not be decompressed: " + err.Error(), Attempts: 1})
			continue
		}
		r := in[i]
		r.Data = plain
		out = append(out, r)
	}
	return out, failed, nil
}

var errPlain = errors.New("it is larger than 16 MiB")

func unpack(z *gzip.Reader, data []byte) ([]byte, error) {
	if err := z.Reset(bytes.NewReader(data)); err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxPlain+1))
	if err == nil && len(plain) > maxPlain {
		err = errPlain
	}
	return plain, err
}

// extraction makes of each message of CloudWatch Logs its events' messages, a line
// each, and drops those that are only there to see whether the subscription works.
type extraction struct{}

func (extraction) Process(_ context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	out := make([]dest.Record, 0, len(in))
	var failed []dest.Failure
	for i := range in {
		var m struct {
			MessageType string `json:"messageType"`
			LogEvents   []struct {
				Message *string `json:"message"`
			} `json:"logEvents"`
		}
		if err := json.Unmarshal(in[i].Data, &m); err != nil || m.MessageType != "DATA_MESSAGE" && m.MessageType != "CONTROL_MESSAGE" {
			failed = append(failed, dest.Failure{Record: in[i], Type: "processing-failed", Code: "CloudWatchLogs.InvalidMessage",
				Message: "The record is not a message of a CloudWatch Logs subscription.", Attempts: 1})
			continue
		}
		if m.MessageType == "CONTROL_MESSAGE" {
			continue
		}
		r := in[i]
		r.Data = nil
		for _, e := range m.LogEvents {
			if e.Message != nil {
				r.Data = append(append(r.Data, *e.Message...), '\n')
			}
		}
		if len(r.Data) > 0 {
			out = append(out, r)
		}
	}
	return out, failed, nil
}
