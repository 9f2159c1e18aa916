package fs

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"strings"

	"thalweg/internal/clock"
	"thalweg/internal/objstore"
)

// Put implements [objstore.Store].
func (s *Store) Put(ctx context.Context, at objstore.Ref, body io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	b, err := s.target(at)
	if err != nil {
		return objstore.Info{}, err
	}
	if o.Owner != "" && o.Owner != b.Owner {
		return objstore.Info{}, objstore.ErrOwner
	}
	return s.put(ctx, b, at.Key, body, o.Algorithm, o.If, func(w *writer, h *head) error {
		h.ETag, h.Checksum, h.Headers = w.etag(), w.checksum(), o.Headers
		return nil
	})
}

// target returns the bucket of an object that is to be put.
func (s *Store) target(at objstore.Ref) (*bucket, error) {
	b, err := s.bucket(at.Bucket)
	if err != nil {
		return nil, err
	}
	return b, objstore.CheckKey(at.Key)
}

// put writes an object and puts it into its place. describe says what it is when all
// its bytes are there.
func (s *Store) put(ctx context.Context, b *bucket, key string, body io.Reader, kind objstore.Algorithm, when objstore.Condition,
	describe func(*writer, *head) error) (objstore.Info, error) {
	if err := s.early(b, key, when); err != nil {
		return objstore.Info{}, err
	}
	tmp, h, size, err := s.write(ctx, key, body, kind, describe)
	if err != nil {
		return objstore.Info{}, err
	}
	if err := s.commit(b, key, tmp, when); err != nil {
		_ = s.remove(tmp) // gone if it was renamed; else the next start removes it
		return objstore.Info{}, failed("put object", err)
	}
	return h.info(size), nil
}

// early refuses before the body is read what the condition refuses already.
func (s *Store) early(b *bucket, key string, when objstore.Condition) error {
	if when == (objstore.Condition{}) {
		return nil
	}
	defer s.locks.lock(b.Name + "/" + key)()
	return s.holds(b, key, when)
}

// write writes an object's or part's file under tmp.
func (s *Store) write(ctx context.Context, key string, body io.Reader, kind objstore.Algorithm,
	describe func(*writer, *head) error) (tmp string, h *head, size int64, err error) {
	tmp = s.tmpName()
	f, err := s.o.FS.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", nil, 0, failed("put object", err)
	}
	var grown int64
	w := newWriter(f, kind, func(n int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.room(n)
		if err == nil {
			grown += n
		}
		return err
	})
	err = w.readFrom(body)
	var given error // the caller's own, to be returned as it is
	if err == nil {
		h = &head{Key: key, Modified: clock.Millis(s.o.Clock)}
		if given = describe(w, h); given == nil {
			err = w.finish(h)
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if given != nil || err != nil {
		if s.o.FS.Remove(tmp) == nil { // else the next start removes it
			s.freed(grown)
		}
		if given != nil {
			return "", nil, 0, given
		}
		return "", nil, 0, err
	}
	return tmp, h, w.size, nil
}

// commit puts the file tmp into the place of a key, if the condition holds.
func (s *Store) commit(b *bucket, key, tmp string, when objstore.Condition) error {
	defer s.locks.lock(b.Name + "/" + key)()
	b.tree.RLock()
	defer b.tree.RUnlock()
	if b.gone {
		return objstore.ErrNoBucket
	}
	if err := s.holds(b, key, when); err != nil {
		return err
	}
	dir, base := pathOf(key)
	if err := s.makeDir(b, dir); err != nil {
		return err
	}
	name := b.objects() + dir + "/" + base
	old, err := s.o.FS.Stat(name)
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	if err := s.o.FS.Rename(tmp, name); err != nil {
		return err
	}
	s.freed(old.Size)
	return s.o.FS.SyncDir(b.objects() + dir)
}

// holds checks a condition; the key is locked. What it finds to be there it makes
// durable: whoever is refused because of it may rely on it.
func (s *Store) holds(b *bucket, key string, when objstore.Condition) error {
	if when == (objstore.Condition{}) {
		return nil
	}
	dir, base := pathOf(key)
	o, err := s.openFile(b.objects() + dir + "/" + base)
	if errors.Is(err, iofs.ErrNotExist) {
		if when.ETag != "" {
			return objstore.ErrNoKey
		}
		return nil
	}
	if err != nil {
		return failed("look at object", err)
	}
	defer o.f.Close()
	switch {
	case when.Absent:
		for d := dir; ; d = d[:strings.LastIndexByte(d, '/')] {
			if err := s.o.FS.SyncDir(b.objects() + d); err != nil {
				return failed("sync object", err)
			}
			if d == "" {
				return objstore.ErrPrecondition
			}
		}
	case when.ETag != "" && when.ETag != "*" && when.ETag != o.head.ETag:
		return objstore.ErrPrecondition
	}
	return nil
}

// makeDir makes a directory of a bucket's tree, and its own name and those of all
// above it durable; tree is held for reading.
func (s *Store) makeDir(b *bucket, dir string) error {
	if dir == "" {
		return nil
	}
	if s.isDurable(b.objects() + dir) {
		return nil
	}
	if err := s.o.FS.MkdirAll(b.objects()+dir, 0o700); err != nil {
		return err
	}
	var made []string
	for d := dir; d != "" && !s.isDurable(b.objects()+d); {
		made = append(made, b.objects()+d)
		d = d[:strings.LastIndexByte(d, '/')]
		if err := s.o.FS.SyncDir(b.objects() + d); err != nil {
			return err
		}
	}
	s.dirs.Lock()
	defer s.dirs.Unlock()
	if len(s.durable)+len(made) > maxDurable {
		clear(s.durable)
	}
	for _, d := range made {
		s.durable[d] = true
	}
	return nil
}

func (s *Store) isDurable(dir string) bool {
	s.dirs.Lock()
	defer s.dirs.Unlock()
	return s.durable[dir]
}

// Get implements [objstore.Store].
func (s *Store) Get(_ context.Context, at objstore.Ref, pick func(objstore.Info) (objstore.Range, error)) (*objstore.Object, error) {
	o, err := s.open(at)
	if err != nil {
		return nil, err
	}
	var r objstore.Range
	if pick != nil {
		if r, err = pick(o.info()); err != nil {
			return nil, errors.Join(err, o.f.Close())
		}
	}
	off := min(max(r.Off, 0), o.size)
	n := o.size - off
	if r.Len > 0 {
		n = min(n, r.Len)
	}
	return &objstore.Object{Info: o.info(), Body: o.open(off, n)}, nil
}

// Head implements [objstore.Store].
func (s *Store) Head(_ context.Context, at objstore.Ref) (objstore.Info, error) {
	o, err := s.open(at)
	if err != nil {
		return objstore.Info{}, err
	}
	return o.info(), o.f.Close()
}

// open opens an object, once no change of it is on its way to the disk.
func (s *Store) open(at objstore.Ref) (*file, error) {
	b, err := s.bucket(at.Bucket)
	if err != nil {
		return nil, err
	}
	if objstore.CheckKey(at.Key) != nil {
		return nil, objstore.ErrNoKey
	}
	defer s.locks.lock(b.Name + "/" + at.Key)()
	dir, base := pathOf(at.Key)
	o, err := s.openFile(b.objects() + dir + "/" + base)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, objstore.ErrNoKey
	}
	if err != nil {
		return nil, failed("open object", err)
	}
	return o, nil
}

