package fs

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/objstore"
	"thalweg/internal/vfs"
)

// An upload is a directory of its id that holds a file uploadFile, without which it
// is none, and a file for each part, named by its number.

// storedUpload is what that file says.
type storedUpload struct {
	Key       string             `json:"key"`
	Owner     string             `json:"owner"`
	Begun     int64              `json:"begun"` // Unix milliseconds
	Headers   objstore.Headers   `json:"headers"`
	Algorithm objstore.Algorithm `json:"algorithm"`
	Composite bool               `json:"composite,omitempty"`
}

// CreateUpload implements [objstore.Store].
func (s *Store) CreateUpload(_ context.Context, at objstore.Ref, o objstore.UploadOptions) (objstore.Upload, error) {
	b, err := s.target(at)
	if err != nil {
		return objstore.Upload{}, err
	}
	o.Algorithm = cmp.Or(o.Algorithm, objstore.CRC64NVME)
	id, now := s.newID(), clock.Millis(s.o.Clock)
	text, err := json.Marshal(storedUpload{Key: at.Key, Owner: o.Owner, Begun: now, Headers: o.Headers, Algorithm: o.Algorithm,
		Composite: o.Composite})
	if err != nil {
		return objstore.Upload{}, err
	}
	if len(text) > maxHead {
		return objstore.Upload{}, errs.New(errs.Invalid, "the object's headers are too long")
	}
	b.tree.RLock()
	defer b.tree.RUnlock()
	if b.gone {
		return objstore.Upload{}, objstore.ErrNoBucket
	}
	if err := s.room(int64(len(text))); err != nil {
		return objstore.Upload{}, err
	}
	dir := b.uploads() + "/" + id
	err = s.o.FS.MkdirAll(dir, 0o700)
	if err == nil {
		err = vfs.WriteFile(s.o.FS, dir, uploadFile, text, 0o600)
	}
	if err == nil {
		err = s.o.FS.SyncDir(b.uploads())
	}
	if err != nil {
		return objstore.Upload{}, failed("create upload", err) // the next start removes what there is of it
	}
	return objstore.Upload{UploadRef: objstore.UploadRef{Ref: at, ID: id}, UploadOptions: o, Begun: time.UnixMilli(now).UTC()}, nil
}

// validID keeps what is not an id of newID's away from the file system.
func validID(id string) bool {
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return id != ""
}

// upload reads an upload, whose id must be locked unless it is only shown.
func (s *Store) upload(u objstore.UploadRef) (*bucket, objstore.Upload, error) {
	b, err := s.bucket(u.Bucket)
	if err != nil {
		return nil, objstore.Upload{}, err
	}
	if !validID(u.ID) {
		return nil, objstore.Upload{}, objstore.ErrNoUpload
	}
	up, err := s.readUpload(b, u.ID)
	if err == nil && up.Key != u.Key {
		err = objstore.ErrNoUpload
	}
	return b, up, err
}

func (s *Store) readUpload(b *bucket, id string) (objstore.Upload, error) {
	text, err := vfs.ReadFile(s.o.FS, b.uploads()+"/"+id+"/"+uploadFile, maxHead)
	if errors.Is(err, iofs.ErrNotExist) {
		return objstore.Upload{}, objstore.ErrNoUpload
	}
	if err != nil {
		return objstore.Upload{}, failed("read upload", err)
	}
	var st storedUpload
	if err := json.Unmarshal(text, &st); err != nil {
		return objstore.Upload{}, errs.Wrap(errs.Corrupt, "read upload", err)
	}
	return objstore.Upload{
		UploadRef:     objstore.UploadRef{Ref: objstore.Ref{Bucket: b.Name, Key: st.Key}, ID: id},
		UploadOptions: objstore.UploadOptions{Owner: st.Owner, Headers: st.Headers, Algorithm: st.Algorithm, Composite: st.Composite},
		Begun:         time.UnixMilli(st.Begun).UTC(),
	}, nil
}

func partName(number int) string { return fmt.Sprintf("%05d", number) }

// PutPart implements [objstore.Store].
func (s *Store) PutPart(ctx context.Context, u objstore.UploadRef, number int, body io.Reader) (objstore.Part, error) {
	b, up, err := s.upload(u)
	if err != nil {
		return objstore.Part{}, err
	}
	if number < 1 || number > objstore.MaxParts {
		return objstore.Part{}, objstore.ErrPart
	}
	tmp, h, size, err := s.write(ctx, u.Key, body, up.Algorithm, func(w *writer, h *head) error {
		h.ETag, h.Checksum = w.etag(), w.checksum()
		return nil
	})
	if err != nil {
		return objstore.Part{}, err
	}
	if err := s.commitPart(b, u, number, tmp); err != nil {
		_ = s.remove(tmp) // gone if it was renamed; else the next start removes it
		return objstore.Part{}, failed("put part", err)
	}
	return part(number, h.info(size)), nil
}

func part(number int, i objstore.Info) objstore.Part {
	return objstore.Part{Number: number, Size: i.Size, ETag: i.ETag, Modified: i.Modified, Checksum: i.Checksum}
}

