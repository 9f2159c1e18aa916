package kafkalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/kafkalog"
	"thalweg/internal/log/logtest"
)

// except are the tests of the suite that do not map to Apache Kafka. Each reason
// has its part in refusals.
var except = logtest.Except{
	"batch/offsets follow the batch's last delta, not its record count": "Kafka refuses a batch with holes",
	"time": "arrivals are Kafka's clock, which a test cannot set; see arrivals",
	"keys": "Kafka cannot encrypt what it stores",
	"producers/a refused batch does not advance the sequence": "a producer's batch is not taken in an atomic append",
	"transactions": "only Kafka's coordinator begins and ends transactions; see transactions",
}

const maxBatch = 2 << 20

func TestOnApacheKafka(t *testing.T) {
	addr, kill := start(t)
	t.Run("conformance", func(t *testing.T) { conformance(t, addr) })
	t.Run("refusals", func(t *testing.T) { refusals(t, addr) })
	t.Run("arrivals", func(t *testing.T) { arrivals(t, addr) })
	t.Run("transactions", func(t *testing.T) { transactions(t, addr) })
	t.Run("compaction", func(t *testing.T) { compaction(t, addr) })
	t.Run("taken over", func(t *testing.T) { takenOver(t, addr) })
	t.Run("unfinished", func(t *testing.T) { unfinished(t, addr) })
	t.Run("broker gone", func(t *testing.T) { brokerGone(t, addr, kill) })
}

// options are those of a log that nobody else has.
func options(t *testing.T, addr string) kafkalog.Options {
	name := fmt.Sprintf("t%08x", crc32.ChecksumIEEE([]byte(t.Name())))
	return kafkalog.Options{Brokers: []string{addr}, Prefix: name, MaxBatchBytes: maxBatch, Clock: clock.System()}
}

func open(t *testing.T, opts kafkalog.Options) *kafkalog.Log {
	t.Helper()
	l, err := kafkalog.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}

func conformance(t *testing.T, addr string) {
	for name := range except {
		if !slices.Contains(logtest.Names(), name) {
			t.Errorf("the suite has no %q to except", name)
		}
	}
	opener := func(t *testing.T) logtest.Harness {
		opts := options(t, addr)
		l := open(t, opts)
		return logtest.Harness{Log: l, MaxBatch: maxBatch, Stamps: true, Reopen: func(t *testing.T) log.Log {
			if err := l.Close(context.Background()); err != nil {
				t.Errorf("close: %v", err)
			}
			l = open(t, opts)
			return l
		}}
	}
	logtest.Run(t, opener, except)
	logtest.RunProducers(t, opener, except)
	logtest.RunKeys(t, opener, except)
}

func part(index uint32) log.PartitionID {
	return log.PartitionID{Stream: 7, Generation: 1, Index: index}
}

func create(t *testing.T, l log.Log, n uint32) {
	t.Helper()
	for i := range n {
		do(t, l, log.Entry{Kind: log.Create, Partition: part(i)})
	}
}

