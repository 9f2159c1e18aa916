package kafkalog

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

const (
	// byName is the last version of Produce and Fetch that names topics; names
	// are never used again.
	byName = 12
	// settling is how long a new topic, or one whose leader moves, may take.
	settling = 30 * time.Second
	pause    = 20 * time.Millisecond
	answer   = 30_000 // milliseconds that a broker may take
)

// cluster is the few requests of Kafka's that a log is made of.
type cluster struct {
	opts  Options
	main  *kgo.Client
	tails *kgo.Client // long fetches hold up what is behind them on a connection

	mu      sync.Mutex
	leaders map[string]leader // guarded by mu
}

type leader struct{ node, epoch int32 }

func dial(opts Options) (*cluster, error) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Produce), byName)
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), byName)
	c := &cluster{opts: opts, leaders: map[string]leader{}}
	for _, cl := range []**kgo.Client{&c.main, &c.tails} {
		made, err := kgo.NewClient(kgo.SeedBrokers(opts.Brokers...), kgo.MaxVersions(versions),
			kgo.BrokerMaxWriteBytes(100<<20), kgo.BrokerMaxReadBytes(128<<20))
		if err != nil {
			c.close()
			return nil, errs.Wrap(errs.Invalid, "kafka", err)
		}
		*cl = made
	}
	return c, nil
}

func (c *cluster) close() {
	for _, cl := range []*kgo.Client{c.main, c.tails} {
		if cl != nil {
			cl.Close()
		}
	}
}

// leader finds the broker that leads a topic's partition.
func (c *cluster) leader(ctx context.Context, topic string) (leader, error) {
	c.mu.Lock()
	at, ok := c.leaders[topic]
	c.mu.Unlock()
	if ok {
		return at, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.main)
	switch {
	case err != nil:
		return at, err
	case len(resp.Topics) != 1:
		return at, kerr.UnknownTopicOrPartition
	case resp.Topics[0].ErrorCode != 0:
		return at, kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	case len(resp.Topics[0].Partitions) != 1:
		return at, errs.New(errs.Corrupt, "topic "+topic+" has not one partition")
	case resp.Topics[0].Partitions[0].Leader < 0:
		return at, kerr.LeaderNotAvailable
	}
	at = leader{resp.Topics[0].Partitions[0].Leader, resp.Topics[0].Partitions[0].LeaderEpoch}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaders[topic] = at
	return at, nil
}

func (c *cluster) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leaders, topic)
}

// ask sends a request about one topic to its leader, again for as long as Kafka
// says that it was not done for want of a leader. code finds the partition's code
// in the answer.
func (c *cluster) ask(ctx context.Context, cl *kgo.Client, topic string, req kmsg.Request, code func(kmsg.Response) (int16, bool)) error {
	until := c.opts.Clock.Now().Add(settling)
	for {
		err := c.askOnce(ctx, cl, topic, req, code)
		if !unsettled(err) || c.opts.Clock.Now().After(until) {
			return err
		}
		c.forget(topic)
		if err := sleep(ctx, c.opts.Clock, pause); err != nil {
			return err
		}
	}
}

func (c *cluster) askOnce(ctx context.Context, cl *kgo.Client, topic string, req kmsg.Request, code func(kmsg.Response) (int16, bool)) error {
	at, err := c.leader(ctx, topic)
	if err != nil {
		return err
	}
	resp, err := cl.Broker(int(at.node)).Request(ctx, req)
	if err != nil {
		c.forget(topic)
		return err
	}
	n, ok := code(resp)
	if !ok {
		return errs.New(errs.Internal, "Kafka's answer does not name the partition asked for")
	}
	return kerr.ErrorForCode(n)
}

// unsettled are the answers of a broker that is not, or not yet, the leader.
// Nothing was done then.
func unsettled(err error) bool {
	switch err {
	case kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.NotLeaderForPartition,
		kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.ReplicaNotAvailable, kerr.OffsetNotAvailable:
		return true
	}
	return false
}

func sleep(ctx context.Context, c clock.Clock, d time.Duration) error {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ack is where a batch landed, and when.
type ack struct{ base, arrival int64 }

// produce appends one batch and waits for every replica in sync. An error of
// another kind than Internal says that nothing was.
func (c *cluster) produce(ctx context.Context, topic string, b []byte) (ack, error) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, answer
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = b
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	var a ack
	err := c.ask(ctx, c.main, topic, req, func(r kmsg.Response) (int16, bool) {
		resp, ok := r.(*kmsg.ProduceResponse)
		if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return 0, false
		}
		p := &resp.Topics[0].Partitions[0]
		a = ack{p.BaseOffset, p.LogAppendTime}
		return p.ErrorCode, true
	})
	switch err {
	case nil:
		return a, nil
	case kerr.CorruptMessage, kerr.InvalidRecord, kerr.UnsupportedCompressionType, kerr.UnsupportedForMessageFormat, kerr.InvalidTimestamp,
		kerr.InvalidTxnState:
		return a, log.ErrInvalidBatch
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		return a, log.ErrTooLarge
	case kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.DuplicateSequenceNumber:
		return a, log.ErrOutOfOrderSequence
	case kerr.InvalidProducerEpoch, kerr.ProducerFenced:
		return a, log.ErrProducerFenced
	case kerr.NotEnoughReplicas, kerr.ThrottlingQuotaExceeded:
		return a, log.ErrOverloaded
	}
	if unsettled(err) {
		return a, log.ErrOverloaded
	}
	return a, errs.Wrap(errs.Internal, "produce to "+topic, err)
}

