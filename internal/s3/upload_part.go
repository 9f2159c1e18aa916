package s3

import (
	"net/http"
	"strconv"

	"thalweg/internal/objstore"
)

// UploadPart stores a part of an upload, in place of one of the same number. Its body
// is checked as PutObject's is.
//
// Status: done

func (x *exchange) uploadPart() error {
	number, err := x.partNumber()
	if err != nil {
		return err
	}
	b, err := x.body()
	if err != nil {
		return err
	}
	p, err := x.d.o.Store.PutPart(x.r.Context(), x.upload(), number, b)
	if err != nil {
		return err
	}
	x.w.Header().Set("Etag", quoted(p.ETag))
	if b.algorithm == p.Checksum.Algorithm {
		x.w.Header().Set(checksumHeader(p.Checksum.Algorithm), p.Checksum.Value)
	}
	return x.empty(http.StatusOK)
}

func (x *exchange) upload() objstore.UploadRef {
	return objstore.UploadRef{Ref: x.ref(), ID: x.query.get("uploadId")}
}

func (x *exchange) partNumber() (int, error) {
	v := x.query.get("partNumber")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > objstore.MaxParts {
		return 0, invalidArgument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", v)
	}
	return n, nil
}
