package expr

import (
	"slices"
	"strings"
	"testing"

	"thalweg/internal/tables/value"
)

func str(s string) value.Value { return value.Value{Kind: value.String, Text: s} }

func num(s string) value.Value {
	n, err := value.ParseNumber(s)
	if err != nil {
		panic(err)
	}
	return value.Value{Kind: value.Numeric, Num: n}
}

func list(items ...value.Value) value.Value { return value.Value{Kind: value.List, Items: items} }

func dict(it value.Item) value.Value { return value.Value{Kind: value.Map, Map: it} }

func set(items ...string) value.Value {
	v := value.Value{Kind: value.StringSet}
	for _, s := range items {
		v.Items = append(v.Items, str(s))
	}
	return v
}

// sample is an item with a bit of everything.
func sample() value.Item {
	return value.Item{
		"k": str("key"), "n": num("5"), "b": {Kind: value.Binary, Text: "\x00\x01"}, "t": {Kind: value.Bool, Bool: true}, "z": {Kind: value.Null},
		"s": set("a", "b"), "l": list(num("1"), str("two"), dict(value.Item{"deep": num("3")})),
		"m": dict(value.Item{"x": num("1"), "y": dict(value.Item{"w": str("v")})}),
	}
}

func request() *Input {
	return &Input{
		Names: map[string]string{"#k": "k", "#dot": "a.b", "#status": "status"},
		Values: value.Item{":key": str("key"), ":k": str("k"), ":one": num("1"), ":five": num("5"), ":nine": num("9"), ":t": {Kind: value.Bool, Bool: true},
			":a": str("a"), ":S": str("S"), ":bad": str("X"), ":set": set("b", "c"), ":list": list(num("9")), ":map": dict(nil), ":bin": {Kind: value.Binary, Text: "\x00"}},
	}
}

