package lake

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Update is one change of a table's metadata, as the REST catalog's API has it.
// Source: iceberg.apache.org, open-api/rest-catalog-open-api.yaml.
type Update struct {
	Action        string            `json:"action"`
	UUID          string            `json:"uuid"`
	FormatVersion int               `json:"format-version"`
	Schema        *part             `json:"schema"`
	SchemaID      *int              `json:"schema-id"`
	Spec          *part             `json:"spec"`
	SpecID        *int              `json:"spec-id"`
	SortOrder     *part             `json:"sort-order"`
	SortOrderID   *int              `json:"sort-order-id"`
	Snapshot      *snapshot         `json:"snapshot"`
	SnapshotIDs   []int64           `json:"snapshot-ids"`
	SnapshotID    *int64            `json:"snapshot-id"`
	RefName       string            `json:"ref-name"`
	Location      string            `json:"location"`
	Updates       map[string]string `json:"updates"`
	Removals      []string          `json:"removals"`
	Statistics    *statistics       `json:"statistics"`
	PartStats     *statistics       `json:"partition-statistics"`
	SpecIDs       []int             `json:"spec-ids"`
	SchemaIDs     []int             `json:"schema-ids"`
	Type          string            `json:"type"`
	MinKeep       *int              `json:"min-snapshots-to-keep"`
	MaxAge        *int64            `json:"max-snapshot-age-ms"`
	MaxRefAge     *int64            `json:"max-ref-age-ms"`
}

// Requirement is what must hold of a table for a commit.
type Requirement struct {
	Type            string `json:"type"`
	UUID            string `json:"uuid"`
	Ref             string `json:"ref"`
	SnapshotID      *int64 `json:"snapshot-id"`
	LastFieldID     *int   `json:"last-assigned-field-id"`
	SchemaID        *int   `json:"current-schema-id"`
	LastPartitionID *int   `json:"last-assigned-partition-id"`
	SpecID          *int   `json:"default-spec-id"`
	SortOrderID     *int   `json:"default-sort-order-id"`
}

// check holds the requirement against a table, nil for one that is not there.
func (r *Requirement) check(m *Metadata) error {
	if r.Type == "assert-create" {
		if m != nil {
			return conflict("the table exists")
		}
		return nil
	}
	if m == nil {
		return ErrNoTable
	}
	number := func(want *int, got int, what string) error {
		if want == nil {
			return invalid("the requirement " + r.Type + " has no value")
		}
		if *want != got {
			return conflict(fmt.Sprintf("%s has changed: it is %d, expected was %d", what, got, *want))
		}
		return nil
	}
	switch r.Type {
	case "assert-table-uuid":
		if r.UUID != m.TableUUID {
			return conflict("the table is another: its id is " + m.TableUUID + ", expected was " + r.UUID)
		}
		return nil
	case "assert-ref-snapshot-id":
		return r.checkRef(m)
	case "assert-last-assigned-field-id":
		return number(r.LastFieldID, m.LastColumnID, "the last field's id")
	case "assert-current-schema-id":
		return number(r.SchemaID, m.CurrentSchemaID, "the schema")
	case "assert-last-assigned-partition-id":
		return number(r.LastPartitionID, m.LastPartitionID, "the last partition field's id")
	case "assert-default-spec-id":
		return number(r.SpecID, m.DefaultSpecID, "the partition spec")
	case "assert-default-sort-order-id":
		return number(r.SortOrderID, m.DefaultSortOrderID, "the sort order")
	}
	return invalid("the requirement " + r.Type + " is not known")
}

func (r *Requirement) checkRef(m *Metadata) error {
	at, there := m.Refs[r.Ref]
	switch {
	case r.SnapshotID == nil && there:
		return conflict("the branch or tag " + r.Ref + " was made meanwhile")
	case r.SnapshotID == nil:
		return nil
	case !there:
		return conflict("the branch or tag " + r.Ref + " is missing")
	case at.SnapshotID != *r.SnapshotID:
		return conflict(fmt.Sprintf("the branch or tag %s has changed: it is at %d, expected was %d", r.Ref, at.SnapshotID, *r.SnapshotID))
	}
	return nil
}

// change is metadata while updates are applied to it.
type change struct {
	*Metadata
	now                            int64
	lastSchema, lastSpec, lastSort int // added by this change; -1 is none
}

// apply applies the updates in order.
func (m *Metadata) apply(updates []Update, now int64) error {
	c := change{Metadata: m, now: now, lastSchema: -1, lastSpec: -1, lastSort: -1}
	for i := range updates {
		if err := c.update(&updates[i]); err != nil {
			return err
		}
	}
	m.LastUpdatedMS = max(now, m.LastUpdatedMS)
	return m.valid()
}

