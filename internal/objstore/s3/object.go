package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"thalweg/internal/errs"
	"thalweg/internal/objstore"
)

// partSize is the size of the parts of a body that is put in several.
const partSize = 8 << 20

// readPart reads up to a part's length. more is false once the body has ended.
func readPart(body io.Reader, buf []byte) (n int, more bool, err error) {
	for n < len(buf) && err == nil { // io.ReadFull hides how a body ended
		var m int
		m, err = body.Read(buf[n:])
		n += m
	}
	if errors.Is(err, io.EOF) {
		return n, false, nil
	}
	return n, true, err
}

// Put implements [objstore.Store].
func (s *Store) Put(ctx context.Context, at objstore.Ref, body io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	if err := objstore.CheckKey(at.Key); err != nil {
		return objstore.Info{}, err
	}
	if err := s.memory.Acquire(ctx, partSize); err != nil {
		return objstore.Info{}, err
	}
	defer s.memory.Release(partSize)
	buf := make([]byte, partSize)
	n, more, err := readPart(body, buf)
	if err != nil {
		return objstore.Info{}, err
	}
	if more {
		return s.putParts(ctx, at, body, buf, o)
	}
	in := &s3.PutObjectInput{Bucket: &at.Bucket, Key: &at.Key, Body: bytes.NewReader(buf[:n]), ChecksumAlgorithm: algorithm(o.Algorithm),
		ContentType: text(o.Headers.ContentType), ContentEncoding: text(o.Headers.ContentEncoding), CacheControl: text(o.Headers.CacheControl),
		ContentDisposition: text(o.Headers.ContentDisposition), ContentLanguage: text(o.Headers.ContentLanguage), Metadata: o.Headers.User,
		Expires: expires(o.Headers.Expires)}
	in.IfNoneMatch, in.IfMatch = condition(o.If)
	out, err := s.c.PutObject(ctx, in)
	if err != nil {
		return objstore.Info{}, wire("put object", err)
	}
	i := objstore.Info{Key: at.Key, Size: int64(n), ETag: untag(out.ETag), Headers: o.Headers,
		Checksum: checksum(sums{out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256}, out.ChecksumType)}
	return i, s.fill(ctx, at, &i)
}

// fill sets what the answer to a put does not tell.
func (s *Store) fill(ctx context.Context, at objstore.Ref, i *objstore.Info) error {
	head, err := s.Head(ctx, at)
	if err != nil {
		return err
	}
	if head.ETag == i.ETag { // else somebody else has put another by now
		i.Modified = head.Modified
	}
	return nil
}

// putParts puts a body that begins with the whole of buf in parts, and ends the
// upload whatever happens.
func (s *Store) putParts(ctx context.Context, at objstore.Ref, body io.Reader, buf []byte, o objstore.PutOptions) (objstore.Info, error) {
	u, err := s.CreateUpload(ctx, at, objstore.UploadOptions{Headers: o.Headers, Algorithm: o.Algorithm})
	if err != nil {
		return objstore.Info{}, err
	}
	i, err := s.sendParts(ctx, u.UploadRef, body, buf, o.If)
	if err != nil {
		_ = s.AbortUpload(context.WithoutCancel(ctx), u.UploadRef) // the first error counts; what is left is the service's to clean
	}
	return i, err
}

func (s *Store) sendParts(ctx context.Context, u objstore.UploadRef, body io.Reader, buf []byte, when objstore.Condition) (objstore.Info, error) {
	var parts []objstore.PartRef
	n, more := len(buf), true
	for {
		if len(parts) == objstore.MaxParts {
			return objstore.Info{}, errs.New(errs.LimitExceeded, fmt.Sprintf("an object is at most %d parts of %d bytes", objstore.MaxParts, partSize))
		}
		p, err := s.putPart(ctx, u, len(parts)+1, buf[:n])
		if err != nil {
			return objstore.Info{}, err
		}
		parts = append(parts, objstore.PartRef{Number: p.Number, ETag: p.ETag, Checksum: p.Checksum})
		if !more {
			return s.CompleteUpload(ctx, u, parts, objstore.CompleteOptions{If: when})
		}
		if n, more, err = readPart(body, buf); err != nil {
			return objstore.Info{}, err
		}
		if n == 0 {
			return s.CompleteUpload(ctx, u, parts, objstore.CompleteOptions{If: when})
		}
	}
}

