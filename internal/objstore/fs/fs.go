// Package fs is an object store in files, over vfs.
//
// Each object is one file: written under tmp, synced, put into its place by one
// rename, and acknowledged once that is durable. Its headers stand in the same file,
// so nothing about an object can be old when the rest is new. The layout is in
// docs/formats/objects.md.
//
// Keys that are being changed are locked from the check of the condition until the
// change is durable, and an opening waits for that: what a get shows, a crash does
// not take back. Nothing but the buckets' names is held in memory.
package fs

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	iofs "io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/objstore"
	"thalweg/internal/vfs"
)

// MaxBuckets bounds the buckets of a store.
const MaxBuckets = 10000

// Options are what a store is made of. FS, Dir and Clock are needed.
type Options struct {
	FS    vfs.FS
	Dir   string // made if it is not there
	Clock clock.Clock
	// MaxBytes refuses what would make the store's files, with what Others has,
	// larger; 0 is without bound. Removing is never refused.
	MaxBytes int64
	// Others returns the bytes beside the store's that count towards MaxBytes; nil
	// is none.
	Others func() int64
	// Used, if not nil, counts the bytes of the store's files, for others to bound.
	Used *atomic.Int64
}

// Store is an object store. It is safe for concurrent use.
type Store struct {
	o     Options
	tmps  atomic.Uint64 // names files in tmp
	used  *atomic.Int64 // bytes of all files, about; kept only if there is a bound
	locks keyLocks      // of keys and uploads

	mu      sync.RWMutex
	buckets map[string]*bucket // guarded by mu

	dirs sync.Mutex
	// durable are directories of objects whose own names are known to be durable. It is
	// guarded by dirs; what is removed while a bucket's tree is held for writing leaves
	// it then.
	durable map[string]bool
}

var _ objstore.Store = (*Store)(nil)

// bucket is one bucket.
type bucket struct {
	objstore.Bucket
	dir string

	// tree is held for reading while a file is put into its place, and for writing
	// while empty directories, or the bucket, are removed.
	tree sync.RWMutex
	gone bool // guarded by tree: the bucket has been removed
}

// maxDurable bounds what is remembered of directories; forgetting costs syncs.
const maxDurable = 4096

const (
	bucketFile = "bucket"
	uploadFile = "upload"
)

// Open opens the store in a directory, and removes what calls that a crash cut short
// have left.
func Open(o Options) (*Store, error) {
	s := &Store{o: o, used: cmp.Or(o.Used, new(atomic.Int64)), buckets: map[string]*bucket{}, durable: map[string]bool{}}
	for _, d := range []string{s.tmp(), s.o.Dir + "/buckets"} {
		if err := o.FS.MkdirAll(d, 0o700); err != nil {
			return nil, failed("open object store", err)
		}
	}
	for _, d := range []string{parent(o.Dir), o.Dir} {
		if err := o.FS.SyncDir(d); err != nil {
			return nil, failed("open object store", err)
		}
	}
	if err := s.removeAll(s.tmp(), false); err != nil {
		return nil, failed("clean object store", err)
	}
	names, err := o.FS.ReadDir(o.Dir + "/buckets")
	if err != nil {
		return nil, failed("open object store", err)
	}
	for _, name := range names {
		if err := s.load(name); err != nil {
			return nil, failed("open bucket "+name, err)
		}
	}
	if o.MaxBytes > 0 {
		n, err := s.measure(o.Dir)
		if err != nil {
			return nil, failed("measure object store", err)
		}
		s.used.Store(n)
	}
	return s, nil
}

func parent(dir string) string {
	if i := strings.LastIndexByte(dir, '/'); i > 0 {
		return dir[:i]
	}
	return "/"
}

func (s *Store) tmp() string { return s.o.Dir + "/tmp" }

// storedBucket is the file that makes a directory a bucket.
type storedBucket struct {
	Owner   string `json:"owner"`
	Region  string `json:"region"`
	Created int64  `json:"created"` // Unix milliseconds
}

func (s *Store) load(name string) error {
	dir := s.o.Dir + "/buckets/" + name
	text, err := vfs.ReadFile(s.o.FS, dir+"/"+bucketFile, nearEnd)
	if err != nil {
		return err
	}
	var stored storedBucket
	if err := json.Unmarshal(text, &stored); err != nil {
		return errs.Wrap(errs.Corrupt, "read "+bucketFile, err)
	}
	b := s.newBucket(objstore.Bucket{Name: name, Owner: stored.Owner, Region: stored.Region,
		Created: time.UnixMilli(stored.Created).UTC()})
	s.buckets[name] = b
	return s.sweepUploads(b)
}

func (s *Store) newBucket(b objstore.Bucket) *bucket {
	return &bucket{Bucket: b, dir: s.o.Dir + "/buckets/" + b.Name}
}

func (b *bucket) objects() string { return b.dir + "/objects" }
func (b *bucket) uploads() string { return b.dir + "/uploads" }

// CreateBucket implements [objstore.Store]. The bucket is made in tmp and renamed.
func (s *Store) CreateBucket(_ context.Context, nb objstore.Bucket) error {
	if err := objstore.CheckBucketName(nb.Name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.buckets[nb.Name] != nil:
		return objstore.ErrBucketExists
	case len(s.buckets) >= MaxBuckets:
		return objstore.ErrTooManyBuckets
	}
	if nb.Created.IsZero() {
		nb.Created = s.o.Clock.Now()
	}
	nb.Created = nb.Created.UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(storedBucket{Owner: nb.Owner, Region: nb.Region, Created: nb.Created.UnixMilli()})
	if err != nil {
		return err
	}
	b := s.newBucket(nb)
	made := s.tmpName()
	if err := s.makeBucket(made, b.dir, text); err != nil {
		_ = s.removeAll(made, true) // the next start does what this does not
		return failed("create bucket", err)
	}
	s.buckets[nb.Name] = b
	return nil
}

