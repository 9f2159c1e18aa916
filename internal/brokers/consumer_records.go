package brokers

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"

	"thalweg/internal/errs"
)

// Kinds of records of a group of the consumer protocol: the versions of their keys
// (ConsumerGroup*.json of Apache Kafka's group coordinator).
const (
	recordGroup       = 3
	recordTopics      = 4 // of Apache Kafka before 4.1
	recordMember      = 5
	recordTargetEpoch = 6
	recordTarget      = 7
	recordCurrent     = 8
	recordRegex       = 16
)

// The kinds of a share group (ShareGroup*.json), which say the same of it.
const (
	shareMember      = 10
	shareGroup       = 11
	shareTargetEpoch = 12
	shareTarget      = 13
	shareCurrent     = 14
	shareState       = 15 // which share partitions have begun; here [Shares] knows
)

// plainKind is the kind of a record, whichever of the two protocols it is of.
func plainKind(kind int16) (plain int16, share bool) {
	switch kind {
	case shareMember:
		return recordMember, true
	case shareGroup:
		return recordGroup, true
	case shareTargetEpoch:
		return recordTargetEpoch, true
	case shareTarget:
		return recordTarget, true
	case shareCurrent:
		return recordCurrent, true
	case shareState:
		return recordTopics, true
	}
	return kind, false
}

// kind is a kind of record in the group's protocol.
func (g *consumers) kind(plain int16) int16 {
	for kind := int16(shareMember); g.share && kind <= shareCurrent; kind++ {
		if p, _ := plainKind(kind); p == plain {
			return kind
		}
	}
	return plain
}

// key is the key of a record of the group.
func (g *consumers) key(plain int16, rest ...string) []byte {
	return consumerKey(g.kind(plain), g.id, rest...)
}

// record is one record of a group. Its value is nil where the key has none any
// more.
type record struct{ key, value []byte }

// consumerKey is the key of a record; rest is nothing, a member's id or a regular
// expression.
func consumerKey(kind int16, group string, rest ...string) []byte {
	key := kbin.AppendString(kbin.AppendInt16(nil, kind), group)
	for _, s := range rest {
		key = kbin.AppendString(key, s)
	}
	return key
}

// kindOf is the kind of a record by its key.
func kindOf(key string) int16 {
	if len(key) < 2 {
		return -1
	}
	return int16(binary.BigEndian.Uint16([]byte(key[:2])))
}

// records are all that the group consists of, in an order in which Apache Kafka
// takes them: members, then epochs and targets, then what members have.
func (g *consumers) records() []record {
	ids := slices.Sorted(maps.Keys(g.members))
	var out []record
	for _, id := range ids {
		out = append(out, record{g.key(recordMember, id), g.members[id].metadata(g.share)})
	}
	for _, regex := range slices.Sorted(maps.Keys(g.regexes)) {
		out = append(out, record{g.key(recordRegex, regex), g.regexes[regex].value()})
	}
	v := kbin.AppendInt32(version0(), g.epoch)
	if g.share {
		v = append(kbin.AppendInt64(v, g.hash), 0)
	} else {
		v = tagged(v, kbin.AppendInt64(nil, g.hash))
	}
	out = append(out, record{g.key(recordGroup), v})
	for _, id := range ids {
		v := appendSlots(version0(), g.members[id].target, false)
		out = append(out, record{g.key(recordTarget, id), append(v, 0)})
	}
	v = kbin.AppendInt32(version0(), g.targetEpoch)
	out = append(out, record{g.key(recordTargetEpoch), tagged(v, kbin.AppendInt64(nil, g.targetTime))})
	for _, id := range ids {
		out = append(out, record{g.key(recordCurrent, id), g.members[id].current(g.share)})
	}
	return out
}

