package kafka

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/errs"
	"thalweg/internal/kwire"
	"thalweg/internal/log"
)

// Fetch
//
// Reads record batches from the log as they are. A fetch that finds less than
// min_bytes waits for them by event, for as long as it says. The batch that holds
// the offset comes whole, even when it is larger than the limits, if it is the
// first; others end where the limits do. read_committed stops at the last stable
// offset.
//
// A client may open a session and from then on name only what has changed, and is
// told only of partitions that have something new (KIP-227). Sessions belong to
// who opened them; there are as many as max.incremental.fetch.session.cache.slots
// says, within the memory budget, and who finds no room names everything, as without.
//
// Errors: TOPIC_AUTHORIZATION_FAILED, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID,
// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, CORRUPT_MESSAGE for what is damaged
// on disk, FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
// FETCH_SESSION_TOPIC_ID_ERROR. When memory is spent the answer is empty
// and tells the client to pause.
//
// Status: done

const (
	// maxFetchBytes bounds a response: what is under way to a slow client is pinned
	// in memory.
	maxFetchBytes = 16 << 20
	// overloadPause is how long a client is told to wait when memory is spent.
	overloadPause = 100 * time.Millisecond
)

// fetchPart is one partition of a fetch.
type fetchPart struct {
	want *fetchWant
	// The want as it was when the fetch began: in a session it may change meanwhile.
	offset    int64
	max       int
	epoch     int32
	topic     *brokers.Topic
	missing   *brokers.Error // the topic is
	partition log.PartitionID
	err       *brokers.Error
	got       log.Batches
}

// fetching is one Fetch under way.
type fetching struct {
	in        *kmsg.FetchRequest
	isolation log.Isolation
	parts     []fetchPart // in the order in which they are served
	throttle  time.Duration
}

func (d *Door) fetch(r *request, in *kmsg.FetchRequest) (*reply, error) {
	f := &fetching{in: in, isolation: log.Uncommitted}
	if in.IsolationLevel == 1 {
		f.isolation = log.Committed
	}
	var session *fetchSession
	whole := in.Version < 7 || in.SessionEpoch == 0 || in.SessionEpoch == -1
	if whole {
		if in.SessionID != 0 {
			d.sessions.end(in.SessionID, r.conn.principal)
		}
		f.parts = partsOf(wants(in))
	} else {
		var code brokers.Code
		if session, f.parts, code = d.sessions.next(r.conn.principal, in); code != brokers.OK {
			return fetchRefused(r, code), nil
		}
	}
	ready := d.locate(r.conn, f)
	if !ready && in.MaxWaitMillis > 0 {
		d.await(r, f)
	}
	sent := d.read(f)
	pause := d.quotas.spend(r.conn, brokers.ConsumerByteRate, r.header.ClientID, sent)
	r.conn.mute(pause)
	f.throttle = max(f.throttle, pause)
	id := int32(0)
	switch {
	case session != nil:
		id, f.parts = session.id, session.told(f.parts)
	case whole && in.Version >= 7 && in.SessionEpoch == 0:
		id = d.sessions.begin(r.conn.principal, in.Version >= 13, f.parts)
	}
	pieces := f.response(r.header, id)
	return &reply{make: func() ([][]byte, error) { return pieces, nil }, done: f.release}, nil
}

func fetchRefused(r *request, c brokers.Code) *reply {
	pieces := kwire.BeginFetch(r.header.Version, r.header.Correlation, 0, int16(c), 0, 0).Pieces()
	return &reply{make: func() ([][]byte, error) { return pieces, nil }}
}

// locate finds every partition. It reports whether there is nothing to wait for:
// something cannot be read, or nothing was asked for.
func (d *Door) locate(c *conn, f *fetching) (ready bool) {
	ready = len(f.parts) == 0
	for i := range f.parts {
		p := &f.parts[i]
		var missing *brokers.Error
		if i > 0 && f.parts[i-1].sameTopic(p) {
			p.topic, missing = f.parts[i-1].topic, f.parts[i-1].missing
		} else {
			p.topic, missing = d.readableTopic(c, f.in.Version, p.want)
		}
		p.missing = missing
		if p.err = missing; missing == nil {
			p.partition, p.err = d.readable(p)
		}
		ready = ready || p.err != nil
	}
	return ready
}

func (p *fetchPart) sameTopic(q *fetchPart) bool {
	return p.want.topic == q.want.topic && p.want.id == q.want.id
}

// readableTopic finds the topic of a partition that the client may read.
func (d *Door) readableTopic(c *conn, version int16, w *fetchWant) (*brokers.Topic, *brokers.Error) {
	topic, missing := d.cluster.Topic(w.topic), unknownTopic()
	if version >= 13 {
		topic, missing = d.cluster.TopicByID(w.id), unknownTopicID()
	}
	name := w.topic
	if topic != nil {
		name = topic.Name()
	}
	switch {
	case (topic != nil || version < 13) && !c.mayTopic(brokers.OpRead, name):
		return nil, topicDenied()
	case topic == nil:
		return nil, missing
	}
	return topic, nil
}

// readable finds a partition and refuses an offset or an epoch that it has not.
func (d *Door) readable(p *fetchPart) (log.PartitionID, *brokers.Error) {
	at, ok := p.topic.Partition(p.want.partition)
	if !ok {
		return at, unknownTopic()
	}
	info, err := d.log.Info(at)
	if err != nil {
		return at, fetchError(err)
	}
	if p.offset < info.Start || p.offset > info.End {
		return at, fetchError(log.ErrOutOfRange)
	}
	return at, brokers.CheckEpoch(info, p.epoch)
}

