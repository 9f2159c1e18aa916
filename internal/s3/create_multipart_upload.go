package s3

import (
	"encoding/xml"
	"net/http"
	"strings"

	"thalweg/internal/objstore"
)

// CreateMultipartUpload begins an object that is put in parts. It stays until it is
// completed or aborted. The checksum is of the whole object for CRC64NVME, and where
// it is asked for CRC32 and CRC32C; else it is one of the parts' checksums.
//
// Status: done
// Deviation: what PutObject refuses is refused here
// Deviation: there is no time after which an upload is aborted

type createUploadResult struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	Xmlns    string   `xml:"xmlns,attr"`
	Bucket   string
	Key      string
	UploadID string `xml:"UploadId"`
}

func (x *exchange) createMultipartUpload() error {
	headers, err := x.headers()
	if err != nil {
		return err
	}
	o := objstore.UploadOptions{Owner: x.caller.Account, Headers: headers}
	name, kind := x.r.Header.Get("X-Amz-Checksum-Algorithm"), x.r.Header.Get("X-Amz-Checksum-Type")
	if name != "" {
		var ok bool
		if o.Algorithm, ok = objstore.ParseAlgorithm(strings.ToUpper(name)); !ok {
			return errRequest.with("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
		}
		o.Composite = o.Algorithm != objstore.CRC64NVME
	}
	sha := o.Algorithm == objstore.SHA1 || o.Algorithm == objstore.SHA256
	switch {
	case kind == "":
	case name == "", kind != fullObject && kind != composite, kind == fullObject && sha, kind == composite && !o.Composite:
		return errRequest.with("The " + kind + " checksum type cannot be used with the " + strings.ToLower(name) + " checksum algorithm.")
	default:
		o.Composite = kind == composite
	}
	u, err := x.d.o.Store.CreateUpload(x.r.Context(), x.ref(), o)
	if err != nil {
		return err
	}
	if name != "" {
		x.w.Header().Set("X-Amz-Checksum-Algorithm", u.Algorithm.String())
		x.w.Header().Set("X-Amz-Checksum-Type", checksumType(objstore.Checksum{Composite: u.Composite}))
	}
	x.document(http.StatusOK, createUploadResult{Xmlns: namespace, Bucket: x.bucket, Key: x.key, UploadID: u.ID})
	return nil
}
