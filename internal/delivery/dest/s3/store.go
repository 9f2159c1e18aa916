// Package s3 delivers batches as objects: into the server's own object store or a
// bucket elsewhere, whichever [Store] it is given.
//
// An object's name and bytes follow from the batch alone, so that a delivery that is
// tried again finds its objects there, or puts the same ones.
package s3

import (
	"context"
	"errors"
	"io"
)

// PutOptions say how an object is put.
type PutOptions struct {
	ContentType     string
	ContentEncoding string
	// IfNoneMatch puts the object only if there is none of that name;
	// [ErrExists] otherwise.
	IfNoneMatch bool
}

// Store is where objects go. It is safe for concurrent use.
type Store interface {
	// Put makes an object of body's size bytes, whole or not at all, and durable
	// when it returns the entity tag. body is read from its start, more than once if
	// need be.
	//
	// Errors: ErrExists; ErrNoBucket; others may pass when tried again, unless a
	// *dest.Error says otherwise.
	Put(ctx context.Context, bucket, key string, body io.ReadSeeker, size int64, o PutOptions) (etag string, err error)
}

// Sentinel errors of a Store, compared with errors.Is.
var (
	ErrExists   = errors.New("an object of that name exists")
	ErrNoBucket = errors.New("the bucket does not exist")
)
