package s3

import (
	"bytes"
	"context"
	"io"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"thalweg/internal/errs"
	"thalweg/internal/objstore"
)

// CreateUpload implements [objstore.Store].
func (s *Store) CreateUpload(ctx context.Context, at objstore.Ref, o objstore.UploadOptions) (objstore.Upload, error) {
	if err := objstore.CheckKey(at.Key); err != nil {
		return objstore.Upload{}, err
	}
	if o.Algorithm == 0 {
		o.Algorithm = objstore.CRC64NVME
	}
	in := &s3.CreateMultipartUploadInput{Bucket: &at.Bucket, Key: &at.Key, ChecksumAlgorithm: algorithm(o.Algorithm), ContentType: text(o.Headers.ContentType),
		ContentEncoding: text(o.Headers.ContentEncoding), CacheControl: text(o.Headers.CacheControl), ContentDisposition: text(o.Headers.ContentDisposition),
		ContentLanguage: text(o.Headers.ContentLanguage), Metadata: o.Headers.User, Expires: expires(o.Headers.Expires)}
	o.Composite = o.Composite || o.Algorithm == objstore.SHA1 || o.Algorithm == objstore.SHA256 // which cannot be joined
	in.ChecksumType = types.ChecksumTypeFullObject
	if o.Composite {
		in.ChecksumType = types.ChecksumTypeComposite
	}
	out, err := s.c.CreateMultipartUpload(ctx, in)
	if err != nil {
		return objstore.Upload{}, wire("create upload", err)
	}
	return objstore.Upload{UploadRef: objstore.UploadRef{Ref: at, ID: aws.ToString(out.UploadId)}, UploadOptions: o}, nil
}

// maxPart bounds a part that is read into memory.
const maxPart = 64 << 20

// PutPart implements [objstore.Store]. The part is read into memory, which bounds it.
func (s *Store) PutPart(ctx context.Context, u objstore.UploadRef, number int, body io.Reader) (objstore.Part, error) {
	size := partSize
	for {
		if err := s.memory.Acquire(ctx, int64(size)); err != nil {
			return objstore.Part{}, err
		}
		defer s.memory.Release(int64(size))
		buf := make([]byte, size)
		n, more, err := readPart(body, buf)
		if err != nil {
			return objstore.Part{}, err
		}
		if !more {
			return s.putPart(ctx, u, number, buf[:n])
		}
		if size == maxPart {
			return objstore.Part{}, errs.New(errs.LimitExceeded, "the part is too large to be passed on")
		}
		body = io.MultiReader(bytes.NewReader(buf), body)
		size = maxPart
	}
}

func (s *Store) putPart(ctx context.Context, u objstore.UploadRef, number int, b []byte) (objstore.Part, error) {
	if u.ID == "" {
		return objstore.Part{}, objstore.ErrNoUpload
	}
	out, err := s.c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID, PartNumber: aws.Int32(int32(number)),
		Body: bytes.NewReader(b)})
	if err != nil {
		return objstore.Part{}, wire("put part", err)
	}
	return objstore.Part{Number: number, Size: int64(len(b)), ETag: untag(out.ETag)}, nil
}

// CompleteUpload implements [objstore.Store]. Check is asked about what the parts will
// come to, without a checksum that only the service computes.
func (s *Store) CompleteUpload(ctx context.Context, u objstore.UploadRef, parts []objstore.PartRef, o objstore.CompleteOptions) (objstore.Info, error) {
	if u.ID == "" {
		return objstore.Info{}, objstore.ErrNoUpload
	}
	in := &s3.CompleteMultipartUploadInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID, MultipartUpload: &types.CompletedMultipartUpload{}}
	in.IfNoneMatch, in.IfMatch = condition(o.If)
	for _, p := range parts {
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, types.CompletedPart{PartNumber: aws.Int32(int32(p.Number)), ETag: aws.String(`"` + p.ETag + `"`)})
	}
	if o.Check != nil {
		i, err := s.planned(ctx, u, parts)
		if err == nil {
			err = o.Check(i)
		}
		if err != nil {
			return objstore.Info{}, err
		}
	}
	out, err := s.c.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return objstore.Info{}, wire("complete upload", err)
	}
	i, err := s.Head(ctx, u.Ref)
	if err != nil || i.ETag != untag(out.ETag) {
		return objstore.Info{Key: u.Key, ETag: untag(out.ETag)}, err
	}
	return i, nil
}

