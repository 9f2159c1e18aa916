package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

var update = flag.Bool("update", false, "write the golden files anew")

// columns reads NAME TYPE; NAME TYPE.
func columns(text string) (out []Column) {
	for part := range strings.SplitSeq(text, ";") {
		name, kind, _ := strings.Cut(strings.TrimSpace(part), " ")
		out = append(out, Column{name, kind})
	}
	return out
}

// convertAll makes a file of the records, and tells which failed and why.
func convertAll(t testing.TB, o Options, cols string, records ...string) (file []byte, failed []string) {
	t.Helper()
	c, err := New(o, columns(cols))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := c.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		record := []byte(r)
		err := w.Write(record)
		clear(record) // its bytes are not kept
		var f *Failure
		if errors.As(err, &f) {
			failed = append(failed, fmt.Sprintf("%d %s", i, f.Error()))
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), failed
}

// read shows the rows of a file: each column's path, levels and value.
func read(t testing.TB, file []byte) (rows []string) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	paths := f.Schema().Columns()
	for _, group := range f.RowGroups() {
		r := group.Rows()
		buf := make([]parquet.Row, 1)
		for {
			n, err := r.ReadRows(buf)
			if n == 1 {
				var shown []string
				for _, v := range buf[0] {
					shown = append(shown, fmt.Sprintf("%s=%v", strings.Join(paths[v.Column()], "."), show(v)))
				}
				rows = append(rows, strings.Join(shown, " "))
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		_ = r.Close()
	}
	return rows
}

func show(v parquet.Value) string {
	if v.IsNull() {
		return fmt.Sprintf("null@%d", v.DefinitionLevel())
	}
	if v.Kind() == parquet.FixedLenByteArray {
		return fmt.Sprintf("%x", v.ByteArray())
	}
	return v.String()
}

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		name, columns, record, want string
		o                           Options
	}{
		{"scalars", "b boolean;t tinyint;s smallint;i int;l bigint;f float;d double;x string", `{"x":"\u00e9\n","b":true,"t":-128,"s":32767,"i":2147483647,"l":-9223372036854775808,"f":1.5,"d":-1e-3}`,
			"b=true t=-128 s=32767 i=2147483647 l=-9223372036854775808 f=1.5 d=-0.001 x=\u00e9\n", Options{}},
		{"order is the table's", "z int;a int", `{"a":1,"z":2}`, "z=2 a=1", Options{}},
		{"missing and null", "a int;b string", `{"b":null,"c":1}`, "a=null@0 b=null@0", Options{}},
		{"the last of a name", "a int", `{"a":1,"A":2}`, "a=2", Options{}},
		{"case counts", "a int", `{"a":1,"A":2}`, "a=1", Options{CaseSensitive: true}},
		{"dots", "a_b int", `{"a.b":1}`, "a_b=1", Options{DotsToUnderscores: true}},
		{"keys", "ts bigint;x int", `{"timestamp":1,"ts":2,"x":3}`, "ts=1 x=3", Options{Keys: map[string]string{"ts": "TimeStamp"}}},
		{"texts of numbers", "i int;d double;b boolean", `{"i":"5","d":"1.5","b":"TRUE"}`, "i=5 d=1.5 b=true", Options{}},
		{"text of all", "a string;b string;c string;d string", `{"a":1.50,"b":true,"c":[1, 2],"d":{"x":null}}`, `a=1.50 b=true c=[1, 2] d={"x":null}`, Options{}},
		{"decimal", "a decimal(5,2);b decimal(38,0);c decimal", `{"a":-1.5,"b":"12345678901234567890123456789012345678","c":1e2}`,
			"a=ffff6a b=" + "0949b0f6f0023313c4499050de38f34e" + " c=0000000064", Options{}},
		{"date", "a date;b date", `{"a":"1970-01-02","b":"1969-12-31"}`, "a=1 b=-1", Options{}},
		{"struct", "s struct<b:int,a:struct<x:string>>", `{"s":{"a":{"x":"y"},"b":1}}`, "s.b=1 s.a.x=y", Options{}},
		{"null structs", "s struct<b:int,a:struct<x:string>>", `{"s":{"a":{}}}`, "s.b=null@1 s.a.x=null@2", Options{}},
		{"array", "a array<int>;b array<int>;c array<int>", `{"a":[1,null,2],"b":[]}`,
			"a.list.element=1 a.list.element=null@2 a.list.element=2 b.list.element=null@1 c.list.element=null@0", Options{}},
		{"arrays of arrays", "a array<array<string>>", `{"a":[["x"],[],null,["y","z"]]}`,
			"a.list.element.list.element=x a.list.element.list.element=null@3 a.list.element.list.element=null@2 a.list.element.list.element=y a.list.element.list.element=z", Options{}},
		{"map", "m map<string,int>;n map<int,boolean>", `{"m":{"k":1,"l":null},"n":{"7":true}}`,
			"m.key_value.key=k m.key_value.key=l m.key_value.value=1 m.key_value.value=null@2 n.key_value.key=7 n.key_value.value=true", Options{Hive: true}},
		{"array of structs", "a array<struct<x:int,y:array<int>>>", `{"a":[{"y":[1,2]},{"x":5}]}`,
			"a.list.element.x=null@3 a.list.element.x=5 a.list.element.y.list.element=1 a.list.element.y.list.element=2 a.list.element.y.list.element=null@3", Options{}},
		{"varchar", "a varchar(2);b char(1)", `{"a":"\u00e9x","b":1}`, "a=\u00e9x b=1", Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, failed := convertAll(t, c.o, c.columns, c.record)
			if got := strings.Join(append(read(t, file), failed...), "\n"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		columns, record, want string
		o                     Options
	}{
		{"a int", `{"a":"oops"}`, `MalformedData: Data does not match the schema. For input string: "oops"`, Options{}},
		{"a int", `{"a":1.5}`, `MalformedData: Data does not match the schema. For input string: "1.5"`, Options{}},
		{"a tinyint", `{"a":128}`, `MalformedData: Data does not match the schema. For input string: "128"`, Options{}},
		{"a int", `{"a":"5"}`, `MalformedData: Data does not match the schema. For input string: "5"`, Options{Hive: true}},
		{"a int", `{"a":true}`, `MalformedData: Data does not match the schema. For input string: "true"`, Options{}},
		{"a boolean", `{"a":1}`, `MalformedData: Data does not match the schema. For input string: "1"`, Options{}},
		{"a double", `{"a":"0x1p3"}`, `MalformedData: Data does not match the schema. For input string: "0x1p3"`, Options{}},
		{"a double", `{"a":1e999}`, `MalformedData: Data does not match the schema. For input string: "1e999"`, Options{}},
		{"a decimal(5,2)", `{"a":1000}`, `MalformedData: Data does not match the schema. For input string: "1000"`, Options{}},
		{"a decimal(5,2)", `{"a":0.001}`, `MalformedData: Data does not match the schema. For input string: "0.001"`, Options{}},
		{"a decimal(5,2)", `{"a":1e999999999}`, `MalformedData: Data does not match the schema. For input string: "1e999999999"`, Options{}},
		{"a date", `{"a":"2026-02-30"}`, `MalformedData: Data does not match the schema. For input string: "2026-02-30"`, Options{}},
		{"a date", `{"a":1}`, `MalformedData: Data does not match the schema. For input string: "1"`, Options{}},
		{"a timestamp", `{"a":"2026-05-21T14:00:00+00:00"}`, `MalformedData: Data does not match the schema. For input string: "2026-05-21T14:00:00+00:00"`, Options{}},
		{"a varchar(2)", `{"a":"abc"}`, `MalformedData: Data does not match the schema. the value has more than 2 characters`, Options{}},
		{"a struct<x:int>", `{"a":42}`, `MalformedData: Data does not match the schema. Data is not JSONObject  but java.lang.Long with value 42`, Options{}},
		{"a array<int>", `{"a":{"x":1}}`, `MalformedData: Data does not match the schema. Data is not JSONArray  but JSONObject with value {"x":1}`, Options{}},
		{"a map<string,int>", `{"a":[]}`, `MalformedData: Data does not match the schema. Data is not JSONObject  but JSONArray with value []`, Options{}},
		{"a int", ``, `MalformedData: The record was empty or contained only whitespace.`, Options{}},
		{"a int", ` ` + "\n", `MalformedData: The record was empty or contained only whitespace.`, Options{}},
		{"a int", `17`, `MalformedData: The top level of the record must be an object.`, Options{}},
		{"a int", `[1]`, `MalformedData: The top level of the record must be an object.`, Options{}},
		{"a int", `hello`, `ParseError: Encountered malformed JSON.`, Options{}},
		{"a int", `{"a":1`, `ParseError: Encountered malformed JSON.`, Options{}},
		{"a int", `{"a":1}{"a":2}`, `ParseError: Encountered malformed JSON.`, Options{}},
		{"a int", "\x00", `ParseError: Encountered malformed JSON.`, Options{}},
		{"a string", `{"a":"` + strings.Repeat("x", 300) + `","b":}`, `ParseError: Encountered malformed JSON.`, Options{}},
	} {
		// Records before and after are not touched.
		file, failed := convertAll(t, c.o, c.columns+";id int", `{"id":1}`, c.record, `{"id":2}`)
		if got := strings.Join(failed, "\n"); got != "1 DataFormatConversion."+c.want {
			t.Errorf("%s: got  %s\nwant %s", c.record, got, c.want)
		}
		if rows := read(t, file); len(rows) != 2 || !strings.HasSuffix(rows[0], "id=1") || !strings.HasSuffix(rows[1], "id=2") {
			t.Errorf("%s: %q", c.record, rows)
		}
	}
}

func TestTimes(t *testing.T) {
	openX, hive, millis := &Options{}, &Options{Hive: true}, &Options{Hive: true, Millis: true}
	for _, c := range []struct {
		o      *Options
		text   string
		quoted bool
		want   string
	}{
		{openX, "2018-02-07T15:15:09.123456789Z", true, "2018-02-07T15:15:09.123456789Z"},
		{openX, "2018-2-7 15:15:09.5", true, "2018-02-07T15:15:09.5Z"},
		{openX, "2018-02-07 15:15:09", true, "2018-02-07T15:15:09Z"},
		{openX, "1518033528", false, "2018-02-07T19:58:48Z"},
		{openX, "1518033528123", false, "2018-02-07T19:58:48.123Z"},
		{openX, "1518033528123", true, "2018-02-07T19:58:48.123Z"},
		{openX, "1518033528.123", false, "2018-02-07T19:58:48.123Z"},
		{openX, "2018-02-07T15:15:09", true, ""},
		{openX, "2018-02-07T15:15:09.Z", true, ""},
		{openX, "2018-02-07 15:15:09,5", true, ""},
		{openX, "2018-02-07 25:15:09", true, ""},
		{openX, "2018-13-07 15:15:09", true, ""},
		{openX, "2018-02-07 15:15:09.1234567890", true, ""},
		{openX, "1e300", false, ""},
		{openX, "99999999999999999", false, ""},
		{hive, "2018-02-07 15:15:09.5", true, "2018-02-07T15:15:09.5Z"},
		{hive, "2018-02-07T15:15:09Z", true, ""},
		{hive, "1518033528123", false, ""},
		{millis, "1518033528123", false, "2018-02-07T19:58:48.123Z"},
		{millis, "1518033528", false, "1970-01-18T13:40:33.528Z"},
	} {
		got := ""
		if day, nanos, ok := c.o.moment([]byte(c.text), c.quoted); ok {
			got = time.Unix(day*86400, nanos).UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
		}
		if got != c.want {
			t.Errorf("%+v %s: %q, want %q", *c.o, c.text, got, c.want)
		}
	}
}

func TestTypes(t *testing.T) {
	for text, want := range map[string]string{
		"text": `there is no type "text"`, "uniontype<int,string>": `there is no type "uniontype"`, "decimal(39,0)": "decimal needs a precision of 1 to 38",
		"decimal(5,6)": "a scale that is not larger", "decimal(x)": "a number is missing", "varchar": "varchar needs a length", "varchar(0)": "varchar needs a length",
		"array": "a < is missing", "array<int": "a > is missing", "array<int,int>": "it has 2 parts, not 1", "map<int>": "it has 1 parts, not 2",
		"map<array<int>,int>": "a key of a map is no nested type", "struct<>": "a member of a struct is NAME:TYPE", "struct<a:int,A:int>": "two members a",
		"int)": `unexpected ")"`, "": `there is no type ""`, strings.Repeat("array<", 17) + "int" + strings.Repeat(">", 17): "nested too deep",
	} {
		_, err := New(Options{}, []Column{{"c", text}})
		if err == nil || !strings.Contains(err.Error(), want) || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := New(Options{}, columns("a int;A int")); err == nil {
		t.Error("two columns of one name")
	}
	if _, err := New(Options{}, nil); err == nil {
		t.Error("no columns")
	}
	if _, err := New(Options{}, columns(" a Decimal( 10 , 2 ) ")); err != nil {
		t.Error(err)
	}
}

func TestRead(t *testing.T) {
	conversion := func(in, out, more string) dest.Config {
		return dest.Config(`{"DataFormatConversionConfiguration":{"InputFormatConfiguration":{"Deserializer":` + in + `},"OutputFormatConfiguration":{"Serializer":` + out +
			`},"SchemaConfiguration":{"DatabaseName":"d","TableName":"t","VersionId":"LATEST"` + more + `}},"CompressionFormat":"UNCOMPRESSED"}`)
	}
	o, from, on, err := Read(conversion(`{"OpenXJsonSerDe":{"CaseInsensitive":false,"ConvertDotsInJsonKeysToUnderscores":true,"ColumnToJsonKeyMappings":{"a":"b"}}}`,
		`{"ParquetSerDe":{"Compression":"GZIP","WriterVersion":"V2","EnableDictionaryCompression":true,"PageSizeBytes":65536}}`, ""))
	if want := "{false false true true map[a:b] GZIP true true 0 65536 false} { d t  LATEST } true <nil>"; fmt.Sprint(o, from, on, err) != want {
		t.Errorf("got  %v\nwant %s", fmt.Sprint(o, from, on, err), want)
	}
	for _, c := range []dest.Config{dest.Config(`{}`), dest.Config(`{"DataFormatConversionConfiguration":{"Enabled":false}}`)} {
		if _, _, on, err := Read(c); on || err != nil {
			t.Errorf("%s: %v %v", c, on, err)
		}
	}
	for _, c := range []struct {
		c    dest.Config
		want string
	}{
		{conversion(`{"OpenXJsonSerDe":{}}`, `{"OrcSerDe":{}}`, ""), "OrcSerDe is not supported: this server writes Parquet only."},
		{conversion(`{}`, `{"ParquetSerDe":{}}`, ""), "Deserializer needs one of OpenXJsonSerDe and HiveJsonSerDe when data format conversion is enabled."},
		{conversion(`{"OpenXJsonSerDe":{}}`, `{}`, ""), "Serializer needs ParquetSerDe when data format conversion is enabled."},
		{conversion(`{"HiveJsonSerDe":{"TimestampFormats":["yyyy"]}}`, `{"ParquetSerDe":{}}`, ""),
			`TimestampFormats "yyyy" is not supported: this server knows millis, and yyyy-[m]m-[d]d hh:mm:ss[.f...] without one.`},
		{conversion(`{"OpenXJsonSerDe":{}}`, `{"ParquetSerDe":{"Compression":"LZO"}}`, ""), "Compression of ParquetSerDe must be SNAPPY, GZIP or UNCOMPRESSED."},
		{dest.Config(`{"DataFormatConversionConfiguration":{"Enabled":true},"CompressionFormat":"GZIP"}`),
			"CompressionFormat must be UNCOMPRESSED when data format conversion is enabled."},
		{dest.Config(strings.ReplaceAll(string(conversion(`{"HiveJsonSerDe":{"TimestampFormats":["millis"]}}`, `{"ParquetSerDe":{}}`, "")), `"TableName"`, `"Other"`)),
			"SchemaConfiguration needs DatabaseName and TableName when data format conversion is enabled."},
	} {
		if _, _, _, err := Read(c.c); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.c, err, c.want)
		}
	}
}

