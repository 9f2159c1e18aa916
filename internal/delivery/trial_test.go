package delivery_test

import (
	"context"
	"strings"
	"testing"

	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
)

// sorter drops, fails and keeps by a record's first letter, and keys by the second.
type sorter struct{}

func (sorter) Process(_ context.Context, in []dest.Record) (out []dest.Record, failed []dest.Failure, err error) {
	for _, r := range in {
		switch r.Data[0] {
		case 'd':
		case 'f':
			failed = append(failed, dest.Failure{Record: r, Type: "processing-failed", Code: "Bad", Message: "no good"})
		default:
			r.Keys = map[string]string{"query:k": string(r.Data[1:2])}
			out = append(out, r)
		}
	}
	return out, failed, nil
}

// A trial says what becomes of each record and which objects there would be, and leaves
// nothing behind.
func TestTry(t *testing.T) {
	w := newWorld(t)
	w.process = func(dest.Config, dest.Env) ([]dest.Processor, error) { return []dest.Processor{sorter{}}, nil }
	r := w.create("all", func(n *delivery.New) {
		n.Config = dest.Config(strings.Replace(config, `"BufferingHints":{"SizeInMBs":1,"IntervalInSeconds":60}`,
			`"DynamicPartitioningConfiguration":{"Enabled":true},"Prefix":"k=!{partitionKeyFromQuery:k}/","ErrorOutputPrefix":"bad/"`, 1))
	})
	got, err := w.s.Try(t.Context(), r, bytesOf([]string{"kx1", "d", "f", "ky2", "kx3"}))
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, x := range got.Records {
		what = append(what, x.Outcome+" "+string(x.Data)+x.Code)
	}
	equal(t, what, []string{"delivered kx1", "dropped ", "failed fBad", "delivered ky2", "delivered kx3"})
	if len(got.Objects) != 2 || got.Objects[0].Records != 2 || !strings.HasPrefix(got.Objects[1].Key, "k=y/") {
		t.Errorf("objects %+v", got.Objects)
	}
	if all := w.all(); len(all) != 0 || len(w.ledger("all")) != 0 {
		t.Errorf("left behind %v", all)
	}
}
