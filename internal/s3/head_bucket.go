package s3

import "net/http"

// HeadBucket tells whether the caller may list a bucket, and its region.
//
// Status: done

func (x *exchange) headBucket() error {
	x.w.Header().Set("X-Amz-Bucket-Region", x.region())
	return x.empty(http.StatusOK)
}

// region is the bucket's.
func (x *exchange) region() string {
	if x.owner.Region != "" {
		return x.owner.Region
	}
	return x.d.o.Region
}
