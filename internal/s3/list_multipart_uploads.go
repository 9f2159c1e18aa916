package s3

import (
	"encoding/xml"
	"net/http"

	"thalweg/internal/objstore"
)

// ListMultipartUploads answers a page of the uploads under way in a bucket, by key
// and then by when they began.
//
// Status: done

type listUploadsResult struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Xmlns              string   `xml:"xmlns,attr"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	Prefix             string
	Delimiter          string `xml:",omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Uploads            []uploadEntry `xml:"Upload"`
	CommonPrefixes     []commonPrefix
}

type uploadEntry struct {
	Key               string
	UploadID          string `xml:"UploadId"`
	Initiator         owner
	Owner             owner
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string
	ChecksumType      string
}

func (x *exchange) listMultipartUploads() error {
	limit, err := x.limit("max-uploads")
	if err != nil {
		return err
	}
	encode, urls, err := x.encoding()
	if err != nil {
		return err
	}
	o := objstore.ListUploadsOptions{Prefix: x.query.get("prefix"), Delimiter: x.query.get("delimiter"),
		AfterKey: x.query.get("key-marker"), AfterID: x.query.get("upload-id-marker"), Max: limit}
	var page objstore.UploadPage
	if limit > 0 {
		if err := x.hold(int64(limit) * entryMemory); err != nil {
			return err
		}
		if page, err = x.d.o.Store.ListUploads(x.r.Context(), x.bucket, o); err != nil {
			return err
		}
	}
	out := listUploadsResult{Xmlns: namespace, Bucket: x.bucket, KeyMarker: encode(o.AfterKey), UploadIDMarker: o.AfterID,
		NextKeyMarker: encode(page.NextKey), NextUploadIDMarker: page.NextID, Prefix: encode(o.Prefix), Delimiter: encode(o.Delimiter),
		MaxUploads: limit, IsTruncated: page.NextKey != ""}
	if urls {
		out.EncodingType = "url"
	}
	for _, u := range page.Uploads {
		out.Uploads = append(out.Uploads, uploadEntry{Key: encode(u.Key), UploadID: u.ID, Initiator: ownerOf(u.Owner), Owner: ownerOf(x.owner.Owner),
			StorageClass: "STANDARD", Initiated: stamp(u.Begun), ChecksumAlgorithm: u.Algorithm.String(),
			ChecksumType: checksumType(objstore.Checksum{Composite: u.Composite})})
	}
	for _, p := range page.Prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encode(p)})
	}
	x.document(http.StatusOK, out)
	return nil
}
