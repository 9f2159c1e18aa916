package objtest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"

	"thalweg/internal/objstore"
)

func (s *suite) begin(key string, o objstore.UploadOptions) objstore.UploadRef {
	s.Helper()
	u, err := s.CreateUpload(s.ctx(), s.at(key), o)
	s.must(err)
	if u.ID == "" || u.Ref != s.at(key) {
		s.Fatalf("%+v", u)
	}
	return u.UploadRef
}

func (s *suite) part(u objstore.UploadRef, number int, body []byte) objstore.PartRef {
	s.Helper()
	p, err := s.PutPart(s.ctx(), u, number, bytes.NewReader(body))
	s.must(err)
	if p.Number != number || p.Size != int64(len(body)) {
		s.Fatalf("%+v", p)
	}
	return objstore.PartRef{Number: number, ETag: p.ETag}
}

func multiTag(parts ...[]byte) string {
	h := md5.New()
	for _, p := range parts {
		sum := md5.Sum(p)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

var uploadTests = []test{
	{"an upload becomes an object", func(s *suite) {
		h := objstore.Headers{ContentType: "text/plain", User: map[string]string{"a": "b"}}
		u := s.begin("d/k", objstore.UploadOptions{Headers: h})
		one, two := Bytes(objstore.MinPart, 1), Bytes(1234, 2)
		second := s.part(u, 7, two)
		first := s.part(u, 3, one)
		_, err := s.Head(s.ctx(), s.at("d/k"))
		s.wants(err, objstore.ErrNoKey)
		_, parts, more, err := s.ListParts(s.ctx(), u, 0, 1)
		s.must(err)
		if len(parts) != 1 || parts[0].Number != 3 || parts[0].Size != int64(len(one)) || !more {
			s.Fatalf("%+v %v", parts, more)
		}
		_, parts, more, err = s.ListParts(s.ctx(), u, 3, 0)
		s.must(err)
		if len(parts) != 1 || parts[0].Number != 7 || parts[0].ETag != second.ETag || more {
			s.Fatalf("%+v %v", parts, more)
		}
		i, err := s.CompleteUpload(s.ctx(), u, []objstore.PartRef{first, second}, objstore.CompleteOptions{})
		s.must(err)
		if i.ETag != multiTag(one, two) {
			s.Fatalf("tag %s, want %s", i.ETag, multiTag(one, two))
		}
		s.wantBody("d/k", string(one)+string(two))
		i, err = s.Head(s.ctx(), s.at("d/k"))
		s.must(err)
		s.same(i.Headers, h)
		if i.ETag != multiTag(one, two) {
			s.Fatal(i.ETag)
		}
		_, err = s.PutPart(s.ctx(), u, 1, strings.NewReader("x"))
		s.wants(err, objstore.ErrNoUpload)
		s.wants(s.AbortUpload(s.ctx(), u), objstore.ErrNoUpload)
	}},
	{"a part replaces one of the same number", func(s *suite) {
		u := s.begin("k", objstore.UploadOptions{})
		old := s.part(u, 1, []byte("old"))
		p := s.part(u, 1, []byte("new"))
		_, err := s.CompleteUpload(s.ctx(), u, []objstore.PartRef{old}, objstore.CompleteOptions{})
		s.wants(err, objstore.ErrPart)
		_, err = s.CompleteUpload(s.ctx(), u, []objstore.PartRef{p}, objstore.CompleteOptions{})
		s.must(err)
		s.wantBody("k", "new")
	}},
	{"parts that do not fit are refused, and the upload goes on", func(s *suite) {
		u := s.begin("k", objstore.UploadOptions{})
		a, b := s.part(u, 1, []byte("small")), s.part(u, 2, []byte("last"))
		for _, c := range []struct {
			want  error
			parts []objstore.PartRef
		}{
			{objstore.ErrPartOrder, []objstore.PartRef{b, a}},
			{objstore.ErrPartOrder, []objstore.PartRef{b, b}},
			{objstore.ErrPart, []objstore.PartRef{a, b, {Number: 3, ETag: b.ETag}}}, // before its size is looked at
			{objstore.ErrPartSize, []objstore.PartRef{a, b}},
		} {
			_, err := s.CompleteUpload(s.ctx(), u, c.parts, objstore.CompleteOptions{})
			s.wants(err, c.want)
		}
		_, err := s.CompleteUpload(s.ctx(), u, []objstore.PartRef{b}, objstore.CompleteOptions{})
		s.must(err)
		s.wantBody("k", "last")
	}},
	{"a condition of the end holds or the upload goes on", func(s *suite) {
		u := s.begin("k", objstore.UploadOptions{})
		p := s.part(u, 1, []byte("x"))
		s.put("k", "old")
		_, err := s.CompleteUpload(s.ctx(), u, []objstore.PartRef{p}, objstore.CompleteOptions{If: objstore.Condition{Absent: true}})
		s.wants(err, objstore.ErrPrecondition)
		s.wantBody("k", "old")
		s.must(s.Delete(s.ctx(), s.at("k"), objstore.Condition{}))
		_, err = s.CompleteUpload(s.ctx(), u, []objstore.PartRef{p}, objstore.CompleteOptions{If: objstore.Condition{Absent: true}})
		s.must(err)
		s.wantBody("k", "x")
	}},
	{"an upload that is aborted is gone", func(s *suite) {
		u := s.begin("k", objstore.UploadOptions{})
		s.part(u, 1, []byte("x"))
		s.must(s.AbortUpload(s.ctx(), u))
		_, _, _, err := s.ListParts(s.ctx(), u, 0, 0)
		s.wants(err, objstore.ErrNoUpload)
		p, err := s.ListUploads(s.ctx(), s.bucket, objstore.ListUploadsOptions{})
		s.must(err)
		if len(p.Uploads) != 0 {
			s.Fatalf("%+v", p)
		}
		for _, id := range []string{"", "..", "../x", "no-such-upload", u.ID} {
			_, err = s.PutPart(s.ctx(), objstore.UploadRef{Ref: u.Ref, ID: id}, 1, strings.NewReader("x"))
			s.wants(err, objstore.ErrNoUpload)
		}
	}},
	{"a part that breaks off is not there", func(s *suite) {
		u := s.begin("k", objstore.UploadOptions{})
		_, err := s.PutPart(s.ctx(), u, 1, io.MultiReader(bytes.NewReader(Bytes(100_000, 1)), failing{io.ErrUnexpectedEOF}))
		s.wants(err, io.ErrUnexpectedEOF)
		_, parts, _, err := s.ListParts(s.ctx(), u, 0, 0)
		s.must(err)
		if len(parts) != 0 {
			s.Fatalf("%+v", parts)
		}
	}},
	{"checksums are of the whole or of the parts", func(s *suite) {
		for _, composite := range []bool{false, true} {
			u := s.begin("k", objstore.UploadOptions{Algorithm: objstore.CRC32C, Composite: composite})
			p := s.part(u, 1, []byte("hello world"))
			i, err := s.CompleteUpload(s.ctx(), u, []objstore.PartRef{p}, objstore.CompleteOptions{})
			s.must(err)
			want := objstore.Checksum{Algorithm: objstore.CRC32C, Value: "yZRlqg=="}
			if composite {
				want.Value, want.Composite = "6yb7oQ==-1", true
			}
			s.same(i.Checksum, want)
		}
	}},
	{"the end can be refused", func(s *suite) {
		u := s.begin("k", objstore.UploadOptions{})
		p := s.part(u, 1, []byte("x"))
		refused := errors.New("refused")
		_, err := s.CompleteUpload(s.ctx(), u, []objstore.PartRef{p}, objstore.CompleteOptions{Check: func(i objstore.Info) error {
			if i.Size != 1 || i.Key != "k" {
				s.Errorf("%+v", i)
			}
			return refused
		}})
		s.wants(err, refused)
		_, err = s.Head(s.ctx(), s.at("k"))
		s.wants(err, objstore.ErrNoKey)
	}},
	{"uploads are listed by key and age", func(s *suite) {
		var want []string
		for _, key := range []string{"a/1", "a/2", "b", "b", "c"} {
			u := s.begin(key, objstore.UploadOptions{})
			want = append(want, u.Key+" "+u.ID)
		}
		var got []string
		o := objstore.ListUploadsOptions{Max: 2}
		for {
			p, err := s.ListUploads(s.ctx(), s.bucket, o)
			s.must(err)
			for _, u := range p.Uploads {
				got = append(got, u.Key+" "+u.ID)
			}
			if p.NextKey == "" {
				break
			}
			o.AfterKey, o.AfterID = p.NextKey, p.NextID
		}
		if len(got) != len(want) || got[0] != want[0] || got[4] != want[4] {
			s.Fatalf("listed %q, want %q", got, want)
		}
		p, err := s.ListUploads(s.ctx(), s.bucket, objstore.ListUploadsOptions{Delimiter: "/"})
		s.must(err)
		if len(p.Uploads) != 3 || len(p.Prefixes) != 1 || p.Prefixes[0] != "a/" {
			s.Fatalf("%+v", p)
		}
	}},
}
