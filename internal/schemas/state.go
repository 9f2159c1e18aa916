package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"thalweg/internal/meta"
)

// event is a change, as JSON. Members that a kind has no use for are left out.
type event struct {
	Kind string `json:"kind"`
	Scope
	Database string          `json:"database"`
	Table    string          `json:"table,omitempty"`
	Version  int64           `json:"version,omitempty"`
	Replace  bool            `json:"replace,omitempty"` // the version takes the place of the last
	Created  int64           `json:"created,omitempty"`
	Updated  int64           `json:"updated,omitempty"`
	Document json.RawMessage `json:"document,omitempty"`
}

const (
	kindDatabase   = "database"
	kindNoDatabase = "no-database"
	kindTable      = "table" // a version of one
	kindNoTable    = "no-table"
)

type databaseKey struct {
	Scope
	name string
}

// database is a database and its tables, by name; the versions of each rise.
type database struct {
	Database
	tables map[string][]*Table
}

type state struct {
	databases map[databaseKey]*database
	bytes     int64 // of documents, about
}

// machine is the Service as the store sees it.
type machine Service

var _ meta.Machine = (*machine)(nil)

func (m *machine) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(-m.state.bytes)
	m.state.databases = map[databaseKey]*database{}
}

// add counts what is kept.
func (m *machine) add(n int64) {
	m.state.bytes += n
	if n > 0 {
		m.memory.Take(n)
	} else {
		m.memory.Release(-n)
	}
}

func (m *machine) Apply(raw []byte) error {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	e.Document = bytes.Clone(e.Document)
	m.mu.Lock()
	defer m.mu.Unlock()
	key := databaseKey{e.Scope, e.Database}
	d := m.state.databases[key]
	if d == nil && e.Kind != kindDatabase {
		return fmt.Errorf("event %s of a database %q that is not there", e.Kind, e.Database)
	}
	switch e.Kind {
	case kindDatabase:
		m.database(key, d, &e)
	case kindNoDatabase:
		for name := range d.tables {
			m.drop(d, name)
		}
		m.add(-int64(len(d.Document) + overhead))
		delete(m.state.databases, key)
	case kindTable:
		m.table(d, &e)
	case kindNoTable:
		m.drop(d, e.Table)
	default:
		return fmt.Errorf("event of an unknown kind %q", e.Kind)
	}
	return nil
}

func (m *machine) database(key databaseKey, old *database, e *event) {
	d := &database{Database: Database{Scope: e.Scope, Name: e.Database, Document: e.Document, Created: e.Created}, tables: map[string][]*Table{}}
	if old != nil {
		d.tables = old.tables
		m.add(-int64(len(old.Document) + overhead))
	}
	m.add(int64(len(d.Document) + overhead))
	m.state.databases[key] = d
}

// table adds a version, and drops what no longer is kept.
func (m *machine) table(d *database, e *event) {
	t := &Table{Scope: e.Scope, Database: e.Database, Name: e.Table, Version: e.Version, Document: e.Document, Created: e.Created, Updated: e.Updated}
	versions := d.tables[e.Table]
	if n := len(versions); n > 0 && e.Replace {
		m.add(-versions[n-1].cost())
		versions = versions[: n-1 : n-1]
	} else if n == MaxVersions {
		m.add(-versions[0].cost())
		versions = versions[1:]
	}
	m.add(t.cost())
	d.tables[e.Table] = append(slices.Clip(versions), t)
}

func (m *machine) drop(d *database, table string) {
	for _, t := range d.tables[table] {
		m.add(-t.cost())
	}
	delete(d.tables, table)
}

func (t *Table) cost() int64 { return int64(len(t.Document) + overhead) }

func (m *machine) Snapshot(emit func(event []byte)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	keys := slices.SortedFunc(maps.Keys(m.state.databases), func(a, b databaseKey) int {
		return slices.CompareFunc([]string{a.Account, a.Region, a.name}, []string{b.Account, b.Region, b.name}, strings.Compare)
	})
	for _, k := range keys {
		d := m.state.databases[k]
		send(emit, &event{Kind: kindDatabase, Scope: d.Scope, Database: d.Name, Document: d.Document, Created: d.Created})
		for _, name := range slices.Sorted(maps.Keys(d.tables)) {
			for _, t := range d.tables[name] {
				send(emit, &event{Kind: kindTable, Scope: d.Scope, Database: d.Name, Table: name, Version: t.Version, Document: t.Document,
					Created: t.Created, Updated: t.Updated})
			}
		}
	}
}

func send(emit func([]byte), e *event) {
	if raw, err := json.Marshal(e); err == nil { // it was read as JSON
		emit(raw)
	}
}
