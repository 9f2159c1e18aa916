package fs

import (
	"errors"
	iofs "io/fs"
	"slices"
	"strings"

	"thalweg/internal/vfs"
)

// walkBatch is how many entries of a directory are held at a time. A directory of
// more is read again for each batch.
const walkBatch = 1024

// walk goes over the keys below a directory in the order of their bytes. It is not
// safe for concurrent use, and sees of concurrent changes what it sees.
type walk struct {
	fs     vfs.FS
	prefix string // of the keys that are wanted
	from   string // the least key that is wanted
	stack  []level
}

// level is a directory that the walk is in.
type level struct {
	dir   string
	key   string  // what all keys below begin with
	batch []entry // sorted
	next  int     // in batch
	last  entry   // up to which all is done, if begun
	begun bool
	whole bool // batch is the directory's rest
}

func newWalk(fsys vfs.FS, dir, prefix, from string) *walk {
	return &walk{fs: fsys, prefix: prefix, from: max(from, prefix), stack: []level{{dir: dir}}}
}

// seek leaves out what comes before from. It only goes forward.
func (w *walk) seek(from string) { w.from = max(w.from, from) }

// next returns the next key, "" at the end.
func (w *walk) next() (string, error) {
	for len(w.stack) > 0 {
		l := &w.stack[len(w.stack)-1]
		if !w.wants(l.key) {
			w.stack = w.stack[:len(w.stack)-1]
			continue
		}
		if l.next == len(l.batch) {
			if l.whole {
				w.stack = w.stack[:len(w.stack)-1]
				continue
			}
			if err := w.fill(l); err != nil {
				return "", err
			}
			continue
		}
		e := l.batch[l.next]
		l.next++
		key := l.key + string(e)
		switch {
		case e.isDir():
			if w.wants(key) {
				w.stack = append(w.stack, level{dir: l.dir + "/" + string(e.append(nil)), key: key})
			}
		case key >= w.from && strings.HasPrefix(key, w.prefix):
			w.from = key + "\x00"
			return key, nil
		case key > w.prefix && !strings.HasPrefix(key, w.prefix):
			w.stack = nil // nothing behind it has the prefix
		}
	}
	return "", nil
}

// wants reports whether there can be wanted keys that begin with start.
func (w *walk) wants(start string) bool {
	if start < w.from && !strings.HasPrefix(w.from, start) {
		return false
	}
	return strings.HasPrefix(start, w.prefix) || strings.HasPrefix(w.prefix, start)
}

// fill reads the next batch of a level: the least entries behind last.
func (w *walk) fill(l *level) error {
	l.batch, l.next, l.whole = l.batch[:0], 0, true
	heap := entries(l.batch)
	err := w.fs.ScanDir(l.dir, func(base string) bool {
		e, ok := parseEntry(base)
		switch {
		case !ok || l.begun && e <= l.last:
		case e.isDir() && !w.wants(l.key+string(e)):
		case len(heap) < walkBatch:
			heap.push(e)
		default:
			l.whole = false
			if e < heap[0] {
				heap[0] = e
				heap.sink(0)
			}
		}
		return true
	})
	if err != nil && !errors.Is(err, iofs.ErrNotExist) { // removed: it was empty
		return err
	}
	l.batch = heap
	slices.Sort(l.batch)
	if len(l.batch) > 0 {
		l.last, l.begun = l.batch[len(l.batch)-1], true
	}
	return nil
}

// entries is a heap with its greatest on top.
type entries []entry

func (h *entries) push(e entry) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up] >= s[i] {
			return
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (h entries) sink(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1] > h[c] {
			c++
		}
		if h[i] >= h[c] {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
