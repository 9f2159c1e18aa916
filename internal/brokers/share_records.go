package brokers

import (
	"encoding/base64"
	"strconv"

	"github.com/twmb/franz-go/pkg/kbin"

	"thalweg/internal/errs"
)

// snapshotKind is the kind of the records of share partitions: the version of their
// keys (ShareSnapshot*.json of Apache Kafka's share coordinator).
const snapshotKind = 0

// shareKey is one partition as one group reads it.
type shareKey struct {
	group     string
	topic     TopicID
	partition int32
}

// store is the partition of ShareTopic that holds it.
func (k shareKey) store() int32 {
	name := k.group + ":" + base64.RawURLEncoding.EncodeToString(k.topic[:]) + ":" + strconv.Itoa(int(k.partition))
	return (javaHash(name) & 0x7fffffff) % shareStores
}

// record is the key's form in the log.
func (k shareKey) record() []byte {
	b := kbin.AppendString(kbin.AppendInt16(nil, snapshotKind), k.group)
	return kbin.AppendInt32(kbin.AppendUuid(b, k.topic), k.partition)
}

func parseShareKey(b []byte) (shareKey, error) {
	r := kbin.Reader{Src: b}
	if kind := r.Int16(); kind != snapshotKind {
		return shareKey{}, errs.New(errs.Unsupported, "a record of share partitions is of a newer version")
	}
	k := shareKey{group: r.String(), topic: TopicID(r.Uuid()), partition: r.Int32()}
	return k, r.Complete()
}

// snapshot is what is known of a share partition, whole.
type snapshot struct {
	number, epoch    int32 // of the snapshot; of the state, which is another when it was set from outside
	leaderEpoch      int32
	created, written int64
	part             sharePartition
}

// value is the snapshot's form in the log. What a member has is available in it,
// with the deliveries counted.
func (s *snapshot) value() []byte {
	v := kbin.AppendInt32(version0(), s.number)
	v = kbin.AppendInt32(v, s.epoch)
	v = kbin.AppendInt32(v, s.leaderEpoch)
	v = kbin.AppendInt64(v, s.part.start)
	v = kbin.AppendInt64(v, s.created)
	v = kbin.AppendInt64(v, s.written)
	list := s.part.batches()
	v = kbin.AppendCompactArrayLen(v, len(list))
	for i := range list {
		v = kbin.AppendInt64(v, list[i].first)
		v = kbin.AppendInt64(v, list[i].last)
		v = kbin.AppendInt8(v, int8(list[i].state))
		v = kbin.AppendInt16(v, list[i].count)
		v = append(v, 0)
	}
	return tagged(v, kbin.AppendInt32(nil, int32(s.part.completed())))
}

// batches are the spans as they are written down: without those at the end that
// were never delivered.
func (p *sharePartition) batches() (out []span) {
	for _, s := range p.spans {
		if s.state == acquired {
			s.state = available
		}
		s = span{first: s.first, last: s.last, state: s.state, count: s.count}
		if n := len(out); n > 0 && s.follows(&out[n-1]) {
			out[n-1].last = s.last
		} else {
			out = append(out, s)
		}
	}
	if n := len(out); n > 0 && out[n-1].state == available && out[n-1].count == 0 {
		out = out[:n-1]
	}
	return out
}

func parseSnapshot(b []byte) (s snapshot, err error) {
	r := kbin.Reader{Src: b}
	if v := r.Int16(); v != 0 {
		return s, errs.New(errs.Unsupported, "a record of share partitions is of a newer version")
	}
	s.number, s.epoch, s.leaderEpoch = r.Int32(), r.Int32(), r.Int32()
	p := &s.part
	p.start = r.Int64()
	p.next = p.start
	s.created, s.written = r.Int64(), r.Int64()
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		next := span{first: r.Int64(), last: r.Int64(), state: delivery(r.Int8()), count: r.Int16()}
		eachTag(&r, func(*kbin.Reader) {})
		known := next.state == available || next.state == acknowledged || next.state == archived
		if r.Ok() && (!known || next.first < p.next || next.last < next.first) {
			return s, errs.New(errs.Corrupt, "a record of share partitions has batches out of order")
		}
		p.grow(next.first - 1)
		p.spans, p.next = append(p.spans, next), next.last+1
	}
	eachTag(&r, func(*kbin.Reader) {})
	if err := r.Complete(); err != nil {
		return s, err
	}
	p.settle()
	return s, nil
}
