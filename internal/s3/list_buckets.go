package s3

import (
	"encoding/xml"
	"net/http"
)

// ListBuckets answers the caller's buckets, by name.
//
// Status: partial: all buckets come in one answer; max-buckets, prefix and bucket-region are refused

type listBucketsResult struct {
	XMLName xml.Name      `xml:"ListAllMyBucketsResult"`
	Xmlns   string        `xml:"xmlns,attr"`
	Owner   owner         `xml:"Owner"`
	Buckets []bucketEntry `xml:"Buckets>Bucket"`
}

type bucketEntry struct {
	Name         string
	CreationDate string
}

func (x *exchange) listBuckets() error {
	for _, name := range []string{"max-buckets", "prefix", "bucket-region", "continuation-token"} {
		if x.query.get(name) != "" {
			return errNotImplemented.and("Parameter", name)
		}
	}
	all, err := x.d.o.Store.ListBuckets(x.r.Context())
	if err != nil {
		return err
	}
	out := listBucketsResult{Xmlns: namespace, Owner: ownerOf(x.caller.Account)}
	for _, b := range all {
		if b.Owner == x.caller.Account {
			out.Buckets = append(out.Buckets, bucketEntry{Name: b.Name, CreationDate: stamp(b.Created)})
		}
	}
	x.document(http.StatusOK, out)
	return nil
}
