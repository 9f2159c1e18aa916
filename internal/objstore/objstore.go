// Package objstore is where objects are kept: bytes under a key in a bucket, as
// Amazon S3 has them. [Store] is the interface; fs keeps objects in files, s3 in
// any service that speaks S3, and objtest is what every Store passes.
//
// What a Store promises:
//   - An object is whole or not there. A put that failed, or was not answered, has
//     left the old object or the new one, never a part.
//   - A call that changes something has made it durable when it returns nil.
//   - A get shows what the last answered put stored, or a later one.
//   - A key is any text of 1 to [MaxKey] bytes; "a", "a/" and "a/b" are three keys.
//   - Lists are in the order of the keys' bytes.
//   - Bodies are streamed: a Store holds a few hundred kilobytes of one at a time.
//
// Errors are those of this package, compared with errors.Is, or *errs.Error with
// a Kind. Stores are safe for concurrent use.
package objstore

import (
	"context"
	"io"
	"time"
)

const (
	// MaxKey is the longest key, in bytes.
	MaxKey = 1024
	// MaxParts is the highest part number of an upload; the lowest is 1.
	MaxParts = 10000
	// MinPart is the size that every part of an upload but its last must have.
	MinPart = 5 << 20
	// MaxPage is the most that a List call returns.
	MaxPage = 1000
)

// Store keeps objects.
type Store interface {
	// CreateBucket makes an empty bucket. Errors: ErrBucketName, ErrBucketExists,
	// ErrTooManyBuckets.
	CreateBucket(ctx context.Context, b Bucket) error
	// DeleteBucket removes a bucket without objects and, with them, its uploads.
	// Errors: ErrNoBucket, ErrBucketNotEmpty.
	DeleteBucket(ctx context.Context, bucket string) error
	// HeadBucket describes a bucket. Errors: ErrNoBucket.
	HeadBucket(ctx context.Context, bucket string) (Bucket, error)
	// ListBuckets returns all buckets, by name.
	ListBuckets(ctx context.Context) ([]Bucket, error)

	// Put stores what body holds up to its end as one object. Whatever error body
	// returns is returned, and nothing is stored. Errors: ErrNoBucket, ErrOwner,
	// ErrKey, ErrPrecondition, ErrNoKey (If-Match without an object).
	Put(ctx context.Context, at Ref, body io.Reader, o PutOptions) (Info, error)
	// Get opens an object. pick, if not nil, sees what it is and says which bytes
	// are wanted; an error of pick's is returned as it is. Errors: ErrNoBucket,
	// ErrNoKey.
	Get(ctx context.Context, at Ref, pick func(Info) (Range, error)) (*Object, error)
	// Head describes an object. Errors as of Get.
	Head(ctx context.Context, at Ref) (Info, error)
	// Delete removes an object, if there is one. Errors: ErrNoBucket, ErrPrecondition.
	Delete(ctx context.Context, at Ref, when Condition) error
	// Copy stores an object's bytes as another. Errors as of Get and Put.
	Copy(ctx context.Context, from, to Ref, o CopyOptions) (Info, error)
	// List returns objects and common prefixes in order. Errors: ErrNoBucket.
	List(ctx context.Context, bucket string, o ListOptions) (Page, error)

	// CreateUpload begins an object that is put in parts. Errors: ErrNoBucket, ErrKey.
	CreateUpload(ctx context.Context, at Ref, o UploadOptions) (Upload, error)
	// PutPart stores a part, in place of one of the same number. body is as in Put.
	// Errors: ErrNoUpload.
	PutPart(ctx context.Context, u UploadRef, number int, body io.Reader) (Part, error)
	// CompleteUpload makes the object of the parts named, and ends the upload.
	// Errors: ErrNoUpload, ErrPart, ErrPartOrder, ErrPartSize, ErrPrecondition.
	CompleteUpload(ctx context.Context, u UploadRef, parts []PartRef, o CompleteOptions) (Info, error)
	// AbortUpload ends an upload and removes its parts. Errors: ErrNoUpload.
	AbortUpload(ctx context.Context, u UploadRef) error
	// ListParts returns parts with numbers above after, at most max of them, and
	// whether there are more. Errors: ErrNoUpload.
	ListParts(ctx context.Context, u UploadRef, after, max int) (Upload, []Part, bool, error)
	// ListUploads returns the uploads under way in a bucket, by key and then by
	// when they began. Errors: ErrNoBucket.
	ListUploads(ctx context.Context, bucket string, o ListUploadsOptions) (UploadPage, error)
}

