package query

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"thalweg/internal/awsapi/codec"
)

// TestLists: by number, not by order; flattened too; and maps.
func TestLists(t *testing.T) {
	f, err := Parse("L.member.2=b&L.member.10=c&L.member.1=a&F.2=y&F.1=x&E=&M.entry.1.key=k&M.entry.1.value=v&N=7&R=2.5&B=true&T=2026-01-02T03%3A04%3A05Z&S=1767323045.5")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	d := NewDecoder(f)
	for ok := d.BeginStruct(); ok; ok = false {
		for k := d.NextKey(); k != nil; k = d.NextKey() {
			name := string(k)
			switch name {
			case "L", "F", "E":
				d.BeginList()
				for d.NextItem() {
					got[name] += d.String().V
				}
			case "M":
				d.BeginMap()
				for e := d.NextEntry(); e != nil; e = d.NextEntry() {
					key := string(e)
					got[name] += key + "=" + d.String().V
				}
			case "N":
				if d.Long().V != 7 {
					t.Error("N")
				}
			case "R":
				if d.Float().V != 2.5 {
					t.Error("R")
				}
			case "B":
				if !d.Bool().V {
					t.Error("B")
				}
			case "T", "S":
				got[name] = d.Time(codec.TimeDefault).V.UTC().Format(time.RFC3339Nano)
			}
		}
	}
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"L": "abc", "F": "xy", "E": "", "M": "k=v", "T": "2026-01-02T03:04:05Z", "S": "2026-01-02T03:04:05.5Z"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// TestXML: what is written is well-formed and comes back, whatever the text.
func TestXML(t *testing.T) {
	e := NewEncoder(nil, "Result")
	e.BeginStruct()
	e.Key("Text")
	e.String("a<b>&\x00\r\n\u00e9")
	e.Key("List")
	e.BeginList(2)
	e.Int(1)
	e.BeginStruct()
	e.Key("Flag")
	e.Bool(true)
	e.EndStruct()
	e.EndList()
	e.Key("Map")
	e.BeginMap(1)
	e.MapKey("k&")
	e.Float(0.5)
	e.EndMap()
	e.EndStruct()
	const want = "<Result><Text>a&lt;b&gt;&amp;\uFFFD&#xD;\n\u00e9</Text><List><member>1</member><member><Flag>true</Flag></member></List>" +
		"<Map><entry><key>k&amp;</key><value>0.5</value></entry></Map></Result>"
	if got := string(e.Bytes()); got != want {
		t.Errorf("%s", got)
	}
	var v struct {
		Text string
	}
	if err := xml.Unmarshal(e.Bytes(), &v); err != nil || v.Text != "a<b>&\uFFFD\r\n\u00e9" {
		t.Errorf("%q %v", v.Text, err)
	}
}

func FuzzForm(f *testing.F) {
	f.Add("Action=A&L.member.1.X=1&L.member.2=%41&M.entry.1.key=k&M.entry.1.value=v")
	f.Add("a.b.c=1&a=2&a.b=3&=&.=&%zz")
	f.Fuzz(func(t *testing.T, text string) {
		form, err := Parse(text)
		if err != nil {
			return
		}
		d := NewDecoder(form)
		walk(d, 0)
		_ = d.Finish()
		if form.Get("Action") != "" && !strings.Contains(text, "Action") && !strings.Contains(text, "%") {
			t.Fatal("an action from nowhere")
		}
	})
}

// walk reads everything in every way.
func walk(d *Decoder, way int) {
	if way > 12 {
		d.Skip()
		return
	}
	switch way % 4 {
	case 0:
		if d.BeginStruct() {
			for k := d.NextKey(); k != nil; k = d.NextKey() {
				walk(d, way+len(k)%3+1)
			}
		}
	case 1:
		if d.BeginList() {
			for d.NextItem() {
				walk(d, way+1)
			}
		}
	case 2:
		if d.BeginMap() {
			for k := d.NextEntry(); k != nil; k = d.NextEntry() {
				walk(d, way+1)
			}
		}
	default:
		d.String()
		d.Int()
		d.Float()
		d.Time(codec.TimeDefault)
		d.Blob()
	}
}
