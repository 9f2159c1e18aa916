package main

import (
	"fmt"
	"slices"
	"strings"
)

// goType returns the Go type of a shape as an element (of a list or map) or, for
// scalars, inside opt.V.
func (a *api) goType(name string, p *printer) (string, error) {
	sh := a.model.Shapes[name]
	switch sh.Type {
	case "string":
		if sh.Enum != nil {
			return exported(name), nil
		}
		return "string", nil
	case "integer":
		return "int32", nil
	case "long":
		return "int64", nil
	case "double", "float":
		return "float64", nil
	case "boolean":
		return "bool", nil
	case "timestamp":
		p.use("time")
		return "time.Time", nil
	case "blob":
		return "[]byte", nil
	case "list":
		t, err := a.goType(sh.Member.Shape, p)
		return "[]" + t, err
	case "map":
		k, err := a.goType(sh.Key.Shape, p)
		if err != nil {
			return "", err
		}
		t, err := a.goType(sh.Value.Shape, p)
		return "map[" + k + "]" + t, err
	case "structure":
		return a.names[name], nil
	}
	return "", fmt.Errorf("%s: %s: type %q is not supported", a.Model, name, sh.Type)
}

func (a *api) isScalar(name string) bool {
	switch a.model.Shapes[name].Type {
	case "string", "integer", "long", "double", "float", "boolean", "timestamp":
		return true
	}
	return false
}

// fieldType returns the Go type of a member.
func (a *api) fieldType(f field, p *printer) (string, error) {
	sh := a.model.Shapes[f.Shape]
	if f.Stream && sh.Type == "blob" {
		p.use("io")
		return "io.ReadCloser", nil
	}
	t, err := a.goType(f.Shape, p)
	switch {
	case err != nil:
		return "", err
	case a.isScalar(f.Shape):
		p.use("thalweg/internal/opt")
		return "opt.V[" + t + "]", nil
	case sh.Type == "structure":
		return "*" + t, nil
	}
	return t, nil
}

// typesFile writes the structures and enumerations.
func (a *api) typesFile() ([]byte, error) {
	p := newPrinter()
	for _, t := range a.types {
		switch {
		case t.Input != nil:
			p.p("// %s is the input of %s.", t.Name, t.Input.Name)
		case t.Output != nil:
			p.p("// %s is the output of %s.", t.Name, t.Output.Name)
		default:
			p.p("// %s is a structure of the model.", t.Name)
		}
		p.p("type %s struct {", t.Name)
		for _, f := range t.Fields {
			typ, err := a.fieldType(f, p)
			if err != nil {
				return nil, err
			}
			comment := a.comment(f)
			if comment != "" {
				comment = " // " + comment
			}
			p.p("%s %s%s", f.Name, typ, comment)
		}
		p.p("}\n")
	}
	if err := a.enums(p); err != nil {
		return nil, err
	}
	return p.source(a.Package, a.packageDoc())
}

func (a *api) packageDoc() string {
	return fmt.Sprintf("// Package %s holds the shapes of %s (API version %s) as its\n// model states them: types, codecs, validation, errors and the table of\n// operations. A door implements Handler.\n",
		a.Package, a.model.Metadata.ServiceFullName, a.model.Metadata.APIVersion)
}

// comment says what the model asks of a member.
func (a *api) comment(f field) string {
	var parts []string
	if f.Required {
		parts = append(parts, "required")
	}
	if f.Location != "" {
		parts = append(parts, "in the "+f.Location)
	}
	sh := a.model.Shapes[f.Shape]
	what := "length "
	if sh.Type == "integer" || sh.Type == "long" || sh.Type == "double" {
		what = ""
	}
	switch {
	case sh.Min != nil && sh.Max != nil:
		parts = append(parts, fmt.Sprintf("%s%s to %s", what, *sh.Min, *sh.Max))
	case sh.Min != nil:
		parts = append(parts, fmt.Sprintf("%sfrom %s", what, *sh.Min))
	case sh.Max != nil:
		parts = append(parts, fmt.Sprintf("%sto %s", what, *sh.Max))
	}
	if f.Stream {
		parts = append(parts, "streamed")
	}
	return strings.Join(parts, ", ")
}

// enums writes the enumerations that the structures refer to.
func (a *api) enums(p *printer) error {
	for _, name := range a.enumShapes() {
		values := a.model.Shapes[name].Enum
		p.p("// %s is an enumeration of the model.", exported(name))
		p.p("type %s string\n", exported(name))
		p.p("// The values of %s.", exported(name))
		p.p("const (")
		used := map[string]bool{}
		for _, v := range values {
			c := exported(name) + constant(v)
			if used[c] {
				return fmt.Errorf("%s: two values of %s are %s in Go", a.Model, name, c)
			}
			used[c] = true
			p.p("%s %s = %q", c, exported(name), v)
		}
		p.p(")\n")
	}
	return nil
}

// enumShapes returns the enumerations in use, sorted.
func (a *api) enumShapes() []string {
	used := map[string]bool{}
	a.eachShape(func(name string, sh *shape) {
		if sh.Enum != nil {
			used[name] = true
		}
	})
	return sortedKeys(used)
}

// eachShape calls f for every shape that the written structures refer to, in
// order of name, lists and maps and their elements included.
func (a *api) eachShape(f func(name string, sh *shape)) {
	seen := map[string]bool{}
	var walk func(name string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		sh := a.model.Shapes[name]
		for _, r := range []*ref{sh.Member, sh.Key, sh.Value} {
			if r != nil {
				walk(r.Shape)
			}
		}
	}
	for _, t := range a.types {
		for _, fl := range t.Fields {
			walk(fl.Shape)
		}
	}
	names := sortedKeys(seen)
	slices.Sort(names)
	for _, name := range names {
		f(name, a.model.Shapes[name])
	}
}