func (s *Store) makeBucket(made, dir string, text []byte) error {
	for _, d := range []string{"/objects", "/uploads"} {
		if err := s.o.FS.MkdirAll(made+d, 0o700); err != nil {
			return err
		}
	}
	if err := vfs.WriteFile(s.o.FS, made, bucketFile, text, 0o600); err != nil {
		return err
	}
	if err := s.o.FS.Rename(made, dir); err != nil {
		return err
	}
	return s.o.FS.SyncDir(parent(dir))
}

// DeleteBucket implements [objstore.Store]. The bucket is renamed into tmp and
// removed there.
func (s *Store) DeleteBucket(_ context.Context, name string) error {
	dying := s.tmpName()
	if err := s.takeBucket(name, dying); err != nil {
		return failed("delete bucket", err)
	}
	_ = s.removeAll(dying, true) // the next start does what this does not
	return nil
}

// takeBucket moves an empty bucket's directory to where it is no bucket.
func (s *Store) takeBucket(name, dying string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return objstore.ErrNoBucket
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	if key, err := newWalk(s.o.FS, b.objects(), "", "").next(); err != nil {
		return err
	} else if key != "" {
		return objstore.ErrBucketNotEmpty
	}
	if err := s.o.FS.Rename(b.dir, dying); err != nil {
		return err
	}
	b.gone = true
	s.dirs.Lock()
	clear(s.durable)
	s.dirs.Unlock()
	delete(s.buckets, name)
	return s.o.FS.SyncDir(parent(b.dir))
}

// HeadBucket implements [objstore.Store].
func (s *Store) HeadBucket(_ context.Context, name string) (objstore.Bucket, error) {
	b, err := s.bucket(name)
	if err != nil {
		return objstore.Bucket{}, err
	}
	return b.Bucket, nil
}

// ListBuckets implements [objstore.Store].
func (s *Store) ListBuckets(context.Context) ([]objstore.Bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []objstore.Bucket
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		out = append(out, s.buckets[name].Bucket)
	}
	return out, nil
}

func (s *Store) bucket(name string) (*bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.buckets[name]; b != nil {
		return b, nil
	}
	return nil, objstore.ErrNoBucket
}

// Used returns the bytes of all files, about. It is 0 where there is no bound.
func (s *Store) Used() int64 { return s.used.Load() }

// room counts n more bytes, or refuses them.
func (s *Store) room(n int64) error {
	if s.o.MaxBytes <= 0 {
		return nil
	}
	others := int64(0)
	if s.o.Others != nil {
		others = s.o.Others()
	}
	if s.used.Add(n)+others > s.o.MaxBytes {
		s.used.Add(-n)
		return errs.New(errs.NoSpace, "the data directory is as large as it may be")
	}
	return nil
}

// freed counts the bytes of files that are gone.
func (s *Store) freed(n int64) {
	if s.o.MaxBytes > 0 {
		s.used.Add(-n)
	}
}

// newID returns a name that nobody can guess and that sorts by when it was made.
func (s *Store) newID() string {
	const digits = "0123456789abcdef"
	var b [12]byte
	ms := clock.Millis(s.o.Clock)
	for i := range b {
		b[len(b)-1-i] = digits[ms>>(4*i)&15]
	}
	return string(b[:]) + strings.ToLower(rand.Text())
}

func (s *Store) tmpName() string {
	const digits = "0123456789abcdef"
	n := s.tmps.Add(1)
	var b [16]byte
	for i := range b {
		b[len(b)-1-i] = digits[n>>(4*i)&15]
	}
	return s.tmp() + "/" + string(b[:])
}

// measure returns the bytes of all files below a directory.
func (s *Store) measure(dir string) (n int64, err error) {
	serr := s.o.FS.ScanDir(dir, func(base string) bool {
		var info vfs.Info
		if info, err = s.o.FS.Stat(dir + "/" + base); err != nil {
			return false
		}
		size := info.Size
		if info.Dir {
			size, err = s.measure(dir + "/" + base)
		}
		n += size
		return err == nil
	})
	return n, errors.Join(err, serr)
}

// removeAll removes everything below a directory, and the directory too if itself.
func (s *Store) removeAll(dir string, itself bool) error {
	for {
		var batch []string
		err := s.o.FS.ScanDir(dir, func(base string) bool {
			batch = append(batch, dir+"/"+base)
			return len(batch) < walkBatch
		})
		if errors.Is(err, iofs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			break
		}
		for _, name := range batch {
			info, err := s.o.FS.Stat(name)
			switch {
			case err != nil:
			case info.Dir:
				err = s.removeAll(name, true)
			default:
				err = s.remove(name)
			}
			if err != nil && !errors.Is(err, iofs.ErrNotExist) {
				return err
			}
		}
	}
	if !itself {
		return nil
	}
	return s.o.FS.Remove(dir)
}

// remove removes a file and counts what that frees.
func (s *Store) remove(name string) error {
	info, err := s.o.FS.Stat(name)
	if err == nil {
		err = s.o.FS.Remove(name)
	}
	if err == nil {
		s.freed(info.Size)
	}
	return err
}

// openFile opens the file of an object or a part.
func (s *Store) openFile(name string) (*file, error) {
	f, err := s.o.FS.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	o, err := readFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return o, nil
}

// failed says what was being done when the file system failed.
func failed(op string, err error) error {
	var known *errs.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, vfs.ErrNoSpace):
		return errs.Wrap(errs.NoSpace, op, err)
	}
	return errs.Wrap(errs.Internal, op, err)
}
