package validate

import (
	"slices"
	"strings"
)

// Count checks the length of a list or map of anything but text. present is
// whether the member is there; shape is what stands for an element in the text.
func Count(c *Collector, name string, n int, present bool, shape string, r *Size) {
	if present && !r.fits(n) {
		r.size(c, name, n, func() string {
			most := min(n, MaxValue/(len(shape)+2)+1) // the rest would be cut off
			return "[" + strings.Join(slices.Repeat([]string{shape}, most), ", ") + "]"
		})
	}
}

// List checks a list of text: its length, and every item. size and item may be
// nil.
func List[T ~string](c *Collector, name string, list []T, size *Size, item *String) {
	if list == nil {
		return
	}
	value := func() string { return "[" + joined(len(list), func(i int) string { return string(list[i]) }) + "]" }
	if item != nil {
		if item.Sensitive {
			value = nil
		}
		for _, s := range list {
			if !item.fits(string(s)) {
				c.add(name, value, "Member must satisfy constraint: "+item.constraints())
				break
			}
		}
	}
	if size != nil {
		size.size(c, name, len(list), value)
	}
}

// Map checks a map of text: its size, its keys and its values. Each rule may be
// nil.
func Map[K, V ~string](c *Collector, name string, m map[K]V, size *Size, key, val *String) {
	if m == nil {
		return
	}
	keys := sorted(m)
	value := func() string {
		return "{" + joined(len(keys), func(i int) string { return string(keys[i]) + "=" + string(m[keys[i]]) }) + "}"
	}
	if val != nil && val.Sensitive || key != nil && key.Sensitive {
		value = nil
	}
	if key != nil && !all(keys, func(k K) bool { return key.fits(string(k)) }) {
		c.add(name, value, "Map keys must satisfy constraint: "+key.constraints())
	}
	if val != nil && !all(keys, func(k K) bool { return val.fits(string(m[k])) }) {
		c.add(name, value, "Map value must satisfy constraint: "+val.constraints())
	}
	if size != nil {
		size.size(c, name, len(m), value)
	}
}

// Keys checks the keys of a map whose values are no text.
func Keys[K ~string, V any](c *Collector, name string, m map[K]V, key *String) {
	keys := sorted(m)
	if !all(keys, func(k K) bool { return key.fits(string(k)) }) {
		c.add(name, func() string {
			return "{" + joined(len(keys), func(i int) string { return string(keys[i]) }) + "}"
		}, "Map keys must satisfy constraint: "+key.constraints())
	}
}

func sorted[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func all[T any](list []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !ok(v) })
}

// joined joins n texts, as many as can be shown.
func joined(n int, text func(int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.WriteString(text(i)); b.Len() > MaxValue {
			break
		}
	}
	return b.String()
}
