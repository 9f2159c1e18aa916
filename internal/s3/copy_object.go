package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"thalweg/internal/objstore"
)

// CopyObject stores an object's bytes, at most 5 GiB, as another, with its headers or
// those of the request. The conditions on the source are x-amz-copy-source-if-*.
//
// Status: done
// Deviation: nothing is sent while a large object is copied, where AWS sends white space
// Deviation: a source VersionId other than null is refused

type copyResult struct {
	XMLName      xml.Name
	Xmlns        string `xml:"xmlns,attr"`
	LastModified string
	ETag         string
	Checksums    []field
}

func (x *exchange) copyObject() error {
	from, err := x.source()
	if err != nil {
		return err
	}
	when, err := x.writeCondition()
	if err != nil {
		return err
	}
	o := objstore.CopyOptions{If: when, Check: func(i objstore.Info) error {
		if i.Size > maxBody {
			return errRequest.with("The specified copy source is larger than the maximum allowable size for a copy source: " + strconv.FormatInt(maxBody, 10))
		}
		return x.readCondition("X-Amz-Copy-Source-", i, errPrecondition.and("Condition", "If-None-Match"))
	}}
	switch d := x.r.Header.Get("X-Amz-Metadata-Directive"); d {
	case "", "COPY":
		if from == x.ref() {
			return errSelfCopy
		}
	case "REPLACE":
		headers, err := x.headers()
		if err != nil {
			return err
		}
		o.Replace = &headers
	default:
		return invalidArgument("Unknown metadata directive.", "x-amz-metadata-directive", d)
	}
	if name := x.r.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		a, ok := objstore.ParseAlgorithm(strings.ToUpper(name))
		if !ok {
			return errRequest.with("Value for x-amz-checksum-algorithm header is invalid.")
		}
		o.Algorithm = a
	}
	i, err := x.d.o.Store.Copy(x.r.Context(), from, x.ref(), o)
	if err != nil {
		return x.ofSource(err, from)
	}
	x.document(http.StatusOK, copyResult{XMLName: xml.Name{Local: "CopyObjectResult"}, Xmlns: namespace, LastModified: stamp(i.Modified),
		ETag: quoted(i.ETag), Checksums: checksumElements(i.Checksum)})
	return nil
}

// source reads what is to be copied, and asks whether the caller may read it.
func (x *exchange) source() (objstore.Ref, error) {
	raw, query, _ := strings.Cut(x.r.Header.Get(copySource), "?")
	path, err := url.PathUnescape(raw)
	name, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if err != nil || !ok || name == "" || key == "" {
		return objstore.Ref{}, errCopySource
	}
	if v, has := strings.CutPrefix(query, "versionId="); query != "" && (!has || v != "null") {
		return objstore.Ref{}, errNotImplemented
	}
	b, err := x.d.o.Store.HeadBucket(x.r.Context(), name)
	if err != nil {
		return objstore.Ref{}, errNoBucket.and("BucketName", name)
	}
	if want := x.r.Header.Get("X-Amz-Source-Expected-Bucket-Owner"); want != "" && want != b.Owner {
		return objstore.Ref{}, errAccessDenied
	}
	return objstore.Ref{Bucket: name, Key: key}, x.authorise("s3:GetObject", name, key, b.Owner)
}

// ofSource names the source in an error that is about it.
func (x *exchange) ofSource(err error, from objstore.Ref) error {
	if e := x.wireError(err); e.code == errNoKey.code {
		return refusal(e.status, e.code, e.message).and("Key", from.Key)
	}
	return err
}

// checksumElements is a checksum as documents have it.
func checksumElements(c objstore.Checksum) []field {
	if c.Value == "" {
		return nil
	}
	return []field{newField("Checksum"+c.Algorithm.String(), c.Value), newField("ChecksumType", checksumType(c))}
}
