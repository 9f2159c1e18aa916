package s3

import (
	"net/http"

	"thalweg/internal/objstore"
)

// PutObject stores a body of at most 5 GiB, whole and durable when it is answered.
// What is stated of the body (its length, Content-MD5, a checksum in a header or a
// trailer, its hash, signatures of chunks) is checked while it is read. If-None-Match:
// * and If-Match are decided with the put.
//
// Status: done
// Deviation: ACLs other than private, encryption, tags, object locks, storage classes other than STANDARD and appends are refused

func (x *exchange) putObject() error {
	headers, err := x.headers()
	if err != nil {
		return err
	}
	when, err := x.writeCondition()
	if err != nil {
		return err
	}
	b, err := x.body()
	if err != nil {
		return err
	}
	i, err := x.d.o.Store.Put(x.r.Context(), x.ref(), b, objstore.PutOptions{Headers: headers, If: when, Algorithm: b.algorithm})
	if err != nil {
		return err
	}
	x.w.Header().Set("Etag", quoted(i.ETag))
	x.showChecksum(i.Checksum)
	return x.empty(http.StatusOK)
}
