// Package schemas keeps databases and their tables, with the versions of each: what
// format conversion takes its columns from, and what the Glue door shows.
//
// What a database or table says of itself is a document, kept as it was given: the JSON
// form of the API's DatabaseInput or TableInput. Names are in lower case. A table's
// versions count from 0; an update adds one, or takes the place of the last, and the
// newest [MaxVersions] are kept.
//
// All of it is in memory, at most [Options].MaxBytes, and on a partition of the log, as
// events (see docs/formats/schemas.md): a change is durable when its call returns. A
// Service is safe for concurrent use.
package schemas

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/meta"
)

const (
	// MaxVersions is how many versions of a table are kept.
	MaxVersions = 100
	// MaxDocument is how long a document may be.
	MaxDocument = 512 << 10
	// overhead is about what an entry takes beside its document.
	overhead = 400
)

// Scope is where names mean something.
type Scope struct{ Account, Region string }

// Database is a set of tables.
type Database struct {
	Scope
	Name     string
	Document json.RawMessage
	Created  int64 // Unix milliseconds
}

// Table is one version of a table.
type Table struct {
	Scope
	Database, Name   string
	Version          int64
	Document         json.RawMessage
	Created, Updated int64 // Unix milliseconds
}

// Column is a column of a table, with its type in Hive's words.
type Column struct{ Name, Type string }

// Columns are the columns that the table's files have: those of its StorageDescriptor.
func (t *Table) Columns() ([]Column, error) {
	var d struct{ StorageDescriptor struct{ Columns []Column } }
	if err := json.Unmarshal(t.Document, &d); err != nil {
		return nil, errs.Wrap(errs.Corrupt, "read table "+t.Database+"."+t.Name, err)
	}
	return d.StorageDescriptor.Columns, nil
}

// Options configure a Service. Log, Partition and Clock are needed.
type Options struct {
	Log       log.Log
	Partition log.PartitionID
	Clock     clock.Clock
	// Memory is drawn on for all documents; nil is without limit.
	Memory *limits.Budget
	// MaxBytes bounds them.
	MaxBytes int64
}

// Service is the open set of databases.
type Service struct {
	store  *meta.Store
	clock  clock.Clock
	memory *limits.Budget
	max    int64

	mu    sync.RWMutex
	state state // guarded by mu; changed by the store only
}

// Open reads the databases. Errors: see [meta.Open].
func Open(ctx context.Context, o Options) (*Service, error) {
	s := &Service{clock: o.Clock, max: o.MaxBytes}
	var err error
	s.store, err = meta.Open(ctx, meta.Options{Log: o.Log, Partition: o.Partition, Clock: o.Clock, Machine: (*machine)(s)})
	if err != nil {
		return nil, err
	}
	s.memory = o.Memory
	s.memory.Take(s.state.bytes)
	return s, nil
}

// Name is a name as it is kept.
func Name(s string) string { return strings.ToLower(s) }

func databaseNotFound(name string) error {
	return errs.New(errs.NotFound, "Database "+name+" not found.")
}

func tableNotFound(name string) error {
	return errs.New(errs.NotFound, "Table "+name+" not found.")
}

// Database returns a database. Its error is of kind NotFound.
func (s *Service) Database(scope Scope, name string) (*Database, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.state.databases[databaseKey{scope, Name(name)}]
	if d == nil {
		return nil, databaseNotFound(name)
	}
	return &d.Database, nil
}

// Databases returns at most limit databases whose names come behind after, in order.
func (s *Service) Databases(scope Scope, after string, limit int) (list []*Database, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for k, d := range s.state.databases {
		if k.Scope == scope && k.name > after {
			list = append(list, &d.Database)
		}
	}
	slices.SortFunc(list, func(a, b *Database) int { return strings.Compare(a.Name, b.Name) })
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more
}

// Latest asks for a table's last version.
const Latest = -1

// Table returns a version of a table. Its error is of kind NotFound.
func (s *Service) Table(scope Scope, database, name string, version int64) (*Table, error) {
	versions, err := s.Versions(scope, database, name)
	if err != nil {
		return nil, err
	}
	if version == Latest {
		return versions[len(versions)-1], nil
	}
	for _, t := range versions {
		if t.Version == version {
			return t, nil
		}
	}
	return nil, errs.New(errs.NotFound, fmt.Sprintf("Version %d of table %s not found.", version, name))
}

// Versions returns a table's versions that are kept, the last of them last. Its error is
// of kind NotFound.
func (s *Service) Versions(scope Scope, database, name string) ([]*Table, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.state.databases[databaseKey{scope, Name(database)}]
	if d == nil {
		return nil, databaseNotFound(database)
	}
	versions := d.tables[Name(name)]
	if versions == nil {
		return nil, tableNotFound(name)
	}
	return slices.Clone(versions), nil
}

// Tables returns at most limit tables, those that match wants and whose names come
// behind after, in order. Its error is of kind NotFound.
func (s *Service) Tables(scope Scope, database, after string, limit int, match func(name string) bool) (list []*Table, more bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.state.databases[databaseKey{scope, Name(database)}]
	if d == nil {
		return nil, false, databaseNotFound(database)
	}
	for name, versions := range d.tables {
		if name > after && match(name) {
			list = append(list, versions[len(versions)-1])
		}
	}
	slices.SortFunc(list, func(a, b *Table) int { return strings.Compare(a.Name, b.Name) })
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, nil
}

