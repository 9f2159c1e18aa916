// Package tables keeps tables of items as DynamoDB has them: keys, secondary
// indexes, conditional writes, transactions, queries and scans. It is what lets
// consumer libraries coordinate with no other software than this.
//
// All items are in memory, within a bound, and every change is an event of
// package meta, so a write that was acknowledged is on disk. Writes are decided
// one after the other, each on the state that the ones before it leave, and those
// that wait are made durable together; readers see whole writes only, and only
// durable ones. So every operation is linearizable, those on indexes included.
//
// A [Service] is safe for concurrent use. It knows expressions and values by
// packages expr and value, and nothing of the wire. What it does not do: streams
// of changes, expiry, backups, and limits of throughput.
package tables

import (
	"context"
	"slices"
	"strings"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/meta"
)

// Options make a Service. Log, Partition and Clock are needed.
type Options struct {
	Log       log.Log
	Partition log.PartitionID
	Clock     clock.Clock
	// Memory is drawn on for all items; nil is without limit.
	Memory *limits.Budget
	// MaxBytes bounds what all items take of memory. 0 is [MaxBytes].
	MaxBytes int64
	// SnapshotBytes is as package meta has it.
	SnapshotBytes int64
}

// MaxBytes is the most that all items may take: a snapshot must fit one append
// to the log.
const MaxBytes = 32 << 20

// maxTables is how many tables a scope may have (developer guide, "Quotas").
const maxTables = 2500

// Service is the open tables.
type Service struct {
	clock  clock.Clock
	memory *limits.Budget
	max    int64
	store  *meta.Store

	mu    sync.RWMutex
	state state // guarded by mu; changed by the store only

	queueMu sync.Mutex
	queue   []*job // guarded by queueMu; oldest first

	committing sync.Mutex
	held       int64 // of memory; guarded by committing
}

// Open reads the tables. Errors: see [meta.Open].
func Open(ctx context.Context, o Options) (*Service, error) {
	s := &Service{clock: o.Clock, memory: o.Memory, max: o.MaxBytes}
	if s.max <= 0 {
		s.max = MaxBytes
	}
	var err error
	s.store, err = meta.Open(ctx, meta.Options{Log: o.Log, Partition: o.Partition, Clock: o.Clock, Machine: (*machine)(s),
		SnapshotBytes: o.SnapshotBytes})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Stats are what the tables hold now.
type Stats struct{ Tables, Items, Bytes int64 }

// Stats returns how many tables and items there are, and what the items take of
// memory.
func (s *Service) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := Stats{Tables: int64(len(s.state.byNumber)), Bytes: s.state.cost}
	for _, t := range s.state.byNumber {
		st.Items += t.count
	}
	return st
}

// table returns the table of that name; NotFound if there is none.
func (s *state) table(scope Scope, table string) (*table, error) {
	if t := s.byName[name{scope, table}]; t != nil {
		return t, nil
	}
	return nil, errs.New(errs.NotFound, "Requested resource not found")
}

// named is table with the text of the operations on tables.
func (s *state) named(scope Scope, table string) (*table, error) {
	t, err := s.table(scope, table)
	if err != nil {
		err = errs.New(errs.NotFound, "Requested resource not found: Table: "+table+" not found")
	}
	return t, err
}

// Description is a table as it is now.
type Description struct {
	*Definition
	Items, Bytes int64
	// IndexItems are the items in each index.
	IndexItems map[string]int64
}

func (t *table) describe() Description {
	d := Description{Definition: t.def, Items: t.count, Bytes: t.bytes, IndexItems: map[string]int64{}}
	for name, rows := range t.indexes {
		for _, b := range rows.blocks {
			d.IndexItems[name] += int64(len(b))
		}
	}
	return d
}

// Describe returns the table of that name. Errors: NotFound.
func (s *Service) Describe(scope Scope, table string) (Description, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, err := s.state.named(scope, table)
	if err != nil {
		return Description{}, err
	}
	return t.describe(), nil
}

// List returns up to n names of tables after a name, and whether there are more.
func (s *Service) List(scope Scope, after string, n int) (names []string, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for k := range s.state.byName {
		if k.Scope == scope && k.table > after {
			names = append(names, k.table)
		}
	}
	slices.Sort(names)
	if len(names) > n {
		return names[:n], true
	}
	return names, false
}

