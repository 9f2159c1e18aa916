package delivery_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/objstore"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

var crashes = flag.Int("delivery.crashes", 70, "crash points to try of each script")

// TestCrash cuts the power at call after call of scripts of puts and deliveries, with
// log, files and bucket on the same disk. Whatever was acknowledged is delivered after
// it, exactly once and in the order of its partition, in the backup too where there is
// one; what is refused is once in the error output. No object is there that the ledger does
// not know, and one that is put again has the same bytes.
func TestCrash(t *testing.T) {
	for name, script := range map[string]func(*told, *world) bool{
		"put to it": (*told).puts, "of a stream": (*told).stream, "processed": (*told).processed,
		"processed and backed up": (*told).backedUp, "picked from": (*told).picked,
	} {
		t.Run(name, func(t *testing.T) {
			total := 0
			for n := range 3 { // deliveries run beside the script: the number of calls differs
				_, calls := crashRun(t, vfs.NewMem(uint64(n)), script)
				total = max(total, calls)
			}
			if t.Failed() {
				return
			}
			tried := 0
			for at := 1; at < total; at += max(1, total / *crashes) {
				fs := vfs.NewMem(uint64(at))
				fs.Inject(func(op vfs.Op) error {
					if op.N == at {
						return vfs.ErrPowerCut
					}
					return nil
				})
				l, _ := crashRun(t, fs, script)
				l.check(t, at, fs.Crash(uint64(at)))
				tried++
			}
			t.Logf("%d crash points of %d calls", tried, total)
		})
	}
}

// told is what a client was told.
type told struct {
	process, backup bool
	// picky is the destination, where it is not S3.
	picky   *picky
	created bool
	// deleting tells that a channel's deletion was asked for, deleted that it was said to be.
	deleting, deleted bool
	mu                sync.Mutex
	bodies            map[string]string // of objects, by key, as they were put first
	// acked and doubtful are records by partition key, in the order of their puts; a
	// doubtful one was under way when the power went.
	acked, doubtful map[string][]string
}

func crashRun(t *testing.T, fs *vfs.Mem, script func(*told, *world) bool) (*told, int) {
	l := &told{acked: map[string][]string{}, doubtful: map[string][]string{}, bodies: map[string]string{}, picky: &picky{taken: map[string][]string{}}}
	w := l.world(t, fs, start)
	if w.open() == nil {
		script(l, w)
	}
	w.close()
	return l, fs.Calls()
}

// world is one on a disk, that l is told of.
func (l *told) world(t *testing.T, fs *vfs.Mem, now time.Time) *world {
	w := &world{t: t, fs: fs, clock: clock.NewManual(now), kinds: map[string]dest.Spec{"Picky": l.picky.spec()}}
	w.process, w.store = l.stages, putsTold{l, w}
	return w
}

// putsTold holds what is put against what was put under the same name before.
type putsTold struct {
	l *told
	w *world
}

func (p putsTold) Put(ctx context.Context, at objstore.Ref, body io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	whole, err := io.ReadAll(body)
	if err != nil {
		return objstore.Info{}, err
	}
	p.l.mu.Lock()
	was, again := p.l.bodies[at.Key]
	p.l.bodies[at.Key] = string(whole)
	p.l.mu.Unlock()
	if again && was != string(whole) {
		p.w.t.Errorf("object %s is put again with other bytes:\n%q\n%q", at.Key, was, whole)
	}
	return p.w.objects.Put(ctx, at, bytes.NewReader(whole), o)
}

// picky is a destination that outlives the server, knows a batch that it has, and
// refuses what says so for good.
type picky struct {
	mu    sync.Mutex
	taken map[string][]string // by batch
	order []string            // of batches
}

func (p *picky) spec() dest.Spec {
	return dest.Spec{Kind: "Picky", ErrorType: "picky-failed", Host: func(dest.Config) string { return "picky" },
		Check: func(dest.Config) error { return nil }, Open: func(dest.Config, dest.Env) (dest.Destination, error) { return p, nil }}
}

