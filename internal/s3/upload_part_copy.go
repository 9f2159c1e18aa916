package s3

import (
	"encoding/xml"
	"net/http"
	"strconv"

	"thalweg/internal/objstore"
)

// UploadPartCopy stores an object's bytes, or a range of them, as a part.
//
// Status: done
// Deviation: as of CopyObject

func (x *exchange) uploadPartCopy() error {
	number, err := x.partNumber()
	if err != nil {
		return err
	}
	from, err := x.source()
	if err != nil {
		return err
	}
	o, err := x.d.o.Store.Get(x.r.Context(), from, func(i objstore.Info) (objstore.Range, error) {
		if err := x.readCondition("X-Amz-Copy-Source-", i, errPrecondition.and("Condition", "If-None-Match")); err != nil {
			return objstore.Range{}, err
		}
		return x.sourceRange(i.Size)
	})
	if err != nil {
		return x.ofSource(err, from)
	}
	defer o.Body.Close()
	p, err := x.d.o.Store.PutPart(x.r.Context(), x.upload(), number, o.Body)
	if err != nil {
		return err
	}
	x.document(http.StatusOK, copyResult{XMLName: xml.Name{Local: "CopyPartResult"}, Xmlns: namespace, LastModified: stamp(p.Modified),
		ETag: quoted(p.ETag), Checksums: checksumElements(p.Checksum)[:1]})
	return nil
}

// sourceRange reads which bytes of the source are wanted. Unlike in a read, a range
// must lie within the object.
func (x *exchange) sourceRange(size int64) (objstore.Range, error) {
	v := x.r.Header.Get("X-Amz-Copy-Source-Range")
	if v == "" {
		if size > maxBody {
			return objstore.Range{}, errRequest.with("The specified copy source is larger than the maximum allowable size for a copy source: " + strconv.FormatInt(maxBody, 10))
		}
		return objstore.Range{}, nil
	}
	r, ok := parseRange(v)
	if !ok || r.from < 0 || r.to < 0 {
		return objstore.Range{}, invalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
			"x-amz-copy-source-range", v)
	}
	n := r.to - r.from + 1
	if r.to >= size || n > maxBody {
		return objstore.Range{}, invalidArgument("Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10), "x-amz-copy-source-range", v)
	}
	return objstore.Range{Off: r.from, Len: n}, nil
}
