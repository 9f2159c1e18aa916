package iceberg

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"thalweg/internal/lake"
)

type identDoc struct {
	Namespace []string `json:"namespace"`
	Name      string   `json:"name"`
}

func (x *exchange) listTables() error {
	all, err := x.d.o.Catalog.Tables(x.scope(), x.namespace())
	if err != nil {
		return err
	}
	all, next, err := page(x, all, func(s string) string { return s })
	if err != nil {
		return err
	}
	out := []identDoc{}
	for _, name := range all {
		out = append(out, identDoc{x.namespace(), name})
	}
	return x.answer(http.StatusOK, map[string]any{"identifiers": out, "next-page-token": next})
}

// tableDoc is a table as a client is told of it.
type tableDoc struct {
	Place    string            `json:"metadata-location,omitempty"`
	Metadata json.RawMessage   `json:"metadata"`
	Config   map[string]string `json:"config"`
}

func (x *exchange) answerTable(place string, raw []byte) error {
	return x.answer(http.StatusOK, tableDoc{place, raw, map[string]string{}})
}

// createTable makes a table, or with stage-create only says what it would be: a commit
// with assert-create then makes it.
func (x *exchange) createTable() error {
	var in struct {
		Name       string            `json:"name"`
		Location   string            `json:"location"`
		Schema     json.RawMessage   `json:"schema"`
		Spec       json.RawMessage   `json:"partition-spec"`
		Order      json.RawMessage   `json:"write-order"`
		Stage      bool              `json:"stage-create"`
		Properties map[string]string `json:"properties"`
	}
	if err := x.decode(&in); err != nil {
		return err
	}
	id := lake.Ident{Namespace: x.namespace(), Name: in.Name}
	location, err := x.location(id, in.Location)
	if err != nil {
		return err
	}
	version := 2
	if v := in.Properties["format-version"]; v != "" {
		if _, err := fmt.Sscanf(v, "%d", &version); err != nil {
			return refusal(http.StatusBadRequest, "BadRequestException", "the property format-version is a number")
		}
		delete(in.Properties, "format-version") // it is the metadata's, no property
	}
	updates, err := initial(newUUID(), version, location, in.Schema, in.Spec, in.Order, in.Properties)
	if err != nil {
		return err
	}
	if in.Stage {
		raw, err := x.d.o.Catalog.Stage(x.scope(), id, updates)
		if err != nil {
			return err
		}
		return x.answerTable("", raw)
	}
	place, raw, err := x.d.o.Catalog.Commit(x.r.Context(), x.scope(), id, []lake.Requirement{{Type: "assert-create"}}, updates, x.hold)
	if err != nil {
		return err
	}
	return x.answerTable(place, raw)
}

// location returns where a new table goes: where it is told to, else below its
// namespace's location, else below the warehouse.
func (x *exchange) location(id lake.Ident, asked string) (string, error) {
	if asked != "" {
		return strings.TrimSuffix(asked, "/"), nil
	}
	p, err := x.d.o.Catalog.Namespace(x.scope(), id.Namespace)
	if err != nil {
		return "", err
	}
	if at := p["location"]; at != "" {
		return strings.TrimSuffix(at, "/") + "/" + id.Name, nil
	}
	if x.warehouse == "" {
		return "", refusal(http.StatusBadRequest, "BadRequestException",
			"the table has no place: name a warehouse (s3://BUCKET/PATH), or a location of the table or its namespace")
	}
	return x.warehouse + "/" + strings.Join(id.Namespace, "/") + "/" + id.Name, nil
}

