package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// OS is the real file system.
type OS struct{}

// OpenFile implements [FS].
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if flag&os.O_APPEND != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EINVAL}
	}
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, osError(err)
	}
	return osFile{f}, nil
}

// Remove implements [FS].
func (OS) Remove(name string) error { return osError(os.Remove(name)) }

// Rename implements [FS].
func (OS) Rename(oldname, newname string) error { return osError(os.Rename(oldname, newname)) }

// Link implements [FS].
func (OS) Link(oldname, newname string) error { return osError(os.Link(oldname, newname)) }

// MkdirAll implements [FS].
func (OS) MkdirAll(name string, perm fs.FileMode) error { return osError(os.MkdirAll(name, perm)) }

// ReadDir implements [FS].
func (OS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, osError(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// scanned is how many names ScanDir reads at a time.
const scanned = 256

// ScanDir implements [FS].
func (OS) ScanDir(name string, yield func(base string) bool) error {
	d, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return osError(err)
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(scanned)
		for _, base := range names {
			if !yield(base) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return osError(err)
		}
	}
}

// Stat implements [FS].
func (OS) Stat(name string) (Info, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return Info{}, osError(err)
	}
	if fi.IsDir() {
		return Info{Dir: true, ModTime: fi.ModTime()}, nil
	}
	return Info{Size: fi.Size(), ModTime: fi.ModTime()}, nil
}

// SyncDir implements [FS].
func (OS) SyncDir(name string) error {
	d, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return osError(err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return osError(err)
}

// Lock implements [FS] by flock. The file holds the process id of its holder.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, osError(err)
	}
	err = onFD(f, "flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = lockedError(name, f)
	} else if err == nil {
		err = f.Truncate(0)
		if err == nil {
			_, err = f.WriteAt(lockText(), 0)
		}
	}
	if err != nil {
		f.Close()
		return nil, osError(err)
	}
	return f, nil
}

// Free implements [FS].
func (OS) Free(name string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(name, &st)
		if err == nil {
			return int64(st.Bavail) * st.Bsize, nil
		}
		if err != unix.EINTR {
			return 0, &fs.PathError{Op: "statfs", Path: name, Err: err}
		}
	}
}

func lockText() []byte { return strconv.AppendInt(nil, int64(os.Getpid()), 10) }

// lockedError names the process id that the lock file holds, if it does.
func lockedError(name string, f io.ReaderAt) error {
	var b [20]byte
	n, _ := f.ReadAt(b[:], 0)
	if pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:n]))); err == nil && pid > 0 {
		return fmt.Errorf("lock %s: %w (pid %d)", name, ErrLocked, pid)
	}
	return fmt.Errorf("lock %s: %w", name, ErrLocked)
}

// onFD runs call on f's descriptor, again when a signal interrupts it.
func onFD(f *os.File, op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return &fs.PathError{Op: op, Path: f.Name(), Err: err}
	}
	var result error
	err = conn.Control(func(fd uintptr) {
		for result = call(int(fd)); result == unix.EINTR; {
			result = call(int(fd))
		}
	})
	if err != nil {
		result = fs.ErrClosed // the only reason that Control gives
	}
	if result != nil {
		return &fs.PathError{Op: op, Path: f.Name(), Err: result}
	}
	return nil
}

type osFile struct{ f *os.File }

func (f osFile) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(p, off)
	return n, osError(err)
}

func (f osFile) Close() error              { return osError(f.f.Close()) }
func (f osFile) Sync() error               { return osError(f.f.Sync()) }
func (f osFile) SyncData() error           { return osError(onFD(f.f, "fdatasync", unix.Fdatasync)) }
func (f osFile) Truncate(size int64) error { return osError(f.f.Truncate(size)) }

func (f osFile) Size() (int64, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// osError makes a full disk or an exhausted quota recognisable as ErrNoSpace.
func osError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return noSpace{err}
	}
	return err
}

// noSpace is a file system's own error that is also [ErrNoSpace].
type noSpace struct{ error }

func (e noSpace) Is(target error) bool { return target == ErrNoSpace }
func (e noSpace) Unwrap() error        { return e.error }
