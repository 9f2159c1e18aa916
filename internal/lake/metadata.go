package lake

import (
	"encoding/json"
	"slices"

	"thalweg/internal/errs"
)

// formatVersion is that of the tables: 1 wants members that 2 has others for, and 3
// rows with ids.
const formatVersion = 2

// Metadata is a table's metadata, of format version 2. Parts that the catalog does
// not look into are kept as they came.
// Source: iceberg.apache.org/spec/#table-metadata-fields.
type Metadata struct {
	FormatVersion       int               `json:"format-version"`
	TableUUID           string            `json:"table-uuid"`
	Location            string            `json:"location"`
	LastSequenceNumber  int64             `json:"last-sequence-number"`
	LastUpdatedMS       int64             `json:"last-updated-ms"`
	LastColumnID        int               `json:"last-column-id"`
	Schemas             []part            `json:"schemas"`
	CurrentSchemaID     int               `json:"current-schema-id"`
	PartitionSpecs      []part            `json:"partition-specs"`
	DefaultSpecID       int               `json:"default-spec-id"`
	LastPartitionID     int               `json:"last-partition-id"`
	Properties          map[string]string `json:"properties"`
	CurrentSnapshotID   *int64            `json:"current-snapshot-id"`
	Snapshots           []snapshot        `json:"snapshots"`
	SnapshotLog         []snapshotEntry   `json:"snapshot-log"`
	MetadataLog         []metadataEntry   `json:"metadata-log"`
	SortOrders          []part            `json:"sort-orders"`
	DefaultSortOrderID  int               `json:"default-sort-order-id"`
	Refs                map[string]ref    `json:"refs"`
	Statistics          []statistics      `json:"statistics"`
	PartitionStatistics []statistics      `json:"partition-statistics"`
}

type snapshotEntry struct {
	SnapshotID  int64 `json:"snapshot-id"`
	TimestampMS int64 `json:"timestamp-ms"`
}

type metadataEntry struct {
	File        string `json:"metadata-file"`
	TimestampMS int64  `json:"timestamp-ms"`
}

// ref is a branch or a tag.
type ref struct {
	SnapshotID         int64  `json:"snapshot-id"`
	Type               string `json:"type"`
	MinSnapshotsToKeep *int   `json:"min-snapshots-to-keep,omitempty"`
	MaxSnapshotAgeMS   *int64 `json:"max-snapshot-age-ms,omitempty"`
	MaxRefAgeMS        *int64 `json:"max-ref-age-ms,omitempty"`
}

const mainBranch = "main"

// part is a schema, a partition spec or a sort order: a document with an id, under a
// name that follows from what it is.
type part struct {
	id  int
	doc map[string]json.RawMessage
}

// idNames are the names of the ids of parts.
var idNames = []string{"schema-id", "spec-id", "order-id"}

func (p part) MarshalJSON() ([]byte, error) { return json.Marshal(p.doc) }

func (p *part) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &p.doc); err != nil {
		return err
	}
	for _, name := range idNames {
		if raw, ok := p.doc[name]; ok {
			return json.Unmarshal(raw, &p.id)
		}
	}
	return nil
}

// as returns the part under an id.
func (p part) as(name string, id int) (part, error) {
	out := part{id: id, doc: map[string]json.RawMessage{}}
	for k, v := range p.doc {
		out.doc[k] = v
	}
	raw, err := json.Marshal(id)
	out.doc[name] = raw
	return out, err
}

// same reports whether two parts say the same but for their ids.
func (p part) same(q part, idName string) bool {
	a, err := p.as(idName, 0)
	b, err2 := q.as(idName, 0)
	if err != nil || err2 != nil {
		return false
	}
	return canonical(a.doc) == canonical(b.doc)
}

// canonical is a document with its members in order and without white space.
func canonical(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	var any any
	if json.Unmarshal(raw, &any) != nil {
		return ""
	}
	raw, err = json.Marshal(any)
	if err != nil {
		return ""
	}
	return string(raw)
}

// snapshot is one state of a table, of which the catalog reads what it checks.
type snapshot struct {
	ID       int64
	Parent   *int64
	Sequence int64
	Time     int64
	raw      json.RawMessage
}

// Raw is the snapshot's document.
func (s snapshot) Raw() json.RawMessage { return s.raw }

func (s snapshot) MarshalJSON() ([]byte, error) { return s.raw, nil }

