package brokers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"thalweg/internal/clock"
	"thalweg/internal/ids"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Positions of header fields that a topic of LogAppendTime has written anew.
const (
	posCRC          = 17
	posAttributes   = 21
	posMaxTimestamp = 35
)

// InTransaction tells whose open transaction a batch that [Cluster.Entry] took
// belongs to, if it does.
func InTransaction(b []byte) (producer int64, epoch int16, ok bool) {
	h, err := batch.ParseHeader(b)
	return h.ProducerID, h.ProducerEpoch, err == nil && h.Attributes&batch.Transactional != 0
}

// Entry makes the entry that appends what a client sent for partition i of t: one
// whole record batch, checked inside and out as Apache Kafka does. The batch
// stays the client's, but for the times of a topic of LogAppendTime.
func (c *Cluster) Entry(t *Topic, i int32, records []byte) (log.Entry, *Error) {
	p, ok := t.Partition(i)
	switch {
	case !ok:
		return log.Entry{}, refuse(UnknownTopic, "This server does not host this topic-partition.")
	case t.Internal():
		return log.Entry{}, refuse(InvalidTopic, "The topic %s is internal: clients do not write to it.", t.Name())
	}
	if err := c.checkBatch(t, i, records); err != nil {
		return log.Entry{}, err
	}
	if !c.admit(t, i, records) {
		return log.Entry{}, refuse(NotEnoughReplicas, "Rate exceeded for partition %d of %s; nothing was written.", i, t.Name())
	}
	return log.Entry{Kind: log.Data, Partition: p, Batch: records}, nil
}

// admit draws a batch on the rate of its shard, where AWS's limits hold: the same
// that records put through Kinesis draw on. A batch counts as it comes,
// compressed or not.
func (c *Cluster) admit(t *Topic, i int32, b []byte) bool {
	h, err := batch.ParseHeader(b)
	return err == nil && c.streams.AdmitWrite(t.res, ids.Shard(i), int(h.Count), len(b))
}

func (c *Cluster) checkBatch(t *Topic, i int32, b []byte) *Error {
	h, err := batch.ParseHeader(b)
	switch {
	case len(b) == 0:
		return refuse(InvalidRecord, "Produce requests must have at least one record batch per partition")
	case len(b) > 16 && b[16] != 2:
		return refuse(InvalidRecord, "Produce requests are only allowed to contain record batches with magic version 2")
	case err != nil:
		return refuse(CorruptMessage, "The record batch is malformed.")
	case h.Size() != len(b):
		return refuse(InvalidRecord, "Produce requests must contain exactly one record batch per partition")
	case len(b) > t.limits.maxBytes:
		return refuse(MessageTooLarge, "The record batch size in the append is %d bytes which exceeds the maximum configured value of %d (max.message.bytes).",
			len(b), t.limits.maxBytes)
	case h.Attributes&batch.TimestampLogTime != 0:
		return refuse(InvalidTimestamp, "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime.")
	case h.Attributes&batch.CompressionMask > 4:
		return refuse(UnsupportedCompression, "The compression type of the record batch is unknown.")
	}
	d := c.unpacks.Get()
	defer c.unpacks.Put(d)
	switch err := batch.Validate(b, d); {
	case errors.Is(err, batch.ErrChecksum):
		return &Error{Code: CorruptMessage, Msg: "The record batch fails its checksum.", Err: err}
	case errors.Is(err, batch.ErrTooLarge):
		return &Error{Code: MessageTooLarge, Msg: "The record batch is too large when unpacked.", Err: err}
	case err != nil:
		return &Error{Code: InvalidRecord, Msg: "One or more records have been rejected", Err: err}
	}
	if t.limits.keyed {
		if err := checkKeys(t, i, b, d); err != nil {
			return err
		}
	}
	now := clock.Millis(c.clock)
	if t.limits.logTime {
		stamp(b, h, now)
		return nil
	}
	if h.MaxTimestamp > now && h.MaxTimestamp-now > t.limits.after || h.BaseTimestamp < now-t.limits.before {
		return refuse(InvalidTimestamp, "A timestamp of the batch (%d to %d) is out of range: message.timestamp.before.max.ms is %d, "+
			"message.timestamp.after.max.ms is %d.", h.BaseTimestamp, h.MaxTimestamp, t.limits.before, t.limits.after)
	}
	return nil
}

// maxRecordErrors is how many records of a batch are told of at most.
const maxRecordErrors = 1000

// checkKeys refuses records without a key, which compaction could not tell apart,
// each by itself.
func checkKeys(t *Topic, i int32, b []byte, d *batch.Decompressor) *Error {
	b, err := d.Decompress(b)
	if err != nil {
		return &Error{Code: InvalidRecord, Msg: "One or more records have been rejected", Err: err}
	}
	it, err := batch.Records(b)
	if err != nil {
		return &Error{Code: InvalidRecord, Msg: "One or more records have been rejected", Err: err}
	}
	text := fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s-%d", t.Name(), i)
	var wrong []RecordError
	var first []string
	total := 0
	for at := int32(0); it.Next(); at++ {
		if it.Record().Key != nil {
			continue
		}
		if total++; len(wrong) < maxRecordErrors {
			wrong = append(wrong, RecordError{at, text})
		}
		if len(first) < 3 {
			first = append(first, fmt.Sprintf("RecordError(batchIndex=%d, message='%s')", at, text))
		}
	}
	if total == 0 {
		return nil
	}
	refused := refuse(InvalidRecord, "One or more records have been rejected due to %d record errors in total, and only showing the first three errors at most: [%s]",
		total, strings.Join(first, ", "))
	refused.Records = wrong
	return refused
}

// stamp gives every record of a batch the server's time.
func stamp(b []byte, h batch.Header, now int64) {
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(h.Attributes)|batch.TimestampLogTime)
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(now))
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], batch.Castagnoli))
}

// Appended is what became of an entry, in Kafka's terms.
type Appended struct {
	Offset   int64
	Time     int64 // of a topic of LogAppendTime, else -1
	LogStart int64
	Err      *Error
}

// Appended reads the log's result of an entry for t.
func (c *Cluster) Appended(t *Topic, e *log.Entry, r log.Result) Appended {
	a := Appended{Offset: r.Offset, Time: -1}
	if r.Err != nil {
		a.Offset, a.Err = -1, appendError(r.Err)
		return a
	}
	if t.limits.logTime {
		a.Time = int64(binary.BigEndian.Uint64(e.Batch[posMaxTimestamp:]))
	}
	if info, err := c.log.Info(e.Partition); err == nil {
		a.LogStart = info.Start
	}
	return a
}

func appendError(err error) *Error {
	switch {
	case errors.Is(err, log.ErrOutOfOrderSequence):
		return &Error{Code: OutOfOrderSequence, Msg: "The broker received an out of order sequence number."}
	case errors.Is(err, log.ErrProducerFenced):
		return &Error{Code: InvalidProducerEpoch, Msg: "Producer attempted to produce with an old epoch."}
	case errors.Is(err, log.ErrTooLarge):
		return &Error{Code: MessageTooLarge, Msg: "The record batch is larger than the log takes."}
	case errors.Is(err, log.ErrInvalidBatch):
		return &Error{Code: CorruptMessage, Msg: "The record batch is not valid."}
	}
	return logError(err)
}
