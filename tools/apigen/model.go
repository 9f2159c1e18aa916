package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// model is a service-2.json file: only what the generator uses.
type model struct {
	Metadata struct {
		APIVersion      string   `json:"apiVersion"`
		Protocol        string   `json:"protocol"`
		Protocols       []string `json:"protocols"`
		TargetPrefix    string   `json:"targetPrefix"`
		ServiceFullName string   `json:"serviceFullName"`
		XMLNamespace    string   `json:"xmlNamespace"`
	} `json:"metadata"`
	Operations map[string]*operation `json:"operations"`
	Shapes     map[string]*shape     `json:"shapes"`
}

type operation struct {
	Name string `json:"name"`
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input      *ref  `json:"input"`
	Output     *ref  `json:"output"`
	Errors     []ref `json:"errors"`
	Idempotent bool  `json:"idempotent"`
	ReadOnly   bool  `json:"readonly"`
	// Compression names the encodings that a body may have.
	Compression *struct {
		Encodings []string `json:"encodings"`
	} `json:"requestcompression"`
}

type ref struct {
	Shape        string `json:"shape"`
	Location     string `json:"location"`
	LocationName string `json:"locationName"`
	Streaming    bool   `json:"streaming"`
}

type shape struct {
	Type            string         `json:"type"`
	Members         map[string]ref `json:"members"`
	Required        []string       `json:"required"`
	Member          *ref           `json:"member"`
	Key             *ref           `json:"key"`
	Value           *ref           `json:"value"`
	Min             *json.Number   `json:"min"`
	Max             *json.Number   `json:"max"`
	Pattern         string         `json:"pattern"`
	Enum            []string       `json:"enum"`
	Sensitive       bool           `json:"sensitive"`
	Exception       bool           `json:"exception"`
	Fault           bool           `json:"fault"`
	Event           bool           `json:"event"`
	EventStream     bool           `json:"eventstream"`
	Streaming       bool           `json:"streaming"`
	Payload         string         `json:"payload"`
	TimestampFormat string         `json:"timestampFormat"`
	Error           *struct {
		Code           string `json:"code"`
		HTTPStatusCode int    `json:"httpStatusCode"`
	} `json:"error"`
}