func (p *picky) Deliver(ctx context.Context, b dest.Batch) (res dest.Result, err error) {
	var taken []string
	at := 0
	err = b.Records(ctx, func(r *dest.Record) error {
		if strings.Contains(string(r.Data), "refused") {
			res.Rejected = append(res.Rejected, dest.Rejected{Index: at, Code: "Picky", Message: "it says so", Attempts: 1})
		} else {
			taken = append(taken, strings.TrimSpace(string(r.Data)))
		}
		at++
		return nil
	})
	if err != nil {
		return res, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if was, again := p.taken[b.Plan]; !again {
		p.order = append(p.order, b.Plan)
	} else if !slices.Equal(was, taken) {
		return res, fmt.Errorf("batch %s comes again with other records: %q, %q", b.Plan, was, taken)
	}
	p.taken[b.Plan] = taken
	return res, nil
}

func (l *told) stages(dest.Config, dest.Env) ([]dest.Processor, error) {
	if !l.process {
		return nil, nil
	}
	return []dest.Processor{doubler{}}, nil
}

// doubler makes two records of each, and refuses what says so.
type doubler struct{}

func (doubler) Process(_ context.Context, in []dest.Record) (out []dest.Record, failed []dest.Failure, err error) {
	for _, r := range in {
		if strings.Contains(string(r.Data), "refused") {
			failed = append(failed, dest.Failure{Record: r, Type: "processing-failed", Code: "Refused", Message: "it says so", Attempts: 1})
			continue
		}
		for sub := range 2 {
			c := r
			c.Sub = sub
			c.Data = []byte(fmt.Sprintf("%s %d\n", strings.TrimSpace(string(r.Data)), sub))
			c.Keys = map[string]string{"query:k": fmt.Sprint(sub)}
			out = append(out, c)
		}
	}
	return out, failed, nil
}

// puts has records put to a delivery stream of its own.
func (l *told) puts(w *world) bool {
	if !l.make(w, delivery.New{Type: delivery.DirectPut}) {
		return false
	}
	for i := range 8 {
		var batch []string
		for j := range 3 {
			batch = append(batch, fmt.Sprintf("own %02d.%d\n", i, j))
		}
		if i == 3 && (l.process || l.backup) {
			batch = append(batch, "refused\n")
		}
		_, err := w.s.Put(context.Background(), scope, "events", bytesOf(batch), delivery.Call{Principal: "p", Invocation: fmt.Sprint(i)})
		if !l.tell("own", batch, err) {
			return false
		}
		if i%3 == 2 && !l.settle(w) {
			return false
		}
	}
	return l.settle(w)
}

func (l *told) processed(w *world) bool {
	l.process = true
	return l.puts(w)
}

func (l *told) backedUp(w *world) bool {
	l.process, l.backup = true, true
	return l.puts(w)
}

// picked has the destination refuse a record, not a stage.
func (l *told) picked(w *world) bool {
	l.backup = true
	return l.puts(w)
}

// stream has a Kinesis stream delivered, through a split and a merge.
func (l *told) stream(w *world) bool {
	ctx := context.Background()
	if w.streams.Create(ctx, streams.NewStream{Scope: scope, Name: "source", Mode: catalog.Provisioned, Shards: 2}) != nil {
		return false
	}
	r, err := w.streams.Lookup(scope, "source")
	if err != nil {
		return false
	}
	if !l.make(w, delivery.New{Type: delivery.KinesisSource, Source: &catalog.DeliverySource{ARN: r.ARN, Stream: r.Stream.Number}}) {
		return false
	}
	for i := range 8 {
		switch i {
		case 3:
			if w.streams.Split(ctx, scope, "source", "shardId-000000000000", "1000") != nil {
				return false
			}
		case 6:
			if w.streams.Merge(ctx, scope, "source", "shardId-000000000002", "shardId-000000000003") != nil {
				return false
			}
		}
		for _, key := range []string{"a", "b", "c", "d"} {
			if !l.putTo(w, key, fmt.Sprintf("%s %02d\n", key, i)) {
				return false
			}
		}
		if i%3 == 2 && !l.settle(w) {
			return false
		}
	}
	return l.settle(w)
}

func (l *told) putTo(w *world, key, record string) bool {
	r, err := w.streams.Lookup(scope, "source")
	if err != nil {
		return false
	}
	p := w.streams.NewPut(r)
	defer p.Release()
	dst, err := p.Add([]byte(key), nil, len(record))
	if err != nil {
		return false
	}
	copy(dst, record)
	p.Commit()
	_, err = p.Result(0)
	return l.tell(key, []string{record}, err)
}

func (l *told) make(w *world, n delivery.New) bool {
	n.Scope, n.Name, n.Kind, n.Config = scope, "events", "ExtendedS3", dest.Config(config)
	if l.process {
		n.Config = dest.Config(strings.Replace(config, "{", `{"Prefix":"k=!{partitionKeyFromQuery:k}/","ErrorOutputPrefix":"failed/!{firehose:error-output-type}/",`+
			`"DynamicPartitioningConfiguration":{"Enabled":true},`, 1))
		n.Config = dest.Config(strings.Replace(string(n.Config), `"SizeInMBs":1`, `"SizeInMBs":64`, 1))
	}
	const backup = `"BucketARN":"arn:aws:s3:::bucket","RoleARN":"arn:aws:iam::000000000000:role/r","Prefix":"backup/"`
	switch {
	case l.backup && l.process:
		n.Config = dest.Config(strings.Replace(string(n.Config), "{", `{"S3BackupMode":"Enabled","S3BackupDescription":{`+backup+`},`, 1))
	case l.backup:
		n.Kind = "Picky"
		n.Config = dest.Config(strings.Replace(config, "{", `{"S3BackupMode":"AllData","S3DestinationDescription":{`+backup+`,"ErrorOutputPrefix":"failed/"},`, 1))
	}
	_, err := w.s.Create(context.Background(), n)
	l.created = err == nil
	return l.created
}

func (l *told) tell(key string, records []string, err error) bool {
	if err != nil {
		l.doubtful[key] = append(l.doubtful[key], records...)
		return false
	}
	l.acked[key] = append(l.acked[key], records...)
	return true
}

// settle has everything delivered, unless the power has gone.
func (l *told) settle(w *world) bool {
	r, err := w.s.Lookup(scope, "events")
	if err != nil {
		return false
	}
	return w.awaits(r, w.s.Flush)
}

// awaits has the clock move until wait returns, and reports whether it did before the disk
// was gone.
func (w *world) awaits(r *catalog.Resource, wait func(context.Context, *catalog.Resource) error) bool {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wait(ctx, r) }()
	defer cancel()
	deadline := time.After(time.Minute)
	for {
		select {
		case err := <-done:
			return err == nil
		case <-time.After(2 * time.Millisecond):
			if _, err := w.fs.Stat("data"); err != nil || !w.log.State().Writable {
				cancel()
				<-done
				return false
			}
			w.clock.Advance(time.Second) // what failed is tried again
		case <-deadline:
			w.t.Errorf("not delivered: %+v", w.s.Explain(r))
			cancel()
			<-done
			return false
		}
	}
}

