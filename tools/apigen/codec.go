package main

import "fmt"

// codecFile writes Decode and Encode of every structure, and a pair of functions
// for every list and map.
func (a *api) codecFile() ([]byte, error) {
	p := newPrinter()
	p.use("thalweg/internal/awsapi/codec")
	for _, t := range a.types {
		a.decodeStruct(p, t)
		a.encodeStruct(p, t)
		if err := a.bindings(p, t); err != nil {
			return nil, err
		}
	}
	var err error
	a.eachShape(func(name string, sh *shape) {
		if err != nil {
			return
		}
		switch sh.Type {
		case "list":
			err = a.listCodec(p, name, sh)
		case "map":
			err = a.mapCodec(p, name, sh)
		}
	})
	if err != nil {
		return nil, err
	}
	return p.source(a.Package, "")
}

// inDocument is whether the member is part of the JSON or CBOR document.
func inDocument(f field) bool { return f.Location == "" && !f.Stream }

func (a *api) timeFormat(name string) string {
	switch a.model.Shapes[name].TimestampFormat {
	case "iso8601":
		return "codec.TimeISO8601"
	case "rfc822":
		return "codec.TimeHTTPDate"
	}
	return "codec.TimeDefault"
}

// reading returns the expression that reads a member: opt.V for scalars.
func (a *api) reading(name string) string {
	sh := a.model.Shapes[name]
	switch sh.Type {
	case "string":
		if sh.Enum != nil {
			return "codec.Enum[" + exported(name) + "](d)"
		}
		return "d.String()"
	case "integer":
		return "d.Int()"
	case "long":
		return "d.Long()"
	case "double", "float":
		return "d.Float()"
	case "boolean":
		return "d.Bool()"
	case "timestamp":
		return "d.Time(" + a.timeFormat(name) + ")"
	case "blob":
		return "d.Blob()"
	case "structure":
		return "codec.Struct[" + a.names[name] + "](d)"
	}
	return "decode" + exported(name) + "(d)"
}

// writing returns the statement that writes the value v.
func (a *api) writing(name, v string) string {
	sh := a.model.Shapes[name]
	switch sh.Type {
	case "string":
		if sh.Enum != nil {
			v = "string(" + v + ")"
		}
		return "e.String(" + v + ")"
	case "integer":
		return "e.Int(int64(" + v + "))"
	case "long":
		return "e.Int(" + v + ")"
	case "double", "float":
		return "e.Float(" + v + ")"
	case "boolean":
		return "e.Bool(" + v + ")"
	case "timestamp":
		return "e.Time(" + v + ", " + a.timeFormat(name) + ")"
	case "blob":
		return "e.Blob(" + v + ")"
	case "structure":
		return v + ".Encode(e)"
	}
	return "encode" + exported(name) + "(e, " + v + ")"
}

func (a *api) decodeStruct(p *printer, t *structType) {
	p.p("// Decode reads the structure's document.")
	p.p("func (x *%s) Decode(d codec.Decoder) {", t.Name)
	p.p("if !d.BeginStruct() {\nreturn\n}")
	p.p("for k := d.NextKey(); k != nil; k = d.NextKey() {")
	cases := 0
	for _, f := range t.Fields {
		if !inDocument(f) {
			continue
		}
		if cases++; cases == 1 {
			p.p("switch string(k) {")
		}
		p.p("case %q:\nx.%s = %s", f.Wire, f.Name, a.reading(f.Shape))
	}
	if cases > 0 {
		p.p("default:\nd.Skip()\n}")
	} else {
		p.p("d.Skip()")
	}
	p.p("}\n}\n")
}

func (a *api) encodeStruct(p *printer, t *structType) {
	p.p("// Encode writes the structure's document, without absent members.")
	p.p("func (x *%s) Encode(e codec.Encoder) {\ne.BeginStruct()", t.Name)
	for _, f := range t.Fields {
		if !inDocument(f) {
			continue
		}
		v := "x." + f.Name
		if a.isScalar(f.Shape) {
			p.p("if %s.Set {", v)
			v += ".V"
		} else {
			p.p("if %s != nil {", v)
		}
		p.p("e.Key(%q)\n%s\n}", f.Wire, a.writing(f.Shape, v))
	}
	p.p("e.EndStruct()\n}\n")
}

func (a *api) listCodec(p *printer, name string, sh *shape) error {
	typ, err := a.goType(name, p)
	if err != nil {
		return err
	}
	item := sh.Member.Shape
	p.p("func decode%s(d codec.Decoder) %s {", exported(name), typ)
	p.p("if !d.BeginList() {\nreturn nil\n}")
	p.p("list := %s{}", typ)
	p.p("for d.NextItem() {")
	if sh.Max != nil {
		p.p("if len(list) > %s { // beyond the bound already\nd.Skip()\ncontinue\n}", *sh.Max)
	}
	switch {
	case a.model.Shapes[item].Type == "structure":
		p.p("list = append(list, %s{})\nlist[len(list)-1].Decode(d)", a.names[item])
	case a.isScalar(item):
		p.p("list = append(list, %s.V)", a.reading(item))
	default:
		p.p("list = append(list, %s)", a.reading(item))
	}
	p.p("}\nreturn list\n}\n")

	p.p("func encode%s(e codec.Encoder, list %s) {", exported(name), typ)
	p.p("e.BeginList(len(list))\nfor i := range list {\n%s\n}\ne.EndList()\n}\n", a.writing(item, "list[i]"))
	return nil
}

