package brokers

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/log/batch"
	"thalweg/internal/streams"
)

// Where AWS's limits hold, produce and Kinesis puts share a shard's rate.
func TestProduceDrawsOnTheShard(t *testing.T) {
	w := newWorld(t)
	svc := w.cluster.streams
	err := svc.Create(context.Background(), streams.NewStream{Scope: w.cluster.scope, Name: "s", Mode: catalog.Provisioned, Shards: 2,
		Tags: map[string]string{streams.LimitsTag: "aws"}})
	if err != nil {
		t.Fatal(err)
	}
	var b batch.Builder
	for range 400 {
		b.Append(batch.Record{Value: []byte("v"), Timestamp: w.clock.Now().UnixMilli()})
	}
	produce := func(partition int32) Code {
		_, err := w.cluster.Entry(w.cluster.Topic("s"), partition, bytes.Clone(b.Finish()))
		return codeOf(err)
	}
	put := func() error {
		p := svc.NewPut(w.cluster.Topic("s").res)
		defer p.Release()
		for range 200 {
			if _, err := p.Add([]byte("k"), []byte("0"), 0); err != nil {
				t.Fatal(err)
			}
		}
		p.Commit()
		_, err := p.Result(199)
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		wait      time.Duration
		partition int32
		want      Code
	}{{0, 0, OK}, {0, 0, OK}, {0, 0, NotEnoughReplicas}, {0, 1, OK}, {399 * time.Millisecond, 0, NotEnoughReplicas}, {time.Millisecond, 0, OK}} {
		w.clock.Advance(step.wait)
		if got := produce(step.partition); got != step.want {
			t.Errorf("batch %d: code %d, want %d", i, got, step.want)
		}
	}
	if err := put(); err == nil {
		t.Error("a thousand records a second were produced, and more were put")
	}
	w.clock.Advance(200 * time.Millisecond)
	if err := put(); err != nil {
		t.Error(err)
	}
	w.topic("own", 1)
	for range 10 {
		if _, err := w.cluster.Entry(w.cluster.Topic("own"), 0, bytes.Clone(b.Finish())); err != nil {
			t.Errorf("without limits: %v", err)
		}
	}
}

// TestRecordsWithoutKey are told of one by one, as Apache Kafka 4.4.0 does.
func TestRecordsWithoutKey(t *testing.T) {
	w := newWorld(t)
	table := w.topic("table", 1, "cleanup.policy", "compact")
	for codec := range int16(5) {
		var b batch.Builder
		for _, key := range [][]byte{nil, []byte("k"), nil, nil, nil, {}} {
			b.Append(batch.Record{Timestamp: w.clock.Now().UnixMilli(), Key: key, Value: []byte("v")})
		}
		var pack batch.Compressor
		packed, err := pack.Compress(b.Finish(), codec)
		if err != nil {
			t.Fatal(err)
		}
		_, refused := w.cluster.Entry(table, 0, packed)
		const one = "Compacted topic cannot accept message without key in topic partition table-0"
		if codeOf(refused) != InvalidRecord || len(refused.Records) != 4 || refused.Records[1] != (RecordError{2, one}) {
			t.Fatalf("codec %d: %+v", codec, refused)
		}
		want := "One or more records have been rejected due to 4 record errors in total, and only showing the first three errors at most: " +
			"[RecordError(batchIndex=0, message='" + one + "'), RecordError(batchIndex=2, message='" + one + "'), RecordError(batchIndex=3, message='" + one + "')]"
		if refused.Msg != want {
			t.Errorf("codec %d:\n got %s\nwant %s", codec, refused.Msg, want)
		}
	}
}

// TestWhatOnlyServersWrite: a batch of a client has no attribute that says what the
// server alone knows, and no time that is out of range by way of an overflow.
func TestWhatOnlyServersWrite(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 1, "message.timestamp.before.max.ms", "1000")
	for name, try := range map[string]struct {
		attributes uint16
		time       int64
		want       Code
	}{
		"as it should be":                {0, w.clock.Now().UnixMilli(), OK},
		"a time before all others":       {0, math.MinInt64, InvalidTimestamp},
		"the server's time":              {batch.TimestampLogTime, w.clock.Now().UnixMilli(), InvalidTimestamp},
		"when compaction met tombstones": {batch.DeleteHorizon, w.clock.Now().UnixMilli(), InvalidRecord},
	} {
		var b batch.Builder
		b.Append(batch.Record{Timestamp: try.time, Key: []byte("k")})
		raw := bytes.Clone(b.Finish())
		binary.BigEndian.PutUint16(raw[posAttributes:], try.attributes)
		batch.SetCRC(raw)
		if _, err := w.cluster.Entry(topic, 0, raw); codeOf(err) != try.want {
			t.Errorf("%s: code %d, want %d", name, codeOf(err), try.want)
		}
	}
}

// TestMarkersOfTransactionsOwnTopic: a marker where transactional ids are kept is
// refused: the next start could not read them.
func TestMarkersOfTransactionsOwnTopic(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.cluster.Transactions().Init(t.Context(), "t", 1000, -1, -1); err != nil {
		t.Fatal(err)
	}
	for i := range int32(txnPartitions) {
		if err := w.cluster.Transactions().WriteMarker(t.Context(), Marker{Producer: 1}, TransactionsTopic, i); codeOf(err) != InvalidTopic {
			t.Fatalf("%v", err)
		}
	}
	w.restart()
	if _, err := w.cluster.Transactions().Describe(t.Context(), "t"); err != nil {
		t.Error(err)
	}
}
