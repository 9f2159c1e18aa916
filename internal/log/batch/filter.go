package batch

import "encoding/binary"

// DeleteHorizon is the attribute of a batch whose base timestamp is the time, in
// Unix milliseconds, from which on compaction may remove its tombstones or its
// marker (Apache Kafka, KIP-534).
const DeleteHorizon = 0x40

// Horizon is the time from which on tombstones may go, if the batch has one.
func (h Header) Horizon() (at int64, ok bool) {
	return h.BaseTimestamp, h.Attributes&DeleteHorizon != 0
}

// Filter appends to dst what is left of b, one whole uncompressed batch, when
// only the records stay for which keep is true, which is asked in order. Offsets,
// producer and sequence are as before, as is the range of offsets; without any
// record left it is an empty batch. A horizon that is not negative is given to the
// batch, which must have none. The checksum is right.
// Errors: ErrMalformed, ErrCompressed.
func Filter(dst, b []byte, horizon int64, keep func(*Record) bool) ([]byte, error) {
	it, err := Records(b)
	if err != nil {
		return dst, err
	}
	h, _ := ParseHeader(b)
	begin := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	count, latest := int32(0), int64(-1)
	for {
		rest := it.r.b
		if !it.Next() {
			break
		}
		if !keep(&it.rec) {
			continue
		}
		raw := rest[:len(rest)-len(it.r.b)]
		if horizon >= 0 {
			dst = appendShifted(dst, raw, h.BaseTimestamp-horizon)
		} else {
			dst = append(dst, raw...)
		}
		latest = max(latest, it.rec.Timestamp)
		count++
	}
	if it.err != nil {
		return dst[:begin], it.err
	}
	out := dst[begin:]
	be := binary.BigEndian
	be.PutUint32(out[posLength:], uint32(len(out)-12))
	be.PutUint32(out[posCount:], uint32(count))
	if horizon >= 0 {
		be.PutUint16(out[posAttributes:], uint16(h.Attributes|DeleteHorizon))
		be.PutUint64(out[posBaseTimestamp:], uint64(horizon))
	}
	if count > 0 && h.Attributes&TimestampLogTime == 0 {
		be.PutUint64(out[posMaxTimestamp:], uint64(latest))
	}
	SetCRC(out)
	return dst, nil
}

// appendShifted appends a well-formed record with shift added to its timestamp
// delta.
func appendShifted(dst, raw []byte, shift int64) []byte {
	_, n := binary.Varint(raw) // length
	body := raw[n:]
	delta, m := binary.Varint(body[1:])
	rest := body[1+m:]
	dst = binary.AppendVarint(dst, int64(1+varintLen(delta+shift)+len(rest)))
	dst = append(dst, body[0])
	dst = binary.AppendVarint(dst, delta+shift)
	return append(dst, rest...)
}