// golden is what tests/py reads with pyarrow and DuckDB.
const goldenColumns = "id bigint;name string;ok boolean;price decimal(10,2);ratio double;small tinyint;day date;at timestamp;tags array<string>;" +
	"attrs map<string,int>;pos struct<x:int,y:struct<z:float>>;moves array<struct<from:string,to:string>>"

var goldenRecords = []string{
	`{"id":1,"name":"ada","ok":true,"price":12.34,"ratio":0.1,"small":-1,"day":"2026-11-25","at":"2026-11-25T12:34:56.789Z","tags":["a",null,"b"],` +
		`"attrs":{"k":1,"l":null},"pos":{"x":3,"y":{"z":1.5}},"moves":[{"from":"e2","to":"e4"},{"to":"d5"}]}`,
	`{"id":2,"tags":[],"attrs":{},"pos":{},"moves":[null]}`,
	`{"ID":3,"name":"\u00e9t\u00e9 \ud83d\ude00","price":-0.01,"day":"1969-12-31","at":-1}`,
}

// TestGolden holds the files against what stands in testdata, so that a new version of
// a library cannot change what a repeated delivery writes without being seen.
func TestGolden(t *testing.T) {
	for name, o := range map[string]Options{
		"snappy": {}, "gzip": {Compression: "GZIP", V2: true}, "plain": {Compression: "UNCOMPRESSED", Dictionary: true},
	} {
		got, failed := convertAll(t, o, goldenColumns, goldenRecords...)
		if len(failed) > 0 {
			t.Fatal(failed)
		}
		path := "testdata/" + name + ".parquet"
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes than those of the file", path)
		}
	}
}