func (s *snapshot) UnmarshalJSON(b []byte) error {
	var d struct {
		ID       int64  `json:"snapshot-id"`
		Parent   *int64 `json:"parent-snapshot-id"`
		Sequence int64  `json:"sequence-number"`
		Time     int64  `json:"timestamp-ms"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	*s = snapshot{d.ID, d.Parent, d.Sequence, d.Time, slices.Clone(b)}
	return nil
}

// statistics are a file about a snapshot.
type statistics struct {
	SnapshotID int64
	raw        json.RawMessage
}

func (s statistics) MarshalJSON() ([]byte, error) { return s.raw, nil }

func (s *statistics) UnmarshalJSON(b []byte) error {
	var d struct {
		SnapshotID int64 `json:"snapshot-id"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	*s = statistics{d.SnapshotID, slices.Clone(b)}
	return nil
}

// empty returns metadata of a table that is to be made.
func empty() *Metadata {
	return &Metadata{FormatVersion: formatVersion, Properties: map[string]string{}, Refs: map[string]ref{}, LastPartitionID: firstPartitionField - 1,
		Schemas: []part{}, PartitionSpecs: []part{}, SortOrders: []part{}, Snapshots: []snapshot{}, SnapshotLog: []snapshotEntry{},
		MetadataLog: []metadataEntry{}, Statistics: []statistics{}, PartitionStatistics: []statistics{}, CurrentSchemaID: -1, DefaultSpecID: -1, DefaultSortOrderID: -1}
}

// firstPartitionField is the id of the first field of a partition spec.
const firstPartitionField = 1000

// Parse reads metadata. Errors are of kind Corrupt, or Unsupported for another version.
func Parse(b []byte) (*Metadata, error) {
	m := empty()
	if err := json.Unmarshal(b, m); err != nil {
		return nil, errs.Wrap(errs.Corrupt, "read table metadata", err)
	}
	if m.FormatVersion != formatVersion {
		return nil, errVersion
	}
	if m.CurrentSnapshotID != nil && *m.CurrentSnapshotID == -1 { // as some writers say it
		m.CurrentSnapshotID = nil
	}
	return m, nil
}

// Schema returns the document of a schema, nil if there is none of the id.
func (m *Metadata) Schema(id int) json.RawMessage { return find(m.Schemas, id) }

// PartitionSpec returns the document of a partition spec, nil if there is none of the id.
func (m *Metadata) PartitionSpec(id int) json.RawMessage { return find(m.PartitionSpecs, id) }

func find(parts []part, id int) json.RawMessage {
	for _, p := range parts {
		if p.id == id {
			raw, err := json.Marshal(p)
			if err == nil { // it was read from JSON
				return raw
			}
		}
	}
	return nil
}

// Head returns the id and the document of the snapshot that the branch main is at, nil if
// there is none.
func (m *Metadata) Head() (id *int64, snapshot json.RawMessage) {
	at, there := m.Refs[mainBranch]
	s := m.snapshot(at.SnapshotID)
	if !there || s == nil {
		return nil, nil
	}
	return &s.ID, s.raw
}

func (m *Metadata) snapshot(id int64) *snapshot {
	for i := range m.Snapshots {
		if m.Snapshots[i].ID == id {
			return &m.Snapshots[i]
		}
	}
	return nil
}

func has(parts []part, id int) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.id == id })
}

// fieldIDs returns the ids of a schema's fields, nested ones too, and whether each is
// there once.
func fieldIDs(p part) (highest int, unique bool) {
	seen := map[int]bool{}
	unique = true
	note := func(id int) {
		unique = unique && id > 0 && !seen[id]
		seen[id] = true
		highest = max(highest, id)
	}
	var walk func(raw json.RawMessage, depth int)
	walk = func(raw json.RawMessage, depth int) {
		var d struct {
			Fields []struct {
				ID   int             `json:"id"`
				Type json.RawMessage `json:"type"`
			} `json:"fields"`
			ElementID *int            `json:"element-id"`
			Element   json.RawMessage `json:"element"`
			KeyID     *int            `json:"key-id"`
			Key       json.RawMessage `json:"key"`
			ValueID   *int            `json:"value-id"`
			Value     json.RawMessage `json:"value"`
		}
		if len(raw) == 0 || raw[0] != '{' {
			return // a primitive type
		}
		if depth > maxNesting || json.Unmarshal(raw, &d) != nil {
			unique = false
			return
		}
		for _, f := range d.Fields {
			note(f.ID)
			walk(f.Type, depth+1)
		}
		for _, nested := range []struct {
			id  *int
			raw json.RawMessage
		}{{d.ElementID, d.Element}, {d.KeyID, d.Key}, {d.ValueID, d.Value}} {
			if nested.id != nil {
				note(*nested.id)
				walk(nested.raw, depth+1)
			}
		}
	}
	raw, err := json.Marshal(p.doc)
	if err != nil {
		return 0, false
	}
	walk(raw, 0)
	return highest, unique
}

// maxNesting bounds how deep a schema is nested.
const maxNesting = 64
