package vfs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"thalweg/internal/vfs"
)

func TestLockNamesTheHolder(t *testing.T) {
	for _, fsys := range []vfs.FS{vfs.OS{}, vfs.NewMem(1)} {
		dir := t.TempDir()
		must(t, fsys.MkdirAll(dir, 0o700))
		name := filepath.Join(dir, "LOCK")
		l, err := fsys.Lock(name)
		must(t, err)
		_, err = fsys.Lock(name)
		if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
			t.Errorf("%T: second lock: %v", fsys, err)
		}
		must(t, l.Close())
		l, err = fsys.Lock(name)
		must(t, err)
		must(t, l.Close())
	}
}

// TestLockAcrossProcesses runs this test binary again as the holder.
func TestLockAcrossProcesses(t *testing.T) {
	if name := os.Getenv("VFS_TEST_HOLD"); name != "" {
		_, err := vfs.OS{}.Lock(name)
		must(t, err)
		fmt.Println("held")
		os.Stdin.Read(make([]byte, 1)) // until the parent kills us
		return
	}
	name := filepath.Join(t.TempDir(), "LOCK")
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockAcrossProcesses$")
	cmd.Env = append(os.Environ(), "VFS_TEST_HOLD="+name)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	must(t, err, cmd.Start())
	if _, err := stdout.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	_, err = vfs.OS{}.Lock(name)
	if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", cmd.Process.Pid)) {
		t.Errorf("lock held by process %d: %v", cmd.Process.Pid, err)
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()
	l, err := vfs.OS{}.Lock(name)
	must(t, err) // a killed holder holds nothing
	must(t, l.Close())
}

func TestLockFileWithoutPID(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	l, err := vfs.OS{}.Lock(name)
	must(t, err, os.Truncate(name, 0))
	defer l.Close()
	if _, err := (vfs.OS{}).Lock(name); !errors.Is(err, vfs.ErrLocked) || strings.Contains(err.Error(), "pid") {
		t.Errorf("lock: %v", err)
	}
}

func TestFullDiskIsNoSpace(t *testing.T) {
	f, err := vfs.OS{}.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("x"), 0)
	if !errors.Is(err, vfs.ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write to a full device: %v", err)
	}
	var pe *os.PathError
	if !errors.As(err, &pe) || pe.Path != "/dev/full" {
		t.Errorf("the error does not name the file: %v", err)
	}
}

func TestOSSyncs(t *testing.T) {
	dir := t.TempDir()
	f, err := vfs.OS{}.OpenFile(dir+"/f", os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err, f.Sync(), f.SyncData(), vfs.OS{}.SyncDir(dir))
	if err := (vfs.OS{}).SyncDir(dir + "/f"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("SyncDir of a file: %v", err)
	}
	must(t, f.Close())
	if err := f.SyncData(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("SyncData after Close: %v", err)
	}
	if free, err := (vfs.OS{}).Free(dir); err != nil || free <= 0 {
		t.Errorf("free %d, %v", free, err)
	}
	if _, err := (vfs.OS{}).Free(dir + "/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("free of nothing: %v", err)
	}
}
