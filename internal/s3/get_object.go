package s3

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"thalweg/internal/objstore"
)

// GetObject answers an object's bytes, a range of them or one part, under the
// conditions of the request.
//
// Status: done
// Deviation: If-Range is not looked at

func (x *exchange) getObject() error {
	v := view{}
	o, err := x.d.o.Store.Get(x.r.Context(), x.ref(), func(i objstore.Info) (objstore.Range, error) {
		return v.pick(x, i)
	})
	if err != nil {
		return err
	}
	defer o.Body.Close()
	x.answerHead(o.Info, &v)
	n, err := io.Copy(x.w, io.LimitReader(o.Body, v.n))
	x.out = n
	return err
}

func (x *exchange) ref() objstore.Ref { return objstore.Ref{Bucket: x.bucket, Key: x.key} }

// view is what a read wants of an object.
type view struct {
	off, n  int64
	partial bool
	parts   int // of an object that is asked for by part
}

// pick places the request's range or part in the object.
func (v *view) pick(x *exchange, i objstore.Info) (objstore.Range, error) {
	if err := x.readCondition("", i, errNotModified); err != nil {
		x.w.Header().Set("Etag", quoted(i.ETag))
		return objstore.Range{}, err
	}
	v.n = i.Size
	asked := x.r.Header.Get("Range")
	if number := x.query.get("partNumber"); number != "" {
		if asked != "" {
			return objstore.Range{}, errRequest.with("Cannot specify both Range header and partNumber query parameter")
		}
		if err := v.part(number, i); err != nil {
			return objstore.Range{}, err
		}
	} else if r, ok := parseRange(asked); ok {
		if v.off, v.n, ok = r.of(i.Size); !ok {
			x.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", i.Size))
			return objstore.Range{}, errRange.and("RangeRequested", asked).and("ActualObjectSize", strconv.FormatInt(i.Size, 10))
		}
		v.partial = true
	}
	return objstore.Range{Off: v.off, Len: v.n}, nil
}

// part places a part; an object that was put at once is its part 1.
func (v *view) part(number string, i objstore.Info) error {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > objstore.MaxParts {
		return invalidArgument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", number)
	}
	sizes := i.Parts
	if len(sizes) == 0 {
		sizes = []int64{i.Size}
	} else {
		v.parts = len(sizes)
	}
	if n > len(sizes) {
		return errPartNumber.and("ActualPartCount", strconv.Itoa(len(sizes)))
	}
	for _, size := range sizes[:n-1] {
		v.off += size
	}
	v.n, v.partial = sizes[n-1], i.Size > 0
	return nil
}

// answerHead answers everything but the bytes.
func (x *exchange) answerHead(i objstore.Info, v *view) {
	x.describe(i)
	h := x.w.Header()
	h.Set("Content-Length", strconv.FormatInt(v.n, 10))
	status := http.StatusOK
	if v.partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", v.off, v.off+v.n-1, i.Size))
	}
	if v.parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(v.parts))
	}
	if x.r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && v.n == i.Size {
		x.showChecksum(i.Checksum)
	}
	x.begun = true
	x.w.WriteHeader(status)
}