// Head implements [objstore.Store].
func (s *Store) Head(ctx context.Context, at objstore.Ref) (objstore.Info, error) {
	out, err := s.c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.Bucket, Key: &at.Key, ChecksumMode: types.ChecksumModeEnabled})
	if notFound(err) {
		if _, berr := s.HeadBucket(ctx, at.Bucket); berr != nil {
			return objstore.Info{}, berr
		}
		return objstore.Info{}, objstore.ErrNoKey
	}
	if err != nil {
		return objstore.Info{}, wire("head object", err)
	}
	return objstore.Info{Key: at.Key, Size: aws.ToInt64(out.ContentLength), ETag: untag(out.ETag), Modified: aws.ToTime(out.LastModified),
		Headers: objstore.Headers{ContentType: aws.ToString(out.ContentType), ContentEncoding: aws.ToString(out.ContentEncoding),
			ContentDisposition: aws.ToString(out.ContentDisposition), ContentLanguage: aws.ToString(out.ContentLanguage),
			CacheControl: aws.ToString(out.CacheControl), Expires: aws.ToString(out.ExpiresString), User: users(out.Metadata)},
		Checksum: checksum(sums{out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256}, out.ChecksumType)}, nil
}

func users(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// tries is how often a read begins anew because the object was replaced meanwhile.
const tries = 5

// Get implements [objstore.Store]. What pick saw is what is read: the read has the
// tag of it as its condition.
func (s *Store) Get(ctx context.Context, at objstore.Ref, pick func(objstore.Info) (objstore.Range, error)) (*objstore.Object, error) {
	for n := 1; ; n++ {
		i, err := s.Head(ctx, at)
		if err != nil {
			return nil, err
		}
		var r objstore.Range
		if pick != nil {
			if r, err = pick(i); err != nil {
				return nil, err
			}
		}
		if r.Off >= i.Size {
			return &objstore.Object{Info: i, Body: io.NopCloser(bytes.NewReader(nil))}, nil
		}
		in := &s3.GetObjectInput{Bucket: &at.Bucket, Key: &at.Key, IfMatch: aws.String(`"` + i.ETag + `"`)}
		switch {
		case r.Len > 0:
			in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r.Off, r.Off+r.Len-1))
		case r.Off > 0:
			in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.Off))
		}
		out, err := s.c.GetObject(ctx, in)
		if err == nil {
			return &objstore.Object{Info: i, Body: out.Body}, nil
		}
		if err = wire("get object", err); !errors.Is(err, objstore.ErrPrecondition) || n == tries {
			return nil, err
		}
	}
}

// Delete implements [objstore.Store].
func (s *Store) Delete(ctx context.Context, at objstore.Ref, when objstore.Condition) error {
	_, etag := condition(when)
	_, err := s.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &at.Bucket, Key: &at.Key, IfMatch: etag})
	return wire("delete object", err)
}

