package tables

import (
	"encoding/binary"
	"hash/fnv"
	"slices"

	"thalweg/internal/errs"
	"thalweg/internal/tables/value"
)

// Scope is where a table's name means something.
type Scope struct {
	Account string `json:"account"`
	Region  string `json:"region"`
}

// Schema is the names of a key's attributes; Sort is "" where there is none.
type Schema struct {
	Partition string `json:"partition"`
	Sort      string `json:"sort,omitempty"`
}

// Projection says which attributes an index shows. Values are on disk.
type Projection string

const (
	KeysOnly Projection = "KEYS_ONLY"
	Include  Projection = "INCLUDE"
	All      Projection = "ALL"
)

// Throughput is provisioned capacity, which is kept and shown and limits nothing.
type Throughput struct {
	Read  int64 `json:"read,omitempty"`
	Write int64 `json:"write,omitempty"`
}

// Index is a secondary index. It has the items that have its key.
type Index struct {
	Name string `json:"name"`
	// Local is whether it is a local one, of the table's own partition key.
	Local      bool       `json:"local,omitempty"`
	Key        Schema     `json:"key"`
	Projection Projection `json:"projection"`
	Included   []string   `json:"included,omitempty"`
	Throughput Throughput `json:"throughput"`
}

// Definition is what a table is, without its items. It is not changed once it is
// in use; [Definition.Clone] makes one to change.
type Definition struct {
	// Number names the table in items' events and is never used twice.
	Number uint64 `json:"number"`
	Scope
	Name string `json:"name"`
	ID   string `json:"id"`
	// Created is in Unix milliseconds.
	Created int64 `json:"created"`
	// Types are those of the attributes in keys.
	Types   map[string]value.Kind `json:"types"`
	Key     Schema                `json:"key"`
	Indexes []Index               `json:"indexes,omitempty"`
	// OnDemand is the billing mode PAY_PER_REQUEST.
	OnDemand   bool              `json:"on_demand,omitempty"`
	Throughput Throughput        `json:"throughput"`
	Infrequent bool              `json:"infrequent,omitempty"` // table class
	Protected  bool              `json:"protected,omitempty"`  // from deletion
	Tags       map[string]string `json:"tags,omitempty"`
}

// Clone returns a copy that shares nothing with d.
func (d *Definition) Clone() *Definition {
	c := *d
	c.Types = make(map[string]value.Kind, len(d.Types))
	for k, v := range d.Types {
		c.Types[k] = v
	}
	c.Indexes = slices.Clone(d.Indexes)
	c.Tags = make(map[string]string, len(d.Tags))
	for k, v := range d.Tags {
		c.Tags[k] = v
	}
	return &c
}

// Index returns the index of that name, nil if there is none.
func (d *Definition) Index(name string) *Index {
	for i := range d.Indexes {
		if d.Indexes[i].Name == name {
			return &d.Indexes[i]
		}
	}
	return nil
}

func (s Schema) names() []string {
	if s.Sort == "" {
		return []string{s.Partition}
	}
	return []string{s.Partition, s.Sort}
}

// of returns the attributes of the key that it has.
func (s Schema) of(it value.Item) value.Item {
	key := value.Item{}
	for _, name := range s.names() {
		if v, ok := it[name]; ok {
			key[name] = v
		}
	}
	return key
}

// Bounds of keys (developer guide, "Quotas").
const (
	maxPartitionKey = 2048
	maxSortKey      = 1024
)

// checkKey checks that key is the table's whole key and nothing else.
func (d *Definition) checkKey(key value.Item) error {
	names := d.Key.names()
	if len(key) != len(names) {
		return errs.New(errs.Invalid, "The provided key element does not match the schema")
	}
	for _, name := range names {
		if v, ok := key[name]; !ok || v.Kind != d.Types[name] {
			return errs.New(errs.Invalid, "The provided key element does not match the schema")
		}
	}
	return d.checkKeyValues(key)
}

