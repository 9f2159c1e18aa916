package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Mem is a file system in memory. One from [NewMem] also knows what of it a
// power cut would leave ([Mem.Crash]) and can be made to fail ([Mem.Inject]).
//
// Paths are cleaned and taken from the root; there is no working directory.
// Modes are ignored. Modification times are logical: they rise with every change
// and mean nothing else.
type Mem struct {
	crashable bool
	used      atomic.Int64 // chunks held by all files

	// mu is taken before any node's.
	mu       sync.Mutex
	root     *node
	rng      *rand.Rand // decides what a failed sync made durable
	nodes    uint64     // numbers nodes
	calls    int
	ticks    int64
	rule     Rule
	stopped  bool
	noSync   bool
	capacity int64
	locks    map[string]bool
	unsynced []entryOp // in order
}

// node is a file or a directory.
type node struct {
	id  uint64
	dir bool
	// mtime, names (entries that point here) and handles (open files) are
	// guarded by Mem.mu, and so are entries and durableEntries.
	mtime          int64
	names, handles int
	entries        map[string]*node
	durableEntries map[string]*node

	mu      sync.RWMutex
	now     content
	durable content  // only if the file system is crashable
	pending []change // what now has beyond durable, in order; likewise
}

// NewMem returns an empty file system that can crash and fail on demand. seed
// decides what a failed sync leaves durable.
func NewMem(seed uint64) *Mem {
	m := NewEphemeral()
	m.crashable = true
	m.rng = rand.New(rand.NewPCG(seed, 0))
	return m
}

// NewEphemeral returns an empty file system that keeps everything in memory,
// once, and nothing when the process ends. It cannot crash.
func NewEphemeral() *Mem {
	m := &Mem{locks: map[string]bool{}}
	m.root = m.newNode(true)
	return m
}

func (m *Mem) newNode(dir bool) *node {
	m.nodes++
	n := &node{id: m.nodes, dir: dir}
	if dir {
		n.entries = map[string]*node{}
		n.durableEntries = map[string]*node{}
	}
	return n
}

func (m *Mem) touch(n *node) {
	m.ticks++
	n.mtime = m.ticks
}

func clean(name string) string { return path.Clean("/" + name) }

func pathError(op, name string, errno syscall.Errno) error {
	return &fs.PathError{Op: op, Path: name, Err: errno}
}

// lookup finds a node; mu is held.
func (m *Mem) lookup(op, name string) (*node, error) {
	n := m.root
	for part := range strings.SplitSeq(clean(name)[1:], "/") {
		if part == "" {
			continue
		}
		if !n.dir {
			return nil, pathError(op, name, syscall.ENOTDIR)
		}
		if n = n.entries[part]; n == nil {
			return nil, pathError(op, name, syscall.ENOENT)
		}
	}
	return n, nil
}

// parent finds the directory that name is or would be in; mu is held.
func (m *Mem) parent(op, name string) (dir *node, base string, err error) {
	full := clean(name)
	if full == "/" {
		return nil, "", pathError(op, name, syscall.EBUSY)
	}
	dir, err = m.lookup(op, path.Dir(full))
	if err == nil && !dir.dir {
		err = pathError(op, name, syscall.ENOTDIR)
	}
	return dir, path.Base(full), err
}

// OpenFile implements [FS].
func (m *Mem) OpenFile(name string, flag int, _ fs.FileMode) (File, error) {
	kind := OpOpen
	m.mu.Lock()
	n, err := m.lookup("open", name)
	m.mu.Unlock()
	switch {
	case err != nil && flag&os.O_CREATE != 0:
		kind = OpCreate
	case err == nil && flag&os.O_TRUNC != 0:
		kind = OpTruncate
	}
	if err := m.before(Op{Kind: kind, Name: clean(name)}); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, err = m.open(name, flag); err != nil {
		return nil, err
	}
	n.handles++
	mode := flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
	return &memFile{m: m, n: n, name: clean(name), reads: mode != os.O_WRONLY, writes: mode != os.O_RDONLY}, nil
}

func (m *Mem) open(name string, flag int) (*node, error) {
	if flag&os.O_APPEND != 0 {
		return nil, pathError("open", name, syscall.EINVAL)
	}
	dir, base, err := m.parent("open", name)
	if err != nil {
		return nil, err
	}
	n := dir.entries[base]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, syscall.ENOENT)
	case n == nil:
		n = m.newNode(false)
		m.touch(n)
		m.link(entryOp{{dir, base, n}})
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, pathError("open", name, syscall.EEXIST)
	case n.dir:
		return nil, pathError("open", name, syscall.EISDIR)
	case flag&os.O_TRUNC != 0:
		m.touch(n)
		m.truncate(n, 0)
	}
	return n, nil
}