// Copy implements [objstore.Store].
func (s *Store) Copy(ctx context.Context, from, to objstore.Ref, o objstore.CopyOptions) (objstore.Info, error) {
	in := &s3.CopyObjectInput{Bucket: &to.Bucket, Key: &to.Key, CopySource: aws.String(from.Bucket + "/" + url.PathEscape(from.Key)),
		ChecksumAlgorithm: algorithm(o.Algorithm)}
	in.IfNoneMatch, in.IfMatch = condition(o.If)
	if o.Check != nil {
		i, err := s.Head(ctx, from)
		if err == nil {
			err = o.Check(i)
		}
		if err != nil {
			return objstore.Info{}, err
		}
		in.CopySourceIfMatch = aws.String(`"` + i.ETag + `"`)
	}
	if h := o.Replace; h != nil {
		in.MetadataDirective = types.MetadataDirectiveReplace
		in.ContentType, in.ContentEncoding, in.CacheControl = text(h.ContentType), text(h.ContentEncoding), text(h.CacheControl)
		in.ContentDisposition, in.ContentLanguage, in.Metadata, in.Expires = text(h.ContentDisposition), text(h.ContentLanguage), h.User, expires(h.Expires)
	}
	if _, err := s.c.CopyObject(ctx, in); err != nil {
		return objstore.Info{}, wire("copy object", err)
	}
	return s.Head(ctx, to)
}

// List implements [objstore.Store].
func (s *Store) List(ctx context.Context, bucket string, o objstore.ListOptions) (objstore.Page, error) {
	in := &s3.ListObjectsInput{Bucket: &bucket, Prefix: text(o.Prefix), Delimiter: text(o.Delimiter), Marker: text(o.After),
		EncodingType: types.EncodingTypeUrl}
	if o.Max > 0 {
		in.MaxKeys = aws.Int32(int32(min(o.Max, objstore.MaxPage)))
	}
	out, err := s.c.ListObjects(ctx, in)
	if err != nil {
		return objstore.Page{}, wire("list objects", err)
	}
	var page objstore.Page
	last := ""
	for _, c := range out.Contents {
		i := objstore.Info{Key: decoded(c.Key), Size: aws.ToInt64(c.Size), ETag: untag(c.ETag), Modified: aws.ToTime(c.LastModified)}
		page.Objects, last = append(page.Objects, i), max(last, i.Key)
	}
	for _, p := range out.CommonPrefixes {
		prefix := decoded(p.Prefix)
		page.Prefixes, last = append(page.Prefixes, prefix), max(last, prefix)
	}
	if aws.ToBool(out.IsTruncated) {
		page.Next = last
	}
	return page, nil
}

// decoded takes the encoding off a key in a list; what cannot be is as it came.
func decoded(s *string) string {
	v := aws.ToString(s)
	if d, err := url.QueryUnescape(v); err == nil {
		return d
	}
	return v
}

// condition returns the headers of a condition.
func condition(c objstore.Condition) (ifNoneMatch, ifMatch *string) {
	if c.Absent {
		ifNoneMatch = aws.String("*")
	}
	if c.ETag != "" {
		ifMatch = aws.String(c.ETag)
		if c.ETag != "*" {
			ifMatch = aws.String(`"` + c.ETag + `"`)
		}
	}
	return ifNoneMatch, ifMatch
}

// expires reads the header; the client takes times only.
func expires(v string) *time.Time {
	t, err := time.Parse(time.RFC1123, v)
	if err != nil {
		return nil
	}
	return &t
}

func algorithm(a objstore.Algorithm) types.ChecksumAlgorithm {
	if a == 0 {
		a = objstore.CRC64NVME
	}
	return types.ChecksumAlgorithm(a.String())
}

// sums are the members of an answer that hold a checksum.
type sums struct{ crc32, crc32c, crc64nvme, sha1, sha256 *string }

func checksum(s sums, kind types.ChecksumType) objstore.Checksum {
	for a, v := range map[objstore.Algorithm]*string{objstore.CRC32: s.crc32, objstore.CRC32C: s.crc32c, objstore.CRC64NVME: s.crc64nvme,
		objstore.SHA1: s.sha1, objstore.SHA256: s.sha256} {
		if v != nil {
			return objstore.Checksum{Algorithm: a, Value: *v, Composite: kind == types.ChecksumTypeComposite}
		}
	}
	return objstore.Checksum{}
}
