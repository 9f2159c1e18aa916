package s3

import (
	"net/http"
	"strings"

	"thalweg/internal/objstore"
)

// DeleteObject removes an object. One that is not there is no error. If-Match is
// decided with the removal.
//
// Status: done

func (x *exchange) deleteObject() error {
	when := objstore.Condition{ETag: strings.Trim(x.r.Header.Get("If-Match"), `"`)}
	if err := x.d.o.Store.Delete(x.r.Context(), x.ref(), when); err != nil {
		return err
	}
	return x.empty(http.StatusNoContent)
}
