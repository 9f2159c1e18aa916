package kafka

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// batchSpec is how a script describes a record batch.
type batchSpec struct {
	Values []string // of the records; "-" is null
	Keys   []string // of the first records; "-" is null
	Size   int      // bytes of one more record
	// Time is the first record's timestamp, each following one is a second later.
	Time     int64
	Codec    string // what it is compressed with
	Says     string // what it says that it is compressed with, if that is another
	Magic    int8   // 2 if it is 0
	Producer int64  // -1 if there is none
	Epoch    int16
	Sequence int32
	Claims   int32 // added to the number of records that it says it has
	BadCRC   bool
	Cut      int // bytes to leave out at the end
	Transact bool
}

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// buildBatch is the batch that a script describes.
func buildBatch(m map[string]any, vars map[string]any) ([]byte, error) {
	s := batchSpec{Producer: -1, Epoch: -1, Sequence: -1, Codec: "none", Time: 1_700_000_000_000}
	if err := fill(reflect.ValueOf(&s).Elem(), m, vars); err != nil {
		return nil, err
	}
	if s.Magic == 1 {
		return legacySet(s), nil
	}
	if s.Size > 0 {
		s.Values = append(s.Values, strings.Repeat("x", s.Size))
	}
	var records []byte
	for i, value := range s.Values {
		r := kmsg.Record{TimestampDelta64: int64(i) * 1000, OffsetDelta: int32(i), Key: text("-")}
		r.Value = text(value)
		if i < len(s.Keys) {
			r.Key = text(s.Keys[i])
		}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // a length of 0 is one byte
		records = r.AppendTo(records)
	}
	records, err := compress(s.Codec, records)
	if err != nil {
		return nil, err
	}
	count := int32(len(s.Values))
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: count - 1, NumRecords: count + s.Claims,
		FirstTimestamp: s.Time, MaxTimestamp: s.Time + int64(max(count-1, 0))*1000,
		ProducerID: s.Producer, ProducerEpoch: s.Epoch, FirstSequence: s.Sequence, Records: records,
	}
	if s.Magic != 0 {
		b.Magic = s.Magic
	}
	if s.Says == "" {
		s.Says = s.Codec
	}
	for i, name := range codecs {
		if name == s.Says {
			b.Attributes = int16(i)
		}
	}
	if s.Transact {
		b.Attributes |= 0x10
	}
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-12))
	crc := crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli))
	if s.BadCRC {
		crc++
	}
	binary.BigEndian.PutUint32(out[17:], crc)
	return out[:len(out)-s.Cut], nil
}

// legacySet is a message set of the format before record batches.
func legacySet(s batchSpec) []byte {
	var out []byte
	for i, value := range s.Values {
		body := []byte{1, 0} // magic, attributes
		body = binary.BigEndian.AppendUint64(body, uint64(s.Time))
		body = binary.BigEndian.AppendUint32(body, ^uint32(0)) // no key
		body = binary.BigEndian.AppendUint32(body, uint32(len(value)))
		body = append(body, value...)
		out = binary.BigEndian.AppendUint64(out, uint64(i))
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)+4))
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
		out = append(out, body...)
	}
	return out
}

func text(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}

func compress(codec string, b []byte) ([]byte, error) {
	switch codec {
	case "none":
		return b, nil
	case "gzip":
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(b); err != nil {
			return nil, err
		}
		err := w.Close()
		return out.Bytes(), err
	case "snappy":
		return snappy.Encode(nil, b), nil
	case "zstd":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			return nil, err
		}
		return w.EncodeAll(b, nil), nil
	}
	return nil, fmt.Errorf("no codec %q", codec)
}

// describeBatches tells of each batch what a consumer sees of it.
func describeBatches(b []byte) []string {
	var out []string
	for len(b) > 0 {
		if len(b) < 12 || len(b) < 12+int(binary.BigEndian.Uint32(b[8:])) {
			return append(out, "the start of a batch")
		}
		n := 12 + int(binary.BigEndian.Uint32(b[8:]))
		var rb kmsg.RecordBatch
		if err := rb.ReadFrom(b[:n]); err != nil {
			return append(out, "broken: "+err.Error())
		}
		line := fmt.Sprintf("%d to %d, %s", rb.FirstOffset, rb.FirstOffset+int64(rb.LastOffsetDelta), codecs[rb.Attributes&7])
		if rb.ProducerID >= 0 {
			line += fmt.Sprintf(", epoch %d sequence %d", rb.ProducerEpoch, rb.FirstSequence)
		}
		if rb.Attributes&0x08 != 0 {
			line += ", append time"
		}
		if rb.Attributes&0x10 != 0 {
			line += ", transactional"
		}
		if rb.Attributes&0x20 != 0 {
			line += ", control"
		}
		if rb.PartitionLeaderEpoch < 0 {
			line += ", no leader epoch"
		}
		out = append(out, line)
		b = b[n:]
	}
	return out
}
