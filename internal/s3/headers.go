package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/objstore"
)

const (
	defaultType = "binary/octet-stream"
	metaPrefix  = "X-Amz-Meta-"
	// maxMeta bounds names and values of the user's headers together.
	maxMeta = 2048
)

// refusedHeaders begin the names of headers that ask for what is not served.
var refusedHeaders = []string{
	"X-Amz-Grant-", "X-Amz-Object-Lock-", "X-Amz-Bucket-Object-Lock-", "X-Amz-Server-Side-Encryption", "X-Amz-Copy-Source-Server-Side-Encryption-",
	"X-Amz-Tagging", "X-Amz-Website-Redirect-Location", "X-Amz-Write-Offset-Bytes", "X-Amz-Mfa",
}

// checkHeaders refuses headers that imply functionality that is not there, as they
// would be ignored otherwise.
func (x *exchange) checkHeaders() error {
	for name, values := range x.r.Header {
		for _, p := range refusedHeaders {
			if strings.HasPrefix(name, p) && (name != "X-Amz-Tagging-Directive" || values[0] != "COPY") {
				return errNotImplemented.and("Header", strings.ToLower(name))
			}
		}
	}
	switch acl := x.r.Header.Get("X-Amz-Acl"); acl {
	case "", "private", "bucket-owner-full-control": // what every object is
	default:
		return errNotImplemented.and("Header", "x-amz-acl")
	}
	switch class := x.r.Header.Get("X-Amz-Storage-Class"); class {
	case "", "STANDARD":
	default:
		return errStorageClass.and("StorageClassRequested", class)
	}
	return nil
}

// headers reads what a put is to keep.
func (x *exchange) headers() (objstore.Headers, error) {
	h := x.r.Header
	out := objstore.Headers{
		ContentType:        h.Get("Content-Type"),
		ContentEncoding:    withoutChunked(h.Get("Content-Encoding")),
		ContentDisposition: h.Get("Content-Disposition"),
		ContentLanguage:    h.Get("Content-Language"),
		CacheControl:       h.Get("Cache-Control"),
		Expires:            h.Get("Expires"),
	}
	size := 0
	for name, values := range h {
		user, ok := strings.CutPrefix(name, metaPrefix)
		if !ok || user == "" {
			continue
		}
		if out.User == nil {
			out.User = map[string]string{}
		}
		value := strings.Join(values, ",")
		out.User[strings.ToLower(user)] = value
		size += len(user) + len(value)
	}
	if size > maxMeta {
		return out, errHeadersTooLarge.and("Size", strconv.Itoa(size)).and("MaxSizeAllowed", strconv.Itoa(maxMeta))
	}
	return out, nil
}

// withoutChunked takes aws-chunked, which is of the request only, off an encoding.
func withoutChunked(encoding string) string {
	var kept []string
	for part := range strings.SplitSeq(encoding, ",") {
		if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, "aws-chunked") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ",")
}

// describe sets the headers that describe an object, those of the query instead
// where it has them.
func (x *exchange) describe(i objstore.Info) {
	h := x.w.Header()
	set := func(name, value, override string) {
		if o := x.query.get(override); o != "" {
			value = o
		}
		if value != "" {
			h.Set(name, value)
		}
	}
	stored := i.Headers
	if stored.ContentType == "" {
		stored.ContentType = defaultType
	}
	set("Content-Type", stored.ContentType, "response-content-type")
	set("Content-Encoding", stored.ContentEncoding, "response-content-encoding")
	set("Content-Disposition", stored.ContentDisposition, "response-content-disposition")
	set("Content-Language", stored.ContentLanguage, "response-content-language")
	set("Cache-Control", stored.CacheControl, "response-cache-control")
	set("Expires", stored.Expires, "response-expires")
	for name, value := range stored.User {
		h[strings.ToLower(metaPrefix)+name] = []string{value} // some clients show the name as it comes
	}
	h.Set("Last-Modified", i.Modified.UTC().Format(http.TimeFormat))
	h.Set("Etag", quoted(i.ETag))
	h.Set("Accept-Ranges", "bytes")
}

