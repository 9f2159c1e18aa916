package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"thalweg/internal/awsapi/validate"
)

// validateFile writes Validate of every structure in an input that has
// constraints, and the rules of the shapes.
func (a *api) validateFile() ([]byte, error) {
	p := newPrinter()
	p.use("thalweg/internal/awsapi/validate")
	rules := map[string]bool{}
	for _, t := range a.types {
		if t.Input == nil && !(a.inInput[t.Shape] && a.checked[t.Shape]) {
			continue
		}
		fields := slices.Clone(t.Fields)
		slices.SortFunc(fields, func(x, y field) int { return strings.Compare(x.Check, y.Check) })
		p.p("// Validate collects what breaks the model's constraints.")
		p.p("func (x *%s) Validate(c *validate.Collector) {", t.Name)
		for _, f := range fields {
			if f.Stream {
				continue
			}
			if err := a.checkField(p, f, rules); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", t.Name, f.Name, err)
			}
		}
		p.p("}\n")
	}
	for _, name := range sortedKeys(rules) {
		if err := a.rule(p, name); err != nil {
			return nil, err
		}
	}
	return p.source(a.Package, "")
}

func (a *api) checkField(p *printer, f field, rules map[string]bool) error {
	sh := a.model.Shapes[f.Shape]
	present := "x." + f.Name + " != nil"
	if a.isScalar(f.Shape) {
		present = "x." + f.Name + ".Set"
	}
	if f.Required {
		p.p("c.Required(%q, %s)", f.Check, present)
	}
	use := func(shapeName string) string {
		if !constrained(a.model.Shapes[shapeName]) {
			return "nil"
		}
		rules[shapeName] = true
		return "&" + ruleName(shapeName)
	}
	if !a.checked[f.Shape] {
		return nil
	}
	switch sh.Type {
	case "string":
		p.p("validate.Text(c, %q, x.%s, %s)", f.Check, f.Name, use(f.Shape))
	case "integer", "long", "double":
		p.p("validate.Value(c, %q, x.%s, %s)", f.Check, f.Name, use(f.Shape))
	case "blob":
		p.p("validate.Blob(c, %q, x.%s, %s)", f.Check, f.Name, use(f.Shape))
	case "structure":
		p.p("if %s {\nc.Enter(%q)\nx.%s.Validate(c)\nc.Leave()\n}", present, f.Check, f.Name)
	case "list":
		return a.checkList(p, f, sh, use)
	case "map":
		return a.checkMap(p, f, sh, use)
	default:
		return fmt.Errorf("constraints on a %s are not supported", sh.Type)
	}
	return nil
}

func (a *api) checkList(p *printer, f field, sh *shape, use func(string) string) error {
	item := a.model.Shapes[sh.Member.Shape]
	if item.Type == "string" {
		p.p("validate.List(c, %q, x.%s, %s, %s)", f.Check, f.Name, use(f.Shape), use(sh.Member.Shape))
		return nil
	}
	if constrained(sh) {
		p.p("validate.Count(c, %q, len(x.%s), x.%s != nil, %q, %s)", f.Check, f.Name, f.Name, exported(sh.Member.Shape), use(f.Shape))
	}
	if !a.checked[sh.Member.Shape] {
		return nil
	}
	if item.Type != "structure" {
		return fmt.Errorf("constraints on a list of %s are not supported", item.Type)
	}
	p.p("for i := range x.%s {\nif c.Full() {\nbreak\n}", f.Name)
	p.p("c.EnterItem(%q, i)\nx.%s[i].Validate(c)\nc.Leave()\n}", f.Check, f.Name)
	return nil
}

func (a *api) checkMap(p *printer, f field, sh *shape, use func(string) string) error {
	val := a.model.Shapes[sh.Value.Shape]
	if val.Type == "string" {
		p.p("validate.Map(c, %q, x.%s, %s, %s, %s)", f.Check, f.Name, use(f.Shape), use(sh.Key.Shape), use(sh.Value.Shape))
		return nil
	}
	if constrained(sh) {
		p.p("validate.Count(c, %q, len(x.%s), x.%s != nil, %q, %s)", f.Check, f.Name, f.Name, exported(sh.Value.Shape), use(f.Shape))
	}
	if constrained(a.model.Shapes[sh.Key.Shape]) {
		p.p("validate.Keys(c, %q, x.%s, %s)", f.Check, f.Name, use(sh.Key.Shape))
	}
	if !a.checked[sh.Value.Shape] {
		return nil
	}
	if val.Type == "list" && a.model.Shapes[val.Member.Shape].Type == "structure" {
		a.checkMapOfLists(p, f, sh, use)
		return nil
	}
	if val.Type != "structure" {
		return fmt.Errorf("constraints on a map of %s are not supported", val.Type)
	}
	p.use("thalweg/internal/awsapi/codec")
	p.p("for _, k := range codec.SortedKeys(x.%s) {\nif c.Full() {\nbreak\n}", f.Name)
	p.p("c.EnterEntry(%q, string(k))\nv := x.%s[k]\nv.Validate(c)\nc.Leave()\n}", f.Check, f.Name)
	return nil
}

