package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/streams"
)

// Whatever comes between, restarts, faults of the bucket before and after an object is
// there, changes of the destination, time, sizes of batches: every record that was
// acknowledged is delivered once, in order, and the ledger names every object.
func TestDeliversExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer w.close()
		fails := &failing{w: w}
		w.store = fails
		staged := rapid.Bool().Draw(rt, "staged")
		w.process = func(dest.Config, dest.Env) ([]dest.Processor, error) {
			if staged {
				return []dest.Processor{same{}}, nil
			}
			return nil, nil
		}
		w.create("events")
		put, version := 0, 1
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0, 1, 2, 3:
				n := rapid.IntRange(1, 20).Draw(rt, "records")
				pad := rapid.SampledFrom([]int{0, 0, 0, 60_000}).Draw(rt, "bytes")
				var batch []string
				for i := range n {
					batch = append(batch, fmt.Sprintf("record %06d%s\n", put+i, strings.Repeat(" ", pad)))
				}
				w.put("events", batch...)
				put += n
			case 4, 5:
				w.clock.Advance(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
			case 6:
				fails.mu.Lock()
				fails.after = rapid.Bool().Draw(rt, "after")
				fails.err = errors.New("down")
				fails.mu.Unlock()
			case 7:
				fails.set(nil)
			case 8:
				update(t, w, fmt.Sprint(version), fmt.Sprintf(`{"Prefix":"v%d/"}`, version+1))
				version++
			case 9:
				w.restart()
			}
		}
		fails.set(nil)
		settle(t, w)
		equal(t, trimmed(w.delivered("events")), trimmed(numbered(0, put)))
	})
}

// same leaves records as they are.
type same struct{}

func (same) Process(_ context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	return in, nil, nil
}

// settle flushes while time goes by: hosts that are left alone are tried again.
func settle(t *testing.T, w *world) {
	t.Helper()
	l := &told{}
	if !l.settle(w) {
		t.Fatal("not delivered")
	}
}

// A plan of a stream's records is delivered whatever becomes of the stream meanwhile:
// they grow older than its retention, or it is deleted.
func TestSourceGoesMeanwhile(t *testing.T) {
	for _, how := range []string{"retention", "deletion"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			fails := &failing{w: w, err: errors.New("down")}
			w.store = fails
			ctx := context.Background()
			if err := w.streams.Create(ctx, streams.NewStream{Scope: scope, Name: "source", Mode: catalog.Provisioned, Shards: 1}); err != nil {
				t.Fatal(err)
			}
			src, err := w.streams.Lookup(scope, "source")
			if err != nil {
				t.Fatal(err)
			}
			r := w.create("events", func(n *delivery.New) {
				n.Type, n.Source = delivery.KinesisSource, &catalog.DeliverySource{ARN: src.ARN, Stream: src.Stream.Number}
			})
			l := &told{acked: map[string][]string{}, doubtful: map[string][]string{}}
			for i := range 5 {
				l.putTo(w, "a", fmt.Sprintf("record %06d\n", i))
			}
			w.clock.AwaitTimers(1)
			w.clock.Advance(time.Minute)
			await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
			if how == "retention" {
				w.clock.Advance(48 * time.Hour)
			} else if err := w.streams.Delete(ctx, scope, "source"); err != nil {
				t.Fatal(err)
			}
			w.restart()
			fails.set(nil)
			await(t, func() bool { w.clock.Advance(time.Minute); return len(w.ledger("events")) == 1 })
			equal(t, w.delivered("events"), trimmed(numbered(0, 5)))
			if how == "deletion" {
				if e := w.s.Explain(r); !strings.Contains(e.Status.Error, "does not exist any more") {
					t.Errorf("explained as %+v", e)
				}
			}
		})
	}
}

// A replay delivers again what is still there, in new objects.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	r := w.create("events")
	w.put("events", numbered(0, 3)...)
	w.flush("events")
	w.clock.Advance(time.Hour)
	w.put("events", numbered(3, 5)...)
	w.flush("events")
	if err := w.s.Replay(r, start.Add(30*time.Minute)); err != nil {
		t.Fatal(err)
	}
	w.flush("events")
	equal(t, w.delivered("events"), append(trimmed(numbered(0, 5)), trimmed(numbered(3, 5))...))
}

// The backup has what was put, and the error output what a stage refused.
func TestBackupAndErrors(t *testing.T) {
	w := newWorld(t)
	w.process = func(dest.Config, dest.Env) ([]dest.Processor, error) { return []dest.Processor{doubler{}}, nil }
	w.create("events", func(n *delivery.New) {
		n.Config = dest.Config(strings.Replace(config, "{", `{"Prefix":"k=!{partitionKeyFromQuery:k}/","ErrorOutputPrefix":"failed/!{firehose:error-output-type}/",`+
			`"DynamicPartitioningConfiguration":{"Enabled":true},"S3BackupMode":"Enabled",`+
			`"S3BackupDescription":{"RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::bucket","Prefix":"backup/"},`, 1))
		n.Config = dest.Config(strings.Replace(string(n.Config), `"SizeInMBs":1`, `"SizeInMBs":64`, 1))
	})
	w.put("events", "a\n", "refused\n", "b\n")
	w.flush("events")
	got := map[string]string{}
	for _, o := range w.all() {
		dir, _, _ := strings.Cut(o.key, "/")
		got[dir] = o.body
	}
	want := map[string]string{
		"k=0": "a 0\nb 0\n", "k=1": "a 1\nb 1\n", "backup": "a\nrefused\nb\n",
		"failed": `{"attemptsMade":1,"arrivalTimestamp":1767323045000,"errorCode":"Refused","errorMessage":"it says so",` +
			`"attemptEndingTimestamp":1767323045000,"rawData":"cmVmdXNlZAo="}` + "\n",
	}
	for dir := range want {
		if got[dir] != want[dir] {
			t.Errorf("%s: %q, want %q", dir, got[dir], want[dir])
		}
	}
	if len(got) != len(want) {
		t.Errorf("objects %q", got)
	}
}

// A batch has 500 partitions at most; records of others go to the error output.
func TestTooManyPartitions(t *testing.T) {
	w := newWorld(t)
	w.process = func(dest.Config, dest.Env) ([]dest.Processor, error) { return []dest.Processor{own{}}, nil }
	w.create("events", func(n *delivery.New) {
		n.Config = dest.Config(strings.Replace(config, "{", `{"Prefix":"k=!{partitionKeyFromQuery:k}/","ErrorOutputPrefix":"failed/!{firehose:error-output-type}/",`+
			`"DynamicPartitioningConfiguration":{"Enabled":true},`, 1))
		n.Config = dest.Config(strings.Replace(string(n.Config), `"SizeInMBs":1`, `"SizeInMBs":64`, 1))
	})
	w.put("events", numbered(0, 503)...)
	w.put("events", numbered(0, 1)...)
	w.flush("events")
	e := w.ledger("events")
	if len(e) != 1 || len(e[0].Objects) != 500 || e[0].Refused != 3 || len(e[0].Errors) != 1 || e[0].Objects[0].Records != 2 {
		t.Errorf("%d objects, %d refused, %+v", len(e[0].Objects), e[0].Refused, e[0].Errors)
	}
}

// own gives every record a partition of its own.
type own struct{}

func (own) Process(_ context.Context, in []dest.Record) ([]dest.Record, []dest.Failure, error) {
	for i := range in {
		in[i].Keys = map[string]string{"query:k": strings.TrimSpace(string(in[i].Data))}
	}
	return in, nil, nil
}
