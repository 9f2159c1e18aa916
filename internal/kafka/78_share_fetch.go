package kafka

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/log"
)

// ShareFetch
//
// Gives a member of a share group records that nobody else has, for as long as
// share.record.lock.duration.ms says, and does first what it says of those that it has
// got before. A record that comes back is delivered again, as often as
// share.delivery.count.limit allows. A fetch that finds nothing waits by event: for
// records, or for some to come back. It answers with the first that there are.
//
// A member has a session with each broker, which names what it reads once (KIP-932).
// The session ends with its connection, and what the member has left goes to others.
//
// Errors: GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED,
// SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH, SHARE_SESSION_LIMIT_REACHED,
// UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, also for a group that there is not;
// INVALID_RECORD_STATE, INVALID_REQUEST, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR. When
// memory is spent the answer is empty and tells the client to pause.
//
// Status: partial: there is no dead letter queue; min_bytes is taken for 1; a record that is on its last delivery may come with others

// sharePart is one partition of a share fetch.
type sharePart struct {
	sharePartition
	read brokers.ShareRead
	err  *brokers.Error
	got  log.Batches
	list []brokers.Acquired
	ack  *shareAck // what was said of it, if anything
}

// shareFetching is one ShareFetch under way.
type shareFetching struct {
	in       *kmsg.ShareFetchRequest
	key      shareSessionKey
	parts    []sharePart // in the order in which they are served
	acks     []shareAck
	throttle time.Duration
}

func (d *Door) shareFetch(r *request, in *kmsg.ShareFetchRequest) (*kmsg.ShareFetchResponse, error) {
	f := &shareFetching{in: in}
	if err := d.beginShare(r, f); err != nil {
		resp := kmsg.NewPtrShareFetchResponse()
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp, nil
	}
	d.acknowledge(r, f.key, f.acks)
	switch {
	case in.ShareSessionEpoch == shareEnd:
		list := make([]sharePartition, len(f.parts))
		for i := range f.parts {
			list[i] = f.parts[i].sharePartition
		}
		d.releaseShares(r.ctx(), f.key, list)
		f.parts = nil
	case in.MaxRecords > 0 && in.MaxBytes > 0:
		d.acquire(r, f)
	}
	return f.response(d), nil
}

// beginShare reads a request and finds its session.
func (d *Door) beginShare(r *request, f *shareFetching) (err *brokers.Error) {
	in := f.in
	if f.key, err = d.shareMember(r, in.GroupID, in.MemberID); err != nil {
		return err
	}
	if in.IsRenewAck && (in.MaxWaitMillis != 0 || in.MinBytes != 0 || in.MaxBytes != 0 || in.MaxRecords != 0) {
		return refuse(brokers.InvalidRequest, "MaxWaitMs, MinBytes, MaxBytes and MaxRecords must be 0 if isRenewAck is true.")
	}
	var add, forget []sharePartition
	for _, t := range in.Topics {
		for _, p := range t.Partitions {
			at := sharePartition{t.TopicID, p.Partition}
			add = append(add, at)
			if len(p.AcknowledgementBatches) == 0 {
				continue
			}
			a := shareAck{sharePartition: at}
			a.acks, a.err = readAcks(p.AcknowledgementBatches, in.IsRenewAck, func(b *kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch) (int64, int64, []int8) {
				return b.FirstOffset, b.LastOffset, b.AcknowledgeTypes
			})
			f.acks = append(f.acks, a)
		}
	}
	for _, t := range in.ForgottenTopicsData {
		for _, p := range t.Partitions {
			forget = append(forget, sharePartition{t.TopicID, p})
		}
	}
	parts := add
	switch {
	case in.ShareSessionEpoch != 0:
		parts, err = d.shareSessions.resume(f.key, in.ShareSessionEpoch, add, forget)
	case len(f.acks) > 0:
		err = refuse(brokers.InvalidRequest, "") // nothing was delivered yet
	default:
		parts = distinct(add, func(p *sharePartition) sharePartition { return *p })
		err = d.shareSessions.begin(r.conn, f.key, parts)
	}
	if err != nil {
		return err
	}
	for i := range parts { // each request begins with another partition
		f.parts = append(f.parts, sharePart{sharePartition: parts[(i+int(max(in.ShareSessionEpoch, 0)))%len(parts)]})
	}
	return nil
}

// acquire fills in what there is for the member, and waits for it as long as the
// member says. Who has said something of other records is answered at once.
func (d *Door) acquire(r *request, f *shareFetching) {
	for i := range f.parts {
		p := &f.parts[i]
		var t *brokers.Topic
		if t, p.err = d.shareTopic(r, p.topic); p.err == nil {
			p.read = brokers.ShareRead{Group: f.key.group, Member: f.key.member, Topic: t, Partition: p.partition,
				Strict: f.in.ShareAcquireMode == 1, BatchSize: int(f.in.BatchSize)}
		}
	}
	wait := min(time.Duration(f.in.MaxWaitMillis)*time.Millisecond, d.opts.MaxFetchWait)
	if len(f.acks) > 0 {
		wait = 0
	}
	timer := d.opts.Clock.NewTimer(max(wait, 0))
	defer timer.Stop()
	for {
		again, done := d.cluster.Shares().Wake(f.key.group)
		over := d.acquireNow(r, f) || wait <= 0 || !d.awaitShares(r, f, again, timer.C())
		if done(); over {
			return
		}
	}
}

