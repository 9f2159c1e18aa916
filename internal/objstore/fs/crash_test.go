package fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/objstore"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/objstore/objtest"
	"thalweg/internal/vfs"
)

// history is what a script has done to one key: what it holds when all that was
// answered is there, and what it may hold because a call was not answered.
type history struct {
	now   []byte // nil: no object
	maybe [][]byte
}

// script changes a store until a call fails, and keeps the history of each key.
type script struct {
	store *fs.Store
	keys  map[string]*history
	err   error
}

const crashBucket = "crash"

func (s *script) change(key string, to []byte, call func() error) {
	if s.err != nil {
		return
	}
	h := s.keys[key]
	if h == nil {
		h = &history{}
		s.keys[key] = h
	}
	if s.err = call(); s.err != nil {
		h.maybe = append(h.maybe, to)
		return
	}
	h.now = to
}

func ref(key string) objstore.Ref { return objstore.Ref{Bucket: crashBucket, Key: key} }

func (s *script) put(key string, n int, seed byte) {
	body := objtest.Bytes(n, seed)
	s.change(key, body, func() error {
		_, err := s.store.Put(context.Background(), ref(key), bytes.NewReader(body), objstore.PutOptions{})
		return err
	})
}

func (s *script) remove(key string) {
	s.change(key, nil, func() error { return s.store.Delete(context.Background(), ref(key), objstore.Condition{}) })
}

func (s *script) upload(key string, seed byte) {
	body := objtest.Bytes(150_000, seed)
	s.change(key, body, func() error {
		u, err := s.store.CreateUpload(context.Background(), ref(key), objstore.UploadOptions{})
		if err != nil {
			return err
		}
		p, err := s.store.PutPart(context.Background(), u.UploadRef, 1, bytes.NewReader(body))
		if err != nil {
			return err
		}
		refs := []objstore.PartRef{{Number: 1, ETag: p.ETag}}
		_, err = s.store.CompleteUpload(context.Background(), u.UploadRef, refs, objstore.CompleteOptions{})
		return err
	})
}

func (s *script) run(fsys vfs.FS) {
	if s.store, s.err = openAt(fsys); s.err != nil {
		return
	}
	if err := s.store.CreateBucket(context.Background(), objstore.Bucket{Name: crashBucket}); err != nil {
		s.err = err
		return
	}
	s.put("a", 3000, 1)
	s.put("d/e/f", 100_000, 2)
	s.put("a", 70_000, 3)
	s.put("d/e", 10, 4)
	s.remove("d/e/f")
	s.put("d/e/f", 20, 5)
	s.remove("d/e/f")
	s.remove("d/e")
	s.put("d/x", 1, 6)
	s.upload("m/n", 7)
	s.put("empty", 0, 8)
}

// disk is a file system with a data directory that a crash leaves there.
func disk(t *testing.T, seed uint64) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem(seed)
	if err := errors.Join(m.MkdirAll("/data", 0o700), m.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	return m
}