// showChecksum sets the headers of a checksum.
func (x *exchange) showChecksum(c objstore.Checksum) {
	if c.Value != "" {
		x.w.Header().Set(checksumHeader(c.Algorithm), c.Value)
		x.w.Header().Set("X-Amz-Checksum-Type", checksumType(c))
	}
}

const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

func checksumType(c objstore.Checksum) string {
	if c.Composite {
		return composite
	}
	return fullObject
}

// writeCondition reads the condition of a put.
func (x *exchange) writeCondition() (objstore.Condition, error) {
	var c objstore.Condition
	switch v := x.r.Header.Get("If-None-Match"); v {
	case "":
	case "*":
		c.Absent = true
	default:
		return c, errNotImplemented.and("Header", "If-None-Match")
	}
	if v := x.r.Header.Get("If-Match"); v != "" {
		if c.Absent {
			return c, errNotImplemented.and("Header", "If-Match")
		}
		c.ETag = strings.Trim(v, `"`)
	}
	return c, nil
}

// readCondition holds the headers of a read, which begin with prefix, against an
// object. If-Match decides over If-Unmodified-Since, If-None-Match over
// If-Modified-Since (RFC 9110 section 13.2.2).
func (x *exchange) readCondition(prefix string, i objstore.Info, unchanged error) error {
	h := x.r.Header
	since := func(name string) (time.Time, bool) {
		t, err := http.ParseTime(h.Get(prefix + name))
		return t, err == nil
	}
	modified := i.Modified.Truncate(time.Second)
	if v := h.Get(prefix + "If-Match"); v != "" {
		if !matches(v, i.ETag) {
			return errPrecondition.and("Condition", "If-Match")
		}
	} else if t, ok := since("If-Unmodified-Since"); ok && modified.After(t) {
		return errPrecondition.and("Condition", "If-Unmodified-Since")
	}
	if v := h.Get(prefix + "If-None-Match"); v != "" {
		if matches(v, i.ETag) {
			return unchanged
		}
	} else if t, ok := since("If-Modified-Since"); ok && !modified.After(t) {
		return unchanged
	}
	return nil
}

// matches reports whether a list of entity tags has one.
func matches(list, etag string) bool {
	for v := range strings.SplitSeq(list, ",") {
		v = strings.TrimSpace(v)
		if v == "*" || strings.Trim(strings.TrimPrefix(v, "W/"), `"`) == etag {
			return true
		}
	}
	return false
}

// byteRange is a Range header.
type byteRange struct {
	from, to int64 // to is included; -1 is the end
	suffix   int64 // the last so many bytes, if from is -1
}

// parseRange reads a Range header of one range. Any other is as if it were not there.
func parseRange(v string) (byteRange, bool) {
	spec, ok := strings.CutPrefix(strings.TrimSpace(v), "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return byteRange{}, false
	}
	a, aerr := strconv.ParseInt(first, 10, 62)
	z, zerr := strconv.ParseInt(last, 10, 62)
	switch {
	case first == "" && zerr == nil && z >= 0:
		return byteRange{from: -1, suffix: z}, true
	case aerr != nil || a < 0:
		return byteRange{}, false
	case last == "":
		return byteRange{from: a, to: -1}, true
	case zerr != nil || z < a:
		return byteRange{}, false
	}
	return byteRange{from: a, to: z}, true
}

// of places the range in an object of a size, false if it has none of the range.
func (r byteRange) of(size int64) (off, n int64, ok bool) {
	switch {
	case r.from < 0:
		n = min(r.suffix, size)
		return size - n, n, n > 0
	case r.from >= size:
		return 0, 0, false
	case r.to < 0:
		return r.from, size - r.from, true
	}
	return r.from, min(r.to, size-1) - r.from + 1, true
}
