package fs

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// keyOf reads a path back.
func keyOf(dir, base string) (string, bool) {
	var b strings.Builder
	if dir != "" {
		for name := range strings.SplitSeq(dir[1:], "/") {
			e, ok := parseEntry(name)
			if !ok || !e.isDir() {
				return "", false
			}
			b.WriteString(string(e))
		}
	}
	e, ok := parseEntry(base)
	b.WriteString(string(e))
	return b.String(), ok && !e.isDir()
}

func checkPath(t interface{ Fatalf(string, ...any) }, key string) {
	dir, base := pathOf(key)
	if got, ok := keyOf(dir, base); !ok || got != key {
		t.Fatalf("%q is at %s/%s, which is %q", key, dir, base, got)
	}
	for name := range strings.SplitSeq(dir+"/"+base, "/") {
		if len(name) > 255 || name == "." || name == ".." || strings.HasPrefix(name, ".") || strings.ToLower(unescaped(name)) != unescaped(name) {
			t.Fatalf("%q has the name %q", key, name)
		}
	}
	if len(dir)+len(base) > 3400 {
		t.Fatalf("%q has a path of %d bytes", key, len(dir)+len(base))
	}
}

// unescaped is a name without its escapes, which are upper case.
func unescaped(name string) string {
	for {
		i := strings.IndexByte(name, '%')
		if i < 0 || len(name) < i+3 {
			return name
		}
		name = name[:i] + name[i+3:]
	}
}

func TestPathsAreKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"a", "A", "/", ".", "..", "%", "=", "+", "-", "\u00e9", strings.Repeat("x", 79), strings.Repeat("y", 81)})
		key := strings.Join(rapid.SliceOfN(piece, 1, 20).Draw(t, "key"), "")
		checkPath(t, key[:min(len(key), 1024)])
	})
}

// FuzzEntry reads file names: any is refused, or is what its entry is written as.
func FuzzEntry(f *testing.F) {
	for _, s := range []string{"", "%", "a=", "=", "a+", "%2E", "%2e=", "%4", "%ZZ=", "..", strings.Repeat("x", 80) + "+", strings.Repeat("x", 80)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if e, ok := parseEntry(name); ok && string(e.append(nil)) != name {
			t.Fatalf("%q is read as %q", name, e)
		}
		if name != "" && len(name) <= 1024 {
			checkPath(t, name)
		}
	})
}
