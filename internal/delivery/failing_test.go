package delivery_test

import (
	"context"
	"io"
	"sync"

	"thalweg/internal/objstore"
)

// failing is a bucket that fails with err while that is set, having put the object
// before if after is.
type failing struct {
	w     *world
	mu    sync.Mutex
	err   error
	after bool
}

func (f *failing) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failing) Put(ctx context.Context, at objstore.Ref, body io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	f.mu.Lock()
	err, after := f.err, f.after
	f.mu.Unlock()
	if err != nil && !after {
		return objstore.Info{}, err
	}
	info, put := f.w.objects.Put(ctx, at, body, o)
	if err == nil {
		err = put
	}
	return info, err
}
