package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"thalweg/internal/vfs"
)

// Hold keeps the files of plans that come to their end meanwhile, until release is
// called: a copy of the log made in between finds the file of every plan that it has.
func (d *Dir) Hold() (release func() error) {
	d.mu.Lock()
	d.holds++
	d.mu.Unlock()
	return func() error {
		d.mu.Lock()
		d.holds--
		var due []string
		if d.holds == 0 {
			due, d.due = d.due, nil
		}
		d.mu.Unlock()
		var all []error
		for _, name := range due {
			all = append(all, d.Remove(name))
		}
		return errors.Join(all...)
	}
}

// held reports whether a removal must wait, and notes it then.
func (d *Dir) held(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holds == 0 {
		return false
	}
	d.due = append(d.due, name)
	return true
}

// Backup copies the files of plans of the directory from, which need not exist, into
// the directory to, durably.
func Backup(fsys vfs.FS, from, to string) error {
	names, err := fsys.ReadDir(from + "/plans")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fsys.MkdirAll(to+"/plans", 0o700)
	}
	for _, name := range names {
		if err == nil {
			err = copyFile(fsys, from+"/plans/"+name, to+"/plans/"+name)
		}
	}
	if err == nil {
		err = errors.Join(fsys.SyncDir(to+"/plans"), fsys.SyncDir(to), fsys.SyncDir(path.Dir(to)))
	}
	if err != nil {
		return failed("copy plans' files", err)
	}
	return nil
}

func copyFile(fsys vfs.FS, from, to string) error {
	in, err := fsys.OpenFile(from, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := fsys.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	buf := make([]byte, chunkBytes)
	for at := int64(0); ; {
		n, err := in.ReadAt(buf, at)
		if n > 0 {
			if _, werr := out.WriteAt(buf[:n], at); werr != nil {
				return errors.Join(werr, out.Close())
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return errors.Join(out.Sync(), out.Close())
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
}
