// Package lake is a catalog of Apache Iceberg tables: which there are, and where the
// metadata of each stands in the object store.
//
// A table's metadata is an object; the catalog keeps its place. A commit reads the
// object, holds the requirements against it, applies the updates, puts another object
// that nobody has seen yet, and then moves the place in one durable event, if it is
// still where it was. So a commit is all or nothing, of two that meet one loses, and
// a table shown once is never shown as it was before.
//
// The events are a log (package meta; event.go). Names and places are held in memory,
// [MaxEntries] of an account and region; metadata is not. What a commit that lost, or
// that a crash cut short, has put is an object that no table has; it stays.
//
// A Catalog is safe for concurrent use. What it does not do: views, format
// versions other than 2, commits of several tables, removing data files.
package lake

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/meta"
	"thalweg/internal/objstore"
)

const (
	// MaxEntries is how many namespaces and tables an account and region may have.
	MaxEntries = 10_000
	// MaxName bounds the name of a namespace, with its levels, or of a table.
	MaxName = 255
	// maxProperties bounds the properties of a namespace, in bytes.
	maxProperties = 16 << 10
	// maxMetadata bounds a table's metadata, in bytes.
	maxMetadata = 16 << 20
	// readFactor is how many times its bytes metadata takes while a commit works on it:
	// as text, as what it says, and as text again.
	readFactor = 6
)

// Scope is whose catalog is meant.
type Scope struct{ Account, Region string }

// Hold draws bytes on the memory of a call, and reports an error where there are not
// so many. Who makes the call gives them back.
type Hold func(n int64) error

// Ident names a table.
type Ident struct {
	Namespace []string
	Name      string
}

// Options are what a catalog is made of. All are needed.
type Options struct {
	Log       log.Log
	Partition log.PartitionID
	Clock     clock.Clock
	Objects   objstore.Store
	// Memory is what names and places draw on, and MaxBytes the most that they take
	// of it.
	Memory   *limits.Budget
	MaxBytes int64
}

// Catalog is the catalog.
type Catalog struct {
	o     Options
	store *meta.Store

	mu     sync.RWMutex
	scopes map[Scope]*scope // guarded by mu
	bytes  int64            // guarded by mu: what all of it takes, about
}

// scope is what one account has in one region.
type scope struct {
	namespaces map[string]map[string]string // by joined name
	tables     map[string]map[string]table  // by the same, then by name
	entries    int
}

// table is where a table's metadata stands.
type table struct{ Place string }

// Open reads the catalog.
func Open(ctx context.Context, o Options) (*Catalog, error) {
	c := &Catalog{o: o, scopes: map[Scope]*scope{}}
	var err error
	c.store, err = meta.Open(ctx, meta.Options{Log: o.Log, Partition: o.Partition, Clock: o.Clock, Machine: c})
	return c, err
}

// separator joins the levels of a namespace, as in the REST catalog's API.
const separator = "\x1f"

func joined(ns []string) string { return strings.Join(ns, separator) }

func (c *Catalog) scope(s Scope) *scope {
	if at := c.scopes[s]; at != nil {
		return at
	}
	return &scope{}
}

// checkName refuses names that cannot be told in a path.
func checkName(levels ...string) error {
	n := 0
	for _, l := range levels {
		n += len(l)
		if l == "" || strings.ContainsAny(l, separator+"/\x00") {
			return invalid("a name is empty, or has a slash or a control character in it")
		}
	}
	if n == 0 || n > MaxName {
		return invalid(fmt.Sprintf("a name has 1 to %d bytes", MaxName))
	}
	return nil
}

// commit makes an event durable, if decide lets it and there is room for it.
func (c *Catalog) commit(ctx context.Context, decide func(*scope) error, e event) error {
	_, err := c.store.Commit(ctx, func() (meta.Change, error) {
		c.mu.RLock()
		err := decide(c.scope(Scope{e.Account, e.Region}))
		c.mu.RUnlock()
		if err != nil {
			return meta.Change{}, err
		}
		return c.change(&e)
	})
	return err
}

// change returns an event as a change, if there is room for what it adds.
func (c *Catalog) change(e *event) (meta.Change, error) {
	c.mu.RLock()
	full := e.adds() && c.bytes+e.takes() > c.o.MaxBytes
	c.mu.RUnlock()
	if full {
		return meta.Change{}, ErrLimit
	}
	raw, err := json.Marshal(e)
	return meta.Change{Events: [][]byte{raw}}, err
}

