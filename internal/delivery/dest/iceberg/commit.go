package iceberg

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/lake"
	"thalweg/internal/lake/manifest"
)

// mark is what a table keeps of the last batch of a delivery stream, in the property
// "thalweg.delivery." and the stream's ARN. The snapshot that added the batch has the
// same in its summary, as thalweg.delivery.
type mark struct {
	Stream string `json:"stream"`
	Plan   string `json:"plan"`
	// Schema and Spec are the ids of those that the records were written by: what was
	// rejected followed from them.
	Schema  int              `json:"schema-id"`
	Spec    int              `json:"spec-id"`
	Offsets map[string]int64 `json:"offsets"` // by partition of the source: the next
	Records int64            `json:"records"`
}

const markName = "thalweg.delivery"

// committed finds the batch in a table: as the stream's last, or in the summary of a
// snapshot, should a client have removed the property.
func (w *writing) committed(m *lake.Metadata) (was mark, ok bool) {
	is := func(text string) bool {
		return json.Unmarshal([]byte(text), &was) == nil && was.Plan == w.batch.Plan && was.Stream == w.batch.Stream.ARN
	}
	if is(m.Properties[markName+"."+w.batch.Stream.ARN]) {
		return was, true
	}
	for i := len(m.Snapshots) - 1; i >= 0; i-- {
		var s struct {
			Summary map[string]string `json:"summary"`
		}
		raw := m.Snapshots[i].Raw()
		if bytes.Contains(raw, []byte(markName)) && json.Unmarshal(raw, &s) == nil && is(s.Summary[markName]) {
			return was, true
		}
	}
	return mark{}, false
}

// maxTries is how often a commit is tried at once when others meet it.
const maxTries = 20

// commit adds the batch's files to the table.
func (w *writing) commit(t *table) error {
	var late *lake.Conflict
	for range maxTries {
		err := w.append(t)
		if err == nil {
			t.done = true
			return nil
		}
		if !errors.As(err, &late) {
			return err
		}
		id := t.meta.TableUUID
		if err := w.load(t); err != nil {
			return err
		}
		if _, t.done = w.committed(t.meta); t.done {
			return nil
		}
		if t.meta.TableUUID != id || t.meta.Schema(t.schema) == nil || t.meta.PartitionSpec(t.spec) == nil {
			return &dest.Error{Code: "Iceberg.CommitFailed", Message: "The table " + t.name.text() + " has become another meanwhile."}
		}
	}
	return &dest.Error{Class: dest.Throttled, Code: "Iceberg.CommitFailed", Message: "Others commit to the table " + t.name.text() + " all the time.", Err: late}
}

