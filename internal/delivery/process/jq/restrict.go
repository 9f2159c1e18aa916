package jq

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// functions are those of jq 1.6 that a query may call, with their numbers of arguments.
var functions = map[string]string{
	"empty": "0", "error": "01", "not": "0", "select": "1", "map": "1", "recurse": "01", "range": "123",
	"first": "01", "last": "01", "nth": "12", "limit": "2", "until": "2", "while": "2", "repeat": "1", "isempty": "1",
	"any": "012", "all": "012", "in": "1", "inside": "1", "has": "1", "contains": "1", "IN": "12",
	"length": "0", "utf8bytelength": "0", "keys": "0", "keys_unsorted": "0", "add": "0", "reverse": "0", "type": "0",
	"flatten": "01", "min": "0", "max": "0", "min_by": "1", "max_by": "1", "sort": "0", "sort_by": "1",
	"group_by": "1", "unique": "0", "unique_by": "1", "to_entries": "0", "from_entries": "0", "with_entries": "1",
	"arrays": "0", "objects": "0", "iterables": "0", "booleans": "0", "numbers": "0", "normals": "0", "finites": "0",
	"strings": "0", "nulls": "0", "values": "0", "scalars": "0",
	"tostring": "0", "tonumber": "0", "tojson": "0", "fromjson": "0", "ascii_downcase": "0", "ascii_upcase": "0",
	"startswith": "1", "endswith": "1", "ltrimstr": "1", "rtrimstr": "1", "split": "12", "join": "1", "explode": "0", "implode": "0",
	"index": "1", "rindex": "1", "indices": "1",
	"test": "12", "match": "12", "capture": "12", "scan": "1", "splits": "12", "sub": "23", "gsub": "23",
	"floor": "0", "ceil": "0", "round": "0", "sqrt": "0", "pow": "2", "log": "0", "log2": "0", "log10": "0", "exp": "0", "exp2": "0", "exp10": "0",
	"fabs": "0", "trunc": "0", "significand": "0", "logb": "0", "nan": "0", "infinite": "0", "isnan": "0", "isinfinite": "0", "isnormal": "0",
	"gmtime": "0", "mktime": "0", "strftime": "1", "strptime": "1", "todate": "0", "fromdate": "0",
	"fromdateiso8601": "0", "todateiso8601": "0",
}

// formats are those of jq 1.6.
var formats = map[string]bool{
	"@text": true, "@json": true, "@html": true, "@uri": true, "@csv": true, "@tsv": true, "@sh": true, "@base64": true, "@base64d": true,
}

// maxNodes bounds how much a query may say; a ParameterValue has 5,120 characters.
const maxNodes = 5 << 10

// restrict checks a query, and returns it changed so that each value it makes is
// measured: parts that make one are piped through bounded.
func restrict(q *gojq.Query) (*gojq.Query, error) {
	r := restrictor{}
	return r.query(q)
}

type restrictor struct{ nodes, depth int }

func (r *restrictor) query(q *gojq.Query) (_ *gojq.Query, err error) {
	if q == nil {
		return nil, nil
	}
	r.depth++
	defer func() { r.depth-- }()
	if r.nodes++; r.nodes > maxNodes || r.depth > 200 {
		return nil, errors.New("it is too large")
	}
	if len(q.FuncDefs) > 0 || len(q.Imports) > 0 || q.Meta != nil {
		return nil, errors.New("definitions, imports and modules are not supported")
	}
	if q.Term != nil {
		return r.term(q.Term)
	}
	if err := r.patterns(q.Patterns); err != nil {
		return nil, err
	}
	if q.Left, err = r.query(q.Left); err != nil {
		return nil, err
	}
	if q.Right, err = r.query(q.Right); err != nil {
		return nil, err
	}
	switch q.Op {
	case gojq.OpAdd:
		return through(q, bounded), nil
	case gojq.OpMul:
		return through(call(multiply, q.Left, q.Right), bounded), nil
	case gojq.OpDiv: // it splits texts
		q.Left = within(q.Left, maxSplit)
		return through(q, bounded), nil
	case gojq.OpPipe, gojq.OpComma, gojq.OpSub, gojq.OpMod, gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe,
		gojq.OpAnd, gojq.OpOr, gojq.OpAlt:
		return q, nil
	}
	return nil, errors.New("assignments are not supported")
}