// checkMapOfLists checks the length of every list in a map, and its items.
func (a *api) checkMapOfLists(p *printer, f field, sh *shape, use func(string) string) {
	val := a.model.Shapes[sh.Value.Shape]
	p.use("thalweg/internal/awsapi/codec")
	p.p("for _, k := range codec.SortedKeys(x.%s) {\nlist := x.%s[k]", f.Name, f.Name)
	if constrained(val) {
		p.p("validate.Count(c, %q+string(k)+\".member\", len(list), true, %q, %s)", f.Check+".", exported(val.Member.Shape), use(sh.Value.Shape))
	}
	if a.checked[val.Member.Shape] {
		p.p("for i := range list {\nif c.Full() {\nbreak\n}")
		p.p("c.EnterItem(%q+string(k)+\".member\", i)\nlist[i].Validate(c)\nc.Leave()\n}", f.Check+".")
	}
	p.p("}")
}

func ruleName(shapeName string) string { return "rule" + exported(shapeName) }

// rule writes the constraints of one shape as a variable.
func (a *api) rule(p *printer, name string) error {
	sh := a.model.Shapes[name]
	switch sh.Type {
	case "integer", "long", "double":
		var bounds []string
		for _, b := range []struct {
			name  string
			value *json.Number
		}{{"Min", sh.Min}, {"Max", sh.Max}} {
			if b.value == nil {
				continue
			}
			n, err := whole(*b.value)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", a.Model, name, err)
			}
			p.use("thalweg/internal/opt")
			bounds = append(bounds, fmt.Sprintf("%s: opt.Of(int64(%d))", b.name, n))
		}
		p.v("%s = validate.Number{%s}", ruleName(name), strings.Join(bounds, ", "))
		return nil
	case "blob", "list", "map":
		size, err := a.size(name, sh)
		if err != nil {
			return err
		}
		p.v("%s = validate.%s", ruleName(name), size)
		return nil
	}
	size, err := a.size(name, sh)
	if err != nil {
		return err
	}
	parts := []string{"Size: validate." + size}
	if sh.Pattern != "" {
		g, ok := goPatterns[sh.Pattern]
		if err := (&validate.Pattern{Text: sh.Pattern, Expr: g.Expr, Not: g.Not}).Compile(); err != nil {
			return fmt.Errorf("%s: %s: add the pattern to goPatterns: %w", a.Model, name, err)
		}
		pattern := fmt.Sprintf("Text: %s", quote(sh.Pattern))
		if ok {
			pattern += fmt.Sprintf(", Expr: %s", quote(g.Expr))
			if g.Not != "" {
				pattern += fmt.Sprintf(", Not: %s", quote(g.Not))
			}
		}
		parts = append(parts, "Pattern: &validate.Pattern{"+pattern+"}")
	}
	if sh.Enum != nil {
		values := make([]string, len(sh.Enum))
		for i, v := range sh.Enum {
			values[i] = fmt.Sprintf("%q", v)
		}
		parts = append(parts, "Enum: []string{"+strings.Join(values, ", ")+"}")
	}
	if sh.Sensitive {
		parts = append(parts, "Sensitive: true")
	}
	p.v("%s = validate.String{%s}", ruleName(name), strings.Join(parts, ", "))
	return nil
}

func quote(s string) string {
	if strings.Contains(s, "`") {
		return fmt.Sprintf("%q", s)
	}
	return "`" + s + "`"
}

func (a *api) size(name string, sh *shape) (string, error) {
	low, high := int64(0), "validate.Unbounded"
	if sh.Min != nil {
		n, err := whole(*sh.Min)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", a.Model, name, err)
		}
		low = n
	}
	if sh.Max != nil {
		n, err := whole(*sh.Max)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", a.Model, name, err)
		}
		high = fmt.Sprint(n)
	}
	return fmt.Sprintf("Size{Min: %d, Max: %s}", low, high), nil
}

// whole reads a bound, which may be written as 1.0.
func whole(n json.Number) (int64, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil || f != float64(int64(f)) {
		return 0, fmt.Errorf("bound %s is no whole number", n)
	}
	return int64(f), nil
}
