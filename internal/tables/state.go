package tables

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"thalweg/internal/errs"
	"thalweg/internal/invariants"
	"thalweg/internal/tables/value"
)

// row is an item as it is stored.
type row struct {
	data []byte // value.AppendItem
	size int    // as DynamoDB counts it
}

func newRow(it value.Item) *row { return &row{data: value.AppendItem(nil, it), size: it.Size()} }

// item reads the row. What is in memory was read or made here, so it can be.
func (r *row) item() value.Item {
	if r == nil {
		return nil
	}
	it, _, err := value.DecodeItem(r.data)
	invariants.Check(err == nil, "stored item: %v", err)
	return it
}

// table is one table in memory.
type table struct {
	def     *Definition
	rows    ordered
	indexes map[string]*ordered
	count   int64
	bytes   int64 // as DynamoDB counts them
	weight  int64 // what the definition costs in memory
}

// entryCost is about what an entry of a list costs in memory beside its key and
// its row's data.
const entryCost = 150

// cost is what an item costs in memory at its place in a table of that
// definition, at most: its data and place, and in each index its key once more.
func (d *Definition) cost(place string, r *row) int64 {
	if r == nil {
		return 0
	}
	entry := int64(len(place) + entryCost)
	key := int64(min(len(r.data), maxPartitionKey+maxSortKey))
	return int64(len(r.data)) + entry + int64(len(d.Indexes))*(key+entry)
}

// total is what all items of the table would cost under another definition.
func (t *table) total(d *Definition) int64 {
	var n int64
	for e := range t.rows.up("") {
		n += d.cost(e.key, e.row)
	}
	return n
}

// set puts an item at its place, or takes it away when r is nil.
func (t *table) set(place string, r *row) {
	old := t.rows.get(place)
	t.index(place, old, r)
	if old != nil {
		t.count--
		t.bytes -= int64(old.size)
	}
	if r == nil {
		t.rows.remove(place)
		return
	}
	t.rows.set(place, r)
	t.count++
	t.bytes += int64(r.size)
}

// index brings every index up to date with a change at a place.
func (t *table) index(place string, old, r *row) {
	if len(t.def.Indexes) == 0 {
		return
	}
	before, after := old.item(), r.item()
	for i := range t.def.Indexes {
		x := &t.def.Indexes[i]
		rows := t.indexes[x.Name]
		was, had := t.def.placeIn(x, before)
		is, has := t.def.placeIn(x, after)
		if had && (!has || was != is) {
			rows.remove(was + place)
		}
		if has {
			rows.set(is+place, r)
		}
	}
}

// redefine gives the table another definition: indexes that are new are filled.
func (t *table) redefine(d *Definition) {
	old := t.indexes
	t.def, t.indexes = d, map[string]*ordered{}
	for i := range d.Indexes {
		x := &d.Indexes[i]
		if rows := old[x.Name]; rows != nil {
			t.indexes[x.Name] = rows
			continue
		}
		rows := &ordered{}
		t.indexes[x.Name] = rows
		for e := range t.rows.up("") {
			if at, ok := d.placeIn(x, e.row.item()); ok {
				rows.set(at+e.key, e.row)
			}
		}
	}
}

// name is a table's name in its scope.
type name struct {
	Scope
	table string
}

// token is a transaction's idempotency token in its scope.
type token struct {
	Scope
	Token string `json:"token"`
}

// done is what is remembered of a transaction.
type done struct {
	// Sum is that of the request, At when it was done, in Unix milliseconds.
	Sum string `json:"sum"`
	At  int64  `json:"at"`
}

// state is every table. It is changed by events only.
type state struct {
	byName   map[name]*table
	byNumber map[uint64]*table
	next     uint64 // table number
	tokens   map[token]done
	order    []token // of tokens, the first done first
	cost     int64   // of everything
}

// Kinds of events, the first byte of each. docs/formats/metadata.md draws them.
const (
	eventDefine = 'd' // JSON of a Definition: a table is made or redefined
	eventDrop   = 'x' // uvarint: the table of that number is gone
	eventItems  = 'i' // changes of items
	eventNext   = 'n' // uvarint: the next table number
	eventToken  = 't' // JSON of tokenEvent
)

type tokenEvent struct {
	token
	done
}

// change is one item of an eventItems: its table, its place, and the item, nil
// when it is gone.
type change struct {
	table *table
	place string
	row   *row
}

func encodeItems(changes []change) []byte {
	b := []byte{eventItems}
	for _, c := range changes {
		b = binary.AppendUvarint(b, c.table.def.Number)
		if c.row == nil {
			b = append(b, 0)
			b = append(binary.AppendUvarint(b, uint64(len(c.place))), c.place...)
			continue
		}
		b = append(b, 1)
		b = append(b, c.row.data...)
	}
	return b
}

func encodeJSON(kind byte, v any) []byte {
	b, err := json.Marshal(v)
	invariants.Check(err == nil, "encode table event: %v", err)
	return append([]byte{kind}, b...)
}

func encodeNumber(kind byte, n uint64) []byte { return binary.AppendUvarint([]byte{kind}, n) }

// machine is the tables as meta sees them.
type machine Service

// Reset implements [meta.Machine].
func (m *machine) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = state{byName: map[name]*table{}, byNumber: map[uint64]*table{}, tokens: map[token]done{}, next: 1}
}