func call(name string, args ...*gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: args}}}
}

func through(q *gojq.Query, name string) *gojq.Query {
	return &gojq.Query{Left: q, Op: gojq.OpPipe, Right: call(name)}
}

// within pipes q through the check that a text is no longer than most.
func within(q *gojq.Query, most int) *gojq.Query {
	number := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeNumber, Number: strconv.Itoa(most)}}
	return &gojq.Query{Left: q, Op: gojq.OpPipe, Right: call(small, number)}
}

func (r *restrictor) patterns(patterns []*gojq.Pattern) error {
	if len(patterns) > 1 {
		return errors.New("?// is not supported")
	}
	for _, p := range patterns {
		for i := range p.Array {
			if err := r.patterns(p.Array[i : i+1]); err != nil {
				return err
			}
		}
		for _, o := range p.Object {
			if o.KeyQuery != nil || o.KeyString != nil && o.KeyString.Queries != nil {
				return errors.New("keys of patterns must be names")
			}
			if o.Val != nil {
				if err := r.patterns([]*gojq.Pattern{o.Val}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// term restricts a term: what it is, then what follows it.
func (r *restrictor) term(t *gojq.Term) (*gojq.Query, error) {
	suffixes := t.SuffixList
	t.SuffixList = nil
	q, err := r.bare(t)
	if err != nil {
		return nil, err
	}
	if len(suffixes) == 0 {
		return q, nil
	}
	for _, s := range suffixes {
		if s.Index != nil {
			if err := r.index(s.Index); err != nil {
				return nil, err
			}
		}
	}
	if q.Term == nil {
		q = &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeQuery, Query: q}}
	}
	q.Term.SuffixList = suffixes
	return q, nil
}

func (r *restrictor) bare(t *gojq.Term) (*gojq.Query, error) {
	q := &gojq.Query{Term: t}
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeRecurse, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
		return q, nil
	case gojq.TermTypeIndex:
		return q, r.index(t.Index)
	case gojq.TermTypeFunc:
		return r.function(t.Func)
	case gojq.TermTypeObject:
		return through(q, bounded), r.object(t.Object)
	case gojq.TermTypeArray:
		return through(q, bounded), r.in(&t.Array.Query)
	case gojq.TermTypeUnary:
		if t.Unary.Op != gojq.OpSub {
			return nil, errors.New("unary + is not in jq 1.6")
		}
		inner, err := r.term(t.Unary.Term)
		if err != nil {
			return nil, err
		}
		t.Unary.Term = &gojq.Term{Type: gojq.TermTypeQuery, Query: inner}
		return q, nil
	case gojq.TermTypeFormat:
		if !formats[t.Format] {
			return nil, fmt.Errorf("the format %s is not in jq 1.6", t.Format)
		}
		if t.Str == nil {
			return through(q, bounded), nil
		}
		return through(q, bounded), r.text(t.Str, t.Format == "@text")
	case gojq.TermTypeString:
		if t.Str.Queries == nil {
			return q, nil
		}
		return through(q, bounded), r.text(t.Str, true)
	case gojq.TermTypeIf:
		return q, r.conditional(t.If)
	case gojq.TermTypeTry:
		return q, errors.Join(r.in(&t.Try.Body), r.in(&t.Try.Catch))
	case gojq.TermTypeQuery:
		return q, r.in(&t.Query)
	}
	return nil, errors.New("reduce, foreach, labels and break are not supported")
}

// in restricts the query that a part of the tree refers to.
func (r *restrictor) in(q **gojq.Query) (err error) {
	*q, err = r.query(*q)
	return err
}

func (r *restrictor) index(i *gojq.Index) error {
	if i.Str != nil {
		if err := r.text(i.Str, true); err != nil {
			return err
		}
	}
	return errors.Join(r.in(&i.Start), r.in(&i.End))
}

func (r *restrictor) text(s *gojq.String, asText bool) error {
	for i, part := range s.Queries {
		if err := r.in(&s.Queries[i]); err != nil {
			return err
		}
		if literal := part.Term != nil && part.Term.Type == gojq.TermTypeString; asText && !literal {
			s.Queries[i] = &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeQuery, Query: through(s.Queries[i], text)}}
		}
	}
	return nil
}