// CreateDatabase makes a database. Errors: Exists; LimitExceeded; those of the log.
func (s *Service) CreateDatabase(ctx context.Context, scope Scope, name string, document []byte) error {
	return s.commit(ctx, func(now int64) (*event, error) {
		if s.state.databases[databaseKey{scope, Name(name)}] != nil {
			return nil, errs.New(errs.Exists, "Database already exists.")
		}
		return &event{Kind: kindDatabase, Scope: scope, Database: Name(name), Document: document, Created: now}, nil
	})
}

// UpdateDatabase replaces what a database says of itself. Errors: NotFound;
// LimitExceeded; those of the log.
func (s *Service) UpdateDatabase(ctx context.Context, scope Scope, name string, document []byte) error {
	return s.commit(ctx, func(int64) (*event, error) {
		d := s.state.databases[databaseKey{scope, Name(name)}]
		if d == nil {
			return nil, databaseNotFound(name)
		}
		return &event{Kind: kindDatabase, Scope: scope, Database: d.Name, Document: document, Created: d.Created}, nil
	})
}

// DeleteDatabase removes a database and its tables. Errors: NotFound; those of the log.
func (s *Service) DeleteDatabase(ctx context.Context, scope Scope, name string) error {
	return s.commit(ctx, func(int64) (*event, error) {
		if s.state.databases[databaseKey{scope, Name(name)}] == nil {
			return nil, databaseNotFound(name)
		}
		return &event{Kind: kindNoDatabase, Scope: scope, Database: Name(name)}, nil
	})
}

// Clear removes every database. Errors: those of the log.
func (s *Service) Clear(ctx context.Context) error {
	s.mu.RLock()
	var all []Database
	for _, d := range s.state.databases {
		all = append(all, d.Database)
	}
	s.mu.RUnlock()
	for _, d := range all {
		if err := s.DeleteDatabase(ctx, d.Scope, d.Name); err != nil && errs.KindOf(err) != errs.NotFound {
			return err
		}
	}
	return nil
}

// CreateTable makes a table, at version 0. Errors: NotFound, for the database; Exists;
// LimitExceeded; those of the log.
func (s *Service) CreateTable(ctx context.Context, scope Scope, database, name string, document []byte) error {
	return s.commit(ctx, func(now int64) (*event, error) {
		d := s.state.databases[databaseKey{scope, Name(database)}]
		if d == nil {
			return nil, databaseNotFound(database)
		}
		if d.tables[Name(name)] != nil {
			return nil, errs.New(errs.Exists, "Table already exists.")
		}
		return &event{Kind: kindTable, Scope: scope, Database: d.Name, Table: Name(name), Document: document, Created: now, Updated: now}, nil
	})
}

// UpdateTable gives a table its next version, beside the last, or instead of it unless
// archive is set. Expected, unless it is Latest, is the version that must be the last.
// Errors: NotFound; Fenced, for another version; LimitExceeded; those of the log.
func (s *Service) UpdateTable(ctx context.Context, scope Scope, database, name string, document []byte, archive bool, expected int64) error {
	return s.commit(ctx, func(now int64) (*event, error) {
		d := s.state.databases[databaseKey{scope, Name(database)}]
		if d == nil {
			return nil, databaseNotFound(database)
		}
		versions := d.tables[Name(name)]
		if versions == nil {
			return nil, tableNotFound(name)
		}
		last := versions[len(versions)-1]
		if expected != Latest && expected != last.Version {
			return nil, errs.New(errs.Fenced, fmt.Sprintf("The table's version is %d, not %d.", last.Version, expected))
		}
		return &event{Kind: kindTable, Scope: scope, Database: d.Name, Table: last.Name, Version: last.Version + 1, Replace: !archive,
			Document: document, Created: last.Created, Updated: now}, nil
	})
}

// DeleteTable removes a table and its versions. Errors: NotFound; those of the log.
func (s *Service) DeleteTable(ctx context.Context, scope Scope, database, name string) error {
	return s.commit(ctx, func(int64) (*event, error) {
		d := s.state.databases[databaseKey{scope, Name(database)}]
		if d == nil {
			return nil, databaseNotFound(database)
		}
		if d.tables[Name(name)] == nil {
			return nil, tableNotFound(name)
		}
		return &event{Kind: kindNoTable, Scope: scope, Database: d.Name, Table: Name(name)}, nil
	})
}

// commit makes an event durable and applies it.
func (s *Service) commit(ctx context.Context, decide func(now int64) (*event, error)) error {
	_, err := s.store.Commit(ctx, func() (meta.Change, error) {
		e, err := decide(clock.Millis(s.clock))
		if err != nil {
			return meta.Change{}, err
		}
		if n := int64(len(e.Document)); e.Document != nil && (n > MaxDocument || s.state.bytes+n+overhead > s.max) {
			return meta.Change{}, errs.New(errs.LimitExceeded, "The catalog takes no more: documents have 512 KiB each, and a part of the server's memory together.")
		}
		encoded, err := json.Marshal(e)
		return meta.Change{Events: [][]byte{encoded}}, err
	})
	return err
}
