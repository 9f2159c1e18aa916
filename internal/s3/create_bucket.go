package s3

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"

	"thalweg/internal/objstore"
)

// CreateBucket makes a bucket of the caller's, in the region that the request names,
// else the signature's. Names are global. One that the caller has already is an error
// in every region but us-east-1, where it is done again without effect.
//
// Status: partial: location constraints only; ACLs, object lock, tags and directory buckets are refused

type bucketConfiguration struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	LocationConstraint string
	Location           *struct{}
	Bucket             *struct{}
	Tags               *struct{}
}

const firstRegion = "us-east-1"

func (x *exchange) createBucket() error {
	b, err := x.body()
	if err != nil {
		return err
	}
	var in bucketConfiguration
	if err := x.decode(b, &in); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if in.Location != nil || in.Bucket != nil || in.Tags != nil {
		return errNotImplemented
	}
	region := x.caller.Region
	switch in.LocationConstraint {
	case "", region:
	default:
		return errLocation
	}
	err = x.d.o.Store.CreateBucket(x.r.Context(), objstore.Bucket{Name: x.bucket, Owner: x.caller.Account, Region: region})
	if errors.Is(err, objstore.ErrBucketExists) {
		there, herr := x.d.o.Store.HeadBucket(x.r.Context(), x.bucket)
		switch {
		case herr != nil:
			return herr
		case there.Owner != x.caller.Account:
			return errBucketExists
		case there.Region != firstRegion || region != firstRegion:
			return errBucketOwned
		}
		err = nil
	}
	if err != nil {
		return err
	}
	x.w.Header().Set("Location", "/"+x.bucket)
	return x.empty(http.StatusOK)
}
