// Package objtest is the suite that every object store passes.
//
// [Run] checks, on a store that it fills itself, what package objstore promises of
// one: each promise is a subtest, in buckets of its own.
package objtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"thalweg/internal/objstore"
)

// Harness is the store under test, and what it does not do.
type Harness struct {
	Store objstore.Store
	// Prefix begins the names of the buckets, for stores that others use too.
	Prefix string
}

type suite struct {
	*testing.T
	objstore.Store
	bucket string
}

type test struct {
	name string
	run  func(*suite)
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	n := 0
	for _, group := range [][]test{bucketTests, objectTests, listTests, uploadTests} {
		for _, tc := range group {
			n++
			name := fmt.Sprintf("%sb%03d", h.Prefix, n)
			t.Run(tc.name, func(t *testing.T) {
				s := &suite{T: t, Store: h.Store, bucket: name}
				s.must(s.CreateBucket(t.Context(), objstore.Bucket{Name: name, Owner: "111122223333", Region: "eu-west-1"}))
				tc.run(s)
			})
		}
	}
}

func (s *suite) ctx() context.Context { return s.Context() }

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) wants(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("error %v, want %v", err, want)
	}
}

func (s *suite) at(key string) objstore.Ref { return objstore.Ref{Bucket: s.bucket, Key: key} }

func (s *suite) put(key, body string) objstore.Info {
	s.Helper()
	i, err := s.Put(s.ctx(), s.at(key), strings.NewReader(body), objstore.PutOptions{})
	s.must(err)
	return i
}

func (s *suite) read(key string, r objstore.Range) (string, error) {
	o, err := s.Get(s.ctx(), s.at(key), func(objstore.Info) (objstore.Range, error) { return r, nil })
	if err != nil {
		return "", err
	}
	defer o.Body.Close()
	b, err := io.ReadAll(o.Body)
	return string(b), err
}

func (s *suite) wantBody(key, want string) {
	s.Helper()
	got, err := s.read(key, objstore.Range{})
	s.must(err)
	if got != want {
		s.Fatalf("%q holds %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(want), want)
	}
}

func (s *suite) same(got, want any) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Fatal(diff)
	}
}