// A value that is written is read, through pages, row groups and batches, and the same
// records make the same file.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{Compression: rapid.SampledFrom([]string{"SNAPPY", "GZIP", "UNCOMPRESSED"}).Draw(rt, "compression"),
			Dictionary: rapid.Bool().Draw(rt, "dictionary"), V2: rapid.Bool().Draw(rt, "v2"), PageBytes: 1 << 10, BlockSize: 8 << 10}
		var records, want []string
		for i := range rapid.IntRange(0, 1200).Draw(rt, "records") {
			list := rapid.SliceOfN(rapid.IntRange(-3, 3), 0, 3).Draw(rt, "list")
			text, err := json.Marshal(map[string]any{"i": i, "l": list, "s": strings.Repeat("x", i%50)})
			if err != nil {
				rt.Fatal(err)
			}
			records = append(records, string(text))
			line := fmt.Sprintf("i=%d", i)
			for _, n := range list {
				line += fmt.Sprintf(" l.list.element=%d", n)
			}
			if len(list) == 0 {
				line += " l.list.element=null@1"
			}
			want = append(want, line+" s="+strings.Repeat("x", i%50))
		}
		file, failed := convertAll(t, o, "i int;l array<int>;s string", records...)
		if len(failed) > 0 {
			rt.Fatal(failed)
		}
		if got := read(t, file); strings.Join(got, "\n") != strings.Join(want, "\n") {
			rt.Fatalf("%d rows, want %d", len(got), len(want))
		}
		if again, _ := convertAll(t, o, "i int;l array<int>;s string", records...); !bytes.Equal(file, again) {
			rt.Fatal("another file")
		}
	})
}

