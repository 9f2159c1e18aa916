package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"

	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

// Backup writes a copy of the log as it is at one moment during the call to
// destDir of fsys, which must be empty or absent. It holds everything
// acknowledged before the call. Everything goes on meanwhile, but no segment is
// removed. An interrupted backup has no FORMAT file and opens as nothing.
func (l *Log) Backup(ctx context.Context, fsys vfs.FS, destDir string) error {
	if err := emptyDir(fsys, destDir); err != nil {
		return err
	}
	files, manifest, err := l.beginBackup()
	if err != nil {
		return errs.Wrap(kindOf(err), "back up log", err)
	}
	defer l.endBackup()
	dest := layout{destDir}
	if err := makeDirs(fsys, dest); err != nil {
		return errs.Wrap(kindOf(err), "back up log", err)
	}
	c := copier{ctx: ctx, from: l.o.FS, to: fsys}
	for _, f := range files {
		c.copy(l.layout.segFile(f.id, f.kind), dest.segFile(f.id, f.kind), f.size)
	}
	if c.err == nil {
		c.err = vfs.WriteFile(fsys, destDir, manifestName, manifest, 0o644)
	}
	return c.finish(l.layout, dest)
}

// backupFile is a segment or pack, up to what the manifest names.
type backupFile struct {
	id uint64
	fileInfo
}

// beginBackup puts the state of one LSN into segments and manifest alone, and
// keeps them from going away. Segments only grow behind what it returns.
func (l *Log) beginBackup() (files []backupFile, manifest []byte, err error) {
	l.stepMu.Lock()
	defer l.stepMu.Unlock()
	if err := l.mayMaintain(); err != nil {
		return nil, nil, err
	}
	if err := l.maintained(l.checkpoint(true)); err != nil {
		return nil, nil, err
	}
	if manifest, err = vfs.ReadFile(l.o.FS, l.layout.manifest(), math.MaxInt64); err != nil {
		return nil, nil, err
	}
	for id, fi := range l.m.files {
		if id != l.m.making { // which the manifest does not name
			files = append(files, backupFile{id, fi})
		}
	}
	slices.SortFunc(files, func(a, b backupFile) int { return cmp.Compare(a.id, b.id) })
	l.m.backups++
	return files, manifest, nil
}

func (l *Log) endBackup() {
	l.stepMu.Lock()
	defer l.stepMu.Unlock()
	l.m.backups--
	l.m.reclaim.Store(true)
	l.wakeMaintenance()
}

// Restore copies a backup to destDir, which must be empty or absent, after
// checking that it is whole, with keys as [Verify] does. The copy is opened like
// any data directory.
func Restore(fsys vfs.FS, backupDir, destDir string, keys Keys) error {
	report, err := Verify(fsys, backupDir, keys)
	if err != nil {
		return err
	}
	if !report.OK() {
		return corrupt("restore "+backupDir, fmt.Sprintf("backup is damaged in %d places, first: %v", len(report.Damage), report.Damage[0]), nil)
	}
	if err := emptyDir(fsys, destDir); err != nil {
		return err
	}
	from, to := layout{backupDir}, layout{destDir}
	if err := makeDirs(fsys, to); err != nil {
		return errs.Wrap(kindOf(err), "restore", err)
	}
	c := copier{ctx: context.Background(), from: fsys, to: fsys}
	for _, dir := range [][2]string{{from.seg(), to.seg()}, {from.wal(), to.wal()}} {
		names, err := fsys.ReadDir(dir[0])
		if err != nil {
			return errs.Wrap(errs.Internal, "restore", err)
		}
		for _, name := range names {
			c.copy(path.Join(dir[0], name), path.Join(dir[1], name), -1)
		}
	}
	c.copy(from.manifest(), to.manifest(), -1)
	return c.finish(from, to)
}

// emptyDir refuses a directory with something in it.
func emptyDir(fsys vfs.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errs.Wrap(errs.Internal, "read "+dir, err)
	}
	if len(names) > 0 {
		return &errs.Error{Kind: errs.Exists, Op: "write " + dir, Msg: "directory is not empty", Hint: "name one that is empty or does not exist"}
	}
	return nil
}

// copier copies files and keeps the first error.
type copier struct {
	ctx      context.Context
	from, to vfs.FS
	err      error
}

// copy copies the first size bytes of src, or all of it if size < 0, and syncs
// them.
func (c *copier) copy(src, dst string, size int64) {
	if c.err != nil {
		return
	}
	if c.err = c.copyFile(src, dst, size); c.err != nil {
		c.err = fmt.Errorf("copy %s: %w", src, c.err)
	}
}

func (c *copier) copyFile(src, dst string, size int64) (err error) {
	in, err := c.from.OpenFile(src, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if size < 0 {
		if size, err = in.Size(); err != nil {
			return err
		}
	}
	out, err := c.to.OpenFile(dst, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buf := make([]byte, min(max(size, 1), 1<<20))
	for at := int64(0); at < size; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := in.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if _, err := out.WriteAt(buf[:n], at); err != nil {
			return err
		}
		at += int64(n)
	}
	return out.Sync()
}

// finish makes the names durable and writes FORMAT last.
func (c *copier) finish(from, to layout) error {
	for _, dir := range []string{to.wal(), to.seg(), to.dir} {
		if c.err == nil {
			c.err = c.to.SyncDir(dir)
		}
	}
	if c.err == nil {
		var b []byte
		if b, c.err = vfs.ReadFile(c.from, from.format(), 1<<16); c.err == nil {
			c.err = vfs.WriteFile(c.to, to.dir, path.Base(to.format()), b, 0o644)
		}
	}
	if c.err != nil {
		return errs.Wrap(kindOf(c.err), "write "+to.dir, c.err)
	}
	return nil
}