// check starts again after the crash, has everything delivered, and compares.
func (l *told) check(t *testing.T, at int, fs *vfs.Mem) {
	t.Helper()
	w := l.world(t, fs, start.Add(time.Hour))
	if err := w.open(); err != nil {
		t.Fatalf("crash at call %d: open: %v", at, err)
	}
	defer w.close()
	if _, err := w.s.Lookup(scope, "events"); err != nil {
		if l.created {
			t.Errorf("crash at call %d: the delivery stream is gone", at)
		}
		return
	}
	if !l.settle(w) {
		t.Fatalf("crash at call %d: not delivered after it", at)
	}
	got := map[string][]string{}
	subs := map[string][]string{}
	refused := 0
	for _, line := range w.delivered("events") {
		if strings.HasPrefix(line, "{") {
			refused++
			continue
		}
		f := strings.Fields(line)
		if l.process && len(f) == 3 {
			subs[f[2]] = append(subs[f[2]], f[0]+" "+f[1])
			continue
		}
		got[f[0]] = append(got[f[0]], line)
	}
	if l.process {
		if !slices.Equal(subs["0"], subs["1"]) {
			t.Errorf("crash at call %d: the halves differ:\n%q\n%q", at, subs["0"], subs["1"])
		}
	}
	if l.backup { // what was put is there, and delivered too
		backup := got["own"]
		if n := len(got["refused"]); n != refused {
			t.Errorf("crash at call %d: refused records: %d in the backup, %d in the error output", at, n, refused)
		}
		got["own"] = nil
		for _, plan := range l.picky.order {
			got["own"] = append(got["own"], l.picky.taken[plan]...)
		}
		if l.process {
			got["own"] = subs["0"]
		}
		if !slices.Equal(backup, got["own"]) {
			t.Errorf("crash at call %d: the backup differs: %s", at, difference(backup, got["own"]))
		}
	} else if l.process {
		got["own"] = subs["0"]
	}
	for key := range l.acked {
		want := without(trimmed(l.acked[key]), "refused")
		lines := got[key]
		if len(lines) > len(want) && slices.Equal(lines[len(want):], without(trimmed(l.doubtful[key]), "refused")) {
			lines = lines[:len(want)]
		}
		if !slices.Equal(lines, want) {
			t.Errorf("crash at call %d: key %s: %s", at, key, difference(lines, want))
		}
	}
}

func without(list []string, what string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == what })
}
