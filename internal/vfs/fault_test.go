package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"thalweg/internal/vfs"
)

func TestRuleSeesEveryCall(t *testing.T) {
	m := vfs.NewMem(1)
	var got []string
	m.Inject(func(op vfs.Op) error {
		got = append(got, op.Kind.String()+" "+op.Name)
		if (op.N == 0) != (op.Kind < vfs.OpCreate) {
			t.Errorf("%v numbered %d", op.Kind, op.N)
		}
		if op.N > 0 && op.N != m.Calls() {
			t.Errorf("%v numbered %d of %d", op.Kind, op.N, m.Calls())
		}
		return nil
	})
	must(t, m.MkdirAll("d", 0o700))
	f := create(t, m, "d/f", "abc")
	_, err := f.ReadAt(make([]byte, 3), 0)
	must(t, err, f.Sync(), f.SyncData(), f.Truncate(1), f.Close())
	f, err = m.OpenFile("d//f", os.O_RDWR|os.O_TRUNC, 0)
	must(t, err)
	_, err = f.Size()
	must(t, err, f.Close(), m.Rename("d/f", "d/g"), m.Link("d/g", "d/h"), m.Remove("d/g"), m.SyncDir("d"))
	_, err = m.ReadDir("d")
	must(t, err)
	_, err = m.Stat("d")
	must(t, err)
	_, err = m.Free("d")
	must(t, err)
	l, err := m.Lock("d/l")
	must(t, err, l.Close())
	want := "mkdir /d|create /d/f|write /d/f|read /d/f|sync /d/f|syncdata /d/f|truncate /d/f|truncate /d/f|" +
		"stat /d/f|rename /d/g|link /d/h|remove /d/g|syncdir /d|readdir /d|stat /d|free /d|lock /d/l"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("rule saw\n%s\nwant\n%s", s, want)
	}
}

func TestRuleCanFailAnyCallAndNothingHappens(t *testing.T) {
	boom := errors.New("boom")
	for kind := vfs.OpOpen; kind <= vfs.OpMkdir; kind++ {
		m := vfs.NewMem(1)
		must(t, m.MkdirAll("/d", 0o700))
		f := create(t, m, "/d/f", "abc")
		before := tree(t, m, "/")
		m.Inject(func(op vfs.Op) error {
			if op.Kind == kind {
				return boom
			}
			return nil
		})
		calls := map[vfs.OpKind]func() error{
			vfs.OpOpen:     func() error { _, err := m.OpenFile("/d/f", os.O_RDONLY, 0); return err },
			vfs.OpRead:     func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
			vfs.OpReadDir:  func() error { _, err := m.ReadDir("/d"); return err },
			vfs.OpStat:     func() error { _, err := m.Stat("/d"); return err },
			vfs.OpLock:     func() error { _, err := m.Lock("/d/l"); return err },
			vfs.OpFree:     func() error { _, err := m.Free("/d"); return err },
			vfs.OpCreate:   func() error { _, err := m.OpenFile("/d/g", os.O_RDWR|os.O_CREATE, 0); return err },
			vfs.OpWrite:    func() error { _, err := f.WriteAt([]byte("z"), 0); return err },
			vfs.OpTruncate: func() error { return f.Truncate(0) },
			vfs.OpSync:     f.Sync,
			vfs.OpSyncData: f.SyncData,
			vfs.OpSyncDir:  func() error { return m.SyncDir("/d") },
			vfs.OpRename:   func() error { return m.Rename("/d/f", "/d/g") },
			vfs.OpLink:     func() error { return m.Link("/d/f", "/d/g") },
			vfs.OpRemove:   func() error { return m.Remove("/d/f") },
			vfs.OpMkdir:    func() error { return m.MkdirAll("/e", 0o700) },
		}
		if err := calls[kind](); err != boom {
			t.Errorf("%v: %v, want the injected error", kind, err)
		}
		m.Inject(nil)
		if got := tree(t, m, "/"); got != before {
			t.Errorf("%v failed and changed %q to %q", kind, before, got)
		}
	}
}

func TestTornWrite(t *testing.T) {
	m := vfs.NewMem(1)
	f := create(t, m, "/f", "")
	m.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			return &vfs.TornWrite{Kept: 2, Err: vfs.ErrNoSpace}
		}
		return nil
	})
	n, err := f.WriteAt([]byte("abcd"), 0)
	if n != 2 || !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("wrote %d, %v; want 2 and no space", n, err)
	}
	m.Inject(nil)
	if b, _ := vfs.ReadFile(m, "/f", 10); string(b) != "ab" {
		t.Errorf("left %q", b)
	}
}

func TestPowerCutStopsEverything(t *testing.T) {
	m := vfs.NewMem(1)
	f := create(t, m, "/f", "a")
	must(t, f.Sync(), m.SyncDir("/"))
	m.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			return &vfs.TornWrite{Kept: 1, Err: vfs.ErrPowerCut}
		}
		return nil
	})
	if _, err := f.WriteAt([]byte("bc"), 0); !errors.Is(err, vfs.ErrPowerCut) {
		t.Errorf("write: %v", err)
	}
	m.Inject(nil)
	_, openErr := m.OpenFile("/f", os.O_RDONLY, 0)
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	for name, err := range map[string]error{
		"open": openErr, "read": readErr, "sync": f.Sync(), "syncdir": m.SyncDir("/"), "remove": m.Remove("/f"),
	} {
		if !errors.Is(err, vfs.ErrPowerCut) {
			t.Errorf("%s after the power cut: %v", name, err)
		}
	}
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wantOutcomes(t, outcomes(t, m, "/f"), "a", "b")
}