// planned describes the object that the parts will be.
func (s *Store) planned(ctx context.Context, u objstore.UploadRef, parts []objstore.PartRef) (objstore.Info, error) {
	i := objstore.Info{Key: u.Key}
	want := map[int]bool{}
	for _, p := range parts {
		want[p.Number] = true
	}
	for after, more := 0, true; more; {
		_, page, again, err := s.ListParts(ctx, u, after, 0)
		if err != nil {
			return i, err
		}
		for _, p := range page {
			if after = p.Number; want[p.Number] {
				i.Size, i.Parts = i.Size+p.Size, append(i.Parts, p.Size)
			}
		}
		more = again && len(page) > 0
	}
	return i, nil
}

// AbortUpload implements [objstore.Store].
func (s *Store) AbortUpload(ctx context.Context, u objstore.UploadRef) error {
	if u.ID == "" {
		return objstore.ErrNoUpload
	}
	_, err := s.c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID})
	return wire("abort upload", err)
}

// ListParts implements [objstore.Store].
func (s *Store) ListParts(ctx context.Context, u objstore.UploadRef, after, limit int) (objstore.Upload, []objstore.Part, bool, error) {
	if u.ID == "" {
		return objstore.Upload{}, nil, false, objstore.ErrNoUpload
	}
	in := &s3.ListPartsInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID}
	if after > 0 {
		in.PartNumberMarker = aws.String(strconv.Itoa(after))
	}
	if limit > 0 {
		in.MaxParts = aws.Int32(int32(min(limit, objstore.MaxPage)))
	}
	out, err := s.c.ListParts(ctx, in)
	if err != nil {
		return objstore.Upload{}, nil, false, wire("list parts", err)
	}
	a, _ := objstore.ParseAlgorithm(string(out.ChecksumAlgorithm))
	up := objstore.Upload{UploadRef: u, UploadOptions: objstore.UploadOptions{Algorithm: a, Composite: out.ChecksumType == types.ChecksumTypeComposite}}
	var parts []objstore.Part
	for _, p := range out.Parts {
		parts = append(parts, objstore.Part{Number: int(aws.ToInt32(p.PartNumber)), Size: aws.ToInt64(p.Size), ETag: untag(p.ETag),
			Modified: aws.ToTime(p.LastModified), Checksum: checksum(sums{p.ChecksumCRC32, p.ChecksumCRC32C, p.ChecksumCRC64NVME, p.ChecksumSHA1, p.ChecksumSHA256}, "")})
	}
	return up, parts, aws.ToBool(out.IsTruncated), nil
}

// ListUploads implements [objstore.Store].
func (s *Store) ListUploads(ctx context.Context, bucket string, o objstore.ListUploadsOptions) (objstore.UploadPage, error) {
	in := &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: text(o.Prefix), Delimiter: text(o.Delimiter), KeyMarker: text(o.AfterKey),
		UploadIdMarker: text(o.AfterID), EncodingType: types.EncodingTypeUrl}
	if o.Max > 0 {
		in.MaxUploads = aws.Int32(int32(min(o.Max, objstore.MaxPage)))
	}
	out, err := s.c.ListMultipartUploads(ctx, in)
	if err != nil {
		return objstore.UploadPage{}, wire("list uploads", err)
	}
	var page objstore.UploadPage
	for _, u := range out.Uploads {
		a, _ := objstore.ParseAlgorithm(string(u.ChecksumAlgorithm))
		page.Uploads = append(page.Uploads, objstore.Upload{
			UploadRef:     objstore.UploadRef{Ref: objstore.Ref{Bucket: bucket, Key: decoded(u.Key)}, ID: aws.ToString(u.UploadId)},
			UploadOptions: objstore.UploadOptions{Algorithm: a, Composite: u.ChecksumType == types.ChecksumTypeComposite}, Begun: aws.ToTime(u.Initiated)})
	}
	for _, p := range out.CommonPrefixes {
		page.Prefixes = append(page.Prefixes, decoded(p.Prefix))
	}
	if aws.ToBool(out.IsTruncated) {
		page.NextKey, page.NextID = decoded(out.NextKeyMarker), aws.ToString(out.NextUploadIdMarker)
	}
	return page, nil
}
