package kafka

import (
	"context"
	"hash/crc32"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/log/batch"
)

func crc(b []byte) uint32 { return crc32.Checksum(b, batch.Castagnoli) }

// fetchOf asks for one partition.
func fetchOf(topic string, offset int64, minBytes, wait, maxBytes int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MinBytes, req.MaxWaitMillis, req.MaxBytes = 12, minBytes, wait, 1<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = offset, maxBytes, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func (r *raw) fetch(req *kmsg.FetchRequest) *kmsg.FetchResponse {
	r.t.Helper()
	r.write(frameOf(req, 1))
	return r.fetched()
}

func (r *raw) fetched() *kmsg.FetchResponse {
	r.t.Helper()
	_, body := r.read()
	resp := &kmsg.FetchResponse{Version: 12}
	if err := resp.ReadFrom(body[1:]); err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// TestFetchWaits: a fetch at the end is answered when a record comes, not before,
// and when its time is over without one.
func TestFetchWaits(t *testing.T) {
	s := newServer(t, 1, nil)
	cl := s.client(t)
	mustCreate(t, cl, "game", 1)
	r := s.raw(t)
	r.write(frameOf(fetchOf("game", 0, 1, 60_000, 1<<20), 1))
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "game", Value: []byte("one")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if p := r.fetched().Topics[0].Partitions[0]; len(p.RecordBatches) == 0 || p.HighWatermark != 1 || p.LogStartOffset != 0 {
		t.Fatalf("%+v", p)
	}
	if p := r.fetch(fetchOf("game", 1, 1, 10, 1<<20)).Topics[0].Partitions[0]; len(p.RecordBatches) != 0 || p.ErrorCode != 0 || p.HighWatermark != 1 {
		t.Fatalf("%+v", p)
	}
	// min_bytes beyond what one record has: the second one completes it.
	r.write(frameOf(fetchOf("game", 1, 100, 60_000, 1<<20), 1))
	for range 2 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "game", Value: []byte("two")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if p := r.fetched().Topics[0].Partitions[0]; p.HighWatermark != 3 {
		t.Fatalf("%+v", p)
	}
}

// TestFetchLimits: the first batch comes whole whatever the limits, later ones
// within them; an offset in the middle of a batch gets the batch.
func TestFetchLimits(t *testing.T) {
	s := newServer(t, 1, nil)
	mustCreate(t, s.client(t), "game", 1)
	r := s.raw(t)
	one := oneBatch("a", "b", "c")
	for range 3 {
		r.write(produceFrame("game", 0, -1, oneBatch("a", "b", "c"), 1))
		r.read()
	}
	for name, tc := range map[string]struct {
		offset  int64
		max     int32
		batches int
	}{
		"one byte":              {0, 1, 1},
		"inside a batch":        {4, 1, 1},
		"two and a half":        {0, int32(len(one) * 5 / 2), 2},
		"all":                   {0, 1 << 20, 3},
		"nothing at the end":    {9, 1 << 20, 0},
		"from the middle on":    {1, 1 << 20, 3},
		"from the last of them": {8, 1 << 20, 1},
	} {
		p := r.fetch(fetchOf("game", tc.offset, 1, 0, tc.max)).Topics[0].Partitions[0]
		if len(p.RecordBatches) != tc.batches*len(one) || p.ErrorCode != 0 {
			t.Errorf("%s: %d bytes, code %d; a batch has %d", name, len(p.RecordBatches), p.ErrorCode, len(one))
		}
	}
	for name, tc := range map[string]struct {
		change func(*kmsg.FetchRequest)
		want   int16
	}{
		"beyond the end":    {func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].FetchOffset = 10 }, 1},
		"negative":          {func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].FetchOffset = -1 }, 1},
		"no such topic":     {func(q *kmsg.FetchRequest) { q.Topics[0].Topic = "none" }, 3},
		"no such partition": {func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].Partition = 7 }, 3},
		"epoch of later":    {func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].CurrentLeaderEpoch = 1000 }, 75},
	} {
		req := fetchOf("game", 0, 1, 60_000, 1<<20)
		tc.change(req)
		if p := r.fetch(req).Topics[0].Partitions[0]; p.ErrorCode != tc.want || len(p.RecordBatches) != 0 {
			t.Errorf("%s: %+v, want %d", name, p, tc.want)
		}
	}
	req := fetchOf("game", 0, 1, 60_000, 1<<20)
	req.SessionID, req.SessionEpoch = 5, 1
	if got := r.fetch(req); got.ErrorCode != 70 {
		t.Errorf("a session: %+v", got)
	}
}

// TestShutdownEndsWaits: a fetch that waits does not hold up a stop.
func TestShutdownEndsWaits(t *testing.T) {
	s := newServer(t, 1, nil)
	mustCreate(t, s.client(t), "game", 1)
	r := s.raw(t)
	r.write(frameOf(fetchOf("game", 0, 1, 300_000, 1<<20), 1))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.door.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}
