package s3

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"thalweg/internal/objstore"
)

// CompleteMultipartUpload makes the object of the parts that are named, whole and
// durable when it is answered. The conditions are PutObject's.
//
// Status: done
// Deviation: nothing is sent while the parts are put together, where AWS sends white space
// Deviation: an upload that was completed is not there any more when the same is asked again

type completeRequest struct {
	XMLName xml.Name        `xml:"CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber        int
	ETag              string
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}

func (p *completedPart) checksum() objstore.Checksum {
	for a, v := range map[objstore.Algorithm]string{objstore.CRC32: p.ChecksumCRC32, objstore.CRC32C: p.ChecksumCRC32C,
		objstore.CRC64NVME: p.ChecksumCRC64NVME, objstore.SHA1: p.ChecksumSHA1, objstore.SHA256: p.ChecksumSHA256} {
		if v != "" {
			return objstore.Checksum{Algorithm: a, Value: v}
		}
	}
	return objstore.Checksum{}
}

type completeResult struct {
	XMLName   xml.Name `xml:"CompleteMultipartUploadResult"`
	Xmlns     string   `xml:"xmlns,attr"`
	Location  string
	Bucket    string
	Key       string
	ETag      string
	Checksums []field
}

func (x *exchange) completeMultipartUpload() error {
	when, err := x.writeCondition()
	if err != nil {
		return err
	}
	parts, err := x.completedParts()
	if err != nil {
		return err
	}
	i, err := x.d.o.Store.CompleteUpload(x.r.Context(), x.upload(), parts, objstore.CompleteOptions{If: when, Check: x.checkWhole})
	if err != nil {
		return err
	}
	x.document(http.StatusOK, completeResult{Xmlns: namespace, Location: "http://" + x.r.Host + x.r.URL.EscapedPath(), Bucket: x.bucket, Key: x.key,
		ETag: quoted(i.ETag), Checksums: checksumElements(i.Checksum)})
	return nil
}

// completedParts reads the parts that are to become the object.
func (x *exchange) completedParts() ([]objstore.PartRef, error) {
	// The checksums in the headers are the object's, not the document's.
	b, err := x.documentBody()
	if err != nil {
		return nil, err
	}
	var in completeRequest
	if err := x.decode(b, &in); errors.Is(err, io.EOF) {
		return nil, errRequest.with("You must specify at least one part")
	} else if err != nil {
		return nil, err
	}
	if len(in.Parts) == 0 || len(in.Parts) > objstore.MaxParts {
		return nil, errXML
	}
	var parts []objstore.PartRef
	for _, p := range in.Parts {
		parts = append(parts, objstore.PartRef{Number: p.PartNumber, ETag: strings.Trim(p.ETag, `"`), Checksum: p.checksum()})
	}
	return parts, nil
}

// checkWhole compares the object with what the request states of it.
func (x *exchange) checkWhole(i objstore.Info) error {
	if v := x.r.Header.Get("X-Amz-Mp-Object-Size"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n != i.Size {
			return errRequest.with("The provided 'x-amz-mp-object-size' header does not match what was computed.")
		}
	}
	if v := x.r.Header.Get("X-Amz-Checksum-Type"); v != "" && v != checksumType(i.Checksum) {
		return errRequest.with("The upload was created using the " + checksumType(i.Checksum) + " checksum mode. The complete request must use the same checksum mode.")
	}
	for _, a := range objstore.Algorithms {
		if v := x.r.Header.Get(checksumHeader(a)); v != "" && (a != i.Checksum.Algorithm || v != i.Checksum.Value) {
			return errBadDigest.with("The " + strings.ToLower(a.String()) + " you specified did not match what we received.")
		}
	}
	return nil
}
