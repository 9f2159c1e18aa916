// Package vfs is the seam through which every byte of storage passes.
//
// [OS] is the real file system. [NewMem] is one in memory that can crash (what
// was not synced, contents and directory entries alike, is kept or lost at
// random from a seed), tear writes, and fail any call on demand. Code above the
// seam never calls package os for files.
//
// The durability contract, which both implementations honour:
//   - File.WriteAt makes bytes readable at once, and durable only after a
//     following File.Sync or File.SyncData on the same file returned nil.
//   - FS.OpenFile with O_CREATE, FS.Rename, FS.Remove and FS.Link change a
//     directory at once, and durably only after FS.SyncDir of that directory
//     returned nil.
//   - A failed Sync or SyncData is final for the file: nothing written since the
//     last good one may be assumed durable, whatever a later call returns.
//
// FS and File are safe for concurrent use. Names are slash-separated paths.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// FS is a file system. Errors satisfy errors.Is for fs.ErrNotExist,
// fs.ErrExist and [ErrNoSpace] where they apply.
type FS interface {
	// OpenFile opens name with os.O_* flags. The file is positioned access only.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Remove unlinks a file or an empty directory.
	Remove(name string) error
	// Rename replaces newname by oldname atomically.
	Rename(oldname, newname string) error
	// Link makes newname a second name of oldname.
	Link(oldname, newname string) error
	// MkdirAll makes a directory and its parents.
	MkdirAll(name string, perm fs.FileMode) error
	// ReadDir returns the sorted base names in a directory.
	ReadDir(name string) ([]string, error)
	// ScanDir calls yield with the base names in a directory, in any order and a
	// few at a time, until it returns false: for directories of any size. What is
	// made or removed meanwhile may be seen or not.
	ScanDir(name string, yield func(base string) bool) error
	// Stat describes a file or directory.
	Stat(name string) (Info, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive lock on name, creating it, until the returned
	// Closer is closed or the process dies. While held, another Lock of the
	// same name fails with [ErrLocked], from this process or another.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that an unprivileged writer can still add below name.
	Free(name string) (int64, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes contents and metadata durable.
	Sync() error
	// SyncData makes contents durable, and of the metadata what is needed to
	// read them back (fdatasync).
	SyncData() error
	Truncate(size int64) error
	Size() (int64, error)
}

// Info describes a file.
type Info struct {
	Size    int64
	Dir     bool
	ModTime time.Time
}

var (
	// ErrNoSpace is a write that found no room. It may succeed later.
	ErrNoSpace = errors.New("no space left on device")
	// ErrLocked is a lock that somebody else holds.
	ErrLocked = errors.New("locked by another process")
)

// ReadFile returns the whole of a file that is at most limit bytes long.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, errors.New("read " + name + ": file is larger than expected")
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && !(errors.Is(err, io.EOF) && int64(n) == size) {
		return nil, err
	}
	return b[:n], nil
}

// WriteFile replaces name by data, durably and atomically: temporary file in the
// same directory dir, sync, rename, sync of dir.
func WriteFile(fsys FS, dir, base string, data []byte, perm fs.FileMode) error {
	tmp := dir + "/" + base + ".tmp"
	f, err := fsys.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, dir+"/"+base)
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
