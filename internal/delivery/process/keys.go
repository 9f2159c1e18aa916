package process

import (
	"context"
	"maps"
	"slices"
	"strings"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/prefix"
	"thalweg/internal/delivery/process/jq"
)

// partitioning is MetadataExtraction: it gives records the keys that its query finds.
type partitioning struct{ query *jq.Query }

func (p partitioning) Process(ctx context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	out := make([]dest.Record, 0, len(in))
	var failed []dest.Failure
	for i := range in {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		r := in[i]
		keys := maps.Clone(r.Keys)
		if keys == nil {
			keys = map[string]string{}
		}
		if err := p.query.Keys(keys, prefix.FromQuery, r.Data); err != nil {
			failed = append(failed, dest.Failure{Record: r, Type: "metadata-extraction-failed", Code: "DynamicPartitioning.MetadataExtractionFailed",
				Message: err.Error(), Attempts: 1})
			continue
		}
		r.Keys = keys
		out = append(out, r)
	}
	return out, failed, nil
}

// delimiter stands after each record.
type delimiter string

func (d delimiter) Process(_ context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	out := slices.Clone(in)
	for i := range out {
		out[i].Data = slices.Concat(out[i].Data, []byte(d))
	}
	return out, nil, nil
}

// unescape reads the escapes that a parameter's value has for what it cannot hold: a
// value of nothing but space is refused by the model, so a line feed is \n.
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(s)
}
