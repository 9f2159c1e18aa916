package objtest

import (
	"slices"
	"strings"

	"thalweg/internal/objstore"
)

// pages lists all of a bucket in pages and returns each entry, common prefixes in
// angle brackets, in the order in which they came.
func (s *suite) pages(o objstore.ListOptions) []string {
	s.Helper()
	var out []string
	for range 10000 {
		p, err := s.List(s.ctx(), s.bucket, o)
		s.must(err)
		var page []string
		for _, i := range p.Objects {
			page = append(page, i.Key)
		}
		for _, prefix := range p.Prefixes {
			page = append(page, prefix+"\x00") // to be told apart; sorts as the prefix does
		}
		slices.Sort(page)
		for _, e := range page {
			if name, ok := strings.CutSuffix(e, "\x00"); ok {
				e = "<" + name + ">"
			}
			out = append(out, e)
		}
		if o.Max > 0 && len(page) > o.Max {
			s.Fatalf("a page of %d, asked for %d", len(page), o.Max)
		}
		if p.Next == "" {
			return out
		}
		o.After = p.Next
	}
	s.Fatal("the list does not end")
	return nil
}

// model is what a list must be.
func model(keys []string, o objstore.ListOptions) []string {
	keys = slices.Sorted(slices.Values(keys))
	var out []string
	for _, k := range keys {
		if !strings.HasPrefix(k, o.Prefix) || k <= o.After {
			continue
		}
		if o.Delimiter != "" {
			if i := strings.Index(k[len(o.Prefix):], o.Delimiter); i >= 0 {
				common := k[:len(o.Prefix)+i+len(o.Delimiter)]
				if e := "<" + common + ">"; common != o.After && (len(out) == 0 || out[len(out)-1] != e) {
					out = append(out, e)
				}
				continue
			}
		}
		out = append(out, k)
	}
	return out
}

var listTests = []test{
	{"an empty bucket lists nothing", func(s *suite) {
		s.same(s.pages(objstore.ListOptions{}), []string(nil))
	}},
	{"lists are in the order of bytes, in pages of any size", func(s *suite) {
		// Deep keys are listed once, elsewhere.
		keys := slices.DeleteFunc(slices.Clone(oddKeys), func(k string) bool {
			return strings.ContainsAny(k, "\x01\x7f\n") || strings.Count(k, "/") > 100
		})
		for _, key := range keys {
			s.put(key, "x")
		}
		for _, size := range []int{1, 3, 1000} {
			for _, o := range []objstore.ListOptions{
				{}, {Delimiter: "/"}, {Prefix: "a"}, {Prefix: "a", Delimiter: "/"}, {Prefix: "a/"}, {Prefix: "a/", Delimiter: "/"},
				{Prefix: "/"}, {Prefix: "/", Delimiter: "/"}, {Prefix: "x"}, {Prefix: strings.Repeat("x", 80)}, {Prefix: strings.Repeat("x", 81)},
				{Prefix: strings.Repeat("x", 80), Delimiter: "/"}, {Delimiter: "xx"}, {Delimiter: "a"}, {Prefix: "none"}, {Prefix: "a%2"},
				{After: "a"}, {After: "a/"}, {After: "a/", Delimiter: "/"}, {After: "a/a", Delimiter: "/"}, {After: "zz"}, {After: "x", Prefix: "a"},
				{After: "A", Prefix: "a"}, {Prefix: "\u65e5"},
			} {
				o.Max = size
				s.same(s.pages(o), model(keys, o))
			}
		}
	}},
	{"deep keys are listed", func(s *suite) {
		keys := []string{strings.Repeat("/", 1024), strings.Repeat("a/", 512), "a"}
		for _, key := range keys {
			s.put(key, "x")
		}
		s.same(s.pages(objstore.ListOptions{}), model(keys, objstore.ListOptions{}))
		s.same(s.pages(objstore.ListOptions{Delimiter: "/"}), []string{"</>", "a", "<a/>"})
	}},
	{"a list describes the objects", func(s *suite) {
		i := s.put("d/k", "hello")
		p, err := s.List(s.ctx(), s.bucket, objstore.ListOptions{})
		s.must(err)
		if len(p.Objects) != 1 || p.Objects[0].Size != 5 || p.Objects[0].ETag != i.ETag || p.Objects[0].Modified.IsZero() {
			s.Fatalf("%+v", p)
		}
	}},
	{"what is deleted is not listed, and neither is its directory", func(s *suite) {
		s.put("a/b/c", "x")
		s.put("a/d", "x")
		s.must(s.Delete(s.ctx(), s.at("a/b/c"), objstore.Condition{}))
		s.same(s.pages(objstore.ListOptions{Prefix: "a/", Delimiter: "/"}), []string{"a/d"})
		s.must(s.Delete(s.ctx(), s.at("a/d"), objstore.Condition{}))
		s.same(s.pages(objstore.ListOptions{Delimiter: "/"}), []string(nil))
	}},
}