// Bucket is a set of keys. Names are global: two owners cannot have the same.
type Bucket struct {
	Name    string
	Owner   string // account
	Region  string
	Created time.Time
}

// Ref names an object.
type Ref struct{ Bucket, Key string }

// Headers are what a get answers beside the bytes.
type Headers struct {
	ContentType        string            `json:"contentType,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	CacheControl       string            `json:"cacheControl,omitempty"`
	Expires            string            `json:"expires,omitempty"`
	User               map[string]string `json:"user,omitempty"` // names in lower case
}

// Info describes an object.
type Info struct {
	Key      string
	Size     int64
	ETag     string // without quotes
	Modified time.Time
	Headers  Headers
	Checksum Checksum
	Parts    []int64 // sizes; nil unless it was put in parts
}

// Condition is what must hold for a change. The zero Condition always does.
type Condition struct {
	// Absent is whether there must be no object.
	Absent bool
	// ETag is the one that the object must have; "*" is any. Empty asks nothing.
	ETag string
}

// PutOptions say how an object is put.
type PutOptions struct {
	Headers   Headers
	If        Condition
	Algorithm Algorithm // of the checksum to keep; 0 is CRC64NVME
	// Owner, if not empty, is the account that the bucket must be of. A Store whose
	// buckets are of accounts elsewhere does not look at it.
	Owner string
}

// CopyOptions say how an object is copied.
type CopyOptions struct {
	// Check, if not nil, sees the source before anything is written. An error is
	// returned as it is.
	Check func(Info) error
	// Replace, if not nil, are the copy's headers instead of the source's.
	Replace   *Headers
	If        Condition
	Algorithm Algorithm // 0 is the source's
}

// Range is a part of an object. The zero Range is all of it.
type Range struct {
	Off int64
	// Len is the number of bytes; what goes beyond the end is left out. 0 is up to
	// the end.
	Len int64
}

// Object is an open object. Close it.
type Object struct {
	Info
	// Body gives the bytes that were picked. Its error at the end of a read tells
	// of damage: what came before it is not to be used.
	Body io.ReadCloser
}

// ListOptions say what to list.
type ListOptions struct {
	Prefix    string
	Delimiter string // keys alike up to its first place behind Prefix become one common prefix
	After     string // only what comes after it
	Max       int    // 1 to MaxPage; 0 is MaxPage
}

// Page is a part of a list.
type Page struct {
	Objects  []Info // Key, Size, ETag, Modified and Checksum without its value
	Prefixes []string
	Next     string // the After of the next page; empty at the end
}

// UploadOptions say what an upload is to become.
type UploadOptions struct {
	Owner     string
	Headers   Headers
	Algorithm Algorithm // of the checksums; 0 is CRC64NVME
	Composite bool      // the object's checksum is one of its parts' checksums
}

// UploadRef names an upload.
type UploadRef struct {
	Ref
	ID string
}

// Upload is an object that is being put in parts.
type Upload struct {
	UploadRef
	UploadOptions
	Begun time.Time
}

// Part is one part of an upload.
type Part struct {
	Number   int
	Size     int64
	ETag     string
	Modified time.Time
	Checksum Checksum
}

// PartRef names a part to complete an upload with. A checksum without a value is
// not compared.
type PartRef struct {
	Number   int
	ETag     string
	Checksum Checksum
}

// CompleteOptions say how an upload is completed.
type CompleteOptions struct {
	If Condition
	// Check, if not nil, sees what the object is to be before it is there. An error is
	// returned as it is, and nothing is stored.
	Check func(Info) error
}

// ListUploadsOptions say which uploads to list.
type ListUploadsOptions struct {
	Prefix, Delimiter string
	AfterKey, AfterID string // without an id, all of the key are left out
	Max               int    // as in ListOptions
}

// UploadPage is a part of a list of uploads.
type UploadPage struct {
	Uploads         []Upload
	Prefixes        []string
	NextKey, NextID string // empty at the end
}