// Create makes a table; its Number, ID and Created are set here. Errors: Invalid,
// Exists, LimitExceeded, and those of the log.
func (s *Service) Create(ctx context.Context, d *Definition) (Description, error) {
	if err := d.check(); err != nil {
		return Description{}, err
	}
	d = d.Clone()
	d.ID, d.Created = ids.NewRequest()[:ids.RequestIDLen], clock.Millis(s.clock)
	err := s.commit(ctx, &job{alone: true, run: func(tx *txn) error {
		if _, err := tx.state.table(d.Scope, d.Name); err == nil {
			return errs.New(errs.Exists, "Table already exists: "+d.Name)
		}
		tables := 0
		for k := range tx.state.byName {
			if k.Scope == d.Scope {
				tables++
			}
		}
		if tables >= maxTables {
			return errs.New(errs.LimitExceeded, "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber")
		}
		d.Number = tx.state.next
		return s.define(tx, &table{}, d)
	}})
	if err != nil {
		return Description{}, err
	}
	return Description{Definition: d, IndexItems: map[string]int64{}}, nil
}

// Update gives a table another definition: change is handed a copy of the
// present one. Errors: NotFound, Invalid, what change returns, and those of the
// log.
func (s *Service) Update(ctx context.Context, scope Scope, table string, change func(*Definition) error) (Description, error) {
	err := s.commit(ctx, &job{alone: true, run: func(tx *txn) error {
		t, err := tx.state.named(scope, table)
		if err != nil {
			return err
		}
		d := t.def.Clone()
		if err := change(d); err != nil {
			return err
		}
		if err := d.check(); err != nil {
			return err
		}
		return s.define(tx, t, d)
	}})
	if err != nil {
		return Description{}, err
	}
	return s.Describe(scope, table)
}

// define makes another definition of a table part of a commit.
func (s *Service) define(tx *txn, t *table, d *Definition) error {
	event := encodeJSON(eventDefine, d)
	growth := weigh(event) - t.weight + t.total(d)
	if t.def != nil {
		growth -= t.total(t.def)
	}
	if err := s.fits(tx, growth); err != nil {
		return err
	}
	tx.events = append(tx.events, event)
	return nil
}

// Delete removes a table and all its items, and returns it as it was. Errors:
// NotFound, Invalid when it is protected, and those of the log.
func (s *Service) Delete(ctx context.Context, scope Scope, table string) (Description, error) {
	var was Description
	err := s.commit(ctx, &job{alone: true, run: func(tx *txn) error {
		t, err := tx.state.named(scope, table)
		if err != nil {
			return err
		}
		if t.def.Protected {
			return errs.New(errs.Invalid, "Resource cannot be deleted as it is currently protected against deletion. "+
				"Disable deletion protection first.")
		}
		was = t.describe()
		tx.events = append(tx.events, encodeNumber(eventDrop, t.def.Number))
		return nil
	}})
	return was, err
}

// Clear removes all tables of every account, protected ones too, and returns how
// many there were. Errors: those of the log.
func (s *Service) Clear(ctx context.Context) (int, error) {
	n := 0
	err := s.commit(ctx, &job{alone: true, run: func(tx *txn) error {
		for number := range tx.state.byNumber {
			tx.events = append(tx.events, encodeNumber(eventDrop, number))
			n++
		}
		return nil
	}})
	return n, err
}

// Bounds of a table (developer guide, "Quotas").
const (
	maxGlobal = 20
	maxLocal  = 5
	maxTags   = 50
)

// check checks that keys, types and indexes fit together.
func (d *Definition) check() error {
	invalid := func(text string) error {
		return errs.New(errs.Invalid, "One or more parameter values were invalid: "+text)
	}
	used := map[string]bool{}
	schemas := []Schema{d.Key}
	local, names := 0, map[string]bool{}
	for _, x := range d.Indexes {
		if names[x.Name] {
			return invalid("Duplicate index name: " + x.Name)
		}
		names[x.Name] = true
		if x.Local {
			local++
			if d.Key.Sort == "" {
				return invalid("Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
			}
			if x.Key.Partition != d.Key.Partition || x.Key.Sort == "" {
				return invalid("Index KeySchema does not have the same leading hash key as table KeySchema for index: " + x.Name)
			}
		}
		schemas = append(schemas, x.Key)
	}
	switch {
	case local > maxLocal:
		return invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5")
	case len(d.Indexes)-local > maxGlobal:
		return errs.New(errs.LimitExceeded, "Number of GlobalSecondaryIndexes exceeds per-table limit of 20")
	case len(d.Tags) > maxTags:
		return invalid("Too many tags: the limit is 50 per resource")
	}
	for _, schema := range schemas {
		for _, n := range schema.names() {
			if _, ok := d.Types[n]; !ok {
				return invalid("Some index key attributes are not defined in AttributeDefinitions. Keys: [" +
					strings.Join(schema.names(), ", ") + "], AttributeDefinitions: [" + strings.Join(sortedNames(d.Types), ", ") + "]")
			}
			used[n] = true
		}
	}
	if len(used) != len(d.Types) {
		return invalid("Some AttributeDefinitions are not used. AttributeDefinitions: [" +
			strings.Join(sortedNames(d.Types), ", ") + "], keys used: [" + strings.Join(sortedNames(used), ", ") + "]")
	}
	return nil
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}
