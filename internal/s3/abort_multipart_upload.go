package s3

import "net/http"

// AbortMultipartUpload ends an upload and removes its parts.
//
// Status: done

func (x *exchange) abortMultipartUpload() error {
	if err := x.d.o.Store.AbortUpload(x.r.Context(), x.upload()); err != nil {
		return err
	}
	return x.empty(http.StatusNoContent)
}
