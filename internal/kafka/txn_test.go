package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"thalweg/internal/log/batch"
)

// readAll reads a topic to what its end is for a reader of that isolation.
func readAll(t *testing.T, s *server, topic string, partitions int32, level kgo.IsolationLevel) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cl := s.client(t, kgo.FetchIsolationLevel(level), kgo.KeepControlRecords())
	committed := level == kgo.ReadCommitted()
	left := 0
	from := map[int32]kgo.Offset{}
	ends := map[int32]int64{}
	for p := range partitions {
		end, err := s.cluster.OffsetAt(ctx, s.cluster.Topic(topic), p, -1, committed)
		if err != nil {
			t.Fatal(err)
		}
		if ends[p] = end.Offset; end.Offset > 0 {
			from[p] = kgo.NewOffset().At(0)
			left++
		}
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	var out []string
	done := map[int32]bool{}
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				out = append(out, string(r.Value))
			}
			if r.Offset == ends[r.Partition]-1 && !done[r.Partition] {
				done[r.Partition] = true
				left--
			}
		})
	}
	return out
}

// TestTransactions: committed records show together, aborted ones never, and what
// is open holds up those who read committed records only. Newer clients get an
// epoch with each transaction, older ones add partitions themselves.
func TestTransactions(t *testing.T) {
	for name, v := range map[string]*kversion.Versions{"of 4.0": kversion.V4_0_0(), "of 3.9": kversion.V3_9_0()} {
		t.Run(name, func(t *testing.T) { testTransactions(t, kgo.MaxVersions(v)) })
	}
}

