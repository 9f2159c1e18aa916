package kafkalog

import (
	"bytes"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// sealKey is the key of the record that seals a partition. The record alone makes
// the batch, and no such batch is taken from a caller.
const sealKey = "\x00thalweg.seal"

func sealBatch() []byte {
	var b batch.Builder
	b.Append(batch.Record{Key: []byte(sealKey), Value: []byte{}})
	return b.Finish()
}

// isSeal reports whether a batch is a seal.
func isSeal(b []byte) bool {
	if len(b) != len(sealKey)+batch.HeaderSize+len("\x00\x00\x00\x00\x00\x00\x00") {
		return false
	}
	it, err := batch.Records(b)
	return err == nil && it.Next() && bytes.Equal(it.Record().Key, []byte(sealKey))
}

// seal writes the seal of a partition and returns where the partition ends: there,
// unless another process came first.
func (l *Log) seal(p log.PartitionID, end int64) (int64, error) {
	ack, err := l.cluster.produce(l.group.Context(), l.topic(p), sealBatch())
	if err != nil || ack.base == end {
		return ack.base, err
	}
	at, found, err := l.find(l.topic(p), end, ack.base, isSeal)
	if err != nil || found {
		return at, err
	}
	return ack.base, nil
}

// find looks for a batch between two offsets.
func (l *Log) find(topic string, from, to int64, match func([]byte) bool) (at int64, found bool, err error) {
	for from < to {
		f, err := l.cluster.fetch(l.group.Context(), topic, from, fetchBytes, log.Uncommitted)
		if err != nil || len(f.List) == 0 {
			return 0, false, err
		}
		for _, b := range f.List {
			if match(b.Bytes) {
				return b.Base, true, nil
			}
			from = b.Base + int64(b.Count)
		}
	}
	return 0, false, nil
}
