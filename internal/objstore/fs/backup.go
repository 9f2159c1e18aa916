package fs

import (
	"errors"
	iofs "io/fs"
	"os"

	"thalweg/internal/vfs"
)

// Backup copies the store in the directory from, in use or not, to the directory to,
// which must not be there. Every object is copied as it was at one moment during the
// call; what is put or removed meanwhile is in the copy or not.
func Backup(fsys vfs.FS, from, to string) error {
	c := copier{fs: fsys, buffer: make([]byte, 16*bufferLen)}
	if err := fsys.MkdirAll(to+"/buckets", 0o700); err != nil {
		return failed("copy objects", err)
	}
	names, err := fsys.ReadDir(from + "/buckets")
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if err == nil {
			err = c.bucket(from+"/buckets/"+name, to+"/buckets/"+name)
		}
	}
	if err == nil {
		err = errors.Join(fsys.SyncDir(to+"/buckets"), fsys.SyncDir(to), fsys.SyncDir(parent(to)))
	}
	if err != nil {
		return failed("copy objects", err)
	}
	return nil
}

type copier struct {
	fs     vfs.FS
	buffer []byte
}

// bucket copies a bucket, the file that makes it one first: a bucket that has gone by
// then is none in the copy either.
func (c *copier) bucket(from, to string) error {
	text, err := vfs.ReadFile(c.fs, from+"/"+bucketFile, nearEnd)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	for _, d := range []string{"/objects", "/uploads"} {
		if err == nil {
			err = c.fs.MkdirAll(to+d, 0o700)
		}
	}
	if err == nil {
		err = vfs.WriteFile(c.fs, to, bucketFile, text, 0o600)
	}
	if err != nil {
		return err
	}
	return c.tree(from, to)
}

// tree copies what is in a directory. What has gone meanwhile is left out.
func (c *copier) tree(from, to string) error {
	var err error
	serr := c.fs.ScanDir(from, func(base string) bool {
		if base != bucketFile {
			err = c.entry(from+"/"+base, to+"/"+base)
		}
		return err == nil
	})
	if errors.Is(serr, iofs.ErrNotExist) {
		serr = nil
	}
	if err = errors.Join(err, serr); err != nil {
		return err
	}
	return c.fs.SyncDir(to)
}

func (c *copier) entry(from, to string) error {
	info, err := c.fs.Stat(from)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Dir:
		return c.file(from, to)
	}
	if err := c.fs.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return c.tree(from, to)
}

// file copies a file, which does not change while it is there.
func (c *copier) file(from, to string) error {
	in, err := c.fs.OpenFile(from, os.O_RDONLY, 0)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := in.Size()
	if err != nil {
		return err
	}
	out, err := c.fs.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for off := int64(0); off < size && err == nil; {
		b := c.buffer[:min(int64(len(c.buffer)), size-off)]
		var n int
		if n, err = in.ReadAt(b, off); n == len(b) {
			_, err = out.WriteAt(b, off)
		}
		off += int64(n)
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