// fetchBytes is what is fetched at once where nobody says how much.
const fetchBytes = 1 << 20

// fetch reads whole batches from the one that holds offset on, without waiting.
func (c *cluster) fetch(ctx context.Context, topic string, offset int64, maxBytes int, isolation log.Isolation) (log.Batches, error) {
	req := newFetch(maxBytes, isolation)
	req.Topics = append(req.Topics, fetchTopic(topic, offset, maxBytes))
	var out log.Batches
	err := c.ask(ctx, c.main, topic, req, func(r kmsg.Response) (int16, bool) {
		resp, ok := r.(*kmsg.FetchResponse)
		if !ok {
			return 0, false
		}
		if resp.ErrorCode != 0 {
			return resp.ErrorCode, true
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return 0, false
		}
		p := &resp.Topics[0].Partitions[0]
		out = batches(p, isolation)
		return p.ErrorCode, true
	})
	switch err {
	case nil:
		return out, nil
	case kerr.OffsetOutOfRange:
		return log.Batches{}, log.ErrOutOfRange
	case kerr.UnknownTopicOrPartition:
		return log.Batches{}, log.ErrNotFound
	}
	return log.Batches{}, errs.Wrap(errs.Internal, "fetch from "+topic, err)
}

func newFetch(maxBytes int, isolation log.Isolation) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionEpoch = int32(max(maxBytes, 1)), -1
	if isolation == log.Committed {
		req.IsolationLevel = 1
	}
	return req
}

func fetchTopic(topic string, offset int64, maxBytes int) kmsg.FetchRequestTopic {
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, int32(max(maxBytes, 1))
	t.Partitions = append(t.Partitions, p)
	return t
}

// batches takes apart what a broker sent: whole batches, and a part of one more.
func batches(p *kmsg.FetchResponseTopicPartition, isolation log.Isolation) log.Batches {
	out := log.Batches{Start: p.LogStartOffset, End: p.HighWatermark, Stable: p.LastStableOffset}
	for b := p.RecordBatches; ; {
		h, err := batch.ParseHeader(b)
		if err != nil {
			break
		}
		n := h.Size()
		out.List = append(out.List, log.Batch{Base: h.BaseOffset, Count: h.LastOffsetDelta + 1, Arrival: h.MaxTimestamp, Bytes: b[:n:n]})
		b = b[n:]
	}
	if n := len(out.List); n > 0 { // the broker notes its ends before it reads
		end := out.List[n-1].Base + int64(out.List[n-1].Count)
		out.End = max(out.End, end)
		if isolation == log.Committed {
			out.Stable = max(out.Stable, end)
		}
	}
	if isolation == log.Committed {
		for _, a := range p.AbortedTransactions {
			out.Aborted = append(out.Aborted, log.AbortedTxn{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset, LastOffset: out.End - 1})
		}
	}
	return out
}

// Times that ListOffsets takes for places.
const (
	latest    = -1
	earliest  = -2
	newest    = -3 // the largest timestamp
	noArrival = -1
)

// offset asks for the first offset at or after a time, and the time there.
func (c *cluster) offset(ctx context.Context, topic string, at int64, isolation log.Isolation) (offset, arrival int64, err error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if isolation == log.Committed {
		req.IsolationLevel = 1
	}
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = at
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	err = c.ask(ctx, c.main, topic, req, func(r kmsg.Response) (int16, bool) {
		resp, ok := r.(*kmsg.ListOffsetsResponse)
		if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return 0, false
		}
		p := &resp.Topics[0].Partitions[0]
		offset, arrival = p.Offset, p.Timestamp
		return p.ErrorCode, true
	})
	if err != nil {
		return 0, 0, errs.Wrap(errs.Internal, "offsets of "+topic, err)
	}
	return offset, arrival, nil
}

// trim makes offset the first of a topic.
func (c *cluster) trim(ctx context.Context, topic string, offset int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = answer
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = offset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	err := c.ask(ctx, c.main, topic, req, func(r kmsg.Response) (int16, bool) {
		resp, ok := r.(*kmsg.DeleteRecordsResponse)
		if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return 0, false
		}
		return resp.Topics[0].Partitions[0].ErrorCode, true
	})
	if err == kerr.OffsetOutOfRange { // retention has passed it
		return nil
	}
	return err
}

