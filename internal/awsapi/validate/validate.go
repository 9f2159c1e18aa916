// Package validate checks shapes against the constraints of the API models and
// words every violation as AWS does:
//
//	1 validation error detected: Value null at 'records' failed to satisfy
//	constraint: Member must not be null
//
// The wording, the order within a member (pattern, then length) and the limit of
// ten were recorded from the service by kinesalite (validations/index.js and its
// tests). AWS's order of members is that of a hash table; here it is alphabetical.
// Values are cut at [MaxValue] bytes. A Collector is used by one goroutine; rules
// are shared and immutable.
package validate

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"thalweg/internal/opt"
)

// MaxViolations is how many violations one answer names.
const MaxViolations = 10

// MaxValue is how many bytes of a value a violation shows.
const MaxValue = 1024

// Unbounded stands for a bound that the model does not set.
const Unbounded = -1

// Collector gathers violations. The zero Collector is ready.
type Collector struct {
	path       []step
	violations []string
}

// step is one level above the member that is checked.
type step struct {
	name  string
	index int    // of a list item, from 1; 0 is none
	key   string // of a map entry, when entry
	entry bool
}

// Enter descends into a structure member.
func (c *Collector) Enter(name string) { c.path = append(c.path, step{name: name}) }

// EnterItem descends into the i-th item, from 0, of a list member.
func (c *Collector) EnterItem(name string, i int) {
	c.path = append(c.path, step{name: name, index: i + 1})
}

// EnterEntry descends into the value of a map member's entry.
func (c *Collector) EnterEntry(name, key string) {
	c.path = append(c.path, step{name: name, key: key, entry: true})
}

// Leave returns from what was entered last.
func (c *Collector) Leave() { c.path = c.path[:len(c.path)-1] }

// Message returns AWS's text for the violations, or "" when there are none.
func (c *Collector) Message() string {
	switch n := len(c.violations); n {
	case 0:
		return ""
	case 1:
		return "1 validation error detected: " + c.violations[0]
	default:
		return strconv.Itoa(n) + " validation errors detected: " + strings.Join(c.violations, "; ")
	}
}

// Full reports whether no further violation will be named.
func (c *Collector) Full() bool { return len(c.violations) >= MaxViolations }

// add records a violation of the member. value is rendered only when used.
func (c *Collector) add(name string, value func() string, constraint string) {
	if c.Full() {
		return
	}
	var b strings.Builder
	b.WriteString("Value ")
	if value != nil {
		b.WriteString("'" + cut(value()) + "' ")
	}
	b.WriteString("at '")
	for _, s := range c.path {
		b.WriteString(s.name)
		switch {
		case s.entry:
			b.WriteString("." + cut(s.key) + ".member")
		case s.index > 0:
			b.WriteString("." + strconv.Itoa(s.index) + ".member")
		}
		b.WriteByte('.')
	}
	b.WriteString(name)
	b.WriteString("' failed to satisfy constraint: ")
	b.WriteString(constraint)
	c.violations = append(c.violations, b.String())
}

func cut(s string) string {
	if len(s) <= MaxValue {
		return s
	}
	n := MaxValue
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// Required demands that the member is present.
func (c *Collector) Required(name string, present bool) {
	if !present && !c.Full() {
		c.add(name, nil, "Member must not be null")
		last := &c.violations[len(c.violations)-1]
		*last = "Value null" + strings.TrimPrefix(*last, "Value")
	}
}

// Size is the permitted length of text (in characters), a list, a map or a blob.
type Size struct{ Min, Max int }

func (s *Size) size(c *Collector, name string, n int, value func() string) {
	if s.Max != Unbounded && n > s.Max {
		c.add(name, value, s.atMost())
	}
	if n < s.Min {
		c.add(name, value, s.atLeast())
	}
}

func (s *Size) atLeast() string {
	return "Member must have length greater than or equal to " + strconv.Itoa(s.Min)
}

func (s *Size) atMost() string {
	return "Member must have length less than or equal to " + strconv.Itoa(s.Max)
}

func (s *Size) fits(n int) bool { return n >= s.Min && (s.Max == Unbounded || n <= s.Max) }

// String is what a model asks of text. Enum is the permitted values, nil for any.
type String struct {
	Size
	Pattern   *Pattern
	Enum      []string
	Sensitive bool
}

func (r *String) inEnum(s string) bool {
	for _, v := range r.Enum {
		if s == v {
			return true
		}
	}
	return false
}

func (r *String) enumText() string {
	return "Member must satisfy enum value set: [" + strings.Join(r.Enum, ", ") + "]"
}

func (r *String) fits(s string) bool {
	if r.Enum != nil {
		return r.inEnum(s)
	}
	return r.Size.fits(length(s, &r.Size)) && (r.Pattern == nil || r.Pattern.Match(s))
}

// constraints lists every rule, as AWS words what is asked of items and keys.
func (r *String) constraints() string {
	if r.Enum != nil {
		return "[" + r.enumText() + "]"
	}
	var all []string
	if r.Max != Unbounded {
		all = append(all, r.atMost())
	}
	if r.Min > 0 {
		all = append(all, r.atLeast())
	}
	if r.Pattern != nil {
		all = append(all, r.Pattern.constraint())
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// length counts characters, only as far as the bounds need it.
func length(s string, size *Size) int {
	if size.Max != Unbounded && len(s) > 4*size.Max {
		return len(s) // beyond the bound however it is counted
	}
	return utf8.RuneCountInString(s)
}

// Text checks a text member.
func Text[T ~string](c *Collector, name string, v opt.V[T], r *String) {
	if !v.Set {
		return
	}
	s := string(v.V)
	if r.fits(s) {
		return
	}
	value := func() string { return s }
	if r.Sensitive {
		value = nil
	}
	if r.Enum != nil {
		c.add(name, value, r.enumText())
		return
	}
	if r.Pattern != nil && !r.Pattern.Match(s) {
		c.add(name, value, r.Pattern.constraint())
	}
	r.size(c, name, length(s, &r.Size), value)
}

// Number is the permitted range of a number; a bound counts when it is set.
type Number struct{ Min, Max opt.V[int64] }

// Value checks a number member.
func Value[T int32 | int64 | float64](c *Collector, name string, v opt.V[T], r *Number) {
	if !v.Set {
		return
	}
	value := func() string {
		if f, ok := any(v.V).(float64); ok {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
		return strconv.FormatInt(int64(v.V), 10)
	}
	if r.Max.Set && float64(v.V) > float64(r.Max.V) {
		c.add(name, value, "Member must have value less than or equal to "+strconv.FormatInt(r.Max.V, 10))
	}
	if r.Min.Set && float64(v.V) < float64(r.Min.V) {
		c.add(name, value, "Member must have value greater than or equal to "+strconv.FormatInt(r.Min.V, 10))
	}
}

// Blob checks a blob member.
func Blob(c *Collector, name string, b []byte, r *Size) {
	if b == nil || r.fits(len(b)) {
		return
	}
	r.size(c, name, len(b), func() string {
		n := strconv.Itoa(len(b))
		return "java.nio.HeapByteBuffer[pos=0 lim=" + n + " cap=" + n + "]"
	})
}
