package tables

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"strconv"
	"strings"

	"thalweg/internal/errs"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
)

// Get returns the item of a key, nil if there is none. Errors: NotFound, Invalid.
func (s *Service) Get(scope Scope, table string, key value.Item) (value.Item, error) {
	items, err := s.GetAll(scope, []Address{{table, key}})
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// Address is a table and the key of an item.
type Address struct {
	Table string
	Key   value.Item
}

// GetAll returns the items of several keys, as they were at one instant; nil
// where there is none. Errors: NotFound, Invalid.
func (s *Service) GetAll(scope Scope, keys []Address) ([]value.Item, error) {
	rows := make([]*row, len(keys))
	err := func() error {
		s.mu.RLock()
		defer s.mu.RUnlock()
		for i, k := range keys {
			t, err := s.state.table(scope, k.Table)
			if err != nil {
				return err
			}
			if err := t.def.checkKey(k.Key); err != nil {
				return err
			}
			place, _ := t.def.Key.place(k.Key)
			rows[i] = t.rows.get(place)
		}
		return nil
	}()
	if err != nil {
		return nil, err
	}
	items := make([]value.Item, len(rows))
	for i, r := range rows {
		items[i] = r.item()
	}
	return items, nil
}

// Search is a query, or with Key nil a scan, of a table or of an index.
type Search struct {
	Table, Index string
	// Key makes the condition of a query for a key of these names.
	Key func(partition, sort string) (expr.KeyCondition, error)
	// Filter drops what was read; nil is none.
	Filter expr.Condition
	// Whole is whether items of a local index are to be shown whole.
	Whole bool
	// Backward is whether a query goes from the last to the first.
	Backward bool
	// Segment of Segments (0 is 1) is the part of the table that is scanned.
	Segment, Segments int
	// After is the key of the item before the first, nil for the beginning.
	After value.Item
	// Limit is how many items are read at most; 0 is without limit.
	Limit int
	// Consistent asks for what is there now, which is always given.
	Consistent bool
}

// Page is a part of what a search finds.
type Page struct {
	Items []value.Item
	// Scanned is how many items were read, Bytes their size.
	Scanned, Bytes int
	// Last is the key of the last one that was read, nil at the end.
	Last value.Item
}

// pageBytes ends a page (API reference, Query).
const pageBytes = 1 << 20

// Search returns one page. Errors: NotFound, Invalid.
func (s *Service) Search(scope Scope, q *Search) (Page, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var page Page
	t, err := s.state.table(scope, q.Table)
	if err != nil {
		return page, err
	}
	v := view{table: t, rows: &t.rows, key: t.def.Key}
	if q.Index != "" {
		if v.index = t.def.Index(q.Index); v.index == nil {
			return page, errs.New(errs.Invalid, "The table does not have the specified index: "+q.Index)
		}
		if q.Consistent && !v.index.Local {
			return page, errs.New(errs.Invalid, "Consistent reads are not supported on global secondary indexes")
		}
		v.rows, v.key = t.indexes[q.Index], v.index.Key
	}
	entries, holds, err := v.entries(q)
	if err != nil {
		return page, err
	}
	for e := range entries {
		it := e.row.item()
		if !holds(it) {
			if page.Scanned == 0 && q.After == nil {
				continue // the range of keys has not begun
			}
			break // it has ended
		}
		page.Scanned++
		page.Bytes += e.row.size
		shown := it
		if v.index != nil && (!q.Whole || !v.index.Local) {
			shown = v.index.show(t.def, it)
		}
		if q.Filter == nil || q.Filter.Holds(shown) {
			page.Items = append(page.Items, shown)
		}
		if q.Limit > 0 && page.Scanned == q.Limit || page.Bytes >= pageBytes {
			page.Last = v.keyOf(it)
			break
		}
	}
	return page, nil
}

// show returns what the index has of an item.
func (x *Index) show(d *Definition, it value.Item) value.Item {
	if x.Projection == All {
		return it
	}
	out := d.Key.of(it)
	for name, v := range x.Key.of(it) {
		out[name] = v
	}
	if x.Projection == Include {
		for _, name := range x.Included {
			if v, ok := it[name]; ok {
				out[name] = v
			}
		}
	}
	return out
}

// view is a table or an index of it, to be searched.
type view struct {
	table *table
	index *Index // nil is the table
	rows  *ordered
	key   Schema
}

// keyOf is the key of an item in the view: with an index, that of the table too.
func (v *view) keyOf(it value.Item) value.Item {
	key := v.key.of(it)
	for name, val := range v.table.def.Key.of(it) {
		key[name] = val
	}
	return key
}

// placeOf is the place of a key of the view.
func (v *view) placeOf(key value.Item) (string, bool) {
	want := v.keyOf(key)
	if len(want) != len(key) {
		return "", false
	}
	for name, val := range key {
		if val.Kind != v.table.def.Types[name] {
			return "", false
		}
	}
	place, ok := v.table.def.Key.place(key)
	if v.index == nil || !ok {
		return place, ok
	}
	at, ok := v.table.def.placeIn(v.index, key)
	return at + place, ok
}

// entries returns what is to be read, in order, and the condition on it beyond
// that: entries may go on after what is wanted, or begin before.
func (v *view) entries(q *Search) (iter.Seq[entry], func(value.Item) bool, error) {
	after := ""
	if q.After != nil {
		var ok bool
		if after, ok = v.placeOf(q.After); !ok {
			return nil, nil, errs.New(errs.Invalid, "The provided starting key is invalid")
		}
	}
	if q.Key == nil {
		return v.segment(q, after)
	}
	cond, err := q.Key(v.key.Partition, v.key.Sort)
	if err != nil {
		return nil, nil, err
	}
	if err := v.checkCondition(cond); err != nil {
		return nil, nil, err
	}
	prefix := string(partitionPlace(cond.Hash))
	holds := func(it value.Item) bool { return cond.Range == nil || cond.Range.Holds(it) }
	if after != "" && (!strings.HasPrefix(after, prefix) || !holds(q.After)) {
		return nil, nil, errs.New(errs.Invalid, "The provided starting key is outside query boundaries based on provided conditions")
	}
	if q.Backward {
		below := after
		if below == "" {
			below = successor(prefix)
		}
		return within(v.rows.down(below), prefix), holds, nil
	}
	from := prefix + string(lowest(cond.Range))
	if after != "" {
		from = after + "\x00"
	}
	return within(v.rows.up(from), prefix), holds, nil
}

// successor is the least string above all that begin with s.
func successor(s string) string {
	b := []byte(s)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return string(b[:i+1])
		}
	}
	return s + "\xff"
}