// goneFirst orders the keys of records that are to have no value any more as Apache
// Kafka takes them: what hangs on a member before the member, the group last.
func goneFirst(a, b string) int {
	rank := func(key string) int {
		kind, _ := plainKind(kindOf(key))
		return slices.Index([]int16{recordCurrent, recordTarget, recordTargetEpoch, recordMember, recordRegex, recordTopics, recordGroup}, kind)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

func version0() []byte { return kbin.AppendInt16(nil, 0) }

// tagged ends a structure with the tagged field 0.
func tagged(b, field []byte) []byte {
	b = kbin.AppendUvarint(b, 1)
	b = kbin.AppendUvarint(b, 0)
	b = kbin.AppendUvarint(b, uint32(len(field)))
	return append(b, field...)
}

// metadata is what the member told of itself.
func (m *consumer) metadata(share bool) []byte {
	v := version0()
	if !share {
		v = kbin.AppendCompactNullableString(v, m.instance)
	}
	v = kbin.AppendCompactNullableString(v, m.rack)
	v = kbin.AppendCompactString(v, m.clientID)
	v = kbin.AppendCompactString(v, m.clientHost)
	v = appendStrings(v, m.names)
	if share {
		return append(v, 0)
	}
	var regex *string
	if m.regex != "" {
		regex = &m.regex
	}
	v = kbin.AppendCompactNullableString(v, regex)
	v = kbin.AppendInt32(v, int32(m.rebalance))
	v = kbin.AppendCompactNullableString(v, m.assignor)
	if m.classic == nil {
		return append(v, 0)
	}
	return tagged(v, m.classic.value())
}

// current is what the member has.
func (m *consumer) current(share bool) []byte {
	v := kbin.AppendInt32(version0(), m.epoch)
	v = kbin.AppendInt32(v, m.previous)
	v = kbin.AppendInt8(v, int8(m.state))
	v = appendSlots(v, m.owned, !share)
	if !share {
		v = appendSlots(v, m.revoking, true)
	}
	return append(v, 0)
}

func (r *resolved) value() []byte {
	v := appendStrings(version0(), r.topics)
	v = kbin.AppendInt64(v, 0)
	v = kbin.AppendInt64(v, r.at)
	return append(v, 0)
}

func appendStrings(v []byte, list []string) []byte {
	v = kbin.AppendCompactArrayLen(v, len(list))
	for _, s := range list {
		v = kbin.AppendCompactString(v, s)
	}
	return v
}

// appendSlots appends partitions by topic, and their epochs if there is a place
// for them.
func appendSlots(v []byte, in slots, epochs bool) []byte {
	list := in.sorted()
	var topics [][]slot
	for from, i := 0, 1; i <= len(list); i++ {
		if i == len(list) || list[i].topic != list[from].topic {
			topics = append(topics, list[from:i])
			from = i
		}
	}
	v = kbin.AppendCompactArrayLen(v, len(topics))
	for _, t := range topics {
		v = kbin.AppendUuid(v, t[0].topic)
		v = kbin.AppendCompactArrayLen(v, len(t))
		for _, s := range t {
			v = kbin.AppendInt32(v, s.partition)
		}
		if !epochs {
			v = append(v, 0)
			continue
		}
		field := kbin.AppendCompactArrayLen(nil, len(t))
		for _, s := range t {
			field = kbin.AppendInt32(field, in[s])
		}
		v = tagged(v, field)
	}
	return v
}

// consumerRecord tells the group of a record's key, with what else it names, and its
// kind in the consumer protocol.
func consumerRecord(key []byte) (kind int16, share bool, group, rest string, err error) {
	r := kbin.Reader{Src: key}
	kind, share = plainKind(r.Int16())
	group = r.String()
	switch kind {
	case recordMember, recordTarget, recordCurrent, recordRegex:
		rest = r.String()
	case recordGroup, recordTargetEpoch, recordTopics:
	default:
		return kind, share, group, rest, errs.New(errs.Unsupported, "a record of the groups is of a newer version")
	}
	return kind, share, group, rest, r.Complete()
}

// apply does what one record says; now is the time of loading.
func (g *consumers) apply(kind int16, rest string, value []byte, now int64) error {
	r := kbin.Reader{Src: value}
	if value != nil {
		if v := r.Int16(); v != 0 {
			return errs.New(errs.Unsupported, "a record of the groups is of a newer version")
		}
	}
	var m *consumer
	switch kind {
	case recordMember, recordTarget, recordCurrent:
		if m = g.members[rest]; m == nil {
			if value == nil {
				return nil
			}
			m = g.take(rest, nil)
		}
	}
	switch {
	case kind == recordMember && value == nil:
		g.forget(m)
	case kind == recordTarget && value == nil:
		m.target = slots{}
	case kind == recordCurrent && value == nil:
		m.owned, m.revoking = slots{}, slots{}
	case kind == recordRegex && value == nil:
		delete(g.regexes, rest)
	case value == nil:
	case kind == recordGroup:
		g.epoch = r.Int32()
		if g.share {
			g.hash = r.Int64()
			eachTag(&r, func(*kbin.Reader) {})
		} else {
			g.hash = taggedInt64(&r)
		}
	case kind == recordTargetEpoch:
		g.targetEpoch = r.Int32()
		g.targetTime = taggedInt64(&r)
	case kind == recordMember:
		m.restore(&r, g.share)
		if m.instance != nil {
			g.static[*m.instance] = m.id
		}
		m.expires = now + g.session(m)
	case kind == recordTarget:
		m.target = readSlots(&r)
	case kind == recordCurrent:
		m.epoch, m.previous, m.state = r.Int32(), r.Int32(), memberState(r.Int8())
		if m.owned = readSlots(&r); !g.share {
			m.revoking = readSlots(&r)
		}
	case kind == recordRegex:
		g.regexes[rest] = &resolved{topics: readStrings(&r)}
	}
	return r.Complete()
}

// restore reads what a member told of itself.
func (m *consumer) restore(r *kbin.Reader, share bool) {
	if !share {
		m.instance = r.CompactNullableString()
	}
	m.rack = r.CompactNullableString()
	m.clientID, m.clientHost = r.CompactString(), r.CompactString()
	m.names = readStrings(r)
	if share {
		return
	}
	m.regex = ""
	if regex := r.CompactNullableString(); regex != nil {
		m.regex = *regex
	}
	m.rebalance = int64(r.Int32())
	m.assignor = r.CompactNullableString()
	m.classic = nil
	eachTag(r, func(field *kbin.Reader) { m.classic = readClassic(field) })
}

// loaded ends the reading of records: sessions and the time to give up partitions
// begin anew.
func (g *consumers) loaded(now int64) {
	for _, m := range g.members {
		if r := g.regexes[m.regex]; r != nil { // until it is heard of again
			m.matched = r.topics
		}
		if m.state == stateUnrevoked {
			m.moveBy = now + m.rebalance
		}
		for _, list := range []slots{m.owned, m.revoking} {
			for s := range list {
				g.holders[s] = m.id
			}
		}
	}
	g.since, g.changed = now, false
}

// taggedInt64 reads the tagged field 0, 0 if there is none.
func taggedInt64(r *kbin.Reader) (out int64) {
	eachTag(r, func(field *kbin.Reader) { out = field.Int64() })
	return out
}

// eachTag reads tagged fields, and gives fn the one of number 0.
func eachTag(r *kbin.Reader, fn func(*kbin.Reader)) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		tag, size := r.Uvarint(), r.Uvarint()
		field := r.Span(int(size))
		if tag == 0 && r.Ok() {
			fn(&kbin.Reader{Src: field})
		}
	}
}

func readStrings(r *kbin.Reader) []string {
	var out []string
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		out = append(out, r.CompactString())
	}
	return out
}

func readSlots(r *kbin.Reader) slots {
	out := slots{}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		topic := TopicID(r.Uuid())
		var list []slot
		for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
			list = append(list, slot{topic, r.Int32()})
		}
		epochs := make([]int32, len(list))
		eachTag(r, func(field *kbin.Reader) {
			for i := range min(int(field.CompactArrayLen()), len(epochs)) {
				epochs[i] = field.Int32()
			}
		})
		for i, s := range list {
			out[s] = epochs[i]
		}
	}
	return out
}