// acquireNow fills in what there is, and tells whether there is something that the
// member must know.
func (d *Door) acquireNow(r *request, f *shareFetching) (found bool) {
	left, records := min(maxFetchBytes, int(f.in.MaxBytes)), int(f.in.MaxRecords)
	if most := d.budget.Max(); most > 0 {
		left = min(left, int(most/4)) // the answer is there twice before it goes
	}
	sent := int64(0)
	for i := range f.parts {
		p := &f.parts[i]
		if p.err == nil && left > 0 && records > 0 {
			p.read.MaxBytes, p.read.MaxRecords = left, records
			p.got, p.list, p.err = d.cluster.Shares().Acquire(r.ctx(), &p.read)
		}
		if errors.Is(errOf(p.err), log.ErrOverloaded) {
			f.throttle, p.err, found = overloadPause, nil, true
		}
		found = found || p.err != nil || len(p.list) > 0
		for _, b := range p.got.List {
			left -= len(b.Bytes)
			sent += int64(len(b.Bytes))
		}
		for _, a := range p.list {
			records -= int(a.Last - a.First + 1)
		}
	}
	r.pause = max(r.pause, d.quotas.spend(r.conn, brokers.ConsumerByteRate, r.header.ClientID, sent))
	return found
}

// errOf is err as an error that may be none.
func errOf(err *brokers.Error) error {
	if err == nil {
		return nil
	}
	return err
}

// awaitShares waits until there may be something for the member; false is that its
// time is over.
func (d *Door) awaitShares(r *request, f *shareFetching, again <-chan struct{}, over <-chan time.Time) bool {
	var at []log.Position
	lock := time.Duration(0)
	for i := range f.parts {
		w := d.cluster.Shares().Waits(r.ctx(), &f.parts[i].read)
		if w.Grows {
			at = append(at, w.At)
		}
		if w.Lock > 0 && (lock == 0 || w.Lock < lock) {
			lock = w.Lock
		}
	}
	var grown <-chan struct{}
	if len(at) > 0 {
		w := d.log.Watch(at, 1)
		defer w.Stop()
		grown = w.C
	}
	var free <-chan time.Time
	if lock > 0 {
		t := d.opts.Clock.NewTimer(lock)
		defer t.Stop()
		free = t.C()
	}
	select {
	case <-grown:
	case <-again:
	case <-free:
	case <-over:
		return false
	case <-r.ctx().Done():
		return false
	}
	return true
}

// response says what was found, and what became of acknowledgements, of partitions
// of which there is something to say.
func (f *shareFetching) response(d *Door) *kmsg.ShareFetchResponse {
	resp := kmsg.NewPtrShareFetchResponse()
	resp.ThrottleMillis, resp.AcquisitionLockTimeoutMillis = millis(f.throttle), d.cluster.Shares().Lock(f.key.group)
	index := map[sharePartition]int{}
	for i := range f.parts {
		index[f.parts[i].sharePartition] = i
	}
	for i := range f.acks {
		a := &f.acks[i]
		k, ok := index[a.sharePartition]
		if !ok {
			k = len(f.parts)
			index[a.sharePartition] = k
			f.parts = append(f.parts, sharePart{sharePartition: a.sharePartition})
		}
		f.parts[k].ack = a
	}
	for i := range f.parts {
		p := &f.parts[i]
		if p.err == nil && p.ack == nil && len(p.list) == 0 {
			continue
		}
		n := len(resp.Topics)
		if n == 0 || resp.Topics[n-1].TopicID != p.topic {
			t := kmsg.NewShareFetchResponseTopic()
			t.TopicID = p.topic
			resp.Topics = append(resp.Topics, t)
			n++
		}
		resp.Topics[n-1].Partitions = append(resp.Topics[n-1].Partitions, p.response())
	}
	return resp
}

func (p *sharePart) response() kmsg.ShareFetchResponseTopicPartition {
	out := kmsg.NewShareFetchResponseTopicPartition()
	out.Partition, out.ErrorCode, out.ErrorMessage = p.partition, code(p.err), message(p.err)
	if p.ack != nil {
		out.AcknowledgeErrorCode, out.AcknowledgeErrorMessage = code(p.ack.err), message(p.ack.err)
	}
	out.Records = []byte{}
	for _, b := range p.got.List {
		out.Records = append(out.Records, b.Bytes...)
	}
	p.got.Release()
	for _, a := range p.list {
		out.AcquiredRecords = append(out.AcquiredRecords, kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{
			FirstOffset: a.First, LastOffset: a.Last, DeliveryCount: a.Count})
	}
	return out
}