// within ends entries at the first whose key does not begin with prefix.
func within(entries iter.Seq[entry], prefix string) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for e := range entries {
			if !strings.HasPrefix(e.key, prefix) || !yield(e) {
				return
			}
		}
	}
}

// lowest is the form of the least sort key that a condition may hold for.
func lowest(c expr.Condition) []byte {
	var o expr.Operand
	switch c := c.(type) {
	case expr.Comparison:
		if c.Op == "=" || c.Op == ">" || c.Op == ">=" {
			o = c.Right
		}
	case expr.Between:
		o = c.Low
	case expr.BeginsWith:
		if g, ok := c.Prefix.(expr.Given); ok {
			b := g.Value.AppendOrdered(nil)
			return b[:len(b)-2] // without its end
		}
	}
	if g, ok := o.(expr.Given); ok {
		return g.Value.AppendOrdered(nil)
	}
	return nil
}

// checkCondition checks the types of a query's values.
func (v *view) checkCondition(k expr.KeyCondition) error {
	mismatch := errs.New(errs.Invalid, "One or more parameter values were invalid: Condition parameter type does not match schema type")
	if k.Hash.Kind != v.table.def.Types[v.key.Partition] {
		return mismatch
	}
	if k.Hash.Kind != value.Numeric && k.Hash.Text == "" {
		return errs.New(errs.Invalid, "One or more parameter values are not valid. The AttributeValue for a key attribute "+
			"cannot contain an empty "+longName(k.Hash.Kind)+" value. Key: "+v.key.Partition)
	}
	var operands []expr.Operand
	switch c := k.Range.(type) {
	case expr.Comparison:
		operands = []expr.Operand{c.Right}
	case expr.Between:
		operands = []expr.Operand{c.Low, c.High}
	case expr.BeginsWith:
		operands = []expr.Operand{c.Prefix}
		if v.table.def.Types[v.key.Sort] == value.Numeric {
			return mismatch
		}
	}
	for _, o := range operands {
		if g, ok := o.(expr.Given); !ok || g.Value.Kind != v.table.def.Types[v.key.Sort] {
			return mismatch
		}
	}
	return nil
}

// segment returns the entries of a part of a scan.
func (v *view) segment(q *Search, after string) (iter.Seq[entry], func(value.Item) bool, error) {
	n := max(q.Segments, 1)
	bound := func(i int) string { // i/n of all hashes
		high, _ := bits.Div64(uint64(i), 0, uint64(n))
		return string(binary.BigEndian.AppendUint64(nil, high))
	}
	from, end := bound(q.Segment), ""
	if q.Segment+1 < n {
		end = bound(q.Segment + 1)
	}
	if after != "" {
		if after < from || end != "" && after >= end {
			return nil, nil, errs.New(errs.Invalid, "The provided starting key is invalid: Invalid ExclusiveStartKey. "+
				"Please use ExclusiveStartKey with correct Segment. TotalSegments: "+strconv.Itoa(n)+" Segment: "+strconv.Itoa(q.Segment))
		}
		from = after + "\x00"
	}
	return func(yield func(entry) bool) {
		for e := range v.rows.up(from) {
			if end != "" && e.key >= end || !yield(e) {
				return
			}
		}
	}, func(value.Item) bool { return true }, nil
}
