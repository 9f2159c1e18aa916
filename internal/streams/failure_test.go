package streams_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/gzip"

	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/streams"
)

// refusingLog refuses data with an error.
type refusingLog struct {
	log.Log
	err error
}

func (l *refusingLog) Append(req log.Request, done func([]log.Result)) {
	if l.err == nil || req.Entries[0].Kind != log.Data || req.Entries[0].Partition.Stream == 0 {
		l.Log.Append(req, done)
		return
	}
	out := make([]log.Result, len(req.Entries))
	for i := range out {
		out[i].Err = l.err
	}
	done(out)
}

func TestPutErrors(t *testing.T) {
	refusing := &refusingLog{}
	w := newWorld(t)
	refusing.Log = w.log
	w.opts.Log = refusing
	var err error
	if w.svc, err = streams.New(w.opts); err != nil {
		t.Fatal(err)
	}
	r := w.create("s", 1)
	for _, c := range []struct {
		err  error
		kind errs.Kind
	}{
		{log.ErrOverloaded, errs.Throttled}, {log.ErrNoSpace, errs.NoSpace}, {log.ErrReadOnly, errs.ReadOnly},
		{log.ErrNotFound, errs.NotFound}, {log.ErrClosed, errs.Internal}, {nil, errs.Internal},
	} {
		refusing.err = c.err
		p := w.svc.NewPut(r)
		if _, err := p.Add([]byte("k"), nil, 0); err != nil {
			t.Fatal(err)
		}
		p.Commit()
		if _, err := p.Result(0); (err == nil) != (c.err == nil) || err != nil && errs.KindOf(err) != c.kind {
			t.Errorf("%v: %v", c.err, err)
		}
		p.Release()
	}
	if got, _, _ := w.get(w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon}), 10); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
}

// A stream that goes while a put is on its way takes the put with it.
func TestDeletedMeanwhile(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	pos := w.at(r, 0, streams.StartingAt{Type: streams.Latest})
	p := w.svc.NewPut(r)
	defer p.Release()
	if _, err := p.Add([]byte("k"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
		t.Fatal(err)
	}
	p.Commit()
	if _, err := p.Result(0); errs.KindOf(err) != errs.NotFound {
		t.Errorf("put: %v", err)
	}
	if _, err := w.svc.Get(pos, 1); errs.KindOf(err) != errs.NotFound {
		t.Errorf("get: %v", err)
	}
}

// raw appends a batch as a Kafka producer would.
func (w *world) raw(p log.PartitionID, b []byte) {
	w.t.Helper()
	if _, err := log.Do(w.log, log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: p, Batch: b}}}); err != nil {
		w.t.Fatal(err)
	}
}

// producerBatch is a batch of one record with producer fields and attributes.
func producerBatch(r batch.Record, attributes uint16, producer int64, sequence int32) []byte {
	var builder batch.Builder
	builder.Append(r)
	b := bytes.Clone(builder.Finish())
	binary.BigEndian.PutUint16(b[21:], attributes)
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint16(b[51:], 0)
	binary.BigEndian.PutUint32(b[53:], uint32(sequence))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], batch.Castagnoli))
	return b
}