// Delete implements [objstore.Store].
func (s *Store) Delete(_ context.Context, at objstore.Ref, when objstore.Condition) error {
	b, err := s.bucket(at.Bucket)
	if err != nil {
		return err
	}
	if objstore.CheckKey(at.Key) != nil {
		return nil
	}
	dir, base := pathOf(at.Key)
	if err := s.unlink(b, at.Key, dir, base, when); err != nil {
		return failed("delete object", err)
	}
	s.prune(b, dir)
	return nil
}

func (s *Store) unlink(b *bucket, key, dir, base string, when objstore.Condition) error {
	defer s.locks.lock(b.Name + "/" + key)()
	b.tree.RLock()
	defer b.tree.RUnlock()
	if b.gone {
		return objstore.ErrNoBucket
	}
	if err := s.holds(b, key, when); err != nil && !errors.Is(err, objstore.ErrNoKey) {
		return err
	}
	err := s.remove(b.objects() + dir + "/" + base)
	if err == nil || errors.Is(err, iofs.ErrNotExist) { // gone, perhaps by a call that failed to sync
		err = s.o.FS.SyncDir(b.objects() + dir)
	}
	if errors.Is(err, iofs.ErrNotExist) {
		err = nil
	}
	return err
}

// prune removes the directories from dir up that are empty. It need not be durable:
// an empty directory is no key. A failure leaves them, which costs nothing but room.
func (s *Store) prune(b *bucket, dir string) {
	for dir != "" {
		empty := true
		err := s.o.FS.ScanDir(b.objects()+dir, func(string) bool { empty = false; return false })
		if err != nil || !empty {
			return
		}
		b.tree.Lock()
		if b.gone || s.o.FS.Remove(b.objects()+dir) != nil {
			b.tree.Unlock()
			return
		}
		s.dirs.Lock()
		delete(s.durable, b.objects()+dir)
		s.dirs.Unlock()
		b.tree.Unlock()
		dir = dir[:strings.LastIndexByte(dir, '/')]
	}
}

// Copy implements [objstore.Store].
func (s *Store) Copy(ctx context.Context, from, to objstore.Ref, o objstore.CopyOptions) (objstore.Info, error) {
	b, err := s.target(to)
	if err != nil {
		return objstore.Info{}, err
	}
	src, err := s.open(from)
	if err != nil {
		return objstore.Info{}, err
	}
	body := src.open(0, src.size)
	defer body.Close()
	if o.Check != nil {
		if err := o.Check(src.info()); err != nil {
			return objstore.Info{}, err
		}
	}
	headers := src.head.Headers
	if o.Replace != nil {
		headers = *o.Replace
	}
	kind := o.Algorithm
	if kind == 0 {
		kind = src.head.Checksum.Algorithm
	}
	return s.put(ctx, b, to.Key, body, kind, o.If, func(w *writer, h *head) error {
		h.ETag, h.Checksum, h.Headers = w.etag(), w.checksum(), headers
		return nil
	})
}
