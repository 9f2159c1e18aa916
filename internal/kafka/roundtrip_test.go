package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestRoundTrip: what a client produces, compressed or not, with or without
// idempotence, it reads back in order, from the offsets it was told.
func TestRoundTrip(t *testing.T) {
	for name, opts := range map[string][]kgo.Opt{
		"plain, idempotent": {kgo.ProducerBatchCompression(kgo.NoCompression())},
		"gzip":              {kgo.ProducerBatchCompression(kgo.GzipCompression())},
		"snappy":            {kgo.ProducerBatchCompression(kgo.SnappyCompression())},
		"lz4":               {kgo.ProducerBatchCompression(kgo.Lz4Compression())},
		"zstd":              {kgo.ProducerBatchCompression(kgo.ZstdCompression())},
		"acks 1":            {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, 1, nil)
			roundTrip(t, s, opts)
		})
	}
}

func TestThreeBrokers(t *testing.T) {
	s := newServer(t, 3, nil)
	roundTrip(t, s, nil)
}

func roundTrip(t *testing.T, s *server, opts []kgo.Opt) {
	const records, partitions = 2000, 4
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	admin := s.client(t)
	mustCreate(t, admin, "game", partitions)
	producer := s.client(t, append(opts, kgo.DefaultProduceTopic("game"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	want := map[int32][]string{}
	for i := range records {
		p := int32(i % partitions)
		v := fmt.Sprintf("move %d", i)
		want[p] = append(want[p], v)
		producer.Produce(ctx, &kgo.Record{Partition: p, Key: []byte("ada"), Value: []byte(v), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}}},
			func(r *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce: %v", err)
				}
			})
	}
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	consumer := s.client(t, kgo.ConsumeTopics("game"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	got := map[int32][]string{}
	for n := 0; n < records; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset != int64(len(got[r.Partition])) {
				t.Fatalf("partition %d: offset %d, want %d", r.Partition, r.Offset, len(got[r.Partition]))
			}
			if string(r.Key) != "ada" || len(r.Headers) != 1 {
				t.Fatalf("record is %+v", r)
			}
			got[r.Partition] = append(got[r.Partition], string(r.Value))
			n++
		})
	}
	for p, list := range want {
		for i, v := range list {
			if got[p][i] != v {
				t.Fatalf("partition %d, offset %d: %q, want %q", p, i, got[p][i], v)
			}
		}
	}
}
