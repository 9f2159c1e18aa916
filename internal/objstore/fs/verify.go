package fs

import (
	"encoding/json"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"strings"

	"thalweg/internal/vfs"
)

// Report is what Verify has read.
type Report struct {
	// Files are objects and parts of uploads, Bytes what they hold.
	Files int
	Bytes int64
	// Damage names files that are not what was put, by their paths below the store, and
	// says why.
	Damage []string
}

// Verify reads every object of a store that nobody has open, and every part of an upload,
// against their checksums, and each object's name against the key within. A store that is
// not there has none. Errors: those of the file system; damage is none.
func Verify(fsys vfs.FS, dir string) (Report, error) {
	v := verifier{fs: fsys, root: dir + "/buckets"}
	names, err := fsys.ReadDir(v.root)
	if errors.Is(err, iofs.ErrNotExist) {
		return v.Report, nil
	}
	for _, name := range names {
		if err == nil {
			err = v.bucket(v.root + "/" + name)
		}
	}
	if err != nil {
		return v.Report, failed("verify objects", err)
	}
	return v.Report, nil
}

type verifier struct {
	Report
	fs   vfs.FS
	root string
}

func (v *verifier) damaged(name, what string) {
	v.Damage = append(v.Damage, "objects"+strings.TrimPrefix(name, path.Dir(v.root))+": "+what)
}

func (v *verifier) bucket(dir string) error {
	text, err := vfs.ReadFile(v.fs, dir+"/"+bucketFile, nearEnd)
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	if err != nil || json.Unmarshal(text, new(storedBucket)) != nil {
		v.damaged(dir+"/"+bucketFile, "it is not there or cannot be read")
	}
	if err := v.tree(dir+"/objects", ""); err != nil {
		return err
	}
	uploads, err := v.fs.ReadDir(dir + "/uploads")
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	for _, id := range uploads {
		parts, err := v.fs.ReadDir(dir + "/uploads/" + id)
		if err != nil {
			return err
		}
		for _, part := range parts {
			if part == uploadFile {
				continue
			}
			if err := v.file(dir+"/uploads/"+id+"/"+part, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// tree goes over a directory, of keys that begin so.
func (v *verifier) tree(dir, key string) error {
	var err error
	serr := v.fs.ScanDir(dir, func(base string) bool {
		name := dir + "/" + base
		switch e, ok := parseEntry(base); {
		case !ok:
			v.damaged(name, "its name is none of an object")
		case e.isDir():
			err = v.tree(name, key+string(e))
		default:
			err = v.file(name, key+string(e))
		}
		return err == nil
	})
	if errors.Is(serr, iofs.ErrNotExist) {
		serr = nil
	}
	return errors.Join(err, serr)
}

// file reads a file; key is "" for a part.
func (v *verifier) file(name, key string) error {
	f, err := v.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	v.Files++
	o, err := readFile(f)
	if err == nil {
		var n int64
		n, err = io.Copy(io.Discard, o.open(0, o.size))
		v.Bytes += n
	}
	switch {
	case err != nil:
		v.damaged(name, err.Error())
	case key != "" && o.head.Key != key:
		v.damaged(name, "it is the object of another key")
	}
	return nil
}
