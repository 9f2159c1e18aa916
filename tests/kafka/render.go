package kafka

import (
	"encoding/hex"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// line is one value of an answer.
type line struct{ path, value string }

func (l line) String() string { return l.path + ": " + l.value }

// labels are the fields that name an element of an array, the first that has a
// value; elements are then in no order.
var labels = []string{"ApiKey", "Topic", "Name", "ConfigName", "ResourceName", "Key", "Group", "TransactionalID", "Partition", "NodeID", "MemberID", "Feature"}

// masked are fields whose values no two brokers have in common.
var masked = []string{"Host", "Port", "ClusterID", "TopicID", "DirectoryID", "MemberID", "Dir", "LogAppendTime",
	"ProducerID", "FinalizedFeaturesEpoch", "TotalBytes", "UsableBytes", "SessionID"}

// left out: the version and what is about the moment.
var leftOut = []string{"Version", "UnknownTags", "ThrottleMillis"}

// renderer renders the answers of one run.
type renderer struct {
	vars map[string]any
	mask []string
}

// render is what an answer says, without what is zero.
func (r *renderer) render(resp any) []line {
	var out []line
	r.walk(reflect.ValueOf(resp), "", "", &out)
	return slices.DeleteFunc(out, func(l line) bool {
		return slices.ContainsFunc(r.mask, func(p string) bool { return matches(p, l.path) })
	})
}

// matches tells whether a pattern with * for any characters is all of s.
func matches(pattern, s string) bool {
	escape := strings.NewReplacer("[", "(", "]", ")", "/", "|")
	ok, err := path.Match(escape.Replace(pattern), escape.Replace(s))
	return err == nil && ok
}

func (r *renderer) walk(v reflect.Value, at, field string, out *[]line) {
	if slices.Contains(leftOut, field) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if v.Elem().Kind() == reflect.String && v.Elem().Len() == 0 {
			*out = append(*out, line{at, `""`})
			return
		}
		r.walk(v.Elem(), at, field, out)
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			path := strings.TrimPrefix(at+"."+name, ".")
			if v.Field(i).Kind() != reflect.Struct {
				r.walk(v.Field(i), path, name, out)
				continue
			}
			var inner []line
			r.walk(v.Field(i), path, name, &inner)
			if len(inner) > 0 {
				*out = append(*out, together(path, inner)...)
			}
		}
	case reflect.Slice:
		r.slice(v, at, field, out)
	default:
		if !v.IsZero() {
			*out = append(*out, line{at, r.value(v, field)})
		}
	}
}

func (r *renderer) slice(v reflect.Value, at, field string, out *[]line) {
	elem := v.Type().Elem()
	switch {
	case elem.Kind() == reflect.Uint8 && (field == "RecordBatches"):
		for i, d := range describeBatches(v.Bytes()) {
			*out = append(*out, line{fmt.Sprintf("%s[%d]", at, i), d})
		}
	case elem.Kind() == reflect.Uint8:
		if !v.IsNil() {
			*out = append(*out, line{at, r.names(fmt.Sprintf("%q", v.Bytes()))})
		}
	case elem.Kind() == reflect.Struct:
		r.elements(v, at, out)
	case !v.IsNil():
		*out = append(*out, line{at, r.names(fmt.Sprint(v.Interface()))})
	}
}

// elements renders an array of structures, those that have a name in its order.
func (r *renderer) elements(v reflect.Value, at string, out *[]line) {
	type element struct {
		label string
		lines []line
	}
	var all []element
	for i := range v.Len() {
		label, foreign := r.label(v.Index(i))
		if foreign {
			continue
		}
		if label == "" {
			label = fmt.Sprint(i)
		}
		for n := 2; slices.ContainsFunc(all, func(e element) bool { return e.label == label }); n++ {
			label = fmt.Sprintf("%s#%d", strings.Split(label, "#")[0], n)
		}
		e := element{label: label}
		prefix := fmt.Sprintf("%s[%s]", at, label)
		r.walk(v.Index(i), prefix, "", &e.lines)
		e.lines = together(prefix, e.lines)
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b element) int {
		if len(a.label) != len(b.label) && a.label[0] >= '0' && a.label[0] <= '9' && b.label[0] >= '0' && b.label[0] <= '9' {
			return len(a.label) - len(b.label)
		}
		return strings.Compare(a.label, b.label)
	})
	for _, e := range all {
		*out = append(*out, e.lines...)
	}
}

// together makes one line of an element that has no parts below it, with its
// fields in their order.
func together(prefix string, lines []line) []line {
	var fields []string
	for _, l := range lines {
		name := strings.TrimPrefix(l.path, prefix+".")
		if strings.ContainsAny(name, ".[") {
			return lines
		}
		fields = append(fields, name+"="+l.value)
	}
	if len(fields) == 0 {
		fields = []string{"-"}
	}
	return []line{{prefix, strings.Join(fields, " ")}}
}

// label names an element; foreign are those that another run made.
func (r *renderer) label(v reflect.Value) (label string, foreign bool) {
	for _, name := range labels {
		f := v.FieldByName(name)
		if !f.IsValid() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if !f.IsValid() || f.Kind() == reflect.String && f.Len() == 0 {
			continue
		}
		if s, ok := f.Interface().(string); ok && strings.HasPrefix(s, namePrefix) && !strings.HasPrefix(s, r.vars["T"].(string)) {
			return "", true
		}
		return r.value(f, name), false
	}
	return "", false
}

// value renders one value: masked, by the name that it was kept under, or as it is.
func (r *renderer) value(v reflect.Value, field string) string {
	var s string
	switch x := v.Interface().(type) {
	case [16]byte:
		s = hex.EncodeToString(x[:])
	default:
		s = fmt.Sprint(x)
	}
	for name, kept := range r.vars {
		if name != "T" && kept == v.Interface() && (!v.CanInt() || field == "SessionID" || field == "ProducerID") {
			return "$" + name
		}
	}
	switch {
	case slices.Contains(masked, field) && s != "-1":
		return "*"
	case strings.Contains(field, "Timestamp") && v.CanInt() && v.Int() > 0 && (v.Int() < scriptTime || v.Int() > scriptTime+1e6):
		return "*"
	case strings.HasSuffix(field, "ErrorCode"):
		if err, ok := kerr.ErrorForCode(int16(v.Int())).(*kerr.Error); ok {
			return fmt.Sprintf("%d %s", v.Int(), err.Message)
		}
	}
	return r.names(s)
}

// names puts $T for the run's prefix and the names of texts that were kept.
func (r *renderer) names(s string) string {
	s = strings.ReplaceAll(s, r.vars["T"].(string), "$T")
	for name, kept := range r.vars {
		if text, ok := kept.(string); ok && name != "T" && len(text) > 8 {
			s = strings.ReplaceAll(s, text, "$"+name)
		}
		if id, ok := kept.([16]byte); ok {
			s = strings.ReplaceAll(s, hex.EncodeToString(id[:]), "$"+name)
		}
	}
	return s
}
