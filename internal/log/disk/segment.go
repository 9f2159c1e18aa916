package disk

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"thalweg/internal/vfs"
)

// segment is the file that a partition's next flush goes to.
type segment struct {
	id    uint64
	size  int64 // where the next frame goes
	first int64 // arrival of its first frame, -1 if empty
	// unsynced bytes are in the file; file then holds it open.
	unsynced int64
	file     *segFile
}

// segFile is an open segment or pack.
type segFile struct {
	id   uint64
	kind uint32
	f    vfs.File
	pins int           // guarded by fileCache.mu
	gone bool          // removed: the last unpin closes it; guarded by fileCache.mu
	elem *list.Element // in the cache's order
}

// fileCache keeps a bounded number of segment files open, and the indexes of
// closed segments that were used last.
type fileCache struct {
	fs       vfs.FS
	layout   layout
	flag     int // for OpenFile
	max      int
	mu       sync.Mutex
	open     map[uint64]*segFile
	order    *list.List // of *segFile, most recently used first
	indexes  map[uint64]*list.Element
	ixOrder  *list.List // of cachedIndex, likewise
	shutdown bool
}

type cachedIndex struct {
	id uint64
	ix *index
}

// keptIndexes is how many indexes of closed segments stay in memory.
const keptIndexes = 64

func newFileCache(fsys vfs.FS, l layout, readOnly bool, maxOpen int) *fileCache {
	c := &fileCache{
		fs: fsys, layout: l, flag: os.O_RDWR, max: maxOpen,
		open: map[uint64]*segFile{}, order: list.New(),
		indexes: map[uint64]*list.Element{}, ixOrder: list.New(),
	}
	if readOnly {
		c.flag = os.O_RDONLY
	}
	return c
}

// get opens a file, or finds it open, and pins it. A file that is gone is
// fs.ErrNotExist.
func (c *fileCache) get(id uint64, kind uint32) (*segFile, error) {
	return c.openFile(id, kind, c.flag)
}

// create makes a file and pins it.
func (c *fileCache) create(id uint64, kind uint32) (*segFile, error) {
	return c.openFile(id, kind, c.flag|os.O_CREATE|os.O_TRUNC)
}

func (c *fileCache) openFile(id uint64, kind uint32, flag int) (*segFile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shutdown {
		return nil, fs.ErrClosed
	}
	if s := c.open[id]; s != nil {
		s.pins++
		c.order.MoveToFront(s.elem)
		return s, nil
	}
	f, err := c.fs.OpenFile(c.layout.segFile(id, kind), flag, 0o644)
	if err != nil {
		return nil, err
	}
	s := &segFile{id: id, kind: kind, f: f, pins: 1}
	s.elem = c.order.PushFront(s)
	c.open[id] = s
	var errList []error
	for e := c.order.Back(); e != nil && len(c.open) > c.max; {
		old, prev := e.Value.(*segFile), e.Prev()
		if old.pins == 0 {
			errList = append(errList, c.drop(old))
		}
		e = prev
	}
	return s, errors.Join(errList...)
}

// drop takes an unpinned file out of the cache and closes it; mu is held.
func (c *fileCache) drop(s *segFile) error {
	c.order.Remove(s.elem)
	delete(c.open, s.id)
	return s.f.Close()
}

// put ends a pin.
func (c *fileCache) put(s *segFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.pins--
	if s.pins == 0 && (s.gone || c.shutdown) {
		// Nothing unsynced is left in it: maintenance pins what it has to sync.
		_ = s.f.Close()
	}
}

// remove deletes a file. Readers that have it pinned read on.
func (c *fileCache) remove(id uint64, kind uint32) error {
	c.mu.Lock()
	var err error
	if s := c.open[id]; s != nil {
		if s.pins == 0 {
			err = c.drop(s)
		} else {
			s.gone = true
			c.order.Remove(s.elem)
			delete(c.open, id)
		}
	}
	if e := c.indexes[id]; e != nil {
		c.ixOrder.Remove(e)
		delete(c.indexes, id)
	}
	c.mu.Unlock()
	err = errors.Join(err, c.fs.Remove(c.layout.segFile(id, kind)))
	if kind == kindSegment {
		if ierr := c.fs.Remove(c.layout.index(id)); !errors.Is(ierr, fs.ErrNotExist) {
			err = errors.Join(err, ierr)
		}
	}
	if err != nil {
		return fmt.Errorf("remove segment: %w", err)
	}
	return nil
}

// index returns a cached index, or nil.
func (c *fileCache) index(id uint64) *index {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.indexes[id]
	if e == nil {
		return nil
	}
	c.ixOrder.MoveToFront(e)
	return e.Value.(cachedIndex).ix
}

// keepIndex caches an index.
func (c *fileCache) keepIndex(id uint64, ix *index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.indexes[id] != nil {
		return
	}
	c.indexes[id] = c.ixOrder.PushFront(cachedIndex{id, ix})
	if c.ixOrder.Len() > keptIndexes {
		last := c.ixOrder.Back()
		c.ixOrder.Remove(last)
		delete(c.indexes, last.Value.(cachedIndex).id)
	}
}

// opened is how many files are open.
func (c *fileCache) opened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// close closes every file that no reader holds; the others follow their readers.
func (c *fileCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shutdown = true
	var errList []error
	for _, s := range c.open {
		if s.pins == 0 {
			errList = append(errList, s.f.Close())
		}
	}
	clear(c.open)
	return errors.Join(errList...)
}