// Records of an open transaction wait, those of an aborted one never show, and
// neither do the markers; a compressed batch shows as any other.
func TestTransactionsAndCompression(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	p := r.Stream.PartitionOf(0)
	txn := func(value string, producer int64, sequence int32) {
		w.raw(p, producerBatch(batch.Record{Key: []byte("k"), Value: []byte(value)}, batch.Transactional, producer, sequence))
	}
	marker := func(commit byte, producer int64) { // version 0, type; version 0, coordinator epoch
		w.raw(p, producerBatch(batch.Record{Key: []byte{0, 0, 0, commit}, Value: make([]byte, 6)},
			batch.Transactional|batch.Control, producer, -1))
	}
	start := w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon})
	check := func(want string) {
		t.Helper()
		if got, _, behind := w.get(start, 100); datas(got) != want || behind != 0 {
			t.Errorf("%q behind %d, want %q", datas(got), behind, want)
		}
	}
	w.put(r, rec{key: "k", data: "a"})
	txn("aborted", 7, 0)
	w.put(r, rec{key: "k", data: "b"})
	check("a")
	if pos := w.at(r, 0, streams.StartingAt{Type: streams.Latest}); pos.Offset != 1 {
		t.Errorf("LATEST with an open transaction is %d", pos.Offset)
	}
	marker(0, 7)
	check("a b")
	txn("committed", 8, 0)
	marker(1, 8)
	check("a b committed")

	var builder batch.Builder
	builder.Append(batch.Record{Key: []byte("k"), Value: []byte("packed")})
	builder.Append(batch.Record{Key: []byte("k"), Value: []byte("too")})
	plain := builder.Finish()
	packed := bytes.NewBuffer(bytes.Clone(plain[:batch.HeaderSize]))
	z := gzip.NewWriter(packed)
	z.Write(plain[batch.HeaderSize:])
	z.Close()
	b := packed.Bytes()
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint16(b[21:], 1)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], batch.Castagnoli))
	w.raw(p, b)
	check("a b committed packed too")
}

// TestLargeBatchesDrawOnMemory: what a batch of some kilobytes becomes is drawn on the
// budget while a page shows it, and asked for again where there is no room.
func TestLargeBatchesDrawOnMemory(t *testing.T) {
	budget := limits.NewBudget(256 << 20)
	w := newWorld(t, func(o *streams.Options) { o.Memory = budget })
	r := w.create("s", 1)
	var builder batch.Builder
	for range 8 {
		builder.Append(batch.Record{Key: []byte("k"), Value: make([]byte, 1<<20)})
	}
	var pack batch.Compressor
	packed, err := pack.Compress(builder.Finish(), 4)
	if err != nil {
		t.Fatal(err)
	}
	w.put(r, rec{key: "k", data: "before"})
	w.raw(r.Stream.PartitionOf(0), bytes.Clone(packed))
	idle := budget.Used()
	start := w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon})
	page, err := w.svc.Get(start, 5)
	if err != nil {
		t.Fatal(err)
	}
	for page.Next() {
	}
	if held := budget.Used() - idle; page.Count() != 5 || held < 8<<20 {
		t.Errorf("%d records, %d bytes are drawn", page.Count(), held)
	}
	page.Close()
	if held := budget.Used() - idle; held > 1<<20 {
		t.Errorf("%d bytes are not given back", held)
	}
	spent := budget.Max() - budget.Used() - 32<<20
	budget.Take(spent)
	defer budget.Release(spent)
	got, pos, _ := w.get(start, 5)
	if datas(got) != "before" {
		t.Fatalf("without memory: %d records", len(got))
	}
	page, err = w.svc.Get(pos, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	if page.Next() || errs.KindOf(page.Err()) != errs.Throttled {
		t.Errorf("without memory: %v", page.Err())
	}
}

// What cannot be read ends a page and is an error where one begins; it is never
// passed over in silence.
func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.put(r, rec{key: "k", data: "a"})
	bad := producerBatch(batch.Record{Value: []byte("no gzip")}, 1, -1, -1)
	binary.BigEndian.PutUint16(bad[51:], 0xFFFF)
	binary.BigEndian.PutUint32(bad[17:], crc32.Checksum(bad[21:], batch.Castagnoli))
	w.raw(r.Stream.PartitionOf(0), bad)
	got, pos, _ := w.get(w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon}), 10)
	if datas(got) != "a" || pos.Offset != 1 {
		t.Fatalf("%q at %d", datas(got), pos.Offset)
	}
	page, err := w.svc.Get(pos, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	if page.Next() || errs.KindOf(page.Err()) != errs.Corrupt {
		t.Errorf("%v", page.Err())
	}
}
