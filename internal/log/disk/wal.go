package disk

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"thalweg/internal/vfs"
)

// walFile is one open file of the WAL.
type walFile struct {
	order uint64 // rises with use; what the tail and the refs compare
	head  walHead
	path  string
	f     vfs.File
	// pos is where the next round goes. Of the writer.
	pos int64
	// size is what the file takes on disk; above pos if it was filled before.
	size int64
	// pins counts the WAL itself and every reader.
	pins atomic.Int32
}

// unpin ends a hold; the last one closes the file.
func (w *walFile) unpin() error {
	if w.pins.Add(-1) == 0 {
		return w.f.Close()
	}
	return nil
}

// walSet is the files of the WAL.
type walSet struct {
	fs      vfs.FS
	layout  layout
	history history
	size    int64 // at which a file is full

	mu     sync.Mutex
	inUse  []*walFile // oldest first; the last one is written to
	spare  *walFile   // ready but for its header, directory entry durable
	free   []*walFile // to be made spares
	number uint64     // the last one given
	order  uint64

	bytes atomic.Int64 // on disk
}

func (s *walSet) newNumber() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return s.number
}

// use appends file to those in use, once its header is durable.
func (s *walSet) use(file *walFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order++
	file.order = s.order
	s.inUse = append(s.inUse, file)
}

// takeSpare returns the spare, if one is ready.
func (s *walSet) takeSpare() *walFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.spare
	s.spare = nil
	return f
}

func (s *walSet) hasSpare() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spare != nil
}

// create makes an empty file. Its directory entry is not yet durable.
func (s *walSet) create() (*walFile, error) {
	n := s.newNumber()
	path := s.layout.walFile(n)
	f, err := s.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create WAL file: %w", err)
	}
	w := &walFile{head: walHead{number: n, flags: walZeroed}, path: path, f: f}
	w.pins.Store(1)
	return w, nil
}

// begin takes a file into use: the spare, or a new one. The header is durable
// when it returns nil. A failed one leaves nothing behind that counts; failed
// syncs are told apart by errSync.
func (s *walSet) begin(head walHead) (*walFile, error) {
	w := s.takeSpare()
	fresh := w == nil
	if fresh {
		var err error
		if w, err = s.create(); err != nil {
			return nil, err
		}
	}
	head.number, head.flags = w.head.number, w.head.flags
	w.head = head
	_, err := w.f.WriteAt(head.encode(s.history), 0)
	if err == nil {
		if err = w.f.SyncData(); err != nil {
			err = &syncError{err}
		} else if fresh {
			if err = s.fs.SyncDir(s.layout.wal()); err != nil {
				err = &syncError{err}
			}
		}
	}
	if err != nil {
		// Its header may be there in part or whole: with it the file would end the one
		// before, which goes on.
		err = errors.Join(fmt.Errorf("begin WAL file: %w", err), s.discard(w))
		if serr := s.fs.SyncDir(s.layout.wal()); serr != nil {
			err = errors.Join(err, &syncError{serr})
		}
		return nil, err
	}
	w.pos = walHeadSize
	if w.size < walHeadSize {
		s.bytes.Add(walHeadSize - w.size)
		w.size = walHeadSize
	}
	s.use(w)
	return w, nil
}

// discard closes and removes a file.
func (s *walSet) discard(w *walFile) error {
	s.bytes.Add(-w.size)
	return errors.Join(s.fs.Remove(w.path), w.unpin())
}

// syncError marks a failed sync, after which nothing may be written.
type syncError struct{ err error }

func (e *syncError) Error() string { return "sync: " + e.err.Error() }
func (e *syncError) Unwrap() error { return e.err }

// passing reports whether err is a lack of space that may pass, as opposed to
// one that latches.
func passing(err error) bool {
	var s *syncError
	return errors.Is(err, vfs.ErrNoSpace) && !errors.As(err, &s)
}

// release frees the files whose frames are all at or below lsn, and removes
// those that are not kept for use again.
func (s *walSet) release(lsn uint64, keep int) error {
	s.mu.Lock()
	var drop []*walFile
	for len(s.inUse) > 1 && s.inUse[1].head.first <= lsn+1 {
		w := s.inUse[0]
		s.inUse = s.inUse[1:]
		// A reader that holds it still reads what it was: it cannot be written.
		if w.pins.Load() == 1 && len(s.free) < keep && w.size >= s.size/2 {
			s.free = append(s.free, w)
		} else {
			drop = append(drop, w)
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, w := range drop {
		errs = append(errs, s.discard(w))
	}
	return errors.Join(errs...)
}

// trimFree removes the free files and the spare, to make room.
func (s *walSet) trimFree() error {
	s.mu.Lock()
	drop := s.free
	s.free = nil
	s.mu.Unlock()
	if w := s.takeSpare(); w != nil {
		drop = append(drop, w)
	}
	var errs []error
	for _, w := range drop {
		errs = append(errs, s.discard(w))
	}
	return errors.Join(errs...)
}

// prepare makes a spare if there is none: a freed file under a new name, or one
// filled with zeros. Without space for it there is none, and no error.
func (s *walSet) prepare(cancelled func() bool) error {
	if s.hasSpare() {
		return nil
	}
	s.mu.Lock()
	var w *walFile
	if n := len(s.free); n > 0 {
		w, s.free = s.free[n-1], s.free[:n-1]
	}
	s.mu.Unlock()
	var err error
	if w != nil {
		w, err = s.rename(w)
	} else if w, err = s.fill(cancelled); w == nil {
		return err
	}
	if err == nil {
		if err = s.fs.SyncDir(s.layout.wal()); err != nil {
			err = &syncError{err}
		}
	}
	if err != nil {
		return fmt.Errorf("prepare WAL file: %w", err)
	}
	s.mu.Lock()
	s.spare = w
	s.mu.Unlock()
	return nil
}

// rename gives a freed file a new number. Its old header then says "unused". The
// result is a new walFile, as refs of clean batches may still name the old one.
func (s *walSet) rename(old *walFile) (*walFile, error) {
	n := s.newNumber()
	w := &walFile{head: walHead{number: n}, path: s.layout.walFile(n), f: old.f, size: old.size}
	w.pins.Store(1)
	return w, s.fs.Rename(old.path, w.path)
}

// fill makes a file of zeros. It returns nil without an error when there is no
// space for it or it was cancelled.
func (s *walSet) fill(cancelled func() bool) (*walFile, error) {
	w, err := s.create()
	if err != nil {
		if passing(err) {
			return nil, nil
		}
		return nil, err
	}
	zeros := make([]byte, min(s.size, 1<<20))
	for w.size < s.size && err == nil {
		if cancelled() {
			return nil, s.discard(w)
		}
		var n int
		n, err = w.f.WriteAt(zeros[:min(int64(len(zeros)), s.size-w.size)], w.size)
		w.size += int64(n)
		s.bytes.Add(int64(n))
	}
	if err == nil {
		if err = w.f.Sync(); err != nil {
			err = &syncError{err}
		}
	}
	if err != nil {
		derr := s.discard(w)
		if passing(err) {
			return nil, derr
		}
		return nil, errors.Join(fmt.Errorf("fill WAL file: %w", err), derr)
	}
	return w, nil
}

// close closes every file.
func (s *walSet) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(append([]*walFile(nil), s.inUse...), s.free...)
	if s.spare != nil {
		all = append(all, s.spare)
	}
	s.inUse, s.free, s.spare = nil, nil, nil
	var errs []error
	for _, w := range all {
		errs = append(errs, w.unpin())
	}
	return errors.Join(errs...)
}
