package disk_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thalweg/internal/clock"
	"thalweg/internal/identity"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rawBatch makes a valid record batch whose records are opaque bytes.
func rawBatch(count int, body []byte) []byte {
	return producerBatch(count, body, -1, -1, -1, 0)
}

func producerBatch(count int, body []byte, pid int64, epoch int16, seq int32, attributes uint16) []byte {
	b := make([]byte, batch.HeaderSize+len(body))
	copy(b[batch.HeaderSize:], body)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], attributes)
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	binary.BigEndian.PutUint64(b[43:], uint64(pid))
	binary.BigEndian.PutUint16(b[51:], uint16(epoch))
	binary.BigEndian.PutUint32(b[53:], uint32(seq))
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], batch.Castagnoli))
	return b
}

// marker is a control batch that ends a transaction.
func marker(pid int64, epoch int16, commit bool) []byte {
	kind := byte(0)
	if commit {
		kind = 1
	}
	// length, attributes, timestamp delta, offset delta, key length, key, value length, headers
	record := []byte{0, 0, 0, 0, 8, 0, 0, 0, kind, 1, 0}
	record[0] = byte((len(record) - 1) << 1)
	return producerBatch(1, record, pid, epoch, -1, batch.Transactional|batch.Control)
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func pid(stream uint64) log.PartitionID { return log.PartitionID{Stream: stream} }

func create(p log.PartitionID, cfg log.Config) log.Request {
	return log.Request{Entries: []log.Entry{{Kind: log.Create, Partition: p, Config: cfg}}}
}

func data(p log.PartitionID, b []byte) log.Request {
	return log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: p, Batch: b}}}
}

// open opens a log for a test, with small sizes and no goroutines.
func open(t testing.TB, fsys vfs.FS, change func(*disk.Options)) *disk.Log {
	t.Helper()
	l, err := tryOpen(fsys, change)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func tryOpen(fsys vfs.FS, change func(*disk.Options)) (*disk.Log, error) {
	o := disk.Options{
		FS: fsys, Dir: "/d", Clock: clock.NewManual(start), Manual: true,
		WALFileBytes: 16 << 10, SegmentBytes: 32 << 10, FlushBytes: 4 << 10, TailBytes: 64 << 10, IndexBytes: 512,
		ManifestBytes: 4 << 10, SyncBytes: 8 << 10, PackRuns: 4, OpenFiles: 4,
	}
	if change != nil {
		change(&o)
	}
	return disk.Open(context.Background(), o)
}

func must(t testing.TB, l log.Log, req log.Request) []log.Result {
	t.Helper()
	rs, err := log.Do(l, req)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func closeLog(t testing.TB, l *disk.Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// readAll returns everything from the start of p.
func readAll(t testing.TB, l log.Log, p log.PartitionID, maxBytes int) []log.Batch {
	t.Helper()
	in, err := l.Info(p)
	if err != nil {
		t.Fatal(err)
	}
	var out []log.Batch
	for at := in.Start; at < in.End; {
		b, err := l.Read(p, at, maxBytes, log.Uncommitted)
		if err != nil {
			t.Fatalf("read %v at %d: %v", p, at, err)
		}
		if len(b.List) == 0 {
			t.Fatalf("read %v at %d: nothing below %d", p, at, in.End)
		}
		for _, x := range b.List {
			x.Bytes = append([]byte(nil), x.Bytes...)
			out = append(out, x)
			at = x.Base + int64(x.Count)
		}
		b.Release()
	}
	return out
}

// signed writes a producer into a batch.
func signed(b []byte, pid int64, seq int32, attributes uint16) []byte {
	binary.BigEndian.PutUint16(b[21:], attributes)
	binary.BigEndian.PutUint64(b[43:], uint64(pid))
	binary.BigEndian.PutUint16(b[51:], 0)
	binary.BigEndian.PutUint32(b[53:], uint32(seq))
	batch.SetCRC(b)
	return b
}

func keystore(t testing.TB) *identity.Keystore {
	t.Helper()
	return identity.NewKeystore()
}
