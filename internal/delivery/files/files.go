// Package files keeps what deliveries set aside, in a directory of its own.
//
//	DIR/plans/NAME   the file of a plan
//	DIR/tmp/N        a file in the making, or a scratch file; removed at a start
//
// Every file is stored encrypted, a plan's under a key of this installation, all others
// under one that is forgotten with the process:
//
//	file  = salt (16 bytes) chunk*
//	chunk = up to 64 KiB of content, sealed: AES-256-GCM, its tag behind it
//
// The nonce of a chunk is its number, big-endian; the key of a file comes from the
// directory's and the salt, so that no two chunks have the same of both. The last chunk
// is the one that is shorter than 64 KiB, if need be empty, so a file that was cut
// short is found out. A file that does not open is damage.
//
// A Dir is safe for concurrent use, its files are not.
package files

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"sync"
	"sync/atomic"

	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

// Dir is an open directory.
type Dir struct {
	fs   vfs.FS
	dir  string
	key  [32]byte
	own  [32]byte // of files that do not outlive the process
	next atomic.Uint64

	mu    sync.Mutex
	holds int      // guarded by mu
	due   []string // files to remove when nothing holds them; guarded by mu
}

var _ delivery.Files = (*Dir)(nil)

// Open opens a directory, which it makes if it is not there, and removes what an
// earlier process left unfinished.
func Open(fsys vfs.FS, dir string, key [32]byte) (*Dir, error) {
	d := &Dir{fs: fsys, dir: dir, key: key}
	_, _ = rand.Read(d.own[:]) // never fails
	for _, sub := range []string{d.plans(), d.tmp()} {
		if err := fsys.MkdirAll(sub, 0o700); err != nil {
			return nil, failed("open directory for deliveries", err)
		}
	}
	for _, d := range []string{path.Dir(dir), dir} {
		if err := fsys.SyncDir(d); err != nil {
			return nil, failed("open directory for deliveries", err)
		}
	}
	left, err := fsys.ReadDir(d.tmp())
	if err != nil {
		return nil, failed("clean directory for deliveries", err)
	}
	for _, name := range left {
		if err := fsys.Remove(d.tmp() + "/" + name); err != nil {
			return nil, failed("clean directory for deliveries", err)
		}
	}
	return d, nil
}

func (d *Dir) plans() string { return d.dir + "/plans" }
func (d *Dir) tmp() string   { return d.dir + "/tmp" }

func failed(op string, err error) error {
	kind := errs.KindOf(err)
	if errors.Is(err, vfs.ErrNoSpace) {
		kind = errs.NoSpace
	}
	return errs.Wrap(kind, op, err)
}

// begin makes a file without a name yet.
func (d *Dir) begin(key [32]byte) (*file, error) {
	name := d.tmp() + "/" + strconv.FormatUint(d.next.Add(1), 10)
	f, err := d.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, failed("make file for a delivery", err)
	}
	s, err := newFile(f, key)
	if err != nil {
		_ = f.Close()
		_ = d.fs.Remove(name)
		return nil, err
	}
	s.dir, s.name = d, name
	return s, nil
}

// Create implements [delivery.Files].
func (d *Dir) Create(name string) (delivery.File, error) {
	f, err := d.begin(d.key)
	if err != nil {
		return nil, err
	}
	return &plan{file: f, to: d.plans() + "/" + name}, nil
}

// Open implements [delivery.Files].
func (d *Dir) Open(name string) (io.ReadSeekCloser, error) {
	f, err := d.fs.OpenFile(d.plans()+"/"+name, os.O_RDONLY, 0)
	if err != nil {
		return nil, failed("open a plan's file", err)
	}
	s, err := openFile(f, d.key)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// Remove implements [delivery.Files].
func (d *Dir) Remove(name string) error {
	if d.held(name) {
		return nil
	}
	if err := d.fs.Remove(d.plans() + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove a plan's file", err)
	}
	return nil
}

// List implements [delivery.Files].
func (d *Dir) List() ([]string, error) {
	names, err := d.fs.ReadDir(d.plans())
	if err != nil {
		return nil, failed("list plans' files", err)
	}
	return names, nil
}

// Scratch implements [delivery.Files].
func (d *Dir) Scratch() (dest.Scratch, error) {
	f, err := d.begin(d.own)
	if err != nil {
		return nil, err
	}
	// Its name is not needed, and without it a crash leaves nothing.
	if err := d.fs.Remove(f.name); err != nil {
		_ = f.Close()
		return nil, failed("make scratch file", err)
	}
	return f, nil
}

// plan is the file of a plan in the making.
type plan struct {
	*file
	to string
}

// Commit implements [delivery.File].
func (p *plan) Commit() error {
	err := p.end()
	if err == nil {
		err = p.f.Sync()
	}
	if err = errors.Join(err, p.f.Close()); err != nil {
		_ = p.dir.fs.Remove(p.name) // it is removed at the next start at the latest
		return failed("write a plan's file", err)
	}
	if err := p.dir.fs.Rename(p.name, p.to); err != nil {
		return failed("write a plan's file", err)
	}
	if err := p.dir.fs.SyncDir(p.dir.plans()); err != nil {
		return failed("write a plan's file", err)
	}
	return nil
}

// Abort implements [delivery.File].
func (p *plan) Abort() {
	_ = p.f.Close()
	_ = p.dir.fs.Remove(p.name) // it is removed at the next start at the latest
}