func (s *Store) commitPart(b *bucket, u objstore.UploadRef, number int, tmp string) error {
	defer s.locks.lock(u.ID)()
	b.tree.RLock()
	defer b.tree.RUnlock()
	if _, _, err := s.upload(u); err != nil { // ended meanwhile
		return err
	}
	dir := b.uploads() + "/" + u.ID
	name := dir + "/" + partName(number)
	old, err := s.o.FS.Stat(name)
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	if err := s.o.FS.Rename(tmp, name); err != nil {
		return err
	}
	s.freed(old.Size)
	return s.o.FS.SyncDir(dir)
}

// CompleteUpload implements [objstore.Store]. The parts are copied into one file.
func (s *Store) CompleteUpload(ctx context.Context, u objstore.UploadRef, parts []objstore.PartRef, o objstore.CompleteOptions) (objstore.Info, error) {
	defer s.locks.lock(u.ID)()
	b, up, err := s.upload(u)
	if err != nil {
		return objstore.Info{}, err
	}
	whole, err := s.chosen(b, u, parts)
	if err != nil {
		return objstore.Info{}, err
	}
	body := &joined{open: func(number int) (io.ReadCloser, error) {
		f, err := s.openFile(b.uploads() + "/" + u.ID + "/" + partName(number))
		if err != nil {
			return nil, err
		}
		return f.open(0, f.size), nil
	}, parts: parts}
	defer body.Close()
	info, err := s.put(ctx, b, u.Key, body, up.Algorithm, o.If, func(w *writer, h *head) error {
		h.ETag, h.Checksum, h.Headers, h.Parts = whole.ETag, w.checksum(), up.Headers, whole.Parts
		if up.Composite {
			h.Checksum = objstore.Checksum{Algorithm: up.Algorithm, Composite: true, Value: whole.Checksum.Value}
		}
		if o.Check != nil {
			return o.Check(h.info(w.size))
		}
		return nil
	})
	if err != nil {
		return objstore.Info{}, err
	}
	// The object is there. What a failure leaves of the upload, its client or the
	// next start can remove.
	_ = s.endUpload(b, u.ID)
	return info, nil
}

// chosen checks the parts that a client names, and returns what the object will be as
// far as it follows from them.
func (s *Store) chosen(b *bucket, u objstore.UploadRef, parts []objstore.PartRef) (objstore.Info, error) {
	if len(parts) == 0 {
		return objstore.Info{}, objstore.ErrPart
	}
	if !slices.IsSortedFunc(parts, func(a, b objstore.PartRef) int { return cmp.Or(cmp.Compare(a.Number, b.Number), -1) }) {
		return objstore.Info{}, objstore.ErrPartOrder
	}
	small := false
	sum, composite := md5.New(), objstore.Algorithm(0).New()
	var out objstore.Info
	for i, p := range parts {
		stored, err := s.readPart(b, u.ID, p.Number)
		if errors.Is(err, iofs.ErrNotExist) {
			return objstore.Info{}, objstore.ErrPart
		}
		if err != nil {
			return objstore.Info{}, failed("complete upload", err)
		}
		if p.ETag != stored.ETag || p.Checksum.Value != "" && p.Checksum.Algorithm == stored.Checksum.Algorithm && p.Checksum.Value != stored.Checksum.Value {
			return objstore.Info{}, objstore.ErrPart
		}
		small = small || stored.Size < objstore.MinPart && i < len(parts)-1
		if i == 0 {
			composite = stored.Checksum.Algorithm.New()
		}
		raw, err := hex.DecodeString(stored.ETag)
		if err != nil {
			return objstore.Info{}, damaged("a part's tag")
		}
		sum.Write(raw)
		if raw, err = base64.StdEncoding.DecodeString(stored.Checksum.Value); err != nil {
			return objstore.Info{}, damaged("a part's checksum")
		}
		composite.Write(raw)
		out.Parts = append(out.Parts, stored.Size)
	}
	if small {
		return objstore.Info{}, objstore.ErrPartSize
	}
	count := "-" + strconv.Itoa(len(parts))
	out.ETag = hex.EncodeToString(sum.Sum(nil)) + count
	out.Checksum.Value = base64.StdEncoding.EncodeToString(composite.Sum(nil)) + count
	return out, nil
}

func (s *Store) readPart(b *bucket, id string, number int) (objstore.Part, error) {
	f, err := s.openFile(b.uploads() + "/" + id + "/" + partName(number))
	if err != nil {
		return objstore.Part{}, err
	}
	return part(number, f.info()), f.f.Close()
}

// joined gives the parts one after the other, one open at a time.
type joined struct {
	open  func(number int) (io.ReadCloser, error)
	parts []objstore.PartRef
	now   io.ReadCloser
}

