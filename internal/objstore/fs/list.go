package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"strings"

	"thalweg/internal/objstore"
)

// List implements [objstore.Store].
func (s *Store) List(ctx context.Context, name string, o objstore.ListOptions) (objstore.Page, error) {
	b, err := s.bucket(name)
	if err != nil {
		return objstore.Page{}, err
	}
	p := pager{prefix: o.Prefix, delimiter: o.Delimiter}
	w := newWalk(s.o.FS, b.objects(), o.Prefix, "")
	if o.After != "" {
		w.seek(p.behind(o.After))
	}
	limit := pageSize(o.Max)
	var page objstore.Page
	last := ""
	for {
		if err := ctx.Err(); err != nil {
			return objstore.Page{}, err
		}
		key, err := w.next()
		if err != nil {
			return objstore.Page{}, failed("list objects", err)
		}
		if key == "" {
			return page, nil
		}
		if len(page.Objects)+len(page.Prefixes) == limit {
			page.Next = last
			return page, nil
		}
		if common, ok := p.common(key); ok {
			page.Prefixes = append(page.Prefixes, common)
			last = common
			w.seek(p.behind(common))
			continue
		}
		info, err := s.listed(b, key)
		switch {
		case errors.Is(err, iofs.ErrNotExist):
			continue // removed meanwhile
		case err != nil:
			return objstore.Page{}, failed("list objects", err)
		}
		page.Objects = append(page.Objects, info)
		last = key
	}
}

// listed describes an object as a list shows it.
func (s *Store) listed(b *bucket, key string) (objstore.Info, error) {
	dir, base := pathOf(key)
	o, err := s.openFile(b.objects() + dir + "/" + base)
	if err != nil {
		return objstore.Info{}, err
	}
	i := o.info()
	return objstore.Info{Key: i.Key, Size: i.Size, ETag: i.ETag, Modified: i.Modified,
		Checksum: objstore.Checksum{Algorithm: i.Checksum.Algorithm, Composite: i.Checksum.Composite}}, o.f.Close()
}

func pageSize(n int) int {
	if n <= 0 || n > objstore.MaxPage {
		return objstore.MaxPage
	}
	return n
}

// pager folds keys into common prefixes.
type pager struct{ prefix, delimiter string }

// common returns the common prefix that a key is folded into.
func (p pager) common(key string) (string, bool) {
	if p.delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(p.prefix):], p.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(p.prefix)+i+len(p.delimiter)], true
}

// behind returns the least key that comes after a key or a common prefix.
func (p pager) behind(after string) string {
	if strings.HasPrefix(after, p.prefix) {
		if common, ok := p.common(after); ok && common == after {
			return beyond(after)
		}
	}
	return after + "\x00"
}

// beyond returns the least text above everything that begins with a prefix, which
// holds a byte below 0xff as all UTF-8 does.
func beyond(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	b[len(b)-1]++
	return string(b)
}
