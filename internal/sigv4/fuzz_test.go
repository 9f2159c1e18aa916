package sigv4

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

// FuzzParse feeds an Authorization header and a query. Whatever they are, the
// request is refused or its parts come back whole, and nothing verifies.
func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=ab", "", "20261123T052000Z")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb%2Fc%2Fd%2Fe&X-Amz-Date=20261123T052000Z&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=ab", "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=host;:authority;a Signature=", "a=b&&=&%", "Mon, 23 Nov 2026 05:20:00 GMT")
	f.Fuzz(func(t *testing.T, header, query, date string) {
		r := &http.Request{Method: "POST", RequestURI: "/?" + query, Host: "h", Header: http.Header{}}
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		if date != "" {
			r.Header["X-Amz-Date"] = []string{date}
		}
		v, rules := testVerifier()
		a, err := Parse(r)
		if err != nil {
			if err.Message == "" || err.Code == 0 {
				t.Errorf("refused without a reason: %+v", err)
			}
			return
		}
		if strings.Count(a.AccessKeyID+a.Date+a.Region+a.Service, "/") != 0 {
			t.Errorf("scope %+v", a.Scope)
		}
		if s, ok := ParseScope(r); !a.Presigned && (!ok || s != a.Scope) {
			t.Errorf("ParseScope %+v %v, Parse %+v", s, ok, a.Scope)
		}
		if err := v.Verify(r, &a, nil, rules); err == nil {
			t.Error("verified")
		}
	})
}

// FuzzCanonical builds the canonical request of arbitrary parts: never a panic,
// never a line too many, and the path and the query are stable when taken again.
func FuzzCanonical(f *testing.F) {
	f.Add("/a//b/../c%20d/", "b=2&a=1&a=%20+&=", "host;x-a", " v  w ", "h:1")
	f.Add("/\xe1\x88\xb4", "\xe1\x88\xb4=bar", "x-a", "", "")
	f.Add("/../..", "&&", "a;b", "\t", "x")
	f.Fuzz(func(t *testing.T, path, query, signed, value, host string) {
		if strings.ContainsAny(path, "?\n") || strings.ContainsAny(value+host, "\r\n") {
			t.Skip("not on the wire in this form")
		}
		r := &http.Request{Method: "GET", RequestURI: "/" + path + "?" + query, Host: host, Header: http.Header{"X-A": {value, value}}}
		a := &Auth{SignedHeaders: signed}
		for _, mode := range []pathMode{pathNormal, pathAsIs, pathAsIs | pathEncOnce} {
			var s scratch
			if !s.canonicalRequest(r, a, []byte("hash"), mode) {
				continue
			}
			lines := bytes.Split(s.buf, []byte("\n"))
			names := strings.Split(signed, ";")
			if len(lines) != 6+len(names) {
				t.Fatalf("%d lines for %d headers: %q", len(lines), len(names), s.buf)
			}
			for _, c := range append(bytes.Clone(lines[1]), lines[2]...) {
				if c <= ' ' || c >= utf8.RuneSelf {
					t.Fatalf("byte %q not encoded in %q", c, s.buf)
				}
			}
			again, ok := new(scratch).appendQuery(nil, string(lines[2]), false)
			if !ok || !bytes.Equal(again, lines[2]) {
				t.Fatalf("query %q, again %q", lines[2], again)
			}
		}
	})
}

// FuzzSum holds the HMAC against the standard library's.
func FuzzSum(f *testing.F) {
	f.Add([]byte("key"), []byte("message"))
	f.Add([]byte{}, bytes.Repeat([]byte("x"), maxMessage+100))
	f.Fuzz(func(t *testing.T, key, msg []byte) {
		k := signingKey(sha256.Sum256(key))
		h := hmac.New(sha256.New, k[:])
		h.Write(msg)
		if got := k.sum(msg); !hmac.Equal(got[:], h.Sum(nil)) {
			t.Errorf("sum %x", got)
		}
	})
}