func do(t *testing.T, l log.Log, entries ...log.Entry) []log.Result {
	t.Helper()
	rs, err := log.Do(l, log.Request{Entries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func data(p log.PartitionID, b []byte) log.Entry {
	return log.Entry{Kind: log.Data, Partition: p, Batch: bytes.Clone(b)}
}

// refusals holds every exception to what it says: the log refuses, and goes on.
func refusals(t *testing.T, addr string) {
	l := open(t, options(t, addr))
	create(t, l, 1)
	holes := logtest.Batch(2, 20, 1)
	binary.BigEndian.PutUint32(holes[23:], 9)
	batch.SetCRC(holes)
	good := logtest.Batch(1, 20, 1)
	produced := logtest.Produced(1, 5, 0, 0, 0)
	for _, c := range []struct {
		name string
		req  log.Request
		want error
	}{
		{"holes", log.Request{Entries: []log.Entry{data(part(0), holes)}}, log.ErrInvalidBatch},
		{"holes, atomic", log.Request{Atomic: true, Entries: []log.Entry{data(part(0), good), data(part(0), holes)}}, log.ErrInvalidBatch},
		{"key", log.Request{Entries: []log.Entry{{Kind: log.Configure, Partition: part(0), Config: log.Config{KeyID: 1}}}}, errs.New(errs.Unsupported, "")},
		{"key of a new partition", log.Request{Entries: []log.Entry{{Kind: log.Create, Partition: part(1), Config: log.Config{KeyID: 1}}}}, errs.New(errs.Unsupported, "")},
		{"producer, atomic", log.Request{Atomic: true, Entries: []log.Entry{data(part(0), good), data(part(0), produced)}}, errs.New(errs.Unsupported, "")},
		{"transactional", log.Request{Entries: []log.Entry{data(part(0), logtest.Produced(1, 5, 0, 0, batch.Transactional))}}, errs.New(errs.Unsupported, "")},
		{"marker", log.Request{Entries: []log.Entry{data(part(0), logtest.Marker(5, 0, true))}}, errs.New(errs.Unsupported, "")},
	} {
		_, err := log.Do(l, c.req)
		if !errors.Is(err, c.want) && errs.KindOf(err) != errs.KindOf(c.want) || err == nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if info, err := l.Info(part(0)); err != nil || info.End != 0 || !l.State().Writable {
		t.Errorf("%+v, %v, %+v", info, err, l.State())
	}
	if r := do(t, l, data(part(0), good))[0]; r.Offset != 0 {
		t.Errorf("append after the refusals: %+v", r)
	}
}

// arrivals: what an append was told, a read and a search by time say too.
func arrivals(t *testing.T, addr string) {
	opts := options(t, addr)
	l := open(t, opts)
	create(t, l, 1)
	before := clock.Millis(opts.Clock)
	var acks []log.Result
	for i := range 50 {
		acks = append(acks, do(t, l, data(part(0), logtest.Batch(2, 100, uint64(i))))[0])
	}
	after := clock.Millis(opts.Clock)
	check := func() {
		t.Helper()
		got, err := l.Read(part(0), 0, 1<<20, log.Uncommitted)
		if err != nil || len(got.List) != len(acks) {
			t.Fatalf("%d batches, %v", len(got.List), err)
		}
		for i, a := range acks {
			if a.Arrival < before || a.Arrival > after || got.List[i].Arrival != a.Arrival {
				t.Errorf("arrival %d, read as %d, sent between %d and %d", a.Arrival, got.List[i].Arrival, before, after)
			}
			first := slices.IndexFunc(acks, func(b log.Result) bool { return b.Arrival >= a.Arrival })
			if offset, at, err := l.OffsetForTime(part(0), a.Arrival); err != nil || offset != acks[first].Offset || at != a.Arrival {
				t.Errorf("offset for %d: %d at %d, %v; want %d", a.Arrival, offset, at, err, acks[first].Offset)
			}
		}
		info, err := l.Info(part(0))
		if err != nil || info.FirstArrival != acks[0].Arrival || info.LastArrival != acks[49].Arrival {
			t.Errorf("%+v, %v", info, err)
		}
		if offset, at, err := l.OffsetForTime(part(0), acks[49].Arrival+1); err != nil || offset != 100 || at != -1 {
			t.Errorf("after the last arrival: %d at %d, %v", offset, at, err)
		}
	}
	check()
	do(t, l, log.Entry{Kind: log.Seal, Partition: part(0)})
	check()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l = open(t, opts)
	check()
}

// transactions: what Kafka's own clients abort is named to committed readers.
func transactions(t *testing.T, addr string) {
	opts := options(t, addr)
	l := open(t, opts)
	create(t, l, 1)
	topic := opts.Prefix + "." + part(0).String()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID(opts.Prefix), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		info, err := l.Info(part(0))
		if err != nil || info.Stable >= info.End {
			t.Errorf("with an open transaction: %+v, %v", info, err)
		}
		if _, err := log.Do(l, log.Request{Entries: []log.Entry{{Kind: log.Seal, Partition: part(0)}}}); !errors.Is(err, log.ErrInTransaction) {
			t.Errorf("seal with an open transaction: %v", err)
		}
		if err := cl.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		marker := l.Watch([]log.Position{{Partition: part(0), Offset: int64(2*i + 1)}}, 1)
		select {
		case <-marker.C:
		case <-t.Context().Done():
			t.Fatal("no marker")
		}
		marker.Stop()
	}
	got, err := l.Read(part(0), 0, 1<<20, log.Committed)
	if err != nil || len(got.List) != 4 || got.Stable != got.End || len(got.Aborted) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	h, err := batch.ParseHeader(got.List[0].Bytes)
	if a := got.Aborted[0]; err != nil || a.ProducerID != h.ProducerID || a.FirstOffset != 0 || a.LastOffset < 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if r := do(t, l, data(part(0), logtest.Batch(1, 10, 1)))[0]; r.Offset != 4 || r.Duplicate {
		t.Errorf("append behind what others wrote: %+v", r)
	}
}

// takenOver: of two processes on one log, the first may still append, but changes
// nothing, and acknowledges nothing behind a seal of the second.
func takenOver(t *testing.T, addr string) {
	opts := options(t, addr)
	first := open(t, opts)
	create(t, first, 2)
	b := logtest.Batch(1, 10, 1)
	do(t, first, data(part(0), b))
	second := open(t, opts)
	do(t, first, data(part(0), b))
	if r := do(t, second, data(part(0), b))[0]; r.Offset != 2 || r.Duplicate {
		t.Errorf("append of the second: %+v", r)
	}
	if r := do(t, second, log.Entry{Kind: log.Seal, Partition: part(0)})[0]; r.Offset != 3 {
		t.Errorf("seal: %+v", r)
	}
	if _, err := log.Do(first, log.Request{Entries: []log.Entry{data(part(0), b)}}); !errors.Is(err, log.ErrSealed) {
		t.Errorf("append of the first behind the seal: %v", err)
	}
	for _, l := range []log.Log{first, second} {
		got, err := l.Read(part(0), 0, 1<<20, log.Uncommitted)
		if err != nil || got.End != 3 || len(got.List) != 3 {
			t.Errorf("%d batches to %d, %v; want 3 to 3", len(got.List), got.End, err)
		}
	}
	under := data(part(1), b)
	under.ExpectedEpoch = do(t, second, log.Entry{Kind: log.Fence, Partition: part(1)})[0].Epoch
	if _, err := log.Do(first, log.Request{Entries: []log.Entry{under}}); !errors.Is(err, log.ErrFenced) {
		t.Errorf("append of the first under an epoch: %v", err)
	}
	if first.State().Writable {
		t.Error("a log that was taken over says that it takes writes")
	}
	if info, err := second.Info(part(1)); err != nil || info.End != 0 {
		t.Errorf("what was fenced is there: %+v, %v", info, err)
	}
	do(t, second, under, log.Entry{Kind: log.Create, Partition: part(2)})
}

// unfinished: what the journal says has happened, whatever of it was done before
// the process died. The journal's batch and the steps that were done are written by
// hand.
func unfinished(t *testing.T, addr string) {
	for done := range 6 {
		t.Run(fmt.Sprintf("%d steps done", done), func(t *testing.T) {
			opts := options(t, addr)
			l := open(t, opts)
			create(t, l, 3)
			b := logtest.Batch(2, 10, 1)
			do(t, l, data(part(0), b), data(part(2), b))
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			steps := []log.Entry{
				{Kind: log.Create, Partition: part(9)}, data(part(9), b), data(part(9), b), data(part(0), b),
				{Kind: log.Seal, Partition: part(0)}, {Kind: log.Trim, Partition: part(1), Offset: 0}, {Kind: log.Delete, Partition: part(2)},
			}
			h := byHand(t, addr, opts.Prefix)
			h.journal(steps, []int64{0, 0, 2, 2, 4, 0, 0})
			for _, e := range steps[:done] {
				h.do(e)
			}
			for range 2 { // opening once more changes nothing
				l = open(t, opts)
				for p, want := range map[log.PartitionID]int{part(9): 2, part(0): 2, part(1): 0} {
					got, err := l.Read(p, 0, 1<<20, log.Uncommitted)
					if err != nil || len(got.List) != want || got.End != int64(2*want) {
						t.Errorf("%v: %d batches to %d, %v; want %d", p, len(got.List), got.End, err, want)
					}
				}
				if _, err := log.Do(l, log.Request{Entries: []log.Entry{data(part(0), b)}}); !errors.Is(err, log.ErrSealed) {
					t.Errorf("append to the sealed partition: %v", err)
				}
				if got := l.Partitions(); !slices.Equal(got, []log.PartitionID{part(0), part(1), part(9)}) {
					t.Errorf("partitions %v", got)
				}
			}
			if r := do(t, l, data(part(9), b))[0]; r.Offset != 4 {
				t.Errorf("next append: %+v", r)
			}
		})
	}
}

// brokerGone: an append of which nobody can tell what became of it is the last.
func brokerGone(t *testing.T, addr string, kill func()) {
	l := open(t, options(t, addr))
	create(t, l, 1)
	do(t, l, data(part(0), logtest.Batch(1, 10, 1)))
	kill()
	for range 2 {
		_, err := log.Do(l, log.Request{Entries: []log.Entry{data(part(0), logtest.Batch(1, 10, 2))}})
		if !errors.Is(err, log.ErrReadOnly) {
			t.Errorf("append without a broker: %v", err)
		}
	}
	if st := l.State(); st.Writable || st.Reason == "" {
		t.Errorf("%+v", st)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

// hand is a client that writes what a log would have written.
type hand struct {
	*testing.T
	cl     *kgo.Client
	prefix string
}

func byHand(t *testing.T, addr, prefix string) hand {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Produce), 12)
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.MaxVersions(versions))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return hand{t, cl, prefix}
}

// produce appends one batch to a topic and returns its offset.
func (h hand) produce(topic string, b []byte) int64 {
	h.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = b
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := h.cl.Broker(1).Request(h.Context(), req)
	if err != nil {
		h.Fatal(err)
	}
	p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		h.Fatalf("produce to %s: %v", topic, err)
	}
	return p.BaseOffset
}

// journal appends a request to the journal, as the process that owns it would.
func (h hand) journal(entries []log.Entry, landsAt []int64) {
	h.Helper()
	var b batch.Builder
	for i, e := range entries {
		key, err := json.Marshal(map[string]any{
			"Do": e.Kind, "Owner": h.owner(), "Partition": e.Partition, "Offset": landsAt[i], "Config": e.Config,
		})
		if err != nil {
			h.Fatal(err)
		}
		b.Append(batch.Record{Key: key, Value: e.Batch})
	}
	h.produce(h.prefix+".journal", b.Finish())
}

// owner reads from the journal whose it is.
func (h hand) owner() int64 {
	h.Helper()
	seeds := h.cl.OptValue(kgo.SeedBrokers).([]string)
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(h.prefix+".journal"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		h.Fatal(err)
	}
	defer cl.Close()
	var step struct{ Owner int64 }
	rs := cl.PollRecords(h.Context(), 1).Records()
	if len(rs) != 1 {
		h.Fatal("the journal cannot be read")
	}
	if err := json.Unmarshal(rs[0].Key, &step); err != nil {
		h.Fatal(err)
	}
	return step.Owner
}

// do does one step on the cluster.
func (h hand) do(e log.Entry) {
	h.Helper()
	topic := h.prefix + "." + e.Partition.String()
	switch e.Kind {
	case log.Data:
		h.produce(topic, bytes.Clone(e.Batch))
	case log.Seal:
		var b batch.Builder
		b.Append(batch.Record{Key: []byte("\x00thalweg.seal"), Value: []byte{}})
		h.produce(topic, b.Finish())
	case log.Create:
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, 1, 1
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = "message.timestamp.type", kmsg.StringPtr("LogAppendTime")
		rt.Configs = append(rt.Configs, cfg)
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(h.Context(), h.cl)
		if err != nil || resp.Topics[0].ErrorCode != 0 {
			h.Fatalf("create: %v, %+v", err, resp)
		}
		h.leads(topic)
	}
}

// leads waits until the broker leads a new topic, by asking for as long as it
// takes.
func (h hand) leads(topic string) {
	h.Helper()
	for h.Context().Err() == nil {
		req := kmsg.NewPtrListOffsetsRequest()
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Timestamp = -1
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := h.cl.Broker(1).Request(h.Context(), req)
		if err == nil && resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode == 0 {
			return
		}
	}
}
