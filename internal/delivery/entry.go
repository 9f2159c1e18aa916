package delivery

import (
	"encoding/binary"
	"slices"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

// What stands in a plan's file, one behind the other (docs/formats/delivery.md).
type entryKind uint8

const (
	// entryRecord is a record to deliver.
	entryRecord entryKind = iota + 1
	// entryRaw is a record as the source had it, for the backup.
	entryRaw
	// entryFailed is a record that a stage could not make sense of.
	entryFailed
)

// appendEntry appends an entry: its length, then its fields.
func appendEntry(dst []byte, kind entryKind, r *dest.Record, f *dest.Failure) []byte {
	body := []byte{byte(kind)}
	body = binary.AppendUvarint(body, r.Partition.Stream)
	body = binary.AppendUvarint(body, uint64(r.Partition.Generation))
	body = binary.AppendUvarint(body, uint64(r.Partition.Index))
	body = binary.AppendUvarint(body, uint64(r.Offset))
	body = binary.AppendUvarint(body, uint64(r.Sub))
	body = binary.AppendVarint(body, r.Arrival)
	body = appendText(body, r.Sequence)
	body = appendText(body, r.ShardID)
	body = appendText(body, r.PartitionKey)
	body = appendMap(body, r.Keys)
	if kind == entryFailed {
		body = appendText(body, f.Type)
		body = appendText(body, f.Code)
		body = appendText(body, f.Message)
		body = binary.AppendUvarint(body, uint64(f.Attempts))
		body = appendMap(body, f.Fields)
	}
	dst = binary.AppendUvarint(dst, uint64(len(body)+len(r.Data)))
	dst = append(dst, body...)
	return append(dst, r.Data...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendMap(dst []byte, m map[string]string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(m)))
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		dst = appendText(appendText(dst, k), m[k])
	}
	return dst
}

// parseEntry reads an entry without its length. The record's data aliases b.
func parseEntry(b []byte) (kind entryKind, f dest.Failure, err error) {
	p := parser{b: b}
	kind = entryKind(p.byte())
	r := &f.Record
	r.Partition.Stream = p.uvarint()
	r.Partition.Generation = uint32(p.uvarint())
	r.Partition.Index = uint32(p.uvarint())
	r.Offset = int64(p.uvarint())
	r.Sub = int(p.uvarint())
	r.Arrival = p.varint()
	r.Sequence, r.ShardID, r.PartitionKey = p.text(), p.text(), p.text()
	r.Keys = p.table()
	if kind == entryFailed {
		f.Type, f.Code, f.Message = p.text(), p.text(), p.text()
		f.Attempts = int(p.uvarint())
		f.Fields = p.table()
	}
	if p.bad || kind < entryRecord || kind > entryFailed {
		return 0, f, errs.New(errs.Corrupt, "a file of a delivery's records is damaged")
	}
	r.Data = p.b
	r.ID = RecordID(r.Partition, r.Offset)
	return kind, f, nil
}

// parser reads an entry's fields; bad sticks.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) byte() byte {
	if len(p.b) == 0 {
		p.bad = true
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) text() string {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return ""
	}
	s := string(p.b[:n])
	p.b = p.b[n:]
	return s
}

func (p *parser) table() map[string]string {
	n := p.uvarint()
	if n == 0 || n > uint64(len(p.b)) {
		p.bad = p.bad || n > 0
		return nil
	}
	m := make(map[string]string, min(n, 64))
	for range n {
		k := p.text()
		m[k] = p.text()
	}
	return m
}