// Apply implements [meta.Machine].
func (m *machine) Apply(event []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(event) == 0 {
		return errs.New(errs.Corrupt, "empty table event")
	}
	s, body := &m.state, event[1:]
	switch event[0] {
	case eventDefine:
		d := &Definition{}
		if err := json.Unmarshal(body, d); err != nil {
			return err
		}
		s.define(d, weigh(event))
		return nil
	case eventItems:
		return s.change(body)
	case eventToken:
		var t tokenEvent
		if err := json.Unmarshal(body, &t); err != nil {
			return err
		}
		s.remember(t)
		return nil
	case eventDrop, eventNext:
		n, size := binary.Uvarint(body)
		if size != len(body) {
			return errs.New(errs.Corrupt, "table event without its number")
		}
		if event[0] == eventNext {
			s.next = max(s.next, n)
			return nil
		}
		return s.drop(n)
	}
	return errs.New(errs.Unsupported, "table event of a newer version")
}

// weigh is what a table costs in memory that eventDefine makes, beside its items:
// its definition, and what every table and index has.
func weigh(event []byte) int64 { return 2*int64(len(event)) + 1000 }

func (s *state) define(d *Definition, weight int64) {
	t := s.byNumber[d.Number]
	if t == nil {
		t = &table{}
		s.byNumber[d.Number] = t
		s.byName[name{d.Scope, d.Name}] = t
		s.next = max(s.next, d.Number+1)
	}
	if t.def != nil {
		s.cost += t.total(d) - t.total(t.def)
	}
	s.cost += weight - t.weight
	t.weight = weight
	t.redefine(d)
}

func (s *state) drop(number uint64) error {
	t := s.byNumber[number]
	if t == nil {
		return errs.New(errs.Corrupt, "event drops an unknown table")
	}
	s.cost -= t.weight + t.total(t.def)
	delete(s.byNumber, number)
	delete(s.byName, name{t.def.Scope, t.def.Name})
	return nil
}

// change applies the items of one event, all at once for every reader.
func (s *state) change(b []byte) error {
	for len(b) > 0 {
		number, size := binary.Uvarint(b)
		t := s.byNumber[number]
		if size <= 0 || t == nil || len(b) == size {
			return errs.New(errs.Corrupt, "event changes an item of an unknown table")
		}
		put := b[size] == 1
		b = b[size+1:]
		var place string
		var r *row
		if put {
			it, rest, err := value.DecodeItem(b)
			if err != nil {
				return err
			}
			var ok bool
			if place, ok = t.def.Key.place(it); !ok {
				return errs.New(errs.Corrupt, "event puts an item without its key")
			}
			r = &row{data: slices.Clone(b[:len(b)-len(rest)]), size: it.Size()}
			b = rest
		} else {
			n, size := binary.Uvarint(b)
			if size <= 0 || n > uint64(len(b)-size) {
				return errs.New(errs.Corrupt, "event removes an item without its place")
			}
			place = string(b[size : size+int(n)])
			b = b[size+int(n):]
		}
		s.cost += t.def.cost(place, r) - t.def.cost(place, t.rows.get(place))
		t.set(place, r)
	}
	return nil
}

// Transactions are remembered for tokenMillis (API reference,
// TransactWriteItems: ten minutes), and tokenCost is what one costs in memory.
const (
	tokenMillis = 10 * 60 * 1000
	tokenCost   = 300
)

// remember keeps a transaction's token, and forgets those whose time has passed
// by then.
func (s *state) remember(t tokenEvent) {
	for len(s.order) > 0 {
		first := s.order[0]
		d, kept := s.tokens[first]
		if kept && d.At+tokenMillis >= t.At {
			break
		}
		delete(s.tokens, first)
		s.order = s.order[1:]
		s.cost -= tokenCost
	}
	s.tokens[t.token] = t.done
	s.order = append(s.order, t.token)
	s.cost += tokenCost
}

// snapshotBytes is about how large one event of items in a snapshot gets.
const snapshotBytes = 64 << 10

// Snapshot implements [meta.Machine].
func (m *machine) Snapshot(emit func([]byte)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	emit(encodeNumber(eventNext, m.state.next))
	for _, k := range m.state.order {
		emit(encodeJSON(eventToken, tokenEvent{k, m.state.tokens[k]}))
	}
	for _, t := range m.state.list() {
		emit(encodeJSON(eventDefine, t.def))
		var changes []change
		size := 0
		for e := range t.rows.up("") {
			changes = append(changes, change{t, e.key, e.row})
			if size += len(e.row.data); size >= snapshotBytes {
				emit(encodeItems(changes))
				changes, size = changes[:0], 0
			}
		}
		if len(changes) > 0 {
			emit(encodeItems(changes))
		}
	}
}

// list returns all tables by scope and name.
func (s *state) list() []*table {
	all := make([]*table, 0, len(s.byNumber))
	for _, t := range s.byNumber {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *table) int {
		x, y := a.def, b.def
		if c := strings.Compare(x.Account, y.Account); c != 0 {
			return c
		}
		if c := strings.Compare(x.Region, y.Region); c != 0 {
			return c
		}
		return strings.Compare(x.Name, y.Name)
	})
	return all
}
