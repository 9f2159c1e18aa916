package kafkalog

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// What needs a cluster is tested on one, in tests/kafkalog.

func journalBatch(t testing.TB, steps []step) []byte {
	t.Helper()
	var b batch.Builder
	for i := range steps {
		key, err := json.Marshal(&steps[i])
		if err != nil {
			t.Fatal(err)
		}
		b.Append(batch.Record{Key: key, Value: steps[i].batch})
	}
	return b.Finish()
}

var (
	one   = log.PartitionID{Stream: 1, Generation: 2, Index: 3}
	two   = log.PartitionID{Stream: 1, Generation: 2, Index: 4}
	every = []step{
		{Do: log.Create, Partition: one, Config: log.Config{MaxBytes: 5}},
		{Do: log.Data, Partition: one, Offset: 0, batch: sealBatch()},
		{Do: log.Fence, Partition: one, Epoch: 3},
		{Do: log.Configure, Partition: one, Config: log.Config{MaxBytes: 6}},
		{Do: log.Trim, Partition: one, Offset: 1, LastArrival: 9},
		{Do: log.Seal, Partition: one, Offset: 1, LastArrival: 9},
		{Do: log.Create, Partition: two},
		{Do: log.Delete, Partition: two},
	}
)

func TestJournalReadsBack(t *testing.T) {
	got, err := decode(journalBatch(t, every))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(every, got, cmp.AllowUnexported(step{}), cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	l := &Log{parts: map[log.PartitionID]*part{}}
	l.fold(got)
	want := map[log.PartitionID]*part{one: {config: log.Config{MaxBytes: 6}, end: 1, sealed: true, epoch: 3, lastArrival: 9}}
	if d := cmp.Diff(want, l.parts, cmp.AllowUnexported(part{})); d != "" {
		t.Error(d)
	}
	l.fold([]step{{Do: snapshot}, {Do: keep, Partition: two, Offset: 7, Epoch: 2, LastArrival: 4}})
	want = map[log.PartitionID]*part{two: {end: 7, epoch: 2, lastArrival: 4}}
	if d := cmp.Diff(want, l.parts, cmp.AllowUnexported(part{})); d != "" {
		t.Error(d)
	}
}

func TestSealIsKnown(t *testing.T) {
	s := sealBatch()
	if !isSeal(s) {
		t.Error("a seal is not known as one")
	}
	batch.SetBase(s, 1<<40, 7)
	s[22] |= batch.TimestampLogTime
	if !isSeal(s) {
		t.Error("a seal that Kafka has stored is not known as one")
	}
	s[len(s)-5] ^= 1 // in the key
	var longer batch.Builder
	longer.Append(batch.Record{Key: []byte(sealKey), Value: []byte("x")})
	for _, b := range [][]byte{nil, s, s[:len(s)-1], longer.Finish()} {
		if isSeal(b) {
			t.Errorf("%q is taken for a seal", b)
		}
	}
}

// FuzzJournal: any batch is steps or an error, and steps are folded.
func FuzzJournal(f *testing.F) {
	f.Add(journalBatch(f, every))
	f.Add(journalBatch(f, []step{{Do: take}}))
	f.Add(journalBatch(f, []step{{Do: snapshot}, {Do: keep, Partition: two}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		steps, err := decode(b)
		if err != nil {
			return
		}
		l := &Log{parts: map[log.PartitionID]*part{}}
		l.fold(steps)
		if len(l.parts) > len(steps) {
			t.Fatal("more partitions than steps")
		}
	})
}

// FuzzFetched: whatever a broker sends, whole batches come out of it, in its
// order.
func FuzzFetched(f *testing.F) {
	f.Add(append(sealBatch(), sealBatch()...))
	f.Add(append(sealBatch(), sealBatch()[:70]...))
	f.Fuzz(func(t *testing.T, sent []byte) {
		got := batches(&kmsg.FetchResponseTopicPartition{RecordBatches: sent}, log.Uncommitted)
		at := 0
		for _, b := range got.List {
			if !bytes.Equal(b.Bytes, sent[at:at+len(b.Bytes)]) || len(b.Bytes) < batch.HeaderSize {
				t.Fatalf("batch at byte %d is not what was sent", at)
			}
			at += len(b.Bytes)
			isSeal(b.Bytes)
		}
	})
}