func testTransactions(t *testing.T, v kgo.Opt) {
	s := newServer(t, 3, nil)
	ctx := t.Context()
	mustCreate(t, s.client(t), "ledger", 3)
	cl := s.client(t, v, kgo.TransactionalID("teller"), kgo.DefaultProduceTopic("ledger"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	tx := func(end kgo.TransactionEndTry, values ...string) {
		t.Helper()
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte(v)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := cl.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	tx(kgo.TryCommit, "a1", "a2", "a3", "a4")
	tx(kgo.TryAbort, "b1", "b2", "b3")
	tx(kgo.TryCommit, "c1")
	if got := readAll(t, s, "ledger", 3, kgo.ReadCommitted()); len(got) != 5 || strings.Contains(fmt.Sprint(got), "b") {
		t.Errorf("committed: %v", got)
	}
	if got := readAll(t, s, "ledger", 3, kgo.ReadUncommitted()); len(got) != 8 {
		t.Errorf("uncommitted: %v", got)
	}
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte("d1")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s, "ledger", 3, kgo.ReadCommitted()); len(got) != 5 {
		t.Errorf("while one is open: %v", got)
	}
	// Another of the same id fences it, and its transaction is aborted.
	next := s.client(t, v, kgo.TransactionalID("teller"), kgo.DefaultProduceTopic("ledger"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err := next.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := next.ProduceSync(ctx, &kgo.Record{Value: []byte("e1")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte("zombie")}).FirstErr(); err == nil {
		t.Error("a fenced producer wrote")
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err == nil {
		t.Error("a fenced producer committed")
	}
	if err := next.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s, "ledger", 3, kgo.ReadCommitted()); len(got) != 6 || strings.Contains(fmt.Sprint(got), "d") || strings.Contains(fmt.Sprint(got), "z") {
		t.Errorf("after a fence: %v", got)
	}
}

// TestCommittedFetchWaits: a reader of committed records waits for the end of the
// transaction that holds it up, and is woken by it.
func TestCommittedFetchWaits(t *testing.T) {
	s := newServer(t, 1, nil)
	mustCreate(t, s.client(t), "ledger", 1)
	cl := s.client(t, kgo.TransactionalID("teller"), kgo.DefaultProduceTopic("ledger"))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("one")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r := s.raw(t)
	req := fetchOf("ledger", 0, 1, 60_000, 1<<20)
	req.IsolationLevel = 1
	r.write(frameOf(req, 1))
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if p := r.fetched().Topics[0].Partitions[0]; len(p.RecordBatches) == 0 || p.LastStableOffset != 2 {
		t.Fatalf("%+v", p)
	}
}

// TestExactlyOnce: records go from one topic to another through a group and
// transactions, of which some abort: each arrives once.
func TestExactlyOnce(t *testing.T) {
	const records, partitions = 300, 3
	s := newServer(t, 3, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	admin := s.client(t, kgo.DefaultProduceTopic("in"))
	mustCreate(t, admin, "in", partitions)
	mustCreate(t, admin, "out", partitions)
	for i := range records {
		admin.Produce(ctx, &kgo.Record{Value: fmt.Append(nil, i)}, nil)
	}
	if err := admin.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	sess, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(s.addr), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"), kgo.TransactionalID("copy"),
		kgo.DefaultProduceTopic("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets())
	if err != nil {
		t.Fatal(err)
	}
	defer sess.Close()
	for done, round := 0, 0; done < records; round++ {
		fetches := sess.PollRecords(ctx, 40)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		if err := sess.Begin(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { sess.Produce(ctx, &kgo.Record{Value: r.Value}, nil) })
		committed, err := sess.End(ctx, kgo.TransactionEndTry(round%3 != 1))
		if err != nil {
			t.Fatal(err)
		}
		if committed {
			done += fetches.NumRecords()
		}
	}
	got := map[string]int{}
	for _, v := range readAll(t, s, "out", partitions, kgo.ReadCommitted()) {
		got[v]++
	}
	for i := range records {
		if got[fmt.Sprint(i)] != 1 {
			t.Errorf("record %d arrived %d times", i, got[fmt.Sprint(i)])
		}
	}
	if sum := committedSum(t, admin, "g"); sum != records {
		t.Errorf("%d offsets are committed", sum)
	}
}

func TestTransactionRefusals(t *testing.T) {
	s := newServer(t, 1, nil)
	cl, old := s.client(t), s.client(t, kgo.MaxVersions(kversion.V3_9_0()))
	mustCreate(t, cl, "ledger", 1)
	id := "teller"
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &id, 1<<30
	if got := ask[*kmsg.InitProducerIDResponse](t, cl, init); got.ErrorCode != kerr.InvalidTransactionTimeout.Code {
		t.Errorf("a long timeout: %+v", got)
	}
	init.TransactionTimeoutMillis = 60_000
	p := ask[*kmsg.InitProducerIDResponse](t, cl, init)
	if p.ErrorCode != 0 || p.ProducerEpoch != 0 {
		t.Fatalf("%+v", p)
	}
	end := func(producer int64, epoch int16, commit bool) int16 {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, producer, epoch, commit
		return ask[*kmsg.EndTxnResponse](t, old, req).ErrorCode
	}
	add := func(topic string, epoch int16) int16 {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, p.ProducerID, epoch
		rt := kmsg.NewAddPartitionsToTxnRequestTopic()
		rt.Topic, rt.Partitions = topic, []int32{0}
		req.Topics = append(req.Topics, rt)
		return ask[*kmsg.AddPartitionsToTxnResponse](t, old, req).Topics[0].Partitions[0].ErrorCode
	}
	for _, tc := range []struct {
		name string
		got  int16
		want error
	}{
		{"nothing is open", end(p.ProducerID, 0, true), kerr.InvalidTxnState},
		{"another producer", end(p.ProducerID+1, 0, true), kerr.InvalidProducerIDMapping},
		{"another epoch", end(p.ProducerID, 5, true), kerr.ProducerFenced},
		{"no such topic", add("none", 0), kerr.UnknownTopicOrPartition},
		{"an internal topic", add("__transaction_state", 0), kerr.InvalidTopicException},
		{"an old epoch", add("ledger", 5), kerr.ProducerFenced},
		{"added", add("ledger", 0), nil},
		{"added again", add("ledger", 0), nil},
		{"committed", end(p.ProducerID, 0, true), nil},
		{"committed again", end(p.ProducerID, 0, true), nil},
		{"aborted after that", end(p.ProducerID, 0, false), kerr.InvalidTxnState},
	} {
		if !errors.Is(kerr.ErrorForCode(tc.got), tc.want) {
			t.Errorf("%s: code %d, want %v", tc.name, tc.got, tc.want)
		}
	}
}

// transactional is a batch of one record.
func transactional(producer int64, epoch int16, sequence int32) []byte {
	b := oneBatch("v")
	b[22] |= byte(batch.Transactional)
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint16(b[51:], uint16(epoch))
	binary.BigEndian.PutUint32(b[53:], uint32(sequence))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], batch.Castagnoli))
	return b
}

// TestTransactionsThatRaise: an end gives the next epoch, and once more if it is
// asked for again; what is late of a transaction is no part of the next.
func TestTransactionsThatRaise(t *testing.T) {
	s := newServer(t, 1, nil)
	cl := s.client(t)
	mustCreate(t, cl, "ledger", 2)
	r := s.raw(t)
	id := "teller"
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &id, 60_000
	p := ask[*kmsg.InitProducerIDResponse](t, cl, init)
	end := func(epoch int16, commit bool) string {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, p.ProducerID, epoch, commit
		resp := ask[*kmsg.EndTxnResponse](t, cl, req)
		if resp.ErrorCode != 0 {
			return kerr.ErrorForCode(resp.ErrorCode).(*kerr.Error).Message
		}
		return fmt.Sprint(resp.ProducerID-p.ProducerID, resp.ProducerEpoch)
	}
	write := func(version, epoch int16, sequence int32, partition int32) string {
		req := kmsg.NewPtrProduceRequest()
		req.TransactionID, req.Acks, req.TimeoutMillis = &id, -1, 10_000
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic, rt.TopicID = "ledger", s.cluster.Topic("ledger").ID()
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = partition, transactional(p.ProducerID, epoch, sequence)
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		req.Version = version
		r.write(frameOf(req, 1))
		_, body := r.read()
		resp := &kmsg.ProduceResponse{Version: version}
		if err := resp.ReadFrom(body[1:]); err != nil {
			t.Fatal(err)
		}
		got := resp.Topics[0].Partitions[0].ErrorCode
		if got == 0 {
			return ""
		}
		return kerr.ErrorForCode(got).(*kerr.Error).Message
	}
	for n, tc := range []struct{ got, want string }{
		{end(0, true), "INVALID_TXN_STATE"},
		{end(0, false), "0 1"}, // nothing was begun
		{end(0, false), "0 1"}, // the answer was not seen
		{end(0, true), "INVALID_TXN_STATE"},
		{write(13, 0, 0, 0), "INVALID_PRODUCER_EPOCH"},
		{write(11, 1, 0, 0), "TRANSACTION_ABORTABLE"},
		{write(10, 1, 0, 0), "INVALID_TXN_STATE"},
		{write(13, 1, 1, 0), "OUT_OF_ORDER_SEQUENCE_NUMBER"}, // its first is on the way
		{write(13, 1, 0, 0), ""},
		{write(12, 1, 1, 0), ""},
		{write(12, 1, 0, 1), ""},
		{end(1, true), "0 2"},
		{end(1, true), "0 2"},
		{end(1, false), "INVALID_TXN_STATE"},
		{write(13, 1, 2, 0), "INVALID_PRODUCER_EPOCH"}, // late
		{write(13, 2, 1, 0), "OUT_OF_ORDER_SEQUENCE_NUMBER"},
		{write(13, 2, 0, 0), ""},
		{end(2, false), "0 3"},
		{end(0, false), "PRODUCER_FENCED"},
	} {
		if tc.got != tc.want {
			t.Errorf("%d: %q, want %q", n, tc.got, tc.want)
		}
	}
	if got := readAll(t, s, "ledger", 2, kgo.ReadCommitted()); len(got) != 3 {
		t.Errorf("committed: %v", got)
	}
}