func TestConditions(t *testing.T) {
	for text, want := range map[string]bool{
		"k = :key": true, "#k = :key": true, "k <> :key": false, "n > :one": true, "n < :one": false, "n >= :five": true, "n <= :five": true,
		"n > :key": false, "absent = :one": false, "absent <> :one": true, "absent < :one": false, "k = :key AND n = :one": false,
		"k = :key OR n = :one": true, "NOT k = :key": false, "NOT n = :one AND k = :key": true, "(n = :one OR k = :key) AND t = :t": true,
		"n = :one OR k = :key AND n = :nine": false, "n BETWEEN :one AND :nine": true, "k between :k and :key and n = :five": true,
		"n IN (:one, :five)": true, "n IN (:one)": false, "absent IN (:one)": false, "attribute_exists(m.x)": true, "attribute_exists(m.q)": false,
		"attribute_not_exists(l[2].deep)": false, "attribute_not_exists(l[3])": true, "attribute_type(k, :S)": true, "attribute_type(n, :S)": false,
		"begins_with(k, :k)": true, "begins_with(n, :k)": false, "begins_with(b, :bin)": true, "contains(s, :a)": true, "contains(s, :k)": false,
		"contains(k, :k)": true, "contains(l, :one)": true, "contains(absent, :one)": false, "size(k) = :five": false, "size(l) > :one": true,
		"size(n) = :one": false, "size(s) < :five": true, "m.y.w = :one": false, "m.x = l[0]": true, "n = n": true, "#dot = :one": false,
	} {
		c, err := request().Condition("ConditionExpression", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.Holds(sample()); got != want {
			t.Errorf("%s is %v", text, got)
		}
		c.Holds(nil)
	}
}

func TestBadConditions(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "The expression can not be empty;",
		"k = = :key":              `Syntax error; token: "=", near: "= = :key"`,
		"k = :key extra":          `Syntax error; token: "extra", near: ":key extra"`,
		"k =":                     `Syntax error; token: "<EOF>", near: "="`,
		"k ! :key":                `Syntax error; token: "!", near: "k !"`,
		"k":                       `Syntax error; token: "<EOF>", near: "k"`,
		"status = :one":           "Attribute name is a reserved keyword; reserved keyword: status",
		"#no = :one":              "An expression attribute name used in the document path is not defined; attribute name: #no",
		"k = :no":                 "An expression attribute value used in expression is not defined; attribute value: :no",
		"foo(k)":                  "Invalid function name; function: foo",
		"begins_with(k)":          "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
		"begins_with(k, :one)":    "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
		"attribute_exists(:one)":  "Operator or function requires a document path; operator or function: attribute_exists",
		"attribute_type(k, :bad)": "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
		"n < :t":                  "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
		"n BETWEEN :nine AND :one": "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; " +
			"lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:1}",
		strings.Repeat("(", 200) + "k = :key" + strings.Repeat(")", 200): "The expression is nested too deeply; levels: 151",
		"k = :key" + strings.Repeat(" ", 4096):                           "Expression size has exceeded the maximum allowed size; expression size: 4104",
	} {
		_, err := request().Condition("ConditionExpression", text)
		if err == nil || err.Error() != "Invalid ConditionExpression: "+want {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

func TestUpdates(t *testing.T) {
	for text, check := range map[string]func(it value.Item) bool{
		"SET n = n + :one, k = :a":              func(it value.Item) bool { return it["n"].Equal(num("6")) && it["k"].Equal(str("a")) },
		"SET n = :nine - n":                     func(it value.Item) bool { return it["n"].Equal(num("4")) },
		"SET q = if_not_exists(q, :one) + :one": func(it value.Item) bool { return it["q"].Equal(num("2")) },
		"SET n = if_not_exists(n, :one)":        func(it value.Item) bool { return it["n"].Equal(num("5")) },
		"SET l = list_append(l, :list)":         func(it value.Item) bool { return len(it["l"].Items) == 4 },
		"SET l = list_append(:list, l)":         func(it value.Item) bool { return it["l"].Items[0].Equal(num("9")) },
		"SET n = m.x, m.x = n":                  func(it value.Item) bool { return it["n"].Equal(num("1")) && it["m"].Map["x"].Equal(num("5")) },
		"SET m.y.w = :one":                      func(it value.Item) bool { return it["m"].Map["y"].Map["w"].Equal(num("1")) },
		"SET l[1] = :one":                       func(it value.Item) bool { return it["l"].Items[1].Equal(num("1")) && len(it["l"].Items) == 3 },
		"SET l[9] = :one":                       func(it value.Item) bool { return len(it["l"].Items) == 4 && it["l"].Items[3].Equal(num("1")) },
		"SET l[2].deep = :a":                    func(it value.Item) bool { return it["l"].Items[2].Map["deep"].Equal(str("a")) },
		"SET #dot = :one":                       func(it value.Item) bool { return it["a.b"].Equal(num("1")) },
		"REMOVE n, m.x":                         func(it value.Item) bool { return len(it) == 7 && len(it["m"].Map) == 1 },
		"REMOVE l[0], l[1]":                     func(it value.Item) bool { return len(it["l"].Items) == 1 && it["l"].Items[0].Kind == value.Map },
		"REMOVE l[7], absent, m.nope":           func(it value.Item) bool { return it.Equal(sample()) },
		"ADD n :one, s :set, q :five": func(it value.Item) bool {
			return it["n"].Equal(num("6")) && it["s"].Equal(set("a", "b", "c")) && it["q"].Equal(num("5"))
		},
		"DELETE s :set":      func(it value.Item) bool { return it["s"].Equal(set("a")) },
		"DELETE absent :set": func(it value.Item) bool { return it.Equal(sample()) },
		"set k = :a remove n add q :one delete s :set": func(it value.Item) bool { return it["k"].Equal(str("a")) && len(it) == 8 },
	} {
		u, err := request().Update(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		old := sample()
		it, err := u.Apply(old)
		if err != nil || !check(it) {
			t.Errorf("%s: %v %v", text, it, err)
		}
		if !old.Equal(sample()) {
			t.Errorf("%s changed the item that it was given", text)
		}
	}
}

func TestWholeSetIsRemoved(t *testing.T) {
	u := &Update{Deletes: []Change{{Attribute("s"), set("a", "b")}}}
	if it, err := u.Apply(sample()); err != nil || it["s"].Kind != value.None {
		t.Fatal(it["s"], err)
	}
}

func TestBadUpdates(t *testing.T) {
	const operand = "An operand in the update expression has an incorrect data type"
	const path = "The document path provided in the update expression is invalid for update"
	for text, want := range map[string]string{
		"":                                "Invalid UpdateExpression: The expression can not be empty;",
		"k = :a":                          `Invalid UpdateExpression: Syntax error; token: "k", near: "k ="`,
		"SET k = :a SET n = :one":         `Invalid UpdateExpression: The "SET" section can only be used once in an update expression;`,
		"SET m = :a, m.x = :one":          "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [m], path two: [m, x]",
		"SET m.x = :a, m[0] = :one":       "Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [m, x], path two: [m, [0]]",
		"SET n = n + :a":                  "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, operand type: S",
		"SET n = size(k)":                 "Invalid UpdateExpression: The function is not allowed in an update expression; function: size",
		"SET n = foo(k)":                  "Invalid UpdateExpression: Invalid function name; function: foo",
		"SET n = list_append(l)":          "Invalid UpdateExpression: Incorrect number of operands for operator or function; operator or function: list_append, number of operands: 1",
		"SET n = if_not_exists(:a, :one)": "Invalid UpdateExpression: Operator or function requires a document path; operator or function: if_not_exists",
		"ADD k :a":                        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING",
		"DELETE n :one":                   "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER",
		"REMOVE":                          `Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "REMOVE"`,
		"SET q = absent":                  "The provided expression refers to an attribute that does not exist in the item",
		"SET k = k + :one":                operand,
		"ADD k :one":                      operand,
		"ADD n :set":                      operand,
		"DELETE k :set":                   operand,
		"SET l = list_append(k, :list)":   operand,
		"SET absent.x = :one":             path,
		"SET k.x = :one":                  path,
		"SET m[0] = :one":                 path,
		"SET l[9].x = :one":               path,
		"REMOVE absent.x":                 path,
	} {
		u, err := request().Update(text)
		if err == nil {
			_, err = u.Apply(sample())
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestProjections(t *testing.T) {
	p, err := request().Projection("#k, m.y.w, l[2].deep, l[0], absent, k2.x")
	if err != nil {
		t.Fatal(err)
	}
	want := value.Item{"k": str("key"), "m": dict(value.Item{"y": dict(value.Item{"w": str("v")})}),
		"l": list(num("1"), dict(value.Item{"deep": num("3")}))}
	if got := p.Of(sample()); !got.Equal(want) {
		t.Fatal(got)
	}
	if _, err := request().Projection("m, m.x"); err == nil {
		t.Error("overlapping paths passed")
	}
}

func TestKeyConditions(t *testing.T) {
	for text, want := range map[string]string{
		"k = :a":                              "",
		"k = :a AND n > :one":                 "",
		"n BETWEEN :one AND :nine AND k = :a": "",
		"(k = :a) AND (begins_with(n, :k))":   "",
		"n = :one":                            "Query condition missed key schema element: k",
		"k > :a":                              "Query key condition not supported",
		"k = :a AND n <> :one":                "Query key condition not supported",
		"k = :a AND q = :one":                 "Query condition missed key schema element: n",
		"k = :a AND k = :one":                 "KeyConditionExpressions must only contain one condition per key",
		"k = :a AND n = :one AND n = :five":   "Invalid KeyConditionExpression: Too many conditions; number of conditions: 3 or more",
		"k = :a OR n = :one": "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: " +
			"only comparisons of a key with a value, BETWEEN and begins_with",
	} {
		_, err := request().KeyCondition(text, "k", "n")
		if got := ""; err != nil && err.Error() != want || err == nil && want != got {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestUnused(t *testing.T) {
	x := request()
	if _, err := x.Condition("FilterExpression", "#k = :key AND #dot = :one AND #status = :one"); err != nil {
		t.Fatal(err)
	}
	if err := x.Unused(); err == nil || !strings.HasPrefix(err.Error(), "Value provided in ExpressionAttributeValues unused in expressions: keys: {:S, :a,") {
		t.Error(err)
	}
}

func TestReservedWords(t *testing.T) {
	if len(words) != 573 || !slices.IsSorted(words) {
		t.Errorf("%d words", len(words))
	}
	if !reserved("Status") || reserved("leaseOwner") {
		t.Error("wrong words are reserved")
	}
}

// FuzzExpressions: whatever the text, there is an answer, and what can be read
// can be evaluated.
func FuzzExpressions(f *testing.F) {
	for _, s := range []string{
		"k = :key AND NOT (n < :one OR size(l) >= :five)", "SET a = if_not_exists(m.x, :one) + :one, l[2].deep = :a REMOVE n ADD s :set DELETE q :set",
		"begins_with(#k, :k)", "n BETWEEN :one AND :nine", "n IN (:one, :five)", "a.b[1].c, #k", "REMOVE l[0], l[1].x[2]", "attribute_type(k, :S)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := request().Condition("ConditionExpression", text); err == nil {
			c.Holds(sample())
			c.Holds(nil)
		}
		if u, err := request().Update(text); err == nil {
			old := sample()
			if _, err := u.Apply(old); err == nil {
				_, _ = u.Apply(nil)
			}
			if !old.Equal(sample()) {
				t.Fatal("the item was changed")
			}
		}
		if p, err := request().Projection(text); err == nil {
			p.Of(sample())
		}
		_, _ = request().KeyCondition(text, "k", "n")
	})
}