// Bytes returns n bytes that follow from seed.
func Bytes(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

var bucketTests = []test{
	{"a bucket is there until it is deleted", func(s *suite) {
		b, err := s.HeadBucket(s.ctx(), s.bucket)
		s.must(err)
		if b.Name != s.bucket || b.Region != "eu-west-1" {
			s.Fatalf("%+v", b)
		}
		all, err := s.ListBuckets(s.ctx())
		s.must(err)
		found := false
		for i, b := range all {
			found = found || b.Name == s.bucket && !b.Created.IsZero()
			if i > 0 && all[i-1].Name >= b.Name {
				s.Fatalf("%s is listed before %s", all[i-1].Name, b.Name)
			}
		}
		if !found {
			s.Fatal("the bucket is not listed")
		}
		s.wants(s.CreateBucket(s.ctx(), objstore.Bucket{Name: s.bucket}), objstore.ErrBucketExists)
		s.must(s.DeleteBucket(s.ctx(), s.bucket))
		s.wants(s.DeleteBucket(s.ctx(), s.bucket), objstore.ErrNoBucket)
		_, err = s.HeadBucket(s.ctx(), s.bucket)
		s.wants(err, objstore.ErrNoBucket)
		s.must(s.CreateBucket(s.ctx(), objstore.Bucket{Name: s.bucket, Region: "eu-west-1"}))
	}},
	{"a bucket with an object stays", func(s *suite) {
		s.put("a/b/c", "x")
		s.wants(s.DeleteBucket(s.ctx(), s.bucket), objstore.ErrBucketNotEmpty)
		s.wantBody("a/b/c", "x")
		s.must(s.Delete(s.ctx(), s.at("a/b/c"), objstore.Condition{}))
		s.must(s.DeleteBucket(s.ctx(), s.bucket))
		s.must(s.CreateBucket(s.ctx(), objstore.Bucket{Name: s.bucket, Region: "eu-west-1", Owner: "111122223333"}))
		s.put("a/b/c", "y")
		s.wantBody("a/b/c", "y")
	}},
	{"nothing is found in a bucket that is not there", func(s *suite) {
		none := objstore.Ref{Bucket: s.bucket + "-none", Key: "k"}
		_, err := s.Put(s.ctx(), none, strings.NewReader("x"), objstore.PutOptions{})
		s.wants(err, objstore.ErrNoBucket)
		_, err = s.Get(s.ctx(), none, nil)
		s.wants(err, objstore.ErrNoBucket)
		s.wants(s.Delete(s.ctx(), none, objstore.Condition{}), objstore.ErrNoBucket)
		_, err = s.List(s.ctx(), none.Bucket, objstore.ListOptions{})
		s.wants(err, objstore.ErrNoBucket)
		_, err = s.CreateUpload(s.ctx(), none, objstore.UploadOptions{})
		s.wants(err, objstore.ErrNoBucket)
	}},
	{"names that break the rules are refused", func(s *suite) {
		for _, name := range []string{"", "ab", "Abc", "a..b", "-ab", "ab-", "a_b", "1.2.3.4", strings.Repeat("a", 64), "../../x"} {
			s.wants(s.CreateBucket(s.ctx(), objstore.Bucket{Name: name}), objstore.ErrBucketName)
		}
	}},
}

// oddKeys are keys that meet on file systems and in URLs.
var oddKeys = []string{
	"a", "A", "a/", "a/b", "a//b", "a/b/", "/", "//", "/a", ".", "..", "../a", "a/../b", "./a", "a/.", "a.", ".a", "a=", "a+", "a%", "a%2F",
	"a%2Fb", "a b", " a", "a ", "a+b", "a\\b", "a:b", "a*?\"<>|b", "\x01", "\x7f", "a\nb", "a\u00e9", "ae\u0301", "\u65e5\u672c/\u8a9e",
	"\U0001f600", "con", "nul", "aux.txt", "bucket", "upload", "%", "&<>'\"",
	strings.Repeat("x", 79), strings.Repeat("x", 80), strings.Repeat("x", 80) + "/", strings.Repeat("x", 80) + "/y", strings.Repeat("x", 81),
	strings.Repeat("x", 80) + "-", strings.Repeat("x", 80) + "0",
	strings.Repeat("x", 160), strings.Repeat("x", 255), strings.Repeat("x", 1024), strings.Repeat("\u00e9", 512), strings.Repeat("A", 1024),
	strings.Repeat("/", 1024), strings.Repeat("a/", 512), strings.Repeat("A/", 512),
}

var objectTests = []test{
	{"what is put is got", func(s *suite) {
		for _, n := range []int{0, 1, 1000, 1 << 16, 1<<16 + 1, 1 << 20, 1<<20 + 1, 3<<20 - 1} {
			body := string(Bytes(n, byte(n)))
			i := s.put("k", body)
			if i.Key != "k" || i.Size != int64(n) || len(i.ETag) != 32 || i.Modified.IsZero() {
				s.Fatalf("%+v", i)
			}
			s.wantBody("k", body)
			h, err := s.Head(s.ctx(), s.at("k"))
			s.must(err)
			if h.Size != i.Size || h.ETag != i.ETag {
				s.Fatalf("head says %+v, put said %+v", h, i)
			}
		}
	}},
	{"the tag is the MD5", func(s *suite) {
		if i := s.put("k", "hello"); i.ETag != "5d41402abc4b2a76b9719d911017c592" {
			s.Fatal(i.ETag)
		}
	}},
	{"headers are kept", func(s *suite) {
		h := objstore.Headers{ContentType: "text/plain", ContentEncoding: "gzip", ContentDisposition: "inline", ContentLanguage: "de",
			CacheControl: "no-store", User: map[string]string{"some-thing": "value", "b": "1"}}
		_, err := s.Put(s.ctx(), s.at("k"), strings.NewReader("x"), objstore.PutOptions{Headers: h})
		s.must(err)
		i, err := s.Head(s.ctx(), s.at("k"))
		s.must(err)
		s.same(i.Headers, h)
		_, err = s.Copy(s.ctx(), s.at("k"), s.at("copy"), objstore.CopyOptions{})
		s.must(err)
		i, err = s.Head(s.ctx(), s.at("copy"))
		s.must(err)
		s.same(i.Headers, h)
		h = objstore.Headers{ContentType: "text/html", User: map[string]string{"c": "2"}}
		_, err = s.Copy(s.ctx(), s.at("k"), s.at("k"), objstore.CopyOptions{Replace: &h})
		s.must(err)
		i, err = s.Head(s.ctx(), s.at("k"))
		s.must(err)
		s.same(i.Headers, h)
		s.wantBody("k", "x")
	}},
	{"checksums are computed", func(s *suite) {
		for a, want := range map[objstore.Algorithm]string{
			objstore.CRC32: "DUoRhQ==", objstore.CRC32C: "yZRlqg==", objstore.CRC64NVME: "jSnVw/bqjr4=",
			objstore.SHA1: "Kq5sNclPz7QV2+lfQIuc6R7oRu0=", objstore.SHA256: "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
		} {
			i, err := s.Put(s.ctx(), s.at("k"), strings.NewReader("hello world"), objstore.PutOptions{Algorithm: a})
			s.must(err)
			s.same(i.Checksum, objstore.Checksum{Algorithm: a, Value: want})
			i, err = s.Head(s.ctx(), s.at("k"))
			s.must(err)
			s.same(i.Checksum, objstore.Checksum{Algorithm: a, Value: want})
		}
	}},
	{"a range is got", func(s *suite) {
		body := string(Bytes(2<<20+77, 3))
		s.put("k", body)
		for _, r := range [][2]int64{{0, 1}, {0, 100}, {100, 1}, {1<<20 - 1, 2}, {1 << 20, 1}, {1<<20 + 5, 1 << 20}, {2<<20 + 76, 1},
			{2 << 20, 1000}, {5, 0}, {65535, 2}, {65536, 65536}} {
			off, n := r[0], r[1]
			got, err := s.read("k", objstore.Range{Off: off, Len: n})
			s.must(err)
			if n == 0 {
				n = int64(len(body))
			}
			if want := body[off:min(off+n, int64(len(body)))]; got != want {
				s.Fatalf("range %v gave %d bytes, want %d", r, len(got), len(want))
			}
		}
	}},
	{"the pick sees the object and can refuse", func(s *suite) {
		s.put("k", "x")
		_, err := s.Get(s.ctx(), s.at("k"), func(i objstore.Info) (objstore.Range, error) {
			if i.Size != 1 {
				s.Errorf("%+v", i)
			}
			return objstore.Range{}, objstore.ErrPrecondition
		})
		s.wants(err, objstore.ErrPrecondition)
	}},
	{"a body that breaks off stores nothing", func(s *suite) {
		s.put("k", "old")
		for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("broken")} {
			body := io.MultiReader(bytes.NewReader(Bytes(200_000, 1)), failing{broken})
			_, err := s.Put(s.ctx(), s.at("k"), body, objstore.PutOptions{})
			s.wants(err, broken)
			s.wantBody("k", "old")
		}
	}},
	{"a condition holds or nothing changes", func(s *suite) {
		try := func(body string, c objstore.Condition) error {
			_, err := s.Put(s.ctx(), s.at("k"), strings.NewReader(body), objstore.PutOptions{If: c})
			return err
		}
		s.wants(try("x", objstore.Condition{ETag: "5d41402abc4b2a76b9719d911017c592"}), objstore.ErrNoKey)
		s.must(try("one", objstore.Condition{Absent: true}))
		s.wants(try("two", objstore.Condition{Absent: true}), objstore.ErrPrecondition)
		s.wants(try("two", objstore.Condition{ETag: "5d41402abc4b2a76b9719d911017c592"}), objstore.ErrPrecondition)
		s.wantBody("k", "one")
		i, err := s.Head(s.ctx(), s.at("k"))
		s.must(err)
		s.must(try("two", objstore.Condition{ETag: i.ETag}))
		s.wantBody("k", "two")
	}},
	{"of many puts where there must be none, one wins", func(s *suite) {
		const n = 8
		results := make(chan error, n)
		for range n {
			go func() {
				_, err := s.Put(s.ctx(), s.at("k"), strings.NewReader("x"), objstore.PutOptions{If: objstore.Condition{Absent: true}})
				results <- err
			}()
		}
		won := 0
		for range n {
			if err := <-results; err == nil {
				won++
			} else if !errors.Is(err, objstore.ErrPrecondition) {
				s.Error(err)
			}
		}
		if won != 1 {
			s.Fatalf("%d puts won", won)
		}
	}},
	{"a delete is final and can be repeated", func(s *suite) {
		s.put("a/b", "x")
		s.put("a", "y")
		s.must(s.Delete(s.ctx(), s.at("a/b"), objstore.Condition{}))
		s.must(s.Delete(s.ctx(), s.at("a/b"), objstore.Condition{}))
		_, err := s.Head(s.ctx(), s.at("a/b"))
		s.wants(err, objstore.ErrNoKey)
		s.wantBody("a", "y")
		s.put("a/b", "z")
		s.wantBody("a/b", "z")
	}},
	{"every key is one of its own", func(s *suite) {
		for _, key := range oddKeys {
			s.put(key, "of "+key)
		}
		for _, key := range oddKeys {
			s.wantBody(key, "of "+key)
		}
		for i, key := range oddKeys {
			s.must(s.Delete(s.ctx(), s.at(key), objstore.Condition{}))
			if i+1 < len(oddKeys) {
				s.wantBody(oddKeys[i+1], "of "+oddKeys[i+1])
			}
		}
		s.must(s.DeleteBucket(s.ctx(), s.bucket))
	}},
	{"keys that break the rules are refused", func(s *suite) {
		for _, key := range []string{"", strings.Repeat("x", 1025)} {
			_, err := s.Put(s.ctx(), s.at(key), strings.NewReader("x"), objstore.PutOptions{})
			s.wants(err, objstore.ErrKey)
		}
	}},
	{"a copy is an object of its own", func(s *suite) {
		s.put("k", "one")
		_, err := s.Copy(s.ctx(), s.at("k"), s.at("d/k"), objstore.CopyOptions{If: objstore.Condition{Absent: true}})
		s.must(err)
		_, err = s.Copy(s.ctx(), s.at("k"), s.at("d/k"), objstore.CopyOptions{If: objstore.Condition{Absent: true}})
		s.wants(err, objstore.ErrPrecondition)
		s.put("k", "two")
		s.wantBody("d/k", "one")
		_, err = s.Copy(s.ctx(), s.at("none"), s.at("k"), objstore.CopyOptions{})
		s.wants(err, objstore.ErrNoKey)
		_, err = s.Copy(s.ctx(), s.at("k"), s.at("d/k"), objstore.CopyOptions{Check: func(objstore.Info) error { return objstore.ErrPrecondition }})
		s.wants(err, objstore.ErrPrecondition)
		s.wantBody("d/k", "one")
	}},
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