// load reads a service's model with its patch, if there is one, laid over it.
func load(root string, s service) (*model, error) {
	path := filepath.Join(root, "api", "models", s.Model+".json")
	doc, err := readObject(path)
	if err != nil {
		return nil, err
	}
	patch, err := readObject(filepath.Join(root, "api", "patches", s.Model+".json"))
	switch {
	case err == nil:
		merge(doc, patch)
	case !os.IsNotExist(err):
		return nil, err
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	m := new(model)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

func readObject(path string) (map[string]any, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseObject(path, raw)
}

// merge lays patch over doc: objects are merged, anything else is replaced, null
// removes (RFC 7396).
func merge(doc, patch map[string]any) {
	for k, v := range patch {
		inner, isObject := v.(map[string]any)
		outer, wasObject := doc[k].(map[string]any)
		switch {
		case v == nil:
			delete(doc, k)
		case isObject && wasObject:
			merge(outer, inner)
		default:
			doc[k] = v
		}
	}
}

// api is a model made ready for output: shapes with Go names, sorted.
type api struct {
	service
	model *model
	ops   []op
	types []*structType // structures of inputs, outputs and what they refer to
	rest  bool
	names map[string]string // structure shape -> Go type
	// inInput are the structures that inputs refer to; checked those with
	// constraints.
	inInput, checked map[string]bool
}

type op struct {
	*operation
	in, out *structType
}

type structType struct {
	Name   string // Go type
	Shape  string // of the model, "" for none
	Fields []field
	Input  *operation
	Output *operation
}

type field struct {
	Name     string // Go
	Wire     string // in the document, header, query or path
	Check    string // in the text of a violation
	Shape    string
	Required bool
	Location string
	Stream   bool // a payload or events: no part of the document
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// prepare resolves names and collects the structures to write.
func prepare(s service, m *model) (*api, error) {
	a := &api{
		service: s, model: m, rest: m.Metadata.Protocol == "rest-json",
		names: map[string]string{}, inInput: map[string]bool{}, checked: map[string]bool{},
	}
	if p := m.Metadata.Protocol; !a.rest && p != "json" && p != "query" && p != "smithy-rpc-v2-cbor" {
		return nil, fmt.Errorf("%s: protocol %q", s.Model, p)
	}
	used := map[string]string{}
	claim := func(goName, shape string) error {
		if old, taken := used[goName]; taken {
			return fmt.Errorf("%s: %s and %s are both %s in Go", s.Model, old, shape, goName)
		}
		used[goName] = shape
		return nil
	}
	for _, name := range sortedKeys(m.Operations) {
		o := m.Operations[name]
		for _, side := range []struct {
			ref  *ref
			name string
		}{{o.Input, o.Name + "Input"}, {o.Output, o.Name + "Output"}} {
			shapeName := side.name + " of no shape"
			if side.ref != nil {
				shapeName = side.ref.Shape
				a.names[shapeName] = side.name // operations that share a shape have a type each
			}
			if err := claim(side.name, shapeName); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range sortedKeys(m.Operations) {
		o := m.Operations[name]
		in, err := a.structure(o.Name+"Input", o.Input)
		if err != nil {
			return nil, err
		}
		out, err := a.structure(o.Name+"Output", o.Output)
		if err != nil {
			return nil, err
		}
		in.Input, out.Output = o, o
		a.ops = append(a.ops, op{operation: o, in: in, out: out})
		a.types = append(a.types, in, out)
	}
	if err := a.collect(claim); err != nil {
		return nil, err
	}
	for _, o := range a.ops {
		a.markInput(o.in)
	}
	a.markChecked()
	return a, nil
}

// collect adds every structure that the operations refer to, and claims the
// names of enumerations.
func (a *api) collect(claim func(goName, shape string) error) error {
	seen := map[string]bool{}
	var walk func(name string) error
	walk = func(name string) error {
		sh := a.model.Shapes[name]
		if sh == nil {
			return fmt.Errorf("%s: no shape %s", a.Model, name)
		}
		if seen[name] || sh.Exception {
			return nil
		}
		seen[name] = true
		for _, r := range []*ref{sh.Member, sh.Key, sh.Value} {
			if r != nil {
				if err := walk(r.Shape); err != nil {
					return err
				}
			}
		}
		if sh.Enum != nil {
			return claim(exported(name), name)
		}
		if sh.Type != "structure" {
			return nil
		}
		if a.names[name] == "" {
			a.names[name] = exported(name)
			if err := claim(exported(name), name); err != nil {
				return err
			}
			t, err := a.structure(exported(name), &ref{Shape: name})
			if err != nil {
				return err
			}
			a.types = append(a.types, t)
		}
		for _, member := range sortedKeys(sh.Members) {
			if err := walk(sh.Members[member].Shape); err != nil {
				return err
			}
		}
		return nil
	}
	for _, o := range a.ops {
		for _, r := range []*ref{o.Input, o.Output} {
			if r != nil {
				if err := walk(r.Shape); err != nil {
					return err
				}
			}
		}
	}
	slices.SortFunc(a.types, func(x, y *structType) int { return strings.Compare(x.Name, y.Name) })
	return nil
}

// structure makes a Go type of a structure shape.
func (a *api) structure(goName string, r *ref) (*structType, error) {
	t := &structType{Name: goName}
	if r == nil {
		return t, nil
	}
	t.Shape = r.Shape
	sh := a.model.Shapes[r.Shape]
	if sh == nil || sh.Type != "structure" {
		return nil, fmt.Errorf("%s: %s is no structure", a.Model, r.Shape)
	}
	for name, m := range sh.Members {
		target := a.model.Shapes[m.Shape]
		if target == nil {
			return nil, fmt.Errorf("%s: no shape %s", a.Model, m.Shape)
		}
		if sh.EventStream && target.Exception {
			continue // sent as an exception, not as an event
		}
		wire := name
		if m.LocationName != "" {
			wire = m.LocationName
		}
		f := field{
			Name: exported(name), Wire: wire, Check: lowerFirst(name), Shape: m.Shape, Location: m.Location,
			Required: slices.Contains(sh.Required, name),
			Stream:   target.EventStream || target.Streaming || m.Streaming,
		}
		if sh.Payload == name && !f.Stream {
			return nil, fmt.Errorf("%s: %s.%s: a payload that is no stream is not supported", a.Model, r.Shape, name)
		}
		t.Fields = append(t.Fields, f)
	}
	slices.SortFunc(t.Fields, func(x, y field) int { return strings.Compare(x.Wire, y.Wire) })
	return t, nil
}

func (a *api) markInput(t *structType) {
	var walk func(name string)
	walk = func(name string) {
		sh := a.model.Shapes[name]
		if a.inInput[name] {
			return
		}
		a.inInput[name] = true
		for _, r := range []*ref{sh.Member, sh.Key, sh.Value} {
			if r != nil {
				walk(r.Shape)
			}
		}
		for _, m := range sh.Members {
			walk(m.Shape)
		}
	}
	if t.Shape != "" {
		walk(t.Shape)
	}
}

// markChecked finds the shapes that have constraints, or contain some.
func (a *api) markChecked() {
	for changed := true; changed; {
		changed = false
		for name, sh := range a.model.Shapes {
			if a.checked[name] {
				continue
			}
			has := len(sh.Required) > 0 || constrained(sh)
			for _, r := range []*ref{sh.Member, sh.Key, sh.Value} {
				has = has || r != nil && a.checked[r.Shape]
			}
			for _, m := range sh.Members {
				has = has || a.checked[m.Shape]
			}
			if has {
				a.checked[name] = true
				changed = true
			}
		}
	}
}

// constrained is whether the shape itself limits its values.
func constrained(sh *shape) bool {
	return sh.Min != nil && (sh.Type == "integer" || sh.Type == "long" || sh.Type == "double" || sh.Min.String() != "0") ||
		sh.Max != nil || sh.Pattern != "" || sh.Enum != nil
}