// Whatever the table and the record: an error, a failure, or a file that has the row.
func FuzzConvert(f *testing.F) {
	for _, r := range goldenRecords {
		f.Add("struct<x:int,y:array<map<string,decimal(5,2)>>>", r, false)
	}
	f.Add("array<timestamp>", `{"c":["2026-11-25 12:00:00",1.5,null]}`, true)
	f.Add("decimal(38,38)", `{"c":-0.1e-3}`, false)
	f.Fuzz(func(t *testing.T, kind, record string, hive bool) {
		c, err := New(Options{Hive: hive, Millis: true}, []Column{{"c", kind}, {"id", "string"}})
		if err != nil {
			return
		}
		var out bytes.Buffer
		w, err := c.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		rows := 1
		if err := w.Write([]byte(record)); err != nil {
			var failure *Failure
			if !errors.As(err, &failure) {
				t.Fatal(err)
			}
			rows = 0
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := len(read(t, out.Bytes())); got != rows {
			t.Fatalf("%d rows, want %d", got, rows)
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	var records [][]byte
	size := 0
	for i := range 20_000 {
		r := fmt.Appendf(nil, `{"player":"p%05d","game":"g%03d","move":%d,"score":%d.%02d,"at":"2026-11-25T%02d:%02d:%02dZ","won":%v,"note":"a move of a game that goes on and on"}`,
			i*7919%10_000, i*31%500, i, i*17%1000, i%100, i/3600%24, i/60%60, i%60, i%3 == 0)
		records, size = append(records, r), size+len(r)
	}
	c, err := New(Options{}, columns("player string;game string;move int;score double;at timestamp;won boolean;note string"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		w, err := c.NewWriter(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range records {
			if err := w.Write(r); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
