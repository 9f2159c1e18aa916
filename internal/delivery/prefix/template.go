package prefix

import (
	"fmt"
	"strings"
	"time"
)

// A Template is the OutputKeyTemplate of a channel: text with variables.
//
//	yyyy YY MM dd HH mm  the arrival of the oldest record, in UTC
//	extension            what the compression is called, .gz or .zst
//	sequence-number      rises with every object of the channel
//	partition-id         the topic's partition; there is an object for each then
//	kafka-offset         the offset of the object's first record
//
// Whatever the template, a key has a unique end before its extension: so the developer
// guides of both services say, and of what it is made is ours.
//
// Keys are a function of their values. A Template is safe for concurrent use.
type Template []variable

// variable is a literal when its name is empty.
type variable struct{ text, name string }

// maxKey is how long S3 lets a key be, in bytes.
const maxKey = 1024

// Slot is what one object's key is made of.
type Slot struct {
	Time time.Time
	// Made is when the batch was made, Nth which of its objects this is.
	Made      time.Time
	Nth       int
	Partition uint32
	Offset    int64
	Unique    string
	Extension string
}

var variables = map[string]func(Slot) string{
	"yyyy":            func(s Slot) string { return s.Time.Format("2006") },
	"YY":              func(s Slot) string { return s.Time.Format("06") },
	"MM":              func(s Slot) string { return s.Time.Format("01") },
	"dd":              func(s Slot) string { return s.Time.Format("02") },
	"HH":              func(s Slot) string { return s.Time.Format("15") },
	"mm":              func(s Slot) string { return s.Time.Format("04") },
	"extension":       func(s Slot) string { return s.Extension },
	"sequence-number": func(s Slot) string { return fmt.Sprintf("%014d%06d", s.Made.UnixMilli(), s.Nth) },
	"partition-id":    func(s Slot) string { return fmt.Sprint(s.Partition) },
	"kafka-offset":    func(s Slot) string { return fmt.Sprintf("%018d", s.Offset) },
}

// CompileTemplate reads a template. Its errors are of kind Invalid.
func CompileTemplate(text string) (t Template, err error) {
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "!{")
		if before != "" {
			t = append(t, variable{text: before})
		}
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if variables[name] == nil || !closed {
			return nil, invalid("OutputKeyTemplate contains !{" + name + "}, which is not a supported variable")
		}
		t, rest = append(t, variable{name: name}), tail
	}
	return t, nil
}

// Has tells whether a variable is in the template.
func (t Template) Has(name string) bool {
	for _, v := range t {
		if v.name == name {
			return true
		}
	}
	return false
}

// Key is the key of an object. It fails when it grows too long.
func (t Template) Key(s Slot) (string, error) {
	var b strings.Builder
	for i, v := range t {
		if v.name == "extension" && i == len(t)-1 {
			break // after the unique end
		}
		b.WriteString(v.text)
		if v.name != "" {
			b.WriteString(variables[v.name](s))
		}
	}
	b.WriteString("-" + s.Unique)
	if n := len(t); n > 0 && t[n-1].name == "extension" {
		b.WriteString(s.Extension)
	}
	if b.Len() > maxKey {
		return "", invalid(fmt.Sprintf("the evaluated key has %d bytes, more than %d", b.Len(), maxKey))
	}
	return b.String(), nil
}