func TestCapacity(t *testing.T) {
	m := vfs.NewMem(1)
	m.SetCapacity(3 * 4096)
	f := create(t, m, "/f", strings.Repeat("x", 4096))
	g := create(t, m, "/g", "")
	if free, err := m.Free("/"); err != nil || free != 2*4096 {
		t.Errorf("free %d, %v", free, err)
	}
	n, err := g.WriteAt(make([]byte, 3*4096), 0)
	if n != 2*4096 || !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("wrote %d, %v; want what fits, and no space", n, err)
	}
	if _, err := f.WriteAt([]byte("again"), 0); err != nil {
		t.Errorf("overwrite on a full disk: %v", err)
	}
	must(t, g.Close(), m.Remove("/g"))
	if _, err := f.WriteAt(make([]byte, 4096), 4096); err != nil {
		t.Errorf("write after space came back: %v", err)
	}
	m.SetCapacity(0)
	if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
		t.Errorf("write without limit: %v", err)
	}
}

func TestEphemeralGivesMemoryBack(t *testing.T) {
	m := vfs.NewEphemeral()
	f, err := m.OpenFile("/f", os.O_RDWR|os.O_CREATE, 0)
	must(t, err)
	for range 10 {
		if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Used(); got != 1<<20 {
		t.Errorf("ten overwrites of 1 MiB hold %d bytes", got)
	}
	if _, err := f.WriteAt([]byte{1}, 1<<30); err != nil {
		t.Fatal(err)
	}
	if got := m.Used(); got != 1<<20+4096 {
		t.Errorf("a hole takes memory: %d", got)
	}
	must(t, f.Truncate(5000))
	if got := m.Used(); got != 8192 {
		t.Errorf("after truncate: %d", got)
	}
	must(t, m.Remove("/f"))
	if got := m.Used(); got != 8192 {
		t.Errorf("removed but open: %d", got)
	}
	must(t, f.Close())
	if got := m.Used(); got != 0 {
		t.Errorf("removed and closed: %d", got)
	}
}

func TestAppendFlagIsRefused(t *testing.T) {
	for _, fsys := range []vfs.FS{vfs.OS{}, vfs.NewMem(1)} {
		if _, err := fsys.OpenFile(t.TempDir()+"/f", os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600); err == nil {
			t.Errorf("%T opens with O_APPEND, which positioned writes contradict", fsys)
		}
	}
}

func TestReadFileAndWriteFile(t *testing.T) {
	for _, fsys := range []vfs.FS{vfs.OS{}, vfs.NewMem(1), vfs.NewEphemeral()} {
		dir := t.TempDir()
		must(t, fsys.MkdirAll(dir, 0o700))
		must(t, vfs.WriteFile(fsys, dir, "f", []byte("one"), 0o600), vfs.WriteFile(fsys, dir, "f", []byte("three"), 0o600))
		if b, err := vfs.ReadFile(fsys, dir+"/f", 5); err != nil || string(b) != "three" {
			t.Errorf("%T: %q, %v", fsys, b, err)
		}
		if _, err := vfs.ReadFile(fsys, dir+"/f", 4); err == nil {
			t.Errorf("%T: read more than the limit", fsys)
		}
		if _, err := vfs.ReadFile(fsys, dir+"/g", 4); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%T: %v", fsys, err)
		}
		if names, _ := fsys.ReadDir(dir); len(names) != 1 {
			t.Errorf("%T: left over: %v", fsys, names)
		}
	}
}

// TestWriteFileSurvivesAnyCrash crashes at every call of WriteFile.
func TestWriteFileSurvivesAnyCrash(t *testing.T) {
	for seed := range uint64(100) {
		m := vfs.NewMem(seed)
		must(t, vfs.WriteFile(m, "/", "f", []byte("old"), 0o600))
		var crashes []*vfs.Mem
		m.Inject(func(op vfs.Op) error {
			if op.N > 0 {
				crashes = append(crashes, m.Crash(seed*100+uint64(op.N)))
			}
			return nil
		})
		must(t, vfs.WriteFile(m, "/", "f", []byte("new"), 0o600))
		m.Inject(nil)
		for i, c := range crashes {
			if b, err := vfs.ReadFile(c, "/f", 10); err != nil || string(b) != "old" && string(b) != "new" {
				t.Fatalf("seed %d, crash before call %d: %q, %v", seed, i, b, err)
			}
		}
		if b, err := vfs.ReadFile(m.Crash(seed), "/f", 10); err != nil || string(b) != "new" {
			t.Fatalf("seed %d: returned nil, crash left %q, %v", seed, b, err)
		}
	}
}

func TestMemIsSafeForConcurrentUse(t *testing.T) {
	m := vfs.NewMem(1)
	done := make(chan error)
	for i := range 4 {
		go func() {
			name := string(rune('a' + i%2))
			for range 100 {
				f, err := m.OpenFile(name, os.O_RDWR|os.O_CREATE, 0)
				if err != nil {
					done <- err
					return
				}
				_, werr := f.WriteAt([]byte("abc"), int64(i))
				_, rerr := f.ReadAt(make([]byte, 3), int64(i))
				if rerr == io.EOF {
					rerr = nil
				}
				if err := errors.Join(werr, rerr, f.SyncData(), m.SyncDir("/"), f.Close()); err != nil {
					done <- err
					return
				}
				m.Crash(uint64(i))
			}
			done <- nil
		}()
	}
	for range 4 {
		must(t, <-done)
	}
}