// valid reports metadata that no table can have.
func (m *Metadata) valid() error {
	switch {
	case !has(m.Schemas, m.CurrentSchemaID):
		return invalid("the table has no schema")
	case !has(m.PartitionSpecs, m.DefaultSpecID):
		return invalid("the table has no partition spec")
	case !has(m.SortOrders, m.DefaultSortOrderID):
		return invalid("the table has no sort order")
	case m.Location == "" || m.TableUUID == "":
		return invalid("the table has no location or no id")
	}
	return nil
}

func (c *change) update(u *Update) error {
	switch u.Action {
	case "assign-uuid":
		if c.TableUUID != "" && c.TableUUID != u.UUID {
			return invalid("the table has another id")
		}
		c.TableUUID = u.UUID
	case "upgrade-format-version":
		if u.FormatVersion != formatVersion {
			return errVersion
		}
	case "add-schema":
		return c.addSchema(u.Schema)
	case "add-spec":
		return c.addSpec(u.Spec)
	case "add-sort-order":
		return c.addSortOrder(u.SortOrder)
	case "set-current-schema":
		return pick(u.SchemaID, c.lastSchema, c.Schemas, &c.CurrentSchemaID)
	case "set-default-spec":
		return pick(u.SpecID, c.lastSpec, c.PartitionSpecs, &c.DefaultSpecID)
	case "set-default-sort-order":
		return pick(u.SortOrderID, c.lastSort, c.SortOrders, &c.DefaultSortOrderID)
	case "remove-schemas":
		return drop(&c.Schemas, u.SchemaIDs, c.CurrentSchemaID)
	case "remove-partition-specs":
		return drop(&c.PartitionSpecs, u.SpecIDs, c.DefaultSpecID)
	case "set-location":
		if u.Location == "" {
			return invalid("set-location has no location")
		}
		c.Location = u.Location
	case "set-properties":
		for k, v := range u.Updates {
			c.Properties[k] = v
		}
	case "remove-properties":
		for _, k := range u.Removals {
			delete(c.Properties, k)
		}
	default:
		return c.updateSnapshots(u)
	}
	return nil
}

func (c *change) updateSnapshots(u *Update) error {
	switch u.Action {
	case "add-snapshot":
		return c.addSnapshot(u.Snapshot)
	case "set-snapshot-ref":
		return c.setRef(u)
	case "remove-snapshot-ref":
		c.removeRef(u.RefName)
	case "remove-snapshots":
		c.removeSnapshots(u.SnapshotIDs)
	case "set-statistics":
		return replace(&c.Statistics, u.Statistics)
	case "remove-statistics":
		return without(&c.Statistics, u.SnapshotID)
	case "set-partition-statistics":
		return replace(&c.PartitionStatistics, u.PartStats)
	case "remove-partition-statistics":
		return without(&c.PartitionStatistics, u.SnapshotID)
	default:
		return invalid("the update " + u.Action + " is not known")
	}
	return nil
}

// add adds a part, or finds the same one.
func add(parts *[]part, p part, idName string, first int) (int, error) {
	next := first
	for _, q := range *parts {
		if q.same(p, idName) {
			return q.id, nil
		}
		next = max(next, q.id+1)
	}
	p, err := p.as(idName, next)
	if err != nil {
		return 0, err
	}
	*parts = append(*parts, p)
	return next, nil
}

func (c *change) addSchema(p *part) (err error) {
	if p == nil || p.doc["fields"] == nil {
		return invalid("add-schema has no schema")
	}
	highest, unique := fieldIDs(*p)
	if !unique {
		return invalid("a field of the schema has no id, or one that another has")
	}
	c.LastColumnID = max(c.LastColumnID, highest)
	c.lastSchema, err = add(&c.Schemas, *p, "schema-id", 0)
	return err
}

// addSpec adds a partition spec. Fields without an id get one.
func (c *change) addSpec(p *part) (err error) {
	if p == nil {
		return invalid("add-spec has no spec")
	}
	fields := []map[string]json.RawMessage{}
	if raw := p.doc["fields"]; raw != nil && json.Unmarshal(raw, &fields) != nil {
		return invalid("the fields of the spec cannot be read")
	}
	for _, f := range fields {
		var id int
		if raw, ok := f["field-id"]; ok {
			if json.Unmarshal(raw, &id) != nil {
				return invalid("a field of the spec has no id")
			}
		} else {
			id = c.LastPartitionID + 1
			if f["field-id"], err = json.Marshal(id); err != nil {
				return err
			}
		}
		c.LastPartitionID = max(c.LastPartitionID, id)
	}
	q, err := p.as("spec-id", 0)
	if err != nil {
		return err
	}
	if q.doc["fields"], err = json.Marshal(fields); err != nil {
		return err
	}
	c.lastSpec, err = add(&c.PartitionSpecs, q, "spec-id", 0)
	return err
}

