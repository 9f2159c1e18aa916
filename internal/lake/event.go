package lake

import (
	"encoding/json"
	"maps"

	"thalweg/internal/errs"
)

// event is a change, as it is on disk (docs/formats/lake.md).
type event struct {
	Kind        string            `json:"k"`
	Account     string            `json:"a"`
	Region      string            `json:"r"`
	Namespace   string            `json:"n"`
	Table       string            `json:"t,omitempty"`
	Properties  map[string]string `json:"p,omitempty"`
	Place       string            `json:"m,omitempty"`
	ToNamespace string            `json:"tn,omitempty"`
	ToTable     string            `json:"tt,omitempty"`
}

const (
	kindNamespace     = "namespace" // is there, with these properties and no others
	kindNamespaceGone = "namespace gone"
	kindTable         = "table" // is there, with its metadata at this place
	kindTableGone     = "table gone"
	kindRename        = "rename"
)

// adds reports whether an event may make the state larger.
func (e *event) adds() bool { return e.Kind == kindNamespace || e.Kind == kindTable }

// takes is about what the state takes for an event that adds to it, in bytes.
func (e *event) takes() int64 {
	n := entryBytes + len(e.Namespace) + len(e.Table) + len(e.Place)
	for k, v := range e.Properties {
		n += propertyBytes + len(k) + len(v)
	}
	return int64(n)
}

const (
	entryBytes    = 256 // maps and headers of strings
	propertyBytes = 64
)

// grow counts what the state takes; mu is held.
func (c *Catalog) grow(n int64) {
	c.bytes += n
	c.o.Memory.Take(n)
}

// Reset implements [meta.Machine].
func (c *Catalog) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scopes = map[Scope]*scope{}
	c.grow(-c.bytes)
}

// Apply implements [meta.Machine].
func (c *Catalog) Apply(raw []byte) error {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return errs.Wrap(errs.Corrupt, "read event of the table catalog", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := Scope{e.Account, e.Region}
	s := c.scopes[key]
	if s == nil {
		s = &scope{namespaces: map[string]map[string]string{}, tables: map[string]map[string]table{}}
		c.scopes[key] = s
	}
	switch e.Kind {
	case kindNamespace:
		if old := s.namespaces[e.Namespace]; old == nil {
			s.entries++
		} else {
			c.grow(-(&event{Namespace: e.Namespace, Properties: old}).takes())
		}
		c.grow(e.takes())
		s.namespaces[e.Namespace] = map[string]string{}
		maps.Copy(s.namespaces[e.Namespace], e.Properties)
	case kindNamespaceGone:
		s.entries--
		c.grow(-(&event{Namespace: e.Namespace, Properties: s.namespaces[e.Namespace]}).takes())
		delete(s.namespaces, e.Namespace)
	case kindTable:
		if old, there := s.tables[e.Namespace][e.Table]; there {
			c.grow(-(&event{Namespace: e.Namespace, Table: e.Table, Place: old.Place}).takes())
		} else {
			s.entries++
		}
		c.grow(e.takes())
		s.put(e.Namespace, e.Table, table{e.Place})
	case kindTableGone:
		s.entries--
		old := s.take(e.Namespace, e.Table)
		c.grow(-(&event{Namespace: e.Namespace, Table: e.Table, Place: old.Place}).takes())
	case kindRename:
		c.grow(int64(len(e.ToNamespace) + len(e.ToTable) - len(e.Namespace) - len(e.Table)))
		s.put(e.ToNamespace, e.ToTable, s.take(e.Namespace, e.Table))
	default:
		return errs.New(errs.Corrupt, "an event of the table catalog is of no known kind: "+e.Kind)
	}
	if s.entries == 0 {
		delete(c.scopes, key)
	}
	return nil
}

func (s *scope) put(ns, name string, t table) {
	if s.tables[ns] == nil {
		s.tables[ns] = map[string]table{}
	}
	s.tables[ns][name] = t
}

func (s *scope) take(ns, name string) table {
	t := s.tables[ns][name]
	if delete(s.tables[ns], name); len(s.tables[ns]) == 0 {
		delete(s.tables, ns)
	}
	return t
}

// Snapshot implements [meta.Machine].
func (c *Catalog) Snapshot(emit func([]byte)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	say := func(e event) {
		raw, err := json.Marshal(e)
		if err == nil { // strings alone: it cannot fail
			emit(raw)
		}
	}
	for key, s := range c.scopes {
		for ns, p := range s.namespaces {
			say(event{Kind: kindNamespace, Account: key.Account, Region: key.Region, Namespace: ns, Properties: p})
		}
		for ns, tables := range s.tables {
			for name, t := range tables {
				say(event{Kind: kindTable, Account: key.Account, Region: key.Region, Namespace: ns, Table: name, Place: t.Place})
			}
		}
	}
}
