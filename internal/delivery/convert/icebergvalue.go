package convert

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// icebergScalar makes a leaf's value of one of JSON, which is not null.
func (w *Writer) icebergScalar(n *node, raw []byte) (parquet.Value, error) {
	quoted := raw[0] == '"'
	text := raw
	if quoted {
		text = w.text(raw[1 : len(raw)-1])
	}
	bare := !quoted || n.key // a map's keys are texts in JSON, whatever they are
	var v parquet.Value
	ok := false
	switch n.kind {
	case tBoolean:
		v, ok = parquet.BooleanValue(string(text) == "true"), bare && (string(text) == "true" || string(text) == "false")
	case tInt:
		var i int64
		i, ok = integer(text, bare, 32)
		v = parquet.Int32Value(int32(i))
	case tBigint:
		var i int64
		i, ok = integer(text, bare, 64)
		v = parquet.Int64Value(i)
	case tFloat:
		f, err := strconv.ParseFloat(string(text), 32)
		v, ok = parquet.FloatValue(float32(f)), bare && err == nil && plainFloat(text)
	case tDouble:
		f, err := strconv.ParseFloat(string(text), 64)
		v, ok = parquet.DoubleValue(f), bare && err == nil && plainFloat(text)
	case tDecimal:
		v, ok = icebergDecimal(n, text)
	case tString:
		v, ok = parquet.ByteArrayValue(text), quoted
	case tUUID:
		var id []byte
		id, ok = uuid(text)
		v = parquet.FixedLenByteArrayValue(id)
	case tBinary, tFixed:
		return octets(n, text, quoted)
	default:
		v, ok = temporal(n, text, quoted)
	}
	if !ok {
		return v, mismatch(raw)
	}
	return v, nil
}

func integer(text []byte, bare bool, bits int) (int64, bool) {
	i, err := strconv.ParseInt(string(text), 10, bits)
	return i, bare && err == nil && text[0] != '+'
}

func icebergDecimal(n *node, text []byte) (parquet.Value, bool) {
	if n.precision > 18 {
		v, err := decimal(n, text)
		return v, err == nil
	}
	unscaled, ok := unscaled(string(text), n.scale)
	if !ok || !unscaled.IsInt64() || magnitude(unscaled.Int64()) >= uint64(math.Pow10(n.precision)) {
		return parquet.Value{}, false
	}
	if n.precision <= 9 {
		return parquet.Int32Value(int32(unscaled.Int64())), true
	}
	return parquet.Int64Value(unscaled.Int64()), true
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return uint64(-i)
	}
	return uint64(i)
}

func uuid(text []byte) ([]byte, bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return nil, false
	}
	id, err := hex.DecodeString(string(bytes.ReplaceAll(text, []byte("-"), nil)))
	return id, err == nil && len(id) == 16
}

// octets decodes bytes, those of a fixed length by whichever encoding gives so many.
func octets(n *node, text []byte, quoted bool) (parquet.Value, error) {
	if !quoted {
		return parquet.Value{}, mismatch(text)
	}
	plain := strings.NewReplacer("\r", "", "\n", "").Replace(string(text))
	for _, decode := range []func(string) ([]byte, error){
		base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString, base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
		hex.DecodeString,
	} {
		b, err := decode(plain)
		switch {
		case err != nil || n.kind == tFixed && len(b) != n.length:
		case n.kind == tFixed:
			return parquet.FixedLenByteArrayValue(b), nil
		default:
			return parquet.ByteArrayValue(b), nil
		}
	}
	return parquet.Value{}, mismatch(text)
}

const dayMicros = 86400_000_000