// settings are a topic's for a partition's Config, and what never changes.
func (c *cluster) settings(cfg log.Config) [][2]string {
	age, size, segment := int64(-1), int64(-1), 7*24*time.Hour
	if cfg.MaxAge > 0 {
		age = cfg.MaxAge.Milliseconds()
		segment = min(max(cfg.MaxAge/24, time.Minute), segment)
	}
	if cfg.MaxBytes > 0 {
		size = cfg.MaxBytes
	}
	policy, k := "delete", cfg.Compaction
	switch {
	case k.On && age < 0 && size < 0:
		policy = "compact"
	case k.On:
		policy = "compact,delete"
	}
	if k.On && k.MinWait > 0 {
		segment = min(segment, k.MinWait)
	}
	lag := int64(math.MaxInt64)
	if k.MaxLag > 0 {
		lag = max(k.MaxLag.Milliseconds(), 1)
	}
	return [][2]string{
		{"message.timestamp.type", "LogAppendTime"},
		{"cleanup.policy", policy},
		{"min.cleanable.dirty.ratio", strconv.FormatFloat(k.MinDirty, 'f', -1, 64)},
		{"min.compaction.lag.ms", strconv.FormatInt(k.MinLag.Milliseconds(), 10)},
		{"max.compaction.lag.ms", strconv.FormatInt(lag, 10)},
		{"delete.retention.ms", strconv.FormatInt(k.Tombstones.Milliseconds(), 10)},
		{"flush.messages", "1"},
		{"max.message.bytes", strconv.Itoa(c.opts.MaxBatchBytes)},
		{"retention.ms", strconv.FormatInt(age, 10)},
		{"retention.bytes", strconv.FormatInt(size, 10)},
		{"segment.ms", strconv.FormatInt(max(segment.Milliseconds(), 1), 10)},
	}
}

// create makes a topic; one that exists is left as it is.
func (c *cluster) create(ctx context.Context, topic string, cfg log.Config) error {
	return c.createWith(ctx, topic, c.settings(cfg))
}

func (c *cluster) createWith(ctx context.Context, topic string, settings [][2]string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = answer
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 1, c.opts.Replicas
	for _, s := range settings {
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = s[0], &s[1]
		t.Configs = append(t.Configs, cfg)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.main)
	if err == nil && len(resp.Topics) == 1 {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err == kerr.TopicAlreadyExists {
		return nil
	}
	return err
}

// drop deletes a topic; one that is gone is no error.
func (c *cluster) drop(ctx context.Context, topic string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = answer
	req.TopicNames = []string{topic}
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.main)
	if err == nil && len(resp.Topics) == 1 {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	c.forget(topic)
	if err == kerr.UnknownTopicOrPartition {
		return nil
	}
	return err
}

// configure sets a topic's settings.
func (c *cluster) configure(ctx context.Context, topic string, cfg log.Config) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for _, s := range c.settings(cfg) {
		one := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		one.Name, one.Op, one.Value = s[0], kmsg.IncrementalAlterConfigOpSet, &s[1]
		r.Configs = append(r.Configs, one)
	}
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(ctx, c.main)
	if err == nil && len(resp.Resources) == 1 {
		err = kerr.ErrorForCode(resp.Resources[0].ErrorCode)
	}
	return err
}

// stored is how many bytes the cluster keeps of a topic.
func (c *cluster) stored(ctx context.Context, topic string) (int64, error) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	t := kmsg.NewDescribeLogDirsRequestTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	req.Topics = append(req.Topics, t)
	size := int64(0)
	for _, shard := range c.main.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return 0, shard.Err
		}
		for _, d := range shard.Resp.(*kmsg.DescribeLogDirsResponse).Dirs {
			for _, t := range d.Topics {
				for _, p := range t.Partitions {
					size = max(size, p.Size)
				}
			}
		}
	}
	return size, nil
}

// producers are the producers that Kafka knows of a topic.
func (c *cluster) producers(ctx context.Context, topic string) ([]log.Producer, error) {
	req := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	req.Topics = append(req.Topics, t)
	var out []log.Producer
	err := c.ask(ctx, c.main, topic, req, func(r kmsg.Response) (int16, bool) {
		resp, ok := r.(*kmsg.DescribeProducersResponse)
		if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return 0, false
		}
		p := &resp.Topics[0].Partitions[0]
		for _, a := range p.ActiveProducers {
			out = append(out, log.Producer{ID: a.ProducerID, Epoch: int16(a.ProducerEpoch), LastSequence: a.LastSequence,
				LastArrival: a.LastTimestamp, TxnStart: a.CurrentTxnStartOffset})
		}
		return p.ErrorCode, true
	})
	return out, err
}