// CreateNamespace makes a namespace; those above it must be there.
func (c *Catalog) CreateNamespace(ctx context.Context, s Scope, ns []string, properties map[string]string) error {
	if err := checkName(ns...); err != nil {
		return err
	}
	if err := checkProperties(properties); err != nil {
		return err
	}
	return c.commit(ctx, func(at *scope) error {
		switch {
		case at.namespaces[joined(ns)] != nil:
			return ErrNamespace
		case len(ns) > 1 && at.namespaces[joined(ns[:len(ns)-1])] == nil:
			return ErrNoNamespace
		case at.entries >= MaxEntries:
			return ErrLimit
		}
		return nil
	}, event{Kind: kindNamespace, Account: s.Account, Region: s.Region, Namespace: joined(ns), Properties: properties})
}

func checkProperties(p map[string]string) error {
	n := 0
	for k, v := range p {
		n += len(k) + len(v)
	}
	if n > maxProperties {
		return invalid(fmt.Sprintf("the properties of a namespace have at most %d bytes", maxProperties))
	}
	return nil
}

// Namespace returns the properties of a namespace.
func (c *Catalog) Namespace(s Scope, ns []string) (map[string]string, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p := c.scope(s).namespaces[joined(ns)]
	if p == nil {
		return nil, ErrNoNamespace
	}
	return maps.Clone(p), nil
}

// Namespaces returns the namespaces one level below another, or those of the first
// level, by name.
func (c *Catalog) Namespaces(s Scope, below []string) ([][]string, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at := c.scope(s)
	prefix := ""
	if len(below) > 0 {
		if at.namespaces[joined(below)] == nil {
			return nil, ErrNoNamespace
		}
		prefix = joined(below) + separator
	}
	var out [][]string
	for _, name := range slices.Sorted(maps.Keys(at.namespaces)) {
		if rest, ok := strings.CutPrefix(name, prefix); ok && !strings.Contains(rest, separator) {
			out = append(out, strings.Split(name, separator))
		}
	}
	return out, nil
}

// UpdateNamespace sets and removes properties of a namespace, and tells which of those
// to be removed were missing.
func (c *Catalog) UpdateNamespace(ctx context.Context, s Scope, ns, removals []string, updates map[string]string) (missing []string, err error) {
	e := event{Kind: kindNamespace, Account: s.Account, Region: s.Region, Namespace: joined(ns)}
	_, err = c.store.Commit(ctx, func() (meta.Change, error) {
		p, err := c.Namespace(s, ns)
		if err != nil {
			return meta.Change{}, err
		}
		missing = nil
		for _, k := range removals {
			if _, ok := p[k]; !ok {
				missing = append(missing, k)
			}
			delete(p, k)
		}
		maps.Copy(p, updates)
		if err := checkProperties(p); err != nil {
			return meta.Change{}, err
		}
		e.Properties = p
		return c.change(&e)
	})
	return missing, err
}

// DropNamespace removes an empty namespace.
func (c *Catalog) DropNamespace(ctx context.Context, s Scope, ns []string) error {
	return c.commit(ctx, func(at *scope) error {
		name := joined(ns)
		if at.namespaces[name] == nil {
			return ErrNoNamespace
		}
		if len(at.tables[name]) > 0 {
			return ErrNotEmpty
		}
		for other := range at.namespaces {
			if strings.HasPrefix(other, name+separator) {
				return ErrNotEmpty
			}
		}
		return nil
	}, event{Kind: kindNamespaceGone, Account: s.Account, Region: s.Region, Namespace: joined(ns)})
}

// Tables returns the names of a namespace's tables, in order.
func (c *Catalog) Tables(s Scope, ns []string) ([]string, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at := c.scope(s)
	if at.namespaces[joined(ns)] == nil {
		return nil, ErrNoNamespace
	}
	return slices.Sorted(maps.Keys(at.tables[joined(ns)])), nil
}

// Place returns where a table's metadata stands.
func (c *Catalog) Place(s Scope, id Ident) (string, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.scope(s).tables[joined(id.Namespace)][id.Name]
	if !ok {
		return "", ErrNoTable
	}
	return t.Place, nil
}

// Load returns a table's metadata as it is stored, and where.
func (c *Catalog) Load(ctx context.Context, s Scope, id Ident, hold Hold) (place string, raw []byte, err error) {
	if place, err = c.Place(s, id); err != nil {
		return "", nil, err
	}
	raw, err = c.Read(ctx, s, place, hold)
	return place, raw, err
}