func temporal(n *node, text []byte, quoted bool) (parquet.Value, bool) {
	if i, ok := integer(text, !quoted || n.key, 64); ok {
		switch n.kind {
		case tDate:
			return parquet.Int32Value(int32(i)), i == int64(int32(i))
		case tTime:
			return parquet.Int64Value(i), i >= 0 && i < dayMicros
		}
		return parquet.Int64Value(i), true
	}
	if !quoted {
		return parquet.Value{}, false
	}
	if n.kind == tTime {
		nanos, rest, ok := clockTime(text)
		return parquet.Int64Value(nanos / 1000), ok && len(rest) == 0 && nanos%1000 == 0
	}
	day, rest, ok := calendar(text)
	if n.kind == tDate {
		return parquet.Int32Value(int32(day)), ok && len(rest) == 0
	}
	if !ok || len(rest) == 0 || rest[0] != 'T' && rest[0] != ' ' {
		return parquet.Value{}, false
	}
	nanos, rest, ok := clockTime(rest[1:])
	if !ok || nanos%1000 != 0 {
		return parquet.Value{}, false
	}
	offset, zoned, ok := zone(rest)
	// A time that is UTC is one without a zone, too.
	return parquet.Int64Value(day*dayMicros + nanos/1000 - offset), ok && (zoned || n.kind == tMicros) && (offset == 0 || n.kind == tMicrosUTC)
}

// zone reads Z, an offset or nothing, in microseconds.
func zone(s []byte) (offset int64, zoned, ok bool) {
	switch {
	case len(s) == 0:
		return 0, false, true
	case string(s) == "Z":
		return 0, true, true
	case len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':':
		return 0, false, false
	}
	hours, err := strconv.ParseUint(string(s[1:3]), 10, 8)
	minutes, err2 := strconv.ParseUint(string(s[4:]), 10, 8)
	offset = int64(hours*60+minutes) * 60_000_000
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true, err == nil && err2 == nil && hours <= 18 && minutes < 60
}

// native is a leaf's value as package single has it.
func native(n *node, v parquet.Value) any {
	if v.IsNull() {
		return nil
	}
	switch n.kind {
	case tBoolean:
		return v.Boolean()
	case tInt, tDate:
		return v.Int32()
	case tFloat:
		return v.Float()
	case tDouble:
		return v.Double()
	case tString:
		return string(v.ByteArray())
	case tDecimal:
		switch {
		case n.precision <= 9:
			return big.NewInt(int64(v.Int32()))
		case n.precision <= 18:
			return big.NewInt(v.Int64())
		}
		return signed(v.ByteArray())
	case tBinary, tFixed, tUUID:
		return bytes.Clone(v.ByteArray())
	}
	return v.Int64()
}

// signed reads two's complement, big-endian.
func signed(b []byte) *big.Int {
	i := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		i.Sub(i, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return i
}

// Probe converts records without writing them: it says which a file would take, and
// what their columns have.
type Probe struct {
	w      *Writer
	leaves []*node
}

// NewProbe makes a probe that looks at the fields of these ids, which must be of
// primitive types and outside of lists and maps.
func (c *Converter) NewProbe(ids []int) (*Probe, error) {
	root, leaves, _, err := compile(c.row, c.o)
	if err != nil {
		return nil, err
	}
	p := &Probe{w: &Writer{c: c, root: root, columns: make([][]parquet.Value, len(leaves))}}
	for _, id := range ids {
		var found *node
		for _, l := range leaves {
			if l.id == id && !l.repeated {
				found = l
			}
		}
		if found == nil {
			return nil, invalid("the table has no column of the id " + strconv.Itoa(id) + " that a partition can be of.")
		}
		p.leaves = append(p.leaves, found)
	}
	return p, nil
}

// Read returns the values of a record's fields; see [Probe]. Its error is a *Failure.
func (p *Probe) Read(record []byte) (values []any, err error) {
	err = p.w.convert(record)
	if err == nil {
		for _, l := range p.leaves {
			values = append(values, native(l, p.w.columns[l.from][0]))
		}
	}
	for i := range p.w.columns {
		p.w.columns[i] = p.w.columns[i][:0]
	}
	p.w.arena = p.w.arena[:0]
	return values, err
}
