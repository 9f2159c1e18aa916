// Package s3 delivers batches as objects: into the server's own object store or a
// bucket elsewhere, whichever [Store] it is given.
//
// An object's name and bytes follow from the batch alone, so that a delivery that is
// tried again finds its objects there, or puts the same ones.
package s3

import (
	"context"
	"io"

	"thalweg/internal/objstore"
)

// Store is where objects go: what is needed of an [objstore.Store].
type Store interface {
	// Put makes an object of what body has, whole or not at all, and durable when it
	// returns. body is an io.Seeker, so that it can be read more than once.
	Put(ctx context.Context, at objstore.Ref, body io.Reader, o objstore.PutOptions) (objstore.Info, error)
}

// nowhere is a Store that keeps nothing.
type nowhere struct{}

func (nowhere) Put(_ context.Context, _ objstore.Ref, body io.Reader, _ objstore.PutOptions) (objstore.Info, error) {
	n, err := io.Copy(io.Discard, body)
	return objstore.Info{Size: n}, err
}
