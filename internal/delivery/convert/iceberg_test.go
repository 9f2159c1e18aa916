package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"thalweg/internal/errs"
)

// fields reads NAME TYPE; NAME TYPE!, with ids from 1 on; ! is required.
func fields(text string) (out []Field) {
	for i, part := range strings.Split(text, ";") {
		name, kind, _ := strings.Cut(strings.TrimSpace(part), " ")
		kind, required := strings.CutSuffix(kind, "!")
		raw := json.RawMessage(kind)
		if !strings.HasPrefix(kind, "{") {
			raw = fmt.Appendf(nil, "%q", kind)
		}
		out = append(out, Field{ID: i + 1, Name: name, Required: required, Type: raw})
	}
	return out
}

func icebergFile(t testing.TB, schema string, records ...string) (file []byte, metrics []Metrics, failed []string) {
	t.Helper()
	c, err := NewIceberg(fields(schema), "SNAPPY")
	if err != nil {
		t.Fatal(err)
	}
	probe, err := c.NewProbe(nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := c.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		_, seen := probe.Read([]byte(r))
		err := w.Write([]byte(r))
		if fmt.Sprint(seen) != fmt.Sprint(err) {
			t.Errorf("%s: a probe says %v, a file %v", r, seen, err)
		}
		var f *Failure
		if errors.As(err, &f) {
			failed = append(failed, f.Code)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), w.Metrics(), failed
}

func TestIceberg(t *testing.T) {
	const mismatch, lacks, malformed = "Iceberg.SchemaTypeMismatch", "Iceberg.MissingColumnWithinRecord", "Iceberg.MalformedRecord"
	list := `{"type":"list","element-id":20,"element":"long","element-required":true}`
	for _, c := range []struct{ schema, record, want string }{
		{"a int;b long;c boolean", `{"a":-2147483648,"b":9223372036854775807,"c":true}`, "a=-2147483648 b=9223372036854775807 c=true"},
		{"a int", `{"a":2147483648}`, mismatch}, {"a int", `{"a":1.0}`, mismatch}, {"a int", `{"a":"1"}`, mismatch}, {"a int", `{"a":[1]}`, mismatch},
		{"a int;b int", `{"b":1}`, "a=null@0 b=1"}, {"a int!;b int", `{"b":1}`, lacks}, {"a int!", `{"a":null}`, lacks}, {"a int", `{"A":1}`, lacks},
		{"a int", `{}`, lacks}, {"a int", `{"a":1}{"a":2}`, malformed}, {"a int", `[]`, malformed}, {"a int", ` `, malformed}, {"a int", `{"a":1`, malformed},
		{"a int", "{\"a\":1}\n", "a=1"},
		{"a float;b double", `{"a":1.5,"b":-1e-3}`, "a=1.5 b=-0.001"}, {"a float", `{"a":1e39}`, mismatch}, {"a double", `{"a":"1"}`, mismatch},
		{"a decimal(4,2);b decimal(18,0);c decimal(19,1)", `{"a":"-99.99","b":999999999999999999,"c":1.5}`, "a=-9999 b=999999999999999999 c=00000000000000000f"},
		{"a decimal(4,2)", `{"a":100}`, mismatch}, {"a decimal(4,2)", `{"a":1.234}`, mismatch}, {"a decimal(18,0)", `{"a":1e18}`, mismatch},
		{"a string", `{"a":"\u00e9\n"}`, "a=\u00e9\n"}, {"a string", `{"a":1}`, mismatch}, {"a string", `{"a":{}}`, mismatch},
		{"a date;b date", `{"a":"1969-12-31","b":1}`, "a=-1 b=1"}, {"a date", `{"a":2147483648}`, mismatch}, {"a date", `{"a":"2026-02-29"}`, mismatch},
		{"a time;b time", `{"a":"23:59:59.999999","b":0}`, "a=86399999999 b=0"}, {"a time", `{"a":86400000000}`, mismatch}, {"a time", `{"a":"00:00:00.0000001"}`, mismatch},
		{"a timestamp;b timestamp", `{"a":"1970-01-02 00:00:00.000001","b":-5}`, "a=86400000001 b=-5"},
		{"a timestamp", `{"a":"1970-01-01T00:00:01Z"}`, "a=1000000"}, {"a timestamp", `{"a":"1970-01-01T00:00:01+01:00"}`, mismatch},
		{"a timestamp", `{"a":"1970-01-01"}`, mismatch}, {"a timestamp", `{"a":1.5}`, mismatch},
		{"a timestamptz", `{"a":"1970-01-01T00:00:01+01:00"}`, "a=-3599000000"}, {"a timestamptz", `{"a":"1970-01-01T00:00:01"}`, mismatch},
		{"a timestamptz", `{"a":"1970-01-01T00:00:01+0100"}`, mismatch},
		{"a uuid", `{"a":"00000000-0000-0000-0000-00000000000A"}`, "a=0000000000000000000000000000000a"}, {"a uuid", `{"a":"x"}`, mismatch},
		{"a binary;b binary;c binary", `{"a":"aGk=","b":"-_8","c":"0x"}`, "a=hi b=\xfb\xff c=\xd3"}, {"a binary", `{"a":"?"}`, mismatch}, {"a binary", `{"a":1}`, mismatch},
		{"a fixed[2];b fixed[2]", `{"a":"aGk=","b":"6869"}`, "a=6869 b=6869"}, {"a fixed[2]", `{"a":"aA=="}`, mismatch},
		{"a " + list, `{"a":[1,2]}`, "a.list.element=1 a.list.element=2"}, {"a " + list, `{"a":[]}`, "a.list.element=null@1"}, {"a " + list, `{"a":[1,null]}`, lacks},
		{`a {"type":"map","key-id":20,"key":"int","value-id":21,"value":"string"}`, `{"a":{"7":"x","8":null}}`,
			"a.key_value.key=7 a.key_value.key=8 a.key_value.value=x a.key_value.value=null@2"},
		{`a {"type":"struct","fields":[{"id":20,"name":"X","required":true,"type":"long"},{"id":21,"name":"y","type":"long"}]}`, `{"a":{"X":1,"x":2}}`, "a.X=1 a.y=null@1"},
		{`a {"type":"struct","fields":[{"id":20,"name":"X","required":true,"type":"long"}]};b int`, `{"b":1}`, "a.X=null@0 b=1"},
		{`a {"type":"struct","fields":[{"id":20,"name":"X","required":true,"type":"long"}]}`, `{"a":{}}`, lacks},
	} {
		file, _, failed := icebergFile(t, c.schema, c.record)
		if got := strings.Join(append(read(t, file), failed...), "\n"); got != c.want {
			t.Errorf("%s of %s\n got %q\nwant %q", c.record, c.schema, got, c.want)
		}
	}
}

func TestIcebergIDs(t *testing.T) {
	file, _, _ := icebergFile(t, `a int;b {"type":"list","element-id":20,"element":{"type":"struct","fields":[{"id":30,"name":"c","type":"int"}]}};`+
		`d {"type":"map","key-id":21,"key":"string","value-id":22,"value":"long"}`, `{"a":1}`)
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	var walk func(c *parquet.Column, path string)
	walk = func(c *parquet.Column, path string) {
		for _, child := range c.Columns() {
			name := path + child.Name()
			if child.ID() != 0 {
				ids = append(ids, fmt.Sprint(name, "=", child.ID()))
			}
			walk(child, name+".")
		}
	}
	walk(f.Root(), "")
	if got := strings.Join(ids, " "); got != "a=1 b=2 b.list.element=20 b.list.element.c=30 d=3 d.key_value.key=21 d.key_value.value=22" {
		t.Error(got)
	}
}

func TestIcebergMetrics(t *testing.T) {
	long := strings.Repeat("y", 15) + "\u00e9\u00e9"
	_, metrics, failed := icebergFile(t, `a long;b string;c binary;d {"type":"list","element-id":20,"element":"long"};e string`,
		`{"a":5,"b":"x","c":"aGk=","d":[1]}`, `{"a":-5,"b":"`+long+`","c":"aGk="}`, `{"b":"z","a":"no"}`, `{"a":null,"b":"w"}`)
	if len(failed) != 1 {
		t.Error(failed)
	}
	var got []string
	for _, m := range metrics {
		got = append(got, fmt.Sprintf("%d %d %d %q %q", m.ID, m.Values, m.Nulls, m.Lower, m.Upper))
	}
	want := []string{
		`1 3 1 "\xfb\xff\xff\xff\xff\xff\xff\xff" "\x05\x00\x00\x00\x00\x00\x00\x00"`,
		fmt.Sprintf("2 3 0 %q %q", "w", strings.Repeat("y", 15)+"\u00ea"), `3 3 1 "" ""`, `5 3 3 "" ""`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for in, want := range map[string]string{
		strings.Repeat("\U0010ffff", 17): "", strings.Repeat("a", 15) + "\U0010ffffx": strings.Repeat("a", 14) + "b", strings.Repeat("a", 15) + "\ud7ffx": strings.Repeat("a", 15) + "\ue000",
	} {
		if got := string(shortUpper(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestIcebergSchemas(t *testing.T) {
	for schema, want := range map[string]string{
		"a variant": "the type variant is not supported", "a decimal(39,1)": "precision of 1 to 38", "a fixed[0]": "fixed[0] is not supported", "a int[3]": "is not supported",
		`a {"type":"map","key":{"type":"list","element":"int"},"value":"int"}`: "a key of a map is no nested type", `a {"type":"union"}`: "is not supported",
		`a {"type":"struct","fields":[]}`: "a struct has no fields", "a int;a int": "two columns are named a", "a timestamp_ns": "is not supported",
		"a " + strings.Repeat(`{"type":"list","element":`, 17) + `"int"` + strings.Repeat("}", 17): "nested too deep",
	} {
		_, err := NewIceberg(fields(schema), "SNAPPY")
		if err == nil || !strings.Contains(err.Error(), want) || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v, want %s", schema, err, want)
		}
	}
	c, err := NewIceberg(fields(`a int;b {"type":"list","element-id":20,"element":"long"}`), "SNAPPY")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{7, 20} {
		if _, err := c.NewProbe([]int{id}); errs.KindOf(err) != errs.Invalid {
			t.Errorf("a probe of %d: %v", id, err)
		}
	}
}

// FuzzIceberg has a probe and a file agree about any record.
func FuzzIceberg(f *testing.F) {
	const schema = `i int;l long!;f float;d double;p decimal(9,2);q decimal(30,5);s string;day date;t time;at timestamp;z timestamptz;u uuid;b binary;x fixed[2];` +
		`a {"type":"list","element-id":20,"element":"long"};m {"type":"map","key-id":21,"key":"date","value-id":22,"value":"string"}`
	f.Add(`{"l":1,"i":2,"f":1e3,"d":1,"p":1.25,"q":"-3","s":"x","day":"2026-01-01","t":"00:00:00","at":"2026-01-01T00:00:00","z":"2026-01-01T00:00:00+01:00"}`)
	f.Add(`{"l":1,"u":"6ba7b810-9dad-41d1-80b4-00c04fd430c8","b":"aGk=","x":"6869","a":[1,null],"m":{"2026-01-01":"y","5":null}}`)
	f.Fuzz(func(t *testing.T, record string) {
		file, metrics, _ := icebergFile(t, schema, record, `{"l":3}`)
		if rows := read(t, file); len(rows) == 0 || len(metrics) != 14 {
			t.Fatal(rows, metrics)
		}
	})
}