// Stage returns the metadata that a table would have, and makes none.
func (c *Catalog) Stage(s Scope, id Ident, updates []Update) ([]byte, error) {
	if err := checkName(id.Name); err != nil {
		return nil, err
	}
	if _, err := c.Namespace(s, id.Namespace); err != nil {
		return nil, err
	}
	if _, err := c.Place(s, id); err == nil {
		return nil, ErrTable
	}
	m := empty()
	if err := m.apply(updates, clock.Millis(c.o.Clock)); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// Commit changes a table, or makes one where a requirement is that there is none. A
// *Conflict says that the table has changed meanwhile: read it again.
func (c *Catalog) Commit(ctx context.Context, s Scope, id Ident, requirements []Requirement, updates []Update, hold Hold) (place string, raw []byte, err error) {
	create := slices.ContainsFunc(requirements, func(r Requirement) bool { return r.Type == "assert-create" })
	old, m := "", (*Metadata)(nil)
	if old, err = c.Place(s, id); err == nil {
		if create {
			return "", nil, ErrTable
		}
		if m, err = c.metadata(ctx, s, old, hold); err != nil {
			return "", nil, err
		}
	} else if !create {
		return "", nil, err
	} else if err := checkName(id.Name); err != nil {
		return "", nil, err
	}
	for i := range requirements {
		if err := requirements[i].check(m); err != nil {
			return "", nil, err
		}
	}
	now := clock.Millis(c.o.Clock)
	if m == nil {
		m = empty()
	} else {
		m.logMetadata(old)
	}
	if err := m.apply(updates, now); err != nil {
		return "", nil, err
	}
	if place, raw, err = c.write(ctx, s, m, old); err != nil {
		return "", nil, err
	}
	err = c.move(ctx, s, id, old, place)
	return place, raw, err
}

// move sets a table's place, if it is still the old one; "" is that of none.
func (c *Catalog) move(ctx context.Context, s Scope, id Ident, old, place string) error {
	name := joined(id.Namespace)
	return c.commit(ctx, func(at *scope) error {
		switch now, there := at.tables[name][id.Name]; {
		case at.namespaces[name] == nil:
			return ErrNoNamespace
		case !there && old != "":
			return ErrNoTable
		case there && old == "":
			return ErrTable
		case now.Place != old:
			return conflict("the table has changed meanwhile")
		case old == "" && at.entries >= MaxEntries:
			return ErrLimit
		}
		return nil
	}, event{Kind: kindTable, Account: s.Account, Region: s.Region, Namespace: name, Table: id.Name, Place: place})
}

// Register makes a table of metadata that is there.
func (c *Catalog) Register(ctx context.Context, s Scope, id Ident, place string, hold Hold) ([]byte, error) {
	if err := checkName(id.Name); err != nil {
		return nil, err
	}
	raw, err := c.Read(ctx, s, place, hold)
	if err != nil {
		return nil, err
	}
	m, err := Parse(raw)
	if err == nil {
		err = m.valid()
	}
	if err != nil {
		return nil, err
	}
	return raw, c.move(ctx, s, id, "", place)
}

// Rename gives a table another name, or puts it into another namespace.
func (c *Catalog) Rename(ctx context.Context, s Scope, from, to Ident) error {
	if err := checkName(to.Name); err != nil {
		return err
	}
	e := event{Kind: kindRename, Account: s.Account, Region: s.Region, Namespace: joined(from.Namespace), Table: from.Name,
		ToNamespace: joined(to.Namespace), ToTable: to.Name}
	return c.commit(ctx, func(at *scope) error {
		if _, there := at.tables[e.Namespace][e.Table]; !there {
			return ErrNoTable
		}
		if at.namespaces[e.ToNamespace] == nil {
			return ErrNoNamespace
		}
		if _, there := at.tables[e.ToNamespace][e.ToTable]; there {
			return ErrTable
		}
		return nil
	}, e)
}

// Drop takes a table out of the catalog. Its files stay.
func (c *Catalog) Drop(ctx context.Context, s Scope, id Ident) error {
	return c.commit(ctx, func(at *scope) error {
		if _, there := at.tables[joined(id.Namespace)][id.Name]; !there {
			return ErrNoTable
		}
		return nil
	}, event{Kind: kindTableGone, Account: s.Account, Region: s.Region, Namespace: joined(id.Namespace), Table: id.Name})
}

// ref returns the object that a place names. It must be in a bucket of the account.
func (c *Catalog) ref(ctx context.Context, s Scope, place string) (objstore.Ref, error) {
	rest, ok := strings.CutPrefix(place, "s3://")
	if !ok {
		rest, ok = strings.CutPrefix(place, "s3a://")
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || key == "" {
		return objstore.Ref{}, invalid("a table's place is s3://BUCKET/KEY")
	}
	b, err := c.o.Objects.HeadBucket(ctx, bucket)
	if err != nil {
		return objstore.Ref{}, err
	}
	if b.Owner != s.Account {
		return objstore.Ref{}, errs.New(errs.Denied, "the bucket "+bucket+" is another account's")
	}
	return objstore.Ref{Bucket: bucket, Key: key}, nil
}

// Read returns an object of metadata, as the manifests of a table are too. It must be in a
// bucket of the account.
func (c *Catalog) Read(ctx context.Context, s Scope, place string, hold Hold) ([]byte, error) {
	at, err := c.ref(ctx, s, place)
	if err != nil {
		return nil, err
	}
	o, err := c.o.Objects.Get(ctx, at, func(i objstore.Info) (objstore.Range, error) {
		if i.Size > maxMetadata {
			return objstore.Range{}, errs.New(errs.LimitExceeded, fmt.Sprintf("a table's metadata has at most %d bytes", maxMetadata))
		}
		return objstore.Range{}, hold(readFactor * i.Size)
	})
	if err != nil {
		return nil, err
	}
	defer o.Body.Close()
	return io.ReadAll(o.Body)
}

func (c *Catalog) metadata(ctx context.Context, s Scope, place string, hold Hold) (*Metadata, error) {
	raw, err := c.Read(ctx, s, place, hold)
	if err != nil {
		return nil, err
	}
	return Parse(raw)
}

// write puts metadata where none is, below the table's location, and returns where.
func (c *Catalog) write(ctx context.Context, s Scope, m *Metadata, old string) (place string, raw []byte, err error) {
	if raw, err = json.Marshal(m); err != nil {
		return "", nil, err
	}
	if len(raw) > maxMetadata {
		return "", nil, errs.New(errs.LimitExceeded, fmt.Sprintf("a table's metadata has at most %d bytes", maxMetadata))
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	dir := strings.TrimSuffix(m.Location, "/") + "/metadata"
	if d := m.Properties["write.metadata.path"]; d != "" {
		dir = strings.TrimSuffix(d, "/")
	}
	place = fmt.Sprintf("%s/%05d-%s.metadata.json", dir, version(old)+1, hex.EncodeToString(id[:]))
	at, err := c.ref(ctx, s, place)
	if err != nil {
		return "", nil, err
	}
	_, err = c.o.Objects.Put(ctx, at, strings.NewReader(string(raw)), objstore.PutOptions{
		Headers: objstore.Headers{ContentType: "application/json"}, If: objstore.Condition{Absent: true}, Owner: s.Account})
	if errors.Is(err, objstore.ErrKey) {
		err = invalid("the table's location is too long")
	}
	return place, raw, err
}

// Put puts a file of a table where its metadata will say that it is, or in place of the
// same one. The bucket must be the account's.
func (c *Catalog) Put(ctx context.Context, s Scope, place string, body io.Reader) error {
	at, err := c.ref(ctx, s, place)
	if err == nil {
		_, err = c.o.Objects.Put(ctx, at, body, objstore.PutOptions{Headers: objstore.Headers{ContentType: "application/octet-stream"}, Owner: s.Account})
	}
	return err
}

// version returns the number that a place's name begins with, -1 without one.
func version(place string) int {
	n := -1
	if _, err := fmt.Sscanf(place[strings.LastIndexByte(place, '/')+1:], "%d-", &n); err != nil || n < 0 || n > 1<<30 {
		return -1
	}
	return n
}

// logMetadata notes where the metadata stood before, the last 100 times or as many as
// the table says.
func (m *Metadata) logMetadata(place string) {
	most := 100
	if v, ok := m.Properties["write.metadata.previous-versions-max"]; ok {
		n := 0
		if _, err := fmt.Sscanf(v, "%d", &n); err == nil {
			most = min(max(n, 1), 1000)
		}
	}
	m.MetadataLog = append(m.MetadataLog, metadataEntry{place, m.LastUpdatedMS})
	if extra := len(m.MetadataLog) - most; extra > 0 {
		m.MetadataLog = slices.Clone(m.MetadataLog[extra:])
	}
}
