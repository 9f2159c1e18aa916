package delivery_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thalweg/internal/delivery"
	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
)

// late is a destination that takes nothing while it is down.
type late struct {
	down  atomic.Bool
	taken atomic.Int64
}

func (l *late) Deliver(ctx context.Context, b dest.Batch) (res dest.Result, err error) {
	if l.down.Load() {
		return res, &dest.Error{Code: "Late.Down", Message: "it is down"}
	}
	return res, b.Records(ctx, func(*dest.Record) error { l.taken.Add(1); return nil })
}

func (l *late) spec() dest.Spec {
	return dest.Spec{Kind: "Late", ErrorType: "late-failed", Host: func(dest.Config) string { return "late" },
		Check: func(dest.Config) error { return nil }, Open: func(dest.Config, dest.Env) (dest.Destination, error) { return l, nil }}
}

// What has failed in time goes to the error output alone, though the server dies before
// it is there and the destination is up again then.
func TestFailureIsDecided(t *testing.T) {
	w := newWorld(t)
	to := &late{}
	to.down.Store(true)
	w.kinds["Late"] = to.spec()
	errors := &failing{w: w, err: &dest.Error{Code: "S3.Down", Message: "down"}}
	w.store = errors
	r := w.create("events", func(n *delivery.New) {
		n.Kind = "Late"
		n.Config = dest.Config(`{"RetryOptions":{"DurationInSeconds":0},"BufferingHints":{"SizeInMBs":1,"IntervalInSeconds":60},
			"S3DestinationDescription":{"RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::bucket","ErrorOutputPrefix":"bad/"}}`)
	})
	w.put("events", numbered(0, 5)...)
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return strings.Contains(w.s.Explain(r).Status.Error, "S3.Down") })
	to.down.Store(false)
	w.restart()
	errors.set(nil)
	w.flush("events")
	if n := to.taken.Load(); n != 0 {
		t.Errorf("%d records are delivered, and in the error output", n)
	}
	all, ledger := w.all(), w.ledger("events")
	if len(all) != 1 || strings.Count(all[0].body, `"errorCode":"Late.Down"`) != 5 || len(ledger) != 1 || ledger[0].Outcome != delivery.Failed {
		t.Errorf("objects %v, ledger %+v", all, ledger)
	}
}

// A batch that waits when its delivery stream comes to have a backup is in the backup, as
// the source had it.
func TestBackupOfWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.process = func(dest.Config, dest.Env) ([]dest.Processor, error) { return []dest.Processor{doubler{}}, nil }
	down := &failing{w: w, err: &dest.Error{Code: "S3.Down", Message: "down", Untouched: true}}
	w.store = down
	r := w.create("events")
	w.put("events", "a\n", "b\n")
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
	update(t, w, "1", `{"Prefix":"new/","S3BackupMode":"Enabled","S3BackupDescription":{"RoleARN":"arn:aws:iam::000000000000:role/r",`+
		`"BucketARN":"arn:aws:s3:::bucket","Prefix":"backup/"}}`)
	down.set(nil)
	w.flush("events")
	got := map[string]string{}
	for _, o := range w.all() {
		dir, _, _ := strings.Cut(o.key, "/")
		got[dir] += o.body
	}
	if got["backup"] != "a\nb\n" || len(got) != 2 || len(got["new"]) != len("a 0\na 1\nb 0\nb 1\n") {
		t.Errorf("objects %q", got)
	}
}

// A batch is converted by the version that its table had when it was planned, however
// often it is tried and whatever becomes of the table.
func TestTableIsPinned(t *testing.T) {
	w := newWorld(t)
	var latest atomic.Int64
	latest.Store(1)
	w.tables = func(_ dest.Stream, from convert.Source) ([]convert.Column, string, error) {
		version := from.VersionID
		if version == "LATEST" {
			version = strconv.FormatInt(latest.Load(), 10)
		}
		return []convert.Column{{Name: "v" + version, Type: "int"}}, version, nil
	}
	w.restart()
	down := &failing{w: w, err: &dest.Error{Code: "S3.Down", Message: "down"}}
	w.store = down
	r := w.create("events", func(n *delivery.New) {
		n.Config = dest.Config(`{"RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::bucket",
			"BufferingHints":{"SizeInMBs":64,"IntervalInSeconds":60},"DataFormatConversionConfiguration":{"Enabled":true,
			"SchemaConfiguration":{"RoleARN":"arn:aws:iam::000000000000:role/r","DatabaseName":"d","TableName":"t","Region":"us-east-1","VersionId":"LATEST"},
			"InputFormatConfiguration":{"Deserializer":{"OpenXJsonSerDe":{}}},"OutputFormatConfiguration":{"Serializer":{"ParquetSerDe":{"Compression":"UNCOMPRESSED"}}}}}`)
	})
	w.put("events", `{"v1":1,"v2":2}`)
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
	latest.Store(2)
	w.restart()
	down.set(nil)
	w.flush("events")
	w.put("events", `{"v1":1,"v2":2}`)
	w.flush("events")
	all := w.all()
	if len(all) != 2 {
		t.Fatalf("%d objects", len(all))
	}
	v1 := 0
	for _, o := range all {
		if strings.Contains(o.body, "v1") && !strings.Contains(o.body, "v2") {
			v1++
		}
	}
	if v1 != 1 {
		t.Errorf("%d of 2 objects are by the table's first version", v1)
	}
}
