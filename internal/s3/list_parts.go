package s3

import (
	"encoding/xml"
	"net/http"
	"strconv"
)

// ListParts answers a page of the parts that an upload has.
//
// Status: done

type listPartsResult struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	Xmlns                string   `xml:"xmlns,attr"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	Initiator            owner
	Owner                owner
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	EncodingType         string `xml:",omitempty"`
	IsTruncated          bool
	ChecksumAlgorithm    string      `xml:",omitempty"`
	ChecksumType         string      `xml:",omitempty"`
	Parts                []partEntry `xml:"Part"`
}

type partEntry struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	Checksums    []field
}

func (x *exchange) listParts() error {
	limit, err := x.limit("max-parts")
	if err != nil {
		return err
	}
	after := 0
	if v := x.query.get("part-number-marker"); v != "" {
		if after, err = strconv.Atoi(v); err != nil || after < 0 {
			return invalidArgument("Provided part-number-marker not an integer or within integer range", "part-number-marker", v)
		}
	}
	encode, urls, err := x.encoding()
	if err != nil {
		return err
	}
	if err := x.hold(int64(limit) * entryMemory / 8); err != nil {
		return err
	}
	u, parts, more, err := x.d.o.Store.ListParts(x.r.Context(), x.upload(), after, max(limit, 1))
	if err != nil {
		return err
	}
	parts = parts[:min(len(parts), limit)]
	out := listPartsResult{Xmlns: namespace, Bucket: x.bucket, Key: encode(x.key), UploadID: u.ID, Initiator: ownerOf(u.Owner),
		Owner: ownerOf(x.owner.Owner), StorageClass: "STANDARD", PartNumberMarker: after, MaxParts: limit, IsTruncated: more && limit > 0,
		ChecksumAlgorithm: u.Algorithm.String()}
	if urls {
		out.EncodingType = "url"
	}
	out.ChecksumType = fullObject
	if u.Composite {
		out.ChecksumType = composite
	}
	for _, p := range parts {
		out.Parts = append(out.Parts, partEntry{p.Number, stamp(p.Modified), quoted(p.ETag), p.Size, checksumElements(p.Checksum)[:1]})
		out.NextPartNumberMarker = p.Number
	}
	x.document(http.StatusOK, out)
	return nil
}