func (a *api) mapCodec(p *printer, name string, sh *shape) error {
	typ, err := a.goType(name, p)
	if err != nil {
		return err
	}
	key, val := a.model.Shapes[sh.Key.Shape], sh.Value.Shape
	if key.Type != "string" {
		return fmt.Errorf("%s: %s: a key of type %s is not supported", a.Model, name, key.Type)
	}
	keyType := "string"
	if key.Enum != nil {
		keyType = exported(sh.Key.Shape)
	}
	p.p("func decode%s(d codec.Decoder) %s {", exported(name), typ)
	p.p("if !d.BeginMap() {\nreturn nil\n}")
	p.p("m := %s{}", typ)
	p.p("for k := d.NextEntry(); k != nil; k = d.NextEntry() {\nkey := %s(k)", keyType)
	switch {
	case a.model.Shapes[val].Type == "structure":
		p.p("var v %s\nv.Decode(d)\nm[key] = v", a.names[val])
	case a.isScalar(val):
		p.p("m[key] = %s.V", a.reading(val))
	default:
		p.p("m[key] = %s", a.reading(val))
	}
	p.p("}\nreturn m\n}\n")

	p.p("func encode%s(e codec.Encoder, m %s) {", exported(name), typ)
	mapKey := "k"
	if key.Enum != nil {
		mapKey = "string(k)"
	}
	p.p("e.BeginMap(len(m))\nfor _, k := range codec.SortedKeys(m) {\ne.MapKey(%s)", mapKey)
	if a.model.Shapes[val].Type == "structure" {
		p.p("v := m[k]\nv.Encode(e)")
	} else {
		p.p("%s", a.writing(val, "m[k]"))
	}
	p.p("}\ne.EndMap()\n}\n")
	return nil
}

// bindings writes what stands outside a document: an input's path, query and
// headers, an output's headers and stream.
func (a *api) bindings(p *printer, t *structType) error {
	var bound []field
	for _, f := range t.Fields {
		if !inDocument(f) && a.model.Shapes[f.Shape].Type != "structure" {
			bound = append(bound, f)
		}
	}
	if len(bound) == 0 {
		return nil
	}
	p.use("thalweg/internal/awsapi/codec/restjson")
	switch {
	case t.Input != nil:
		p.p("// DecodeRequest reads the members in the path and the query.")
		p.p("func (x *%s) DecodeRequest(r *restjson.Request) {", t.Name)
		for _, f := range bound {
			text, err := a.boundText(f)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", t.Name, f.Name, err)
			}
			p.p("x.%s = %s", f.Name, text)
		}
	case t.Output != nil:
		p.p("// EncodeResponse writes the members outside the document.")
		p.p("func (x *%s) EncodeResponse(w *restjson.Response) {", t.Name)
		for _, f := range bound {
			switch {
			case f.Stream:
				p.p("w.Payload = x.%s", f.Name)
			case f.Location == "header" && a.model.Shapes[f.Shape].Type == "string" && a.model.Shapes[f.Shape].Enum == nil:
				p.p("w.SetHeader(%q, x.%s)", f.Wire, f.Name)
			default:
				return fmt.Errorf("%s.%s: an output in the %s is not supported", t.Name, f.Name, f.Location)
			}
		}
	default:
		return fmt.Errorf("%s: members outside the document of an inner structure", t.Name)
	}
	p.p("}\n")
	return nil
}

func (a *api) boundText(f field) (string, error) {
	source := ""
	switch f.Location {
	case "uri":
		source = fmt.Sprintf("r.Label(%q)", f.Wire)
	case "querystring":
		source = fmt.Sprintf("r.Param(%q)", f.Wire)
	default:
		return "", fmt.Errorf("an input in the %s is not supported", f.Location)
	}
	sh := a.model.Shapes[f.Shape]
	switch sh.Type {
	case "string":
		if sh.Enum != nil {
			return "restjson.Enum[" + exported(f.Shape) + "](" + source + ")", nil
		}
		return source + ".String()", nil
	case "integer":
		return source + ".Int()", nil
	case "long":
		return source + ".Long()", nil
	case "boolean":
		return source + ".Bool()", nil
	case "timestamp":
		return source + ".Time(" + a.timeFormat(f.Shape) + ")", nil
	case "list":
		if m := a.model.Shapes[sh.Member.Shape]; m.Type == "string" && m.Enum == nil {
			return source + ".Strings()", nil
		}
	}
	return "", fmt.Errorf("a %s in the %s is not supported", sh.Type, f.Location)
}
