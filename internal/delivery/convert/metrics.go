package convert

import (
	"bytes"
	"cmp"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"thalweg/internal/lake/single"
)

// Metrics are what a file of Iceberg's has of a column, outside of lists and maps.
type Metrics struct {
	ID            int
	Values, Nulls int64
	// Lower and Upper are bounds in Iceberg's single-value form (appendix D of its
	// specification); nil is none. Those of texts have boundRunes characters at most.
	Lower, Upper []byte
}

const boundRunes = 16

// metric is the Metrics of a column in the making.
type metric struct {
	values, nulls int64
	least, most   parquet.Value // null is none
}

// measure adds the values of the batch at hand.
func (w *Writer) measure() {
	for i, n := range w.leaves {
		if n.repeated {
			continue
		}
		m := &w.metrics[i]
		for _, v := range w.columns[i] {
			m.values++
			if v.IsNull() {
				m.nulls++
			} else {
				m.bound(n, v)
			}
		}
	}
}

func (m *metric) bound(n *node, v parquet.Value) {
	if !n.bounded() {
		return
	}
	if m.least.IsNull() || n.compare(v, m.least) < 0 {
		m.least = v.Clone()
	}
	if m.most.IsNull() || n.compare(v, m.most) > 0 {
		m.most = v.Clone()
	}
}

// bounded tells whether bounds are kept of a leaf: those of bytes find nothing.
func (n *node) bounded() bool {
	switch n.kind {
	case tBinary, tFixed, tUUID:
		return false
	case tDecimal:
		return n.precision <= 18
	}
	return true
}

// compare compares two values of a leaf that is bounded.
func (n *node) compare(a, b parquet.Value) int {
	switch a.Kind() {
	case parquet.Boolean:
		return cmp.Compare(a.Byte(), b.Byte())
	case parquet.Int32:
		return cmp.Compare(a.Int32(), b.Int32())
	case parquet.Float:
		return cmp.Compare(a.Float(), b.Float())
	case parquet.Double:
		return cmp.Compare(a.Double(), b.Double())
	case parquet.ByteArray:
		return bytes.Compare(a.ByteArray(), b.ByteArray())
	}
	return cmp.Compare(a.Int64(), b.Int64())
}

// Metrics returns what has been written of each column, once the file is closed.
func (w *Writer) Metrics() (out []Metrics) {
	for i, n := range w.leaves {
		if n.repeated || n.id == 0 {
			continue
		}
		m := &w.metrics[i]
		c := Metrics{ID: n.id, Values: m.values, Nulls: m.nulls}
		if n.kind == tString && !m.least.IsNull() {
			c.Lower, c.Upper = shortLower(string(m.least.ByteArray())), shortUpper(string(m.most.ByteArray()))
		} else {
			c.Lower, c.Upper = single.Bytes(native(n, m.least)), single.Bytes(native(n, m.most))
		}
		out = append(out, c)
	}
	return out
}

// runes is how many bytes the first boundRunes characters have, and whether that is all.
func runes(s string) (n int, all bool) {
	for range boundRunes {
		if n == len(s) {
			return n, true
		}
		_, size := utf8.DecodeRuneInString(s[n:])
		n += size
	}
	return n, n == len(s)
}

func shortLower(s string) []byte {
	n, _ := runes(s)
	return []byte(s[:n])
}

// shortUpper is a text that is not below s: its beginning, with the last character that
// can be made larger made so. There may be none.
func shortUpper(s string) []byte {
	n, all := runes(s)
	if all {
		return []byte(s)
	}
	for n > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:n])
		n -= size
		if r++; r == 0xd800 { // no character from there on
			r = 0xe000
		}
		if r <= utf8.MaxRune {
			return utf8.AppendRune([]byte(s[:n]), r)
		}
	}
	return nil
}