func openAt(fsys vfs.FS) (*fs.Store, error) {
	return fs.Open(fs.Options{FS: fsys, Dir: "/data/objects", Clock: clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
}

// check opens what a crash has left and compares it with the history.
func (s *script) check(t *testing.T, fsys vfs.FS) {
	t.Helper()
	store, err := openAt(fsys)
	if err != nil {
		t.Fatal("open after the crash:", err)
	}
	if names, err := fsys.ReadDir("/data/objects/tmp"); err != nil || len(names) > 0 {
		t.Fatalf("left in tmp: %q, %v", names, err)
	}
	if _, err := store.HeadBucket(t.Context(), crashBucket); err != nil {
		if len(s.keys) == 0 && errors.Is(err, objstore.ErrNoBucket) {
			return
		}
		t.Fatal(err)
	}
	var there []string
	for key, h := range s.keys {
		got, err := whole(store, key)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if !same(got, h.now) && !slices.ContainsFunc(h.maybe, func(b []byte) bool { return same(b, got) }) {
			t.Fatalf("%s holds %d bytes (nil: %v), was left with %d (nil: %v)", key, len(got), got == nil, len(h.now), h.now == nil)
		}
		if got != nil {
			there = append(there, key)
		}
	}
	page, err := store.List(t.Context(), crashBucket, objstore.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, i := range page.Objects {
		listed = append(listed, i.Key)
	}
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Fatalf("listed %q, there are %q", listed, there)
	}
	uploads, err := store.ListUploads(t.Context(), crashBucket, objstore.ListUploadsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uploads.Uploads {
		if err := store.AbortUpload(t.Context(), u.UploadRef); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Put(t.Context(), ref("after/crash"), bytes.NewReader([]byte("x")), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range append(there, "after/crash") {
		if err := store.Delete(t.Context(), ref(key), objstore.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.DeleteBucket(t.Context(), crashBucket); err != nil {
		t.Fatal(err)
	}
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// whole reads an object; nil if there is none.
func whole(store *fs.Store, key string) ([]byte, error) {
	o, err := store.Get(context.Background(), ref(key), nil)
	if errors.Is(err, objstore.ErrNoKey) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer o.Body.Close()
	b, err := io.ReadAll(o.Body)
	return append([]byte{}, b...), err
}

// A power cut or a kill at every call that changes something leaves every answered
// change, and of the one under way all or nothing.
func TestCrashAtEveryCall(t *testing.T) {
	m := disk(t, 1)
	whole := script{keys: map[string]*history{}}
	if whole.run(m); whole.err != nil {
		t.Fatal(whole.err)
	}
	calls := m.Calls()
	points := 0
	for n := 1; n <= calls; n++ {
		m := disk(t, uint64(n))
		m.Inject(func(op vfs.Op) error {
			if op.N == n {
				return vfs.ErrPowerCut
			}
			return nil
		})
		s := script{keys: map[string]*history{}}
		s.run(m)
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("call %d seed %d", n, seed), func(t *testing.T) { s.check(t, m.Crash(seed)) })
			points++
		}
		t.Run(fmt.Sprintf("call %d kill", n), func(t *testing.T) { s.check(t, m.Kill()) })
		points++
	}
	t.Logf("%d crash points", points)
	if points < 400 {
		t.Errorf("only %d crash points", points)
	}
}

// The same without syncs must lose something, or the test above sees nothing.
func TestCrashWithoutSyncLoses(t *testing.T) {
	m := disk(t, 1)
	m.SetNoSync(true)
	s := script{keys: map[string]*history{}}
	if s.run(m); s.err != nil {
		t.Fatal(s.err)
	}
	for seed := range uint64(100) {
		store, err := openAt(m.Crash(seed))
		if err != nil {
			return
		}
		for key, h := range s.keys {
			if got, err := whole(store, key); err != nil || !same(got, h.now) {
				return
			}
		}
	}
	t.Fatal("nothing is lost without syncs")
}

// A call that fails leaves the old object or the new one, and the store goes on.
func TestEveryCallFails(t *testing.T) {
	m := disk(t, 1)
	all := script{keys: map[string]*history{}}
	if all.run(m); all.err != nil {
		t.Fatal(all.err)
	}
	broken := errors.New("input/output error")
	for n := 1; n <= m.Calls(); n++ {
		t.Run(fmt.Sprintf("call %d", n), func(t *testing.T) {
			m := disk(t, uint64(n))
			m.Inject(func(op vfs.Op) error {
				if op.N == n {
					return broken
				}
				return nil
			})
			s := script{keys: map[string]*history{}}
			s.run(m)
			if s.err != nil && !errors.Is(s.err, broken) {
				t.Fatal(s.err)
			}
			s.check(t, m.Crash(uint64(n)))
		})
	}
}

// A full disk refuses, keeps what is there, and goes on when there is room.
func TestFullDisk(t *testing.T) {
	m := disk(t, 1)
	store, err := openAt(m)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, body []byte) error {
		_, err := store.Put(t.Context(), ref(key), bytes.NewReader(body), objstore.PutOptions{})
		return err
	}
	if err := store.CreateBucket(t.Context(), objstore.Bucket{Name: crashBucket}); err != nil {
		t.Fatal(err)
	}
	old, large := objtest.Bytes(50_000, 1), objtest.Bytes(1<<20, 2)
	if err := put("k", old); err != nil {
		t.Fatal(err)
	}
	m.SetCapacity(m.Used() + 100_000)
	if err := put("k", large); errs.KindOf(err) != errs.NoSpace {
		t.Fatal(err)
	}
	if got, err := whole(store, "k"); err != nil || !bytes.Equal(got, old) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if err := put("small", old[:1000]); err != nil {
		t.Fatal("there is room for it:", err)
	}
	m.SetCapacity(0)
	if err := put("k", large); err != nil {
		t.Fatal(err)
	}
	if got, err := whole(store, "k"); err != nil || !bytes.Equal(got, large) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// The bound on bytes counts what others have, is kept across a start, and gives room
// back.
func TestMaxBytes(t *testing.T) {
	m := disk(t, 1)
	var others int64
	open := func() *fs.Store {
		s, err := fs.Open(fs.Options{FS: m, Dir: "/data/objects", Clock: clock.NewManual(time.Unix(1e9, 0)), MaxBytes: 1 << 20,
			Others: func() int64 { return others }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	store := open()
	put := func(key string, n int) error {
		_, err := store.Put(t.Context(), ref(key), bytes.NewReader(objtest.Bytes(n, 1)), objstore.PutOptions{})
		return err
	}
	if err := store.CreateBucket(t.Context(), objstore.Bucket{Name: crashBucket}); err != nil {
		t.Fatal(err)
	}
	for range 5 { // replaced, not added
		if err := put("a", 400_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("b", 700_000); errs.KindOf(err) != errs.NoSpace {
		t.Fatal(err)
	}
	used := store.Used()
	store = open()
	if diff := store.Used() - used; diff < 0 || diff > 1000 { // and the bucket's own file
		t.Fatalf("%d bytes, %d after a start", used, store.Used())
	}
	if err := put("b", 700_000); errs.KindOf(err) != errs.NoSpace {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), ref("a"), objstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := put("b", 700_000); err != nil {
		t.Fatal(err)
	}
	others = 400_000
	if err := put("c", 100_000); errs.KindOf(err) != errs.NoSpace {
		t.Fatal(err)
	}
}