// Remove implements [FS].
func (m *Mem) Remove(name string) error {
	if err := m.before(Op{Kind: OpRemove, Name: clean(name)}); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent("remove", name)
	if err != nil {
		return err
	}
	n := dir.entries[base]
	switch {
	case n == nil:
		return pathError("remove", name, syscall.ENOENT)
	case len(n.entries) > 0:
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	m.link(entryOp{{dir, base, nil}})
	return nil
}

// Rename implements [FS].
func (m *Mem) Rename(oldname, newname string) error {
	if err := m.before(Op{Kind: OpRename, Name: clean(newname)}); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	from, oldBase, err := m.parent("rename", oldname)
	if err != nil {
		return err
	}
	to, newBase, err := m.parent("rename", newname)
	if err != nil {
		return err
	}
	n, over := from.entries[oldBase], to.entries[newBase]
	switch {
	case n == nil:
		return pathError("rename", oldname, syscall.ENOENT)
	case over != nil && over.dir:
		return pathError("rename", newname, syscall.EEXIST)
	case n == over:
		return nil
	case n.dir && strings.HasPrefix(clean(newname), clean(oldname)+"/"):
		return pathError("rename", newname, syscall.EINVAL)
	case n.dir && over != nil:
		return pathError("rename", newname, syscall.ENOTDIR)
	}
	m.link(entryOp{{from, oldBase, nil}, {to, newBase, n}})
	return nil
}

// Link implements [FS].
func (m *Mem) Link(oldname, newname string) error {
	if err := m.before(Op{Kind: OpLink, Name: clean(newname)}); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup("link", oldname)
	if err != nil {
		return err
	}
	dir, base, err := m.parent("link", newname)
	if err != nil {
		return err
	}
	switch {
	case dir.entries[base] != nil:
		return pathError("link", newname, syscall.EEXIST)
	case n.dir:
		return pathError("link", oldname, syscall.EPERM)
	}
	m.link(entryOp{{dir, base, n}})
	return nil
}

// MkdirAll implements [FS].
func (m *Mem) MkdirAll(name string, _ fs.FileMode) error {
	if err := m.before(Op{Kind: OpMkdir, Name: clean(name)}); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for part := range strings.SplitSeq(clean(name)[1:], "/") {
		if part == "" {
			continue
		}
		next := n.entries[part]
		if next == nil {
			next = m.newNode(true)
			m.touch(next)
			m.link(entryOp{{n, part, next}})
		}
		if !next.dir {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		n = next
	}
	return nil
}

// ReadDir implements [FS].
func (m *Mem) ReadDir(name string) ([]string, error) {
	if err := m.before(Op{Kind: OpReadDir, Name: clean(name)}); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, pathError("readdir", name, syscall.ENOTDIR)
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

// ScanDir implements [FS].
func (m *Mem) ScanDir(name string, yield func(base string) bool) error {
	names, err := m.ReadDir(name)
	for _, base := range names {
		if !yield(base) {
			break
		}
	}
	return err
}

// Stat implements [FS].
func (m *Mem) Stat(name string) (Info, error) {
	if err := m.before(Op{Kind: OpStat, Name: clean(name)}); err != nil {
		return Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup("stat", name)
	if err != nil {
		return Info{}, err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return Info{Size: n.now.size, Dir: n.dir, ModTime: time.UnixMicro(n.mtime)}, nil
}

// SyncDir implements [FS].
func (m *Mem) SyncDir(name string) error {
	fault := m.before(Op{Kind: OpSyncDir, Name: clean(name)})
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup("syncdir", name)
	if err == nil && !n.dir {
		err = pathError("syncdir", name, syscall.ENOTDIR)
	}
	if fault == nil && err == nil && !m.noSync && m.crashable {
		m.syncEntries(n)
	}
	return firstError(fault, err)
}

// Lock implements [FS].
func (m *Mem) Lock(name string) (io.Closer, error) {
	if err := m.before(Op{Kind: OpLock, Name: clean(name)}); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	full := clean(name)
	if m.locks[full] {
		return nil, fmt.Errorf("lock %s: %w (pid %d)", name, ErrLocked, os.Getpid())
	}
	n, err := m.open(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	m.write(n, lockText(), 0)
	m.locks[full] = true
	return &memLock{m: m, name: full}, nil
}

type memLock struct {
	m    *Mem
	name string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		delete(l.m.locks, l.name)
	})
	return nil
}

// Free implements [FS]. Without a capacity it returns a number that no disk has.
func (m *Mem) Free(name string) (int64, error) {
	if err := m.before(Op{Kind: OpFree, Name: clean(name)}); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.lookup("free", name); err != nil {
		return 0, err
	}
	if m.capacity == 0 {
		return math.MaxInt64 / 2, nil
	}
	return max(0, m.capacity-m.Used()), nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
