package s3

import "net/http"

// DeleteBucket removes a bucket without objects. Uploads under way in it end.
//
// Status: done

func (x *exchange) deleteBucket() error {
	if err := x.d.o.Store.DeleteBucket(x.r.Context(), x.bucket); err != nil {
		return err
	}
	return x.empty(http.StatusNoContent)
}
