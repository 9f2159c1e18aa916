package s3

import (
	"encoding/xml"
	"net/http"
)

// GetBucketLocation answers the bucket's region, nothing for us-east-1.
//
// Status: done

type locationResult struct {
	XMLName xml.Name `xml:"LocationConstraint"`
	Xmlns   string   `xml:"xmlns,attr"`
	Region  string   `xml:",chardata"`
}

func (x *exchange) getBucketLocation() error {
	out := locationResult{Xmlns: namespace, Region: x.region()}
	if out.Region == firstRegion {
		out.Region = ""
	}
	x.document(http.StatusOK, out)
	return nil
}