func (j *joined) Read(p []byte) (int, error) {
	for {
		if j.now == nil {
			if len(j.parts) == 0 {
				return 0, io.EOF
			}
			var err error
			if j.now, err = j.open(j.parts[0].Number); err != nil {
				j.now = nil
				return 0, failed("read part", err)
			}
			j.parts = j.parts[1:]
		}
		n, err := j.now.Read(p)
		if errors.Is(err, io.EOF) {
			if err = j.Close(); err == nil && n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (j *joined) Close() error {
	if j.now == nil {
		return nil
	}
	c := j.now
	j.now = nil
	return c.Close()
}

// AbortUpload implements [objstore.Store].
func (s *Store) AbortUpload(_ context.Context, u objstore.UploadRef) error {
	defer s.locks.lock(u.ID)()
	b, _, err := s.upload(u)
	if err != nil {
		return err
	}
	if err := s.endUpload(b, u.ID); err != nil {
		return failed("abort upload", err)
	}
	return nil
}

// endUpload removes an upload, first what makes it one.
func (s *Store) endUpload(b *bucket, id string) error {
	b.tree.RLock()
	defer b.tree.RUnlock()
	dir := b.uploads() + "/" + id
	if err := s.remove(dir + "/" + uploadFile); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	if err := s.o.FS.SyncDir(dir); err != nil {
		return err
	}
	return s.removeAll(dir, true)
}

// sweepUploads removes what is left of uploads that have ended, or never began.
func (s *Store) sweepUploads(b *bucket) error {
	ids, err := s.o.FS.ReadDir(b.uploads())
	if err != nil {
		return err
	}
	for _, id := range ids {
		dir := b.uploads() + "/" + id
		_, err := s.o.FS.Stat(dir + "/" + uploadFile)
		if errors.Is(err, iofs.ErrNotExist) {
			err = s.removeAll(dir, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ListParts implements [objstore.Store].
func (s *Store) ListParts(_ context.Context, u objstore.UploadRef, after, limit int) (objstore.Upload, []objstore.Part, bool, error) {
	defer s.locks.lock(u.ID)()
	b, up, err := s.upload(u)
	if err != nil {
		return objstore.Upload{}, nil, false, err
	}
	names, err := s.o.FS.ReadDir(b.uploads() + "/" + u.ID) // at most MaxParts
	if err != nil {
		return objstore.Upload{}, nil, false, failed("list parts", err)
	}
	var parts []objstore.Part
	for _, name := range names {
		number, err := strconv.Atoi(name)
		if err != nil || number <= after {
			continue
		}
		if len(parts) == pageSize(limit) {
			return up, parts, true, nil
		}
		p, err := s.readPart(b, u.ID, number)
		if err != nil {
			return objstore.Upload{}, nil, false, failed("list parts", err)
		}
		parts = append(parts, p)
	}
	return up, parts, false, nil
}

// ListUploads implements [objstore.Store]. It reads all uploads of the bucket and
// keeps the first that are wanted.
func (s *Store) ListUploads(ctx context.Context, name string, o objstore.ListUploadsOptions) (objstore.UploadPage, error) {
	b, err := s.bucket(name)
	if err != nil {
		return objstore.UploadPage{}, err
	}
	p := pager{prefix: o.Prefix, delimiter: o.Delimiter}
	limit := pageSize(o.Max)
	var kept []row
	serr := s.o.FS.ScanDir(b.uploads(), func(id string) bool {
		if err = ctx.Err(); err != nil {
			return false
		}
		var up objstore.Upload
		if up, err = s.readUpload(b, id); errors.Is(err, objstore.ErrNoUpload) {
			err = nil
			return true
		}
		if err != nil {
			return false
		}
		kept = p.keep(kept, up, o, limit+1)
		return true
	})
	if err = errors.Join(err, serr); err != nil {
		return objstore.UploadPage{}, failed("list uploads", err)
	}
	var page objstore.UploadPage
	for i, r := range kept {
		if i == limit {
			page.NextKey, page.NextID = kept[i-1].name, kept[i-1].up.ID
			break
		}
		if r.up.ID == "" {
			page.Prefixes = append(page.Prefixes, r.name)
		} else {
			page.Uploads = append(page.Uploads, r.up)
		}
	}
	return page, nil
}

// row is an upload, or a common prefix of several, in a list.
type row struct {
	name string // the key, or the prefix
	up   objstore.Upload
}

func (r row) compare(to row) int {
	return cmp.Or(strings.Compare(r.name, to.name), strings.Compare(r.up.ID, to.up.ID))
}

// keep adds an upload to rows, which are sorted and at most limit.
func (p pager) keep(rows []row, up objstore.Upload, o objstore.ListUploadsOptions, limit int) []row {
	if !strings.HasPrefix(up.Key, p.prefix) {
		return rows
	}
	r := row{name: up.Key, up: up}
	if common, ok := p.common(up.Key); ok {
		r = row{name: common}
	}
	if o.AfterKey != "" && (r.name < o.AfterKey || r.name == o.AfterKey && (o.AfterID == "" || r.up.ID <= o.AfterID)) {
		return rows
	}
	i, found := slices.BinarySearchFunc(rows, r, row.compare)
	if found || i == limit {
		return rows
	}
	rows = slices.Insert(rows, i, r)
	return rows[:min(len(rows), limit)]
}