// append makes one attempt to commit. A *lake.Conflict says that the table has changed.
func (w *writing) append(t *table) error {
	m := mark{Stream: w.batch.Stream.ARN, Plan: w.batch.Plan, Schema: t.schema, Spec: t.spec, Offsets: map[string]int64{}}
	for _, r := range w.batch.Ranges {
		m.Offsets[fmt.Sprint(r.Partition)] = r.To
	}
	for _, f := range t.files {
		m.Records += f.Records
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	head, parent := t.meta.Head()
	updates := []map[string]any{{"action": "set-properties", "updates": map[string]string{markName + "." + m.Stream: string(text)}}}
	if len(t.files) > 0 { // else all was rejected, and that is settled too
		added, err := w.snapshot(t, head, parent, string(text))
		if err != nil {
			return err
		}
		updates = append(added, updates...)
	}
	raw, err := json.Marshal(map[string]any{
		"requirements": []map[string]any{
			{"type": "assert-table-uuid", "uuid": t.meta.TableUUID},
			{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": head},
		},
		"updates": updates,
	})
	if err != nil {
		return err
	}
	var change struct {
		Requirements []lake.Requirement `json:"requirements"`
		Updates      []lake.Update      `json:"updates"`
	}
	if err := json.Unmarshal(raw, &change); err != nil {
		return err
	}
	_, _, err = w.catalog.Commit(w.ctx, w.scope(), t.name.ident(), change.Requirements, change.Updates, w.hold)
	var late *lake.Conflict
	t.doubtful = err != nil && !errors.As(err, &late)
	return err
}

// snapshotID is the batch's in a table.
func (w *writing) snapshotID(t *table) int64 {
	sum := sha256.Sum256([]byte(w.id(t, "snapshot")))
	return int64(binary.BigEndian.Uint64(sum[:8]) & math.MaxInt64)
}

// listFactor is how many times its bytes a list of manifests takes, unpacked and made
// anew.
const listFactor = 16

// snapshot puts the snapshot's manifest and list, and returns the updates that add it to
// the branch main.
func (w *writing) snapshot(t *table, head *int64, parent json.RawMessage, text string) ([]map[string]any, error) {
	var before struct {
		List    string            `json:"manifest-list"`
		Summary map[string]string `json:"summary"`
	}
	var entries []manifest.Entry
	if parent != nil {
		if err := json.Unmarshal(parent, &before); err != nil {
			return nil, err
		}
		raw, err := w.catalog.Read(w.ctx, w.scope(), before.List, func(n int64) error { return w.hold(listFactor * n) })
		if err == nil {
			entries, err = manifest.DecodeList(raw)
		}
		if err != nil {
			return nil, err
		}
	}
	id, sequence := w.snapshotID(t), t.meta.LastSequenceNumber+1
	m := manifest.Manifest{Schema: t.meta.Schema(t.schema), SchemaID: t.schema, Partition: t.meta.PartitionSpec(t.spec), Spec: t.parsed, SnapshotID: id, Files: t.files}
	raw, err := m.Encode()
	if err != nil {
		return nil, err
	}
	dir := t.dir("write.metadata.path", "/metadata")
	e := manifest.Entry{Path: dir + "/" + w.id(t, "manifest") + "-m0.avro", Length: int64(len(raw)), SpecID: t.spec, Sequence: sequence, MinSequence: sequence,
		SnapshotID: id, AddedFiles: len(t.files), Partitions: manifest.Summaries(t.files, len(t.parsed.Fields))}
	var size int64
	for _, f := range t.files {
		e.AddedRows += f.Records
		size += f.Size
	}
	if err := w.put(w.ctx, e.Path, bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	l := manifest.List{SnapshotID: id, Sequence: sequence, Parent: head, Entries: slices.Insert(entries, 0, e)}
	if raw, err = l.Encode(); err != nil {
		return nil, err
	}
	list := fmt.Sprintf("%s/snap-%d-%s.avro", dir, id, w.id(t, "list", before.List, strconv.FormatInt(sequence, 10)))
	if err := w.put(w.ctx, list, bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	snapshot := map[string]any{"snapshot-id": id, "sequence-number": sequence, "timestamp-ms": max(clock.Millis(w.env.Clock), t.meta.LastUpdatedMS),
		"manifest-list": list, "schema-id": t.meta.CurrentSchemaID, "summary": summary(before.Summary, e, size, text)}
	if head != nil {
		snapshot["parent-snapshot-id"] = *head
	}
	ref := map[string]any{"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id}
	was := t.meta.Refs["main"]
	for name, v := range map[string]any{"min-snapshots-to-keep": was.MinSnapshotsToKeep, "max-snapshot-age-ms": was.MaxSnapshotAgeMS, "max-ref-age-ms": was.MaxRefAgeMS} {
		ref[name] = v
	}
	return []map[string]any{{"action": "add-snapshot", "snapshot": snapshot}, ref}, nil
}

// summary is what the snapshot says of itself. Totals go on from the parent's, where it
// has them.
func summary(before map[string]string, e manifest.Entry, size int64, mark string) map[string]string {
	out := map[string]string{
		"operation": "append", markName: mark, "added-data-files": strconv.Itoa(e.AddedFiles), "added-records": strconv.FormatInt(e.AddedRows, 10),
		"added-files-size": strconv.FormatInt(size, 10), "changed-partition-count": strconv.Itoa(e.AddedFiles),
	}
	for name, more := range map[string]int64{
		"total-data-files": int64(e.AddedFiles), "total-records": e.AddedRows, "total-files-size": size,
		"total-delete-files": 0, "total-position-deletes": 0, "total-equality-deletes": 0,
	} {
		was, err := strconv.ParseInt(strings.TrimSpace(before[name]), 10, 64)
		if err == nil || before == nil {
			out[name] = strconv.FormatInt(was+more, 10)
		}
	}
	return out
}