// checkItem checks the attributes of keys in a whole item.
func (d *Definition) checkItem(it value.Item) error {
	for _, name := range d.Key.names() {
		v, ok := it[name]
		if !ok {
			return errs.New(errs.Invalid, "One or more parameter values were invalid: Missing the key "+name+" in the item")
		}
		if v.Kind != d.Types[name] {
			return errs.New(errs.Invalid, "One or more parameter values were invalid: Type mismatch for key "+name+
				" expected: "+d.Types[name].String()+" actual: "+v.Kind.String())
		}
	}
	if err := d.checkKeyValues(it); err != nil {
		return err
	}
	for i := range d.Indexes {
		x := &d.Indexes[i]
		for _, name := range x.Key.names() {
			v, ok := it[name]
			switch {
			case !ok:
			case v.Kind != d.Types[name]:
				return errs.New(errs.Invalid, "One or more parameter values were invalid: Type mismatch for Index Key "+name+
					" Expected: "+d.Types[name].String()+" Actual: "+v.Kind.String()+" IndexName: "+x.Name)
			case v.Kind != value.Numeric && v.Text == "":
				return errs.New(errs.Invalid, "One or more parameter values are not valid. A value specified for a secondary index key "+
					"is not supported. The AttributeValue for a key attribute cannot contain an empty "+longName(v.Kind)+
					" value. IndexName: "+x.Name+", IndexKey: "+name)
			}
		}
	}
	return nil
}

func longName(k value.Kind) string {
	if k == value.Binary {
		return "binary"
	}
	return "string"
}

// checkKeyValues checks the bounds of the table's key in an item that has it.
func (d *Definition) checkKeyValues(it value.Item) error {
	for i, name := range d.Key.names() {
		v := it[name]
		if v.Kind == value.Numeric {
			continue
		}
		if v.Text == "" {
			return errs.New(errs.Invalid, "One or more parameter values are not valid. The AttributeValue for a key attribute "+
				"cannot contain an empty "+longName(v.Kind)+" value. Key: "+name)
		}
		if i == 0 && len(v.Text) > maxPartitionKey {
			return errs.New(errs.Invalid, "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes")
		}
		if i == 1 && len(v.Text) > maxSortKey {
			return errs.New(errs.Invalid, "One or more parameter values were invalid: Size of rangekey has exceeded the maximum size limit of1024 bytes")
		}
	}
	return nil
}

// Places are the keys of [ordered]: a hash of the partition key, the partition
// key itself, and the sort key in its order, so that items of one partition key
// stand together, in order, and partition keys stand in an order of their own,
// which parallel scans divide evenly. In an index the place in the table follows.

// partitionPlace is what all items of a partition key begin with.
func partitionPlace(v value.Value) []byte {
	key := v.AppendOrdered(nil)
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+2*len(key)), spread(key)), key...)
}

// spread hashes a key evenly; it must never change while an index of a scan may
// be outstanding, so it is fixed.
func spread(key []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(key)
	x := h.Sum64() // whose high bits are poor for short keys
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// place is where an item of that key stands; ok is false without the whole key.
func (s Schema) place(it value.Item) (string, bool) {
	v, ok := it[s.Partition]
	if !ok {
		return "", false
	}
	b := partitionPlace(v)
	if s.Sort != "" {
		v, ok := it[s.Sort]
		if !ok {
			return "", false
		}
		b = v.AppendOrdered(b)
	}
	return string(b), true
}

// placeIn is where an item stands in an index, before its place in the table; ok
// is false for an item that the index does not have: one without its key, or,
// from before the index was made, with a key of another type.
func (d *Definition) placeIn(x *Index, it value.Item) (string, bool) {
	for _, name := range x.Key.names() {
		if v := it[name]; v.Kind != d.Types[name] || v.Kind != value.Numeric && v.Text == "" {
			return "", false
		}
	}
	return x.Key.place(it)
}