func fetchError(err error) *brokers.Error {
	switch errs.KindOf(err) {
	case errs.NotFound:
		return unknownTopic()
	case errs.OutOfRange:
		return refuse(brokers.OffsetOutOfRange, "The requested offset is not within the range of offsets maintained by the server.")
	case errs.Corrupt:
		return &brokers.Error{Code: brokers.CorruptMessage, Err: err}
	}
	return &brokers.Error{Code: brokers.StorageError, Err: err}
}

// await waits until min_bytes are there, something changes that the client must
// know, or the time is over. A closed partition has no more to come, and one whose
// newest records cannot be read yet is waited for from its end.
func (d *Door) await(r *request, f *fetching) {
	wait := min(time.Duration(f.in.MaxWaitMillis)*time.Millisecond, d.opts.MaxFetchWait)
	timer := d.opts.Clock.NewTimer(wait)
	defer timer.Stop()
	for {
		at := make([]log.Position, 0, len(f.parts))
		blocked := false
		for i := range f.parts {
			p := &f.parts[i]
			info, err := d.log.Info(p.partition)
			switch {
			case err != nil:
				return
			case info.Sealed && p.offset >= info.End:
			case f.isolation == log.Committed && p.offset >= info.Stable && info.Stable < info.End:
				blocked = true
				at = append(at, log.Position{Partition: p.partition, Offset: info.End})
			default:
				at = append(at, log.Position{Partition: p.partition, Offset: p.offset})
			}
		}
		minBytes := int64(max(f.in.MinBytes, 1))
		if blocked {
			minBytes = 1
		}
		var fired <-chan struct{}
		stop := func() {}
		if len(at) > 0 {
			w := d.log.Watch(at, minBytes)
			fired, stop = w.C, w.Stop
		}
		select {
		case <-fired:
			stop()
			if !blocked || d.anyReadable(f) {
				return
			}
		case <-timer.C():
			stop()
			return
		case <-r.ctx().Done():
			stop()
			return
		}
	}
}

// anyReadable tells whether a partition has something for the client.
func (d *Door) anyReadable(f *fetching) bool {
	for i := range f.parts {
		info, err := d.log.Info(f.parts[i].partition)
		if err != nil || f.parts[i].offset < info.Stable {
			return true
		}
	}
	return false
}

// read fills in what there is, up to the limits, and returns its bytes.
func (d *Door) read(f *fetching) (sent int64) {
	left := maxFetchBytes
	if f.in.MaxBytes > 0 {
		left = min(left, int(f.in.MaxBytes))
	}
	found := false
	for i := range f.parts {
		p := &f.parts[i]
		if p.err != nil {
			continue
		}
		most := min(left, p.max)
		if found && most <= 0 {
			d.tip(p)
			continue
		}
		got, err := d.log.Read(p.partition, p.offset, max(most, 1), f.isolation)
		switch {
		case errors.Is(err, log.ErrOverloaded):
			f.throttle = overloadPause
			d.tip(p)
			continue
		case err != nil:
			p.err = fetchError(err)
		}
		if found && len(got.List) > 0 && len(got.List[0].Bytes) > most {
			got.Release() // only the first of all may be larger than asked for
		}
		p.got = got
		for k := range got.List {
			left -= len(got.List[k].Bytes)
			sent += int64(len(got.List[k].Bytes))
			found = true
		}
	}
	return sent
}

// tip fills in where the partition ends, without records.
func (d *Door) tip(p *fetchPart) {
	info, err := d.log.Info(p.partition)
	if err != nil {
		p.err = fetchError(err)
		return
	}
	p.got = log.Batches{Start: info.Start, End: info.End, Stable: info.Stable}
}

// response writes the answer around the batches, topic by topic as they come.
func (f *fetching) response(h kwire.Header, session int32) [][]byte {
	topics := 0
	for i := range f.parts {
		if i == 0 || !f.parts[i-1].sameTopic(&f.parts[i]) {
			topics++
		}
	}
	w := kwire.BeginFetch(h.Version, h.Correlation, millis(f.throttle), 0, session, topics)
	for i := 0; i < len(f.parts); {
		first := &f.parts[i]
		n := 1
		for i+n < len(f.parts) && first.sameTopic(&f.parts[i+n]) {
			n++
		}
		w.Topic(first.want.topic, first.want.id, n)
		for k := range n {
			f.partition(w, &f.parts[i+k])
		}
		w.EndTopic()
		i += n
	}
	return w.Pieces()
}

func (f *fetching) partition(w *kwire.FetchResponse, p *fetchPart) {
	out := kwire.FetchPartition{
		Index: p.want.partition, ErrorCode: code(p.err),
		HighWatermark: p.got.End, LastStable: p.got.Stable, LogStart: p.got.Start,
	}
	if p.err != nil {
		out.HighWatermark, out.LastStable, out.LogStart = -1, -1, -1
	}
	if f.isolation == log.Committed {
		out.Aborted = make([]kwire.AbortedTxn, 0, len(p.got.Aborted))
		for _, a := range p.got.Aborted {
			out.Aborted = append(out.Aborted, kwire.AbortedTxn{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
		}
	}
	for b := range p.got.List {
		out.Batches = append(out.Batches, p.got.List[b].Bytes)
	}
	w.Partition(&out)
}

func (f *fetching) release() {
	for i := range f.parts {
		f.parts[i].got.Release()
	}
}
