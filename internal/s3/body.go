package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"thalweg/internal/objstore"
	"thalweg/internal/sigv4"
)

// maxBody is the most that one request can put.
const maxBody = 5 << 30

// body is what a request carries. It gives io.EOF only when everything that was
// stated of it is true.
type body struct {
	in    *sigv4.Body
	size  int64 // as stated
	left  int64
	sums  []check
	count *int64
	err   error
	// algorithm is that of the checksum that the client sent; 0 is none.
	algorithm objstore.Algorithm
	guarded   bool // a digest or checksum of the bytes was stated
}

// check is a digest that must come out as want says.
type check struct {
	hash hash.Hash
	want func() string // in base64; "" where the client left it out
	fail *wireError
}

// body returns a reader of the request's body, which checks what the headers state
// of it.
func (x *exchange) body() (*body, error) {
	b, err := x.documentBody()
	if err != nil {
		return nil, err
	}
	return b, b.checksums(x)
}

// documentBody is body without the checksums.
func (x *exchange) documentBody() (*body, error) {
	size := x.r.ContentLength
	if x.payload.Chunked {
		n, err := strconv.ParseInt(x.r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || n < 0 {
			return nil, errNoLength
		}
		size = n
	}
	switch {
	case size < 0:
		return nil, errNoLength
	case size > maxBody:
		return nil, errTooLarge.and("ProposedSize", strconv.FormatInt(size, 10)).and("MaxSizeAllowed", strconv.FormatInt(maxBody, 10))
	}
	b := &body{in: x.payload.Body(x.r.Body), size: size, left: size, count: &x.in}
	if v := x.r.Header.Get("Content-Md5"); v != "" {
		if raw, err := base64.StdEncoding.DecodeString(v); err != nil || len(raw) != md5.Size {
			return nil, errDigest.and("Content-MD5", v)
		}
		b.guarded = true
		b.sums = append(b.sums, check{md5.New(), func() string { return v }, errBadDigest})
	}
	return b, nil
}

// checksumHeader is the header that carries a checksum.
func checksumHeader(a objstore.Algorithm) string {
	return "x-amz-checksum-" + strings.ToLower(a.String())
}

// checksums notes the checksums that stand in headers, and the one that a trailer is
// to bring.
func (b *body) checksums(x *exchange) error {
	trailer := strings.ToLower(strings.TrimSpace(x.r.Header.Get("X-Amz-Trailer")))
	for _, a := range objstore.Algorithms {
		name := checksumHeader(a)
		value := x.r.Header.Get(name)
		want := func() string { return value }
		switch {
		case value != "":
			if raw, err := base64.StdEncoding.DecodeString(value); err != nil || len(raw) != a.New().Size() {
				return errRequest.with("Value for " + name + " header is invalid.")
			}
		case trailer == name && x.payload.Trailer:
			want = func() string { return b.in.Trailer(name) }
		default:
			continue
		}
		if b.algorithm != 0 {
			return errRequest.with("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		b.algorithm, b.guarded = a, true
		b.sums = append(b.sums, check{a.New(), want, errBadDigest.with("The " + a.String() + " you specified did not match the calculated checksum.")})
	}
	if name := x.r.Header.Get("X-Amz-Sdk-Checksum-Algorithm"); name != "" && b.algorithm == 0 {
		a, ok := objstore.ParseAlgorithm(strings.ToUpper(name))
		if !ok {
			return errRequest.with("Value for x-amz-sdk-checksum-algorithm header is invalid.")
		}
		b.algorithm = a
	}
	return nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.in.Read(p)
	*b.count += int64(n)
	b.left -= int64(n)
	for _, c := range b.sums {
		c.hash.Write(p[:n])
	}
	switch {
	case b.left < 0:
		err = errIncomplete
	case errors.Is(err, io.EOF):
		err = b.end()
	case isTimeout(err):
		err = errReadTimeout
	}
	b.err = err
	return n, err
}

func (b *body) end() error {
	if b.left != 0 {
		return errIncomplete
	}
	for _, c := range b.sums {
		want, err := base64.StdEncoding.DecodeString(c.want())
		if err != nil || !bytes.Equal(want, c.hash.Sum(nil)) {
			return c.fail
		}
	}
	return io.EOF
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout() || errors.Is(err, http.ErrHandlerTimeout)
}
