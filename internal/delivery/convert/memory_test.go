package convert

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestEmptyElementsTakeNoMemory converts records of which a few bytes each stand for a
// value in every column.
func TestEmptyElementsTakeNoMemory(t *testing.T) {
	var parts []string
	for i := range 399 {
		parts = append(parts, fmt.Sprintf("c%d:int", i))
	}
	for name, kind := range map[string]string{
		"structs": "array<struct<" + strings.Join(parts, ",") + ">>",
		"arrays":  "array<array<struct<" + strings.Join(parts, ",") + ">>>",
		"maps":    "map<string,struct<" + strings.Join(parts, ",") + ">>",
	} {
		t.Run(name, func(t *testing.T) {
			element, closing := "{}", "]}"
			begin := `{"a":[`
			switch name {
			case "arrays":
				element = "[]"
			case "maps":
				begin, element, closing = `{"a":{`, `"":{}`, "}}"
			}
			c, err := New(Options{}, []Column{{"a", kind}})
			if err != nil {
				t.Fatal(err)
			}
			w, err := c.NewWriter(io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			record := []byte(begin + strings.Repeat(element+",", 20_000) + element + closing)
			var f *Failure
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := w.Write(record); !errors.As(err, &f) || f.Code != "DataFormatConversion.MalformedData" {
				t.Errorf("%v", err)
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > uint64(c.Memory()) {
				t.Errorf("a record of %d bytes took %d MiB", len(record), took>>20)
			}
		})
	}
}

// TestColumnsKeepNoMemory converts records that are each large in another column.
func TestColumnsKeepNoMemory(t *testing.T) {
	var cols []Column
	for i := range 50 {
		cols = append(cols, Column{fmt.Sprintf("c%d", i), "array<int>"})
	}
	for name, end := range map[string]string{"converted": "}", "failed": `,"c49":"x"}`} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Options{}, cols)
			if err != nil {
				t.Fatal(err)
			}
			w, err := c.NewWriter(io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			list := strings.Repeat("1,", 40_000) + "1"
			for i := range len(cols) - 1 { // the last fails
				err := w.Write(fmt.Appendf(nil, `{"c%d":[%s]%s`, i, list, end))
				if (err != nil) != (name == "failed") {
					t.Fatal(err)
				}
			}
			held := 0
			for _, v := range w.columns {
				held += cap(v)
			}
			if held > 6*batchValues {
				t.Errorf("%d values are held", held)
			}
		})
	}
}