func (r *restrictor) conditional(c *gojq.If) error {
	if c.Else == nil {
		return errors.New("if without else is not in jq 1.6")
	}
	for _, e := range c.Elif {
		if err := errors.Join(r.in(&e.Cond), r.in(&e.Then)); err != nil {
			return err
		}
	}
	return errors.Join(r.in(&c.Cond), r.in(&c.Then), r.in(&c.Else))
}

func (r *restrictor) object(o *gojq.Object) error {
	for _, kv := range o.KeyVals {
		if strings.HasPrefix(kv.Key, "$__") || kv.Key == "$ENV" {
			return fmt.Errorf("%s is not supported", kv.Key)
		}
		if kv.KeyString != nil {
			if err := r.text(kv.KeyString, true); err != nil {
				return err
			}
		}
		if kv.Val != nil && !objectValue(kv.Val) {
			return errors.New("operators in the value of an object's member need parentheses in jq 1.6")
		}
		if err := errors.Join(r.in(&kv.KeyQuery), r.in(&kv.Val)); err != nil {
			return err
		}
	}
	return nil
}

// objectValue tells whether jq 1.6 takes a member's value without parentheses.
func objectValue(q *gojq.Query) bool {
	if q.Term != nil {
		return true
	}
	return q.Op == gojq.OpPipe && len(q.Patterns) == 0 && objectValue(q.Left) && objectValue(q.Right)
}

func (r *restrictor) function(f *gojq.Func) (*gojq.Query, error) {
	q := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: f}}
	if f.Name[0] == '$' {
		if strings.HasPrefix(f.Name, "$__") || f.Name == "$ENV" {
			return nil, fmt.Errorf("%s is not supported", f.Name)
		}
		return q, nil
	}
	if counts, known := functions[f.Name]; !known || len(f.Args) > 9 || !strings.Contains(counts, string(rune('0'+len(f.Args)))) {
		return nil, fmt.Errorf("the function %s/%d is not supported", f.Name, len(f.Args))
	}
	for i := range f.Args {
		if (f.Name == "sub" || f.Name == "gsub") && i == 1 && !literal(f.Args[i]) {
			return nil, fmt.Errorf("the replacement of %s must be a literal", f.Name)
		}
		if err := r.in(&f.Args[i]); err != nil {
			return nil, err
		}
	}
	self := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity}}
	switch f.Name {
	case "tostring":
		q = call(text)
	case "mktime":
		q = through(q, "floor")
	case "join":
		f.Name = join
	case "ltrimstr":
		f.Name = ltrimstr
	case "rtrimstr":
		f.Name = rtrimstr
	case "strftime": // it pads
		f.Args[0] = within(f.Args[0], maxRepeat)
	case "explode", "split", "indices":
		q = &gojq.Query{Left: within(self, maxSplit), Op: gojq.OpPipe, Right: q}
	case "test", "match", "capture", "scan", "splits":
		f.Args[0] = within(f.Args[0], maxRepeat)
		q = &gojq.Query{Left: within(self, maxSplit), Op: gojq.OpPipe, Right: q}
	case "sub", "gsub": // the replacement stands for each of many matches
		f.Args[0] = within(f.Args[0], maxRepeat)
		q = &gojq.Query{Left: within(self, maxRepeat), Op: gojq.OpPipe, Right: q}
	}
	return through(q, bounded), nil
}

func literal(q *gojq.Query) bool {
	return q.Term != nil && q.Term.Type == gojq.TermTypeString && q.Term.Str.Queries == nil && len(q.Term.SuffixList) == 0
}