// addSortOrder adds a sort order; the one without fields is number 0.
func (c *change) addSortOrder(p *part) (err error) {
	if p == nil {
		return invalid("add-sort-order has no sort order")
	}
	var fields []json.RawMessage
	if raw := p.doc["fields"]; raw != nil && json.Unmarshal(raw, &fields) != nil {
		return invalid("the fields of the sort order cannot be read")
	}
	first := 1
	if len(fields) == 0 {
		first = 0
		if has(c.SortOrders, 0) {
			c.lastSort = 0
			return nil
		}
		q, err := p.as("order-id", 0)
		if err != nil {
			return err
		}
		c.SortOrders, c.lastSort = append(c.SortOrders, q), 0
		return nil
	}
	c.lastSort, err = add(&c.SortOrders, *p, "order-id", first)
	return err
}

// pick makes a part the current one; -1 is the one added last.
func pick(id *int, last int, parts []part, current *int) error {
	if id == nil {
		return invalid("an update has no id")
	}
	n := *id
	if n == -1 {
		n = last
	}
	if !has(parts, n) {
		return invalid(fmt.Sprintf("there is nothing of the id %d", n))
	}
	*current = n
	return nil
}

func drop(parts *[]part, ids []int, current int) error {
	if slices.Contains(ids, current) {
		return invalid("what is in use cannot be removed")
	}
	*parts = slices.DeleteFunc(*parts, func(p part) bool { return slices.Contains(ids, p.id) })
	return nil
}

func (c *change) addSnapshot(s *snapshot) error {
	switch {
	case s == nil:
		return invalid("add-snapshot has no snapshot")
	case c.snapshot(s.ID) != nil:
		return conflict(fmt.Sprintf("the snapshot %d is there already", s.ID))
	case s.Parent != nil && s.Sequence <= c.LastSequenceNumber:
		return conflict(fmt.Sprintf("the sequence number %d is not above the last, %d", s.Sequence, c.LastSequenceNumber))
	case s.Time <= 0:
		return invalid("the snapshot has no time")
	}
	c.LastSequenceNumber = max(c.LastSequenceNumber, s.Sequence)
	c.LastUpdatedMS = max(c.LastUpdatedMS, s.Time)
	c.Snapshots = append(c.Snapshots, *s)
	return nil
}

func (c *change) setRef(u *Update) error {
	if u.SnapshotID == nil || c.snapshot(*u.SnapshotID) == nil {
		return invalid("the branch or tag " + u.RefName + " is to be at a snapshot that is not there")
	}
	if u.RefName == "" || u.Type != "branch" && u.Type != "tag" || u.RefName == mainBranch && u.Type != "branch" {
		return invalid("a reference is a branch or a tag with a name; main is a branch")
	}
	old, there := c.Refs[u.RefName]
	c.Refs[u.RefName] = ref{*u.SnapshotID, u.Type, u.MinKeep, u.MaxAge, u.MaxRefAge}
	if u.RefName == mainBranch && (!there || old.SnapshotID != *u.SnapshotID) {
		c.CurrentSnapshotID = u.SnapshotID
		c.SnapshotLog = append(c.SnapshotLog, snapshotEntry{*u.SnapshotID, max(c.now, c.LastUpdatedMS)})
	}
	return nil
}

func (c *change) removeRef(name string) {
	delete(c.Refs, name)
	if name == mainBranch {
		c.CurrentSnapshotID = nil
	}
}

// removeSnapshots removes snapshots with what refers to them.
func (c *change) removeSnapshots(ids []int64) {
	gone := func(id int64) bool { return slices.Contains(ids, id) }
	c.Snapshots = slices.DeleteFunc(c.Snapshots, func(s snapshot) bool { return gone(s.ID) })
	c.Statistics = slices.DeleteFunc(c.Statistics, func(s statistics) bool { return gone(s.SnapshotID) })
	c.PartitionStatistics = slices.DeleteFunc(c.PartitionStatistics, func(s statistics) bool { return gone(s.SnapshotID) })
	for name, r := range c.Refs {
		if gone(r.SnapshotID) {
			c.removeRef(name)
		}
	}
	// History before a snapshot that is gone cannot be told any more.
	for i := len(c.SnapshotLog) - 1; i >= 0; i-- {
		if gone(c.SnapshotLog[i].SnapshotID) {
			c.SnapshotLog = slices.Clone(c.SnapshotLog[i+1:])
			break
		}
	}
}

func replace(list *[]statistics, s *statistics) error {
	if s == nil {
		return invalid("an update has no statistics")
	}
	*list = append(slices.DeleteFunc(*list, func(t statistics) bool { return t.SnapshotID == s.SnapshotID }), *s)
	return nil
}

func without(list *[]statistics, id *int64) error {
	if id == nil {
		return invalid("an update names no snapshot")
	}
	*list = slices.DeleteFunc(*list, func(t statistics) bool { return t.SnapshotID == *id })
	return nil
}