// initial returns the updates that make a table.
func initial(uuid string, version int, location string, schema, spec, order json.RawMessage, properties map[string]string) ([]lake.Update, error) {
	if isNull(spec) {
		spec = json.RawMessage(`{"fields":[]}`)
	}
	if isNull(order) {
		order = json.RawMessage(`{"fields":[]}`)
	}
	if isNull(schema) {
		return nil, refusal(http.StatusBadRequest, "BadRequestException", "the table has no schema")
	}
	raw, err := json.Marshal([]map[string]any{
		{"action": "assign-uuid", "uuid": uuid},
		{"action": "upgrade-format-version", "format-version": version},
		{"action": "add-schema", "schema": schema},
		{"action": "set-current-schema", "schema-id": -1},
		{"action": "add-spec", "spec": spec},
		{"action": "set-default-spec", "spec-id": -1},
		{"action": "add-sort-order", "sort-order": order},
		{"action": "set-default-sort-order", "sort-order-id": -1},
		{"action": "set-location", "location": location},
		{"action": "set-properties", "updates": properties},
	})
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "BadRequestException", "the table's description cannot be read")
	}
	var updates []lake.Update
	if err := json.Unmarshal(raw, &updates); err != nil {
		return nil, refusal(http.StatusBadRequest, "BadRequestException", "the table's description cannot be read: "+err.Error())
	}
	return updates, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// newUUID returns a random UUID.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (x *exchange) registerTable() error {
	var in struct {
		Name      string `json:"name"`
		Place     string `json:"metadata-location"`
		Overwrite bool   `json:"overwrite"`
	}
	if err := x.decode(&in); err != nil {
		return err
	}
	if in.Overwrite {
		return refusal(http.StatusNotAcceptable, "UnsupportedOperationException", "a table is not registered over another")
	}
	raw, err := x.d.o.Catalog.Register(x.r.Context(), x.scope(), lake.Ident{Namespace: x.namespace(), Name: in.Name}, in.Place, x.hold)
	if err != nil {
		return err
	}
	return x.answerTable(in.Place, raw)
}

func (x *exchange) loadTable() error {
	place, raw, err := x.d.o.Catalog.Load(x.r.Context(), x.scope(), x.table(), x.hold)
	if err != nil {
		return err
	}
	return x.answerTable(place, raw)
}

func (x *exchange) tableExists() error {
	if _, err := x.d.o.Catalog.Place(x.scope(), x.table()); err != nil {
		return err
	}
	return x.answer(http.StatusNoContent, nil)
}

func (x *exchange) commitTable() error {
	var in struct {
		Requirements []lake.Requirement `json:"requirements"`
		Updates      []lake.Update      `json:"updates"`
	}
	if err := x.decode(&in); err != nil {
		return err
	}
	place, raw, err := x.d.o.Catalog.Commit(x.r.Context(), x.scope(), x.table(), in.Requirements, in.Updates, x.hold)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, map[string]any{"metadata-location": place, "metadata": json.RawMessage(raw)})
}

func (x *exchange) dropTable() error {
	if strings.EqualFold(x.r.URL.Query().Get("purgeRequested"), "true") {
		return refusal(http.StatusNotAcceptable, "UnsupportedOperationException", "the files of a table are not removed with it: drop it without purge")
	}
	if err := x.d.o.Catalog.Drop(x.r.Context(), x.scope(), x.table()); err != nil {
		return err
	}
	return x.answer(http.StatusNoContent, nil)
}

func (x *exchange) renameTable() error {
	var in struct {
		Source      identDoc `json:"source"`
		Destination identDoc `json:"destination"`
	}
	if err := x.decode(&in); err != nil {
		return err
	}
	for _, at := range []struct {
		action string
		table  identDoc
	}{{"glue:UpdateTable", in.Source}, {"glue:CreateTable", in.Destination}} {
		name := "table/" + strings.Join(at.table.Namespace, ".") + "/" + at.table.Name
		if denied := x.d.o.Auth.Authorize(x.caller, at.action, x.caller.ARN("glue", name)); denied != nil {
			return denied
		}
	}
	err := x.d.o.Catalog.Rename(x.r.Context(), x.scope(), lake.Ident(in.Source), lake.Ident(in.Destination))
	if err != nil {
		return err
	}
	return x.answer(http.StatusNoContent, nil)
}
