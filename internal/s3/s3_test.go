package s3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/identity"
	"thalweg/internal/limits"
	"thalweg/internal/objstore"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/sigv4"
	"thalweg/internal/vfs"
)

const me, other = "111122223333", "444455556666"

// trusting is an Auth that believes the header "As", and the owner.
type trusting struct{ *identity.Authority }

func (trusting) AuthenticateStream(r *http.Request) (awsapi.Caller, sigv4.Payload, *sigv4.Error) {
	as := r.Header.Get("As")
	if as == "nobody" {
		return awsapi.Caller{}, sigv4.Payload{}, &sigv4.Error{Code: sigv4.MissingAuthenticationToken}
	}
	if as == "" {
		as = me
	}
	p := sigv4.Payload{}
	if r.Header.Get("X-Amz-Trailer") != "" {
		p.Chunked, p.Trailer = true, true
	}
	return awsapi.Caller{Account: as, Region: "eu-west-1", PrincipalARN: identity.PrincipalARN(as, identity.Root)}, p, nil
}

type bench struct {
	testing.TB
	door   *Door
	clock  *clock.Manual
	budget *limits.Budget
}

func newBench(t testing.TB) *bench {
	c := clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	store, err := fs.Open(fs.Options{FS: vfs.NewEphemeral(), Dir: "/data/objects", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{TB: t, clock: c, budget: limits.NewBudget(64 << 20)}
	b.door = New(Options{Store: store, Auth: trusting{identity.New(identity.Config{})}, Budget: b.budget, Clock: c, Log: slog.New(slog.DiscardHandler),
		Region: "eu-west-1", Hosts: []string{"s3.example.com"}})
	b.do("PUT /bucket", "", 200)
	return b
}

// do makes a request: method, target and headers as "Name: value", in one line each.
func (b *bench) do(request, body string, status int) *httptest.ResponseRecorder {
	b.Helper()
	lines := strings.Split(request, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(l), ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, r)
	if w.Code != status {
		b.Fatalf("%s: status %d, want %d\n%s", request, w.Code, status, w.Body)
	}
	if used := b.budget.Used(); used != 0 {
		b.Fatalf("%s: %d bytes of memory are not given back", request, used)
	}
	return w
}

// fails makes a request that is to fail with a code, and with more text in the answer.
func (b *bench) fails(request, body string, status int, code string, more ...string) {
	b.Helper()
	w := b.do(request, body, status)
	var doc struct {
		XMLName         xml.Name `xml:"Error"`
		Code, RequestId string   //nolint:revive // names on the wire
		Message, HostId string   //nolint:revive // likewise
		BucketName, Key string
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		b.Fatalf("%s: %v\n%s", request, err, w.Body)
	}
	if doc.Code != code || doc.Message == "" || doc.RequestId != w.Header().Get("X-Amz-Request-Id") || len(doc.RequestId) != 16 || doc.HostId == "" {
		b.Fatalf("%s: %+v, want %s", request, doc, code)
	}
	for _, m := range more {
		if !strings.Contains(w.Body.String(), m) {
			b.Fatalf("%s: %q is not in\n%s", request, m, w.Body)
		}
	}
}

func TestErrors(t *testing.T) {
	b := newBench(t)
	b.do("PUT /bucket/k\nContent-Type: text/plain", "hello", 200)
	for _, c := range []struct {
		request, body string
		status        int
		code          string
		more          string
	}{
		{"GET /nobucket/k", "", 404, "NoSuchBucket", "<Message>The specified bucket does not exist</Message><BucketName>nobucket</BucketName>"},
		{"GET /bucket/none", "", 404, "NoSuchKey", "<Message>The specified key does not exist.</Message><Key>none</Key>"},
		{"PUT /Bucket", "", 400, "InvalidBucketName", "<Message>The specified bucket is not valid.</Message>"},
		{"PUT /bucket", "", 409, "BucketAlreadyOwnedByYou", "you already own it."},
		{"PUT /bucket\nAs: " + other, "", 409, "BucketAlreadyExists", "The requested bucket name is not available."},
		{"DELETE /bucket", "", 409, "BucketNotEmpty", "The bucket you tried to delete is not empty"},
		{"GET /bucket/k\nAs: " + other, "", 403, "AccessDenied", "is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::bucket/k"},
		{"GET /bucket/k\nAs: nobody", "", 403, "AccessDenied", "<Message>Access Denied</Message>"},
		{"GET /bucket/k?AWSAccessKeyId=a&Signature=b&Expires=1\nAs: nobody", "", 400, "InvalidRequest", "Please use AWS4-HMAC-SHA256."},
		{"GET /bucket/k\nX-Amz-Expected-Bucket-Owner: " + other, "", 403, "AccessDenied", ""},
		{"GET /bucket/k\nIf-Match: \"x\"", "", 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"},
		{"GET /bucket/k\nIf-Unmodified-Since: Wed, 25 Nov 2020 12:00:00 GMT", "", 412, "PreconditionFailed", "<Condition>If-Unmodified-Since</Condition>"},
		{"GET /bucket/k\nRange: bytes=5-", "", 416, "InvalidRange", "<RangeRequested>bytes=5-</RangeRequested><ActualObjectSize>5</ActualObjectSize>"},
		{"GET /bucket/k\nRange: bytes=-0", "", 416, "InvalidRange", ""},
		{"GET /bucket/k?partNumber=2", "", 416, "InvalidPartNumber", ""},
		{"GET /bucket/k?partNumber=0", "", 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"},
		{"GET /bucket/k?versionId=abc", "", 501, "NotImplemented", ""},
		{"GET /bucket?acl", "", 501, "NotImplemented", "A header you provided implies functionality that is not implemented"},
		{"GET /bucket?policy", "", 501, "NotImplemented", ""},
		{"PUT /bucket?versioning", "", 501, "NotImplemented", ""},
		{"GET /bucket/k?tagging", "", 501, "NotImplemented", ""},
		{"POST /bucket/k?restore", "", 501, "NotImplemented", ""},
		{"POST /bucket", "", 501, "NotImplemented", ""},
		{"PATCH /bucket/k", "", 405, "MethodNotAllowed", "The specified method is not allowed against this resource."},
		{"PUT /bucket/x\nX-Amz-Server-Side-Encryption: AES256", "x", 501, "NotImplemented", "<Header>x-amz-server-side-encryption</Header>"},
		{"PUT /bucket/x\nX-Amz-Acl: public-read", "x", 501, "NotImplemented", ""},
		{"PUT /bucket/x\nX-Amz-Tagging: a=b", "x", 501, "NotImplemented", ""},
		{"PUT /bucket/x\nX-Amz-Storage-Class: GLACIER", "x", 400, "InvalidStorageClass", ""},
		{"PUT /bucket/x\nContent-Md5: x", "x", 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		{"PUT /bucket/x\nContent-Md5: XUFAKrxLKna5cZ2REBfFkg==", "x", 400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		{"PUT /bucket/x\nX-Amz-Checksum-Crc32: NhCmhg==", "x", 400, "BadDigest", "The CRC32 you specified did not match the calculated checksum."},
		{"PUT /bucket/x\nX-Amz-Checksum-Crc32: zz", "x", 400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		{"PUT /bucket/x\nX-Amz-Checksum-Crc32: NhCmhg==\nX-Amz-Checksum-Sha1: qvTGHdzF6KLavt4PO0gs2a6pQ00=", "hello", 400, "InvalidRequest", "Multiple checksum Types are not allowed."},
		{"PUT /bucket/x\nX-Amz-Trailer: x-amz-checksum-crc32\nX-Amz-Decoded-Content-Length: 5", "5\r\nhellp\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 400, "BadDigest", ""},
		{"PUT /bucket/x\nX-Amz-Trailer: x-amz-checksum-crc32\nX-Amz-Decoded-Content-Length: 5", "5\r\nhello\r\n0\r\n\r\n", 400, "BadDigest", ""},
		{"PUT /bucket/x\nX-Amz-Trailer: x-amz-checksum-crc32\nX-Amz-Decoded-Content-Length: 6", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 400, "IncompleteBody", ""},
		{"PUT /bucket/x\nX-Amz-Trailer: x-amz-checksum-crc32", "5\r\nhello\r\n0\r\n\r\n", 411, "MissingContentLength", ""},
		{"PUT /bucket/k\nIf-None-Match: *", "new", 412, "PreconditionFailed", ""},
		{"PUT /bucket/k\nIf-None-Match: \"x\"", "new", 501, "NotImplemented", ""},
		{"PUT /bucket/none\nIf-Match: \"x\"", "new", 404, "NoSuchKey", ""},
		{"PUT /bucket/k\nX-Amz-Meta-A: " + strings.Repeat("x", 2048), "x", 400, "MetadataTooLarge", "<MaxSizeAllowed>2048</MaxSizeAllowed>"},
		{"PUT /bucket/" + strings.Repeat("k", 1025), "x", 400, "KeyTooLongError", "Your key is too long"},
		{"PUT /bucket/c\nX-Amz-Copy-Source: nobucket/k", "", 404, "NoSuchBucket", ""},
		{"PUT /bucket/c\nX-Amz-Copy-Source: bucket/none", "", 404, "NoSuchKey", "<Key>none</Key>"},
		{"PUT /bucket/c\nX-Amz-Copy-Source: x", "", 400, "InvalidArgument", "Copy Source must mention the source bucket and key"},
		{"PUT /bucket/k\nX-Amz-Copy-Source: bucket/k", "", 400, "InvalidRequest", "copy an object to itself"},
		{"PUT /bucket/c\nX-Amz-Copy-Source: bucket/k\nX-Amz-Copy-Source-If-Match: x", "", 412, "PreconditionFailed", ""},
		{"GET /bucket?max-keys=x", "", 400, "InvalidArgument", "Provided max-keys not an integer or within integer range"},
		{"GET /bucket?list-type=2&continuation-token=%21", "", 400, "InvalidArgument", "The continuation token provided is incorrect"},
		{"GET /bucket?encoding-type=x", "", 400, "InvalidArgument", "Invalid Encoding Method specified in Request"},
		{"POST /bucket?delete", "<Delete><Object><Key>k</Key></Object></Delete>", 400, "InvalidRequest", "Missing required header for this request: Content-MD5"},
		{"POST /bucket?delete\nX-Amz-Checksum-Crc32: AAAAAA==", "", 400, "MalformedXML", ""},
		{"POST /bucket/m?uploadId=none", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", 404, "NoSuchUpload", "<UploadId>none</UploadId>"},
		{"POST /bucket/m?uploadId=none", "<x", 400, "MalformedXML", "The XML you provided was not well-formed"},
		{"POST /bucket/m?uploadId=none", "", 400, "InvalidRequest", "You must specify at least one part"},
		{"PUT /bucket/m?uploadId=none&partNumber=1", "x", 404, "NoSuchUpload", ""},
		{"PUT /bucket/m?uploadId=none&partNumber=10001", "x", 400, "InvalidArgument", ""},
		{"DELETE /bucket/m?uploadId=none", "", 404, "NoSuchUpload", ""},
		{"POST /bucket/m?uploads\nX-Amz-Checksum-Algorithm: MD5", "", 400, "InvalidRequest", "Checksum algorithm provided is unsupported."},
		{"POST /bucket/m?uploads\nX-Amz-Checksum-Algorithm: SHA256\nX-Amz-Checksum-Type: FULL_OBJECT", "", 400, "InvalidRequest", "The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm."},
		{"PUT /another", "<CreateBucketConfiguration><LocationConstraint>us-west-2</LocationConstraint></CreateBucketConfiguration>", 400, "InvalidLocationConstraint", ""},
	} {
		b.fails(c.request, c.body, c.status, c.code, c.more)
	}
	if got := b.do("GET /bucket/k", "", 200).Body.String(); got != "hello" {
		t.Fatalf("a refused request has changed the object to %q", got)
	}
	for _, key := range []string{"x", "c", "m"} {
		b.fails("GET /bucket/"+key, "", 404, "NoSuchKey")
	}
}

func TestReads(t *testing.T) {
	b := newBench(t)
	b.do("PUT /bucket/d/k\nContent-Type: text/plain\nCache-Control: no-store\nX-Amz-Meta-Some-Thing: value\nContent-Encoding: aws-chunked,gzip", "0123456789", 200)
	w := b.do("GET /bucket/d/k", "", 200)
	for name, want := range map[string]string{"Content-Type": "text/plain", "Content-Length": "10", "Etag": `"781e5e245d69b566979b86e28d23f2c7"`,
		"Last-Modified": "Wed, 25 Nov 2026 12:00:00 GMT", "Accept-Ranges": "bytes", "Cache-Control": "no-store",
		"Content-Encoding": "gzip"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := w.Header()["x-amz-meta-some-thing"]; len(got) != 1 || got[0] != "value" {
		t.Error(w.Header())
	}
	for asked, want := range map[string][2]string{
		"bytes=0-0": {"0", "bytes 0-0/10"}, "bytes=3-5": {"345", "bytes 3-5/10"}, "bytes=8-100": {"89", "bytes 8-9/10"}, "bytes=7-": {"789", "bytes 7-9/10"},
		"bytes=-2": {"89", "bytes 8-9/10"}, "bytes=-100": {"0123456789", "bytes 0-9/10"},
	} {
		w := b.do("GET /bucket/d/k\nRange: "+asked, "", 206)
		if w.Body.String() != want[0] || w.Header().Get("Content-Range") != want[1] {
			t.Errorf("%s: %q %q", asked, w.Body, w.Header().Get("Content-Range"))
		}
	}
	for _, asked := range []string{"bytes=5-3", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes="} {
		if got := b.do("GET /bucket/d/k\nRange: "+asked, "", 200).Body.String(); got != "0123456789" {
			t.Errorf("%s: %q", asked, got)
		}
	}
	for _, cond := range []string{`If-None-Match: "781e5e245d69b566979b86e28d23f2c7"`, "If-None-Match: *", "If-Modified-Since: Wed, 25 Nov 2026 12:00:00 GMT"} {
		if w := b.do("GET /bucket/d/k\n"+cond, "", 304); w.Body.Len() > 0 || w.Header().Get("Etag") == "" {
			t.Errorf("%s: %q %v", cond, w.Body, w.Header())
		}
	}
	b.do("GET /bucket/d/k\nIf-None-Match: x\nIf-Modified-Since: Wed, 25 Nov 2026 12:00:00 GMT", "", 200)
	b.do("GET /bucket/d/k\nIf-Match: \"781e5e245d69b566979b86e28d23f2c7\"\nIf-Unmodified-Since: Wed, 25 Nov 2020 12:00:00 GMT", "", 200)
	w = b.do("GET /bucket/d/k?response-content-type=a/b&response-cache-control=none", "", 200)
	if w.Header().Get("Content-Type") != "a/b" || w.Header().Get("Cache-Control") != "none" {
		t.Error(w.Header())
	}
	w = b.do("HEAD /bucket/d/k\nX-Amz-Checksum-Mode: ENABLED", "", 200)
	if w.Body.Len() > 0 || w.Header().Get("X-Amz-Checksum-Crc64nvme") == "" || w.Header().Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
		t.Errorf("%q %v", w.Body, w.Header())
	}
	if w := b.do("HEAD /bucket/none", "", 404); w.Body.Len() > 0 {
		t.Errorf("%q", w.Body)
	}
}

// A request finds its bucket by path or by host.
func TestAddresses(t *testing.T) {
	b := newBench(t)
	b.do("PUT /bucket/a%2Fb%20c", "x", 200)
	for _, c := range []string{
		"GET /bucket/a/b%20c", "GET /bucket/a%2Fb%20c", "GET /a/b%20c\nHost: bucket.localhost:4566", "GET /a/b%20c\nHost: bucket.s3.localhost",
		"GET /a/b%20c\nHost: bucket.s3.eu-west-1.amazonaws.com", "GET /a/b%20c\nHost: bucket.s3.amazonaws.com", "GET /a/b%20c\nHost: BUCKET.s3.example.com:80",
		"GET /bucket/a/b%20c\nHost: s3.eu-west-1.amazonaws.com", "GET /bucket/a/b%20c\nHost: localhost", "GET /bucket/a/b%20c\nHost: 127.0.0.1:4566",
		"GET /bucket/a/b%20c\nHost: s3.localhost", "GET /bucket/a/b%20c\nHost: [::1]:4566", "GET /bucket/a/b%20c\nHost: s3.example.com",
	} {
		if got := b.do(c, "", 200).Body.String(); got != "x" {
			t.Errorf("%s: %q", c, got)
		}
	}
}

func TestWants(t *testing.T) {
	b := newBench(t)
	scope := func(service string) string {
		return "AWS4-HMAC-SHA256 Credential=A/20261125/eu-west-1/" + service + "/aws4_request, SignedHeaders=host, Signature=x"
	}
	for _, c := range []struct {
		target, host, auth, header string
		want                       bool
	}{
		{"/", "127.0.0.1", scope("s3"), "", true},
		{"/bucket/k", "127.0.0.1", scope("s3"), "", true},
		{"/bucket/k", "127.0.0.1", scope("kinesis"), "", false},
		{"/", "127.0.0.1", scope("s3"), "Kinesis_20131202.ListStreams", false},
		{"/", "s3.eu-west-1.amazonaws.com", "", "", true},
		{"/k", "bucket.s3.eu-west-1.amazonaws.com", "", "", true},
		{"/", "kinesis.eu-west-1.amazonaws.com", "", "", false},
		{"/bucket/k", "127.0.0.1", "", "", true},
		{"/v1/clusters", "127.0.0.1", "", "", false},
		{"/", "127.0.0.1", "", "", false},
		{"/bucket/k?X-Amz-Credential=A%2F20261125%2Feu-west-1%2Fs3%2Faws4_request", "127.0.0.1", "", "", true},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		r.Host = c.host
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		if c.header != "" {
			r.Header.Set("X-Amz-Target", c.header)
		}
		if got := b.door.Wants(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Documents as AWS's are, down to the order of their elements.
func TestDocuments(t *testing.T) {
	b := newBench(t)
	for _, key := range []string{"a", "d/1", "d/2", "e&<f"} {
		b.do("PUT /bucket/"+strings.NewReplacer("&", "%26", "<", "%3C").Replace(key), key, 200)
	}
	for request, want := range map[string]string{
		"GET /bucket?list-type=2&delimiter=/&max-keys=2":      `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix><KeyCount>2</KeyCount><NextContinuationToken>ZC8</NextContinuationToken><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><Contents><Key>a</Key><LastModified>2026-11-25T12:00:00.000Z</LastModified><ETag>&#34;0cc175b9c0f1b6a831c399e269772661&#34;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListBucketResult>`,
		"GET /bucket?marker=d/&delimiter=/&encoding-type=url": "<Key>e%26%3Cf</Key>",
		"GET /bucket?location":                                `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`,
		"GET /":                                               "<Buckets><Bucket><Name>bucket</Name><CreationDate>2026-11-25T12:00:00.000Z</CreationDate></Bucket></Buckets>",
		"GET /bucket?uploads":                                 "<MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated>",
		"GET /bucket?max-keys=0":                              "<Marker></Marker><MaxKeys>0</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>",
	} {
		if got := b.do(request, "", 200).Body.String(); !strings.HasPrefix(got, xml.Header) || !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", request, got, want)
		}
	}
	b.do("GET /\nAs: "+other, "", 200)
	doc := `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a</Key></Object><Object><Key>none</Key></Object><Object><Key>d/1</Key><VersionId>v</VersionId></Object></Delete>`
	h := objstore.CRC32.New()
	_, _ = io.WriteString(h, doc)
	w := b.do("POST /bucket?delete\nX-Amz-Checksum-Crc32: "+objstore.Sum(objstore.CRC32, h).Value, doc, 200)
	if want := `<Deleted><Key>a</Key></Deleted><Deleted><Key>none</Key></Deleted><Error><Key>d/1</Key><Code>NotImplemented</Code>`; !strings.Contains(w.Body.String(), want) {
		t.Error(w.Body)
	}
}

// A body that ends early, or a client that has gone, leaves nothing behind.
func TestBrokenBodies(t *testing.T) {
	b := newBench(t)
	for _, n := range []int{0, 1, 100_000} {
		r := httptest.NewRequest("PUT", "/bucket/k", io.MultiReader(bytes.NewReader(make([]byte, n)), broken{}))
		r.ContentLength = 200_000
		w := httptest.NewRecorder()
		b.door.ServeHTTP(w, r)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "<Code>IncompleteBody</Code>") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	b.fails("GET /bucket/k", "", 404, "NoSuchKey")
	r := httptest.NewRequest("PUT", "/bucket/k", nil)
	r.ContentLength = 6 << 30
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "<Code>EntityTooLarge</Code>") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Without memory to spare requests are told to slow down, and take none.
func TestMemoryIsBounded(t *testing.T) {
	b := newBench(t)
	b.budget.Take(64 << 20)
	r := httptest.NewRequest("PUT", "/bucket/k", strings.NewReader("x"))
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, r)
	if w.Code != 503 || !strings.Contains(w.Body.String(), "<Code>SlowDown</Code>") || b.budget.Used() != 64<<20 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// Every operation has an action, one file, and is found by its own request only.
func TestOperations(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range operations {
		if p.action == "" || !strings.HasPrefix(p.action, "s3:") || p.run == nil || seen[p.name] {
			t.Errorf("%+v", p)
		}
		seen[p.name] = true
		k := fmt.Sprint(p.route, p.marks, p.header)
		if seen[k] {
			t.Errorf("%s is not told from another", p.name)
		}
		seen[k] = true
	}
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-1", int64(10))
	f.Add("bytes=-5", int64(0))
	f.Fuzz(func(t *testing.T, v string, size int64) {
		if size < 0 {
			return
		}
		if r, ok := parseRange(v); ok {
			if off, n, ok := r.of(size); ok && (off < 0 || n <= 0 || off+n > size) {
				t.Fatalf("%q of %d: %d, %d", v, size, off, n)
			}
		}
	})
}

func FuzzTarget(f *testing.F) {
	f.Add("GET", "/bucket/k?partNumber=1", "bucket.localhost")
	f.Add("POST", "/bucket?delete", "")
	b := newBench(f)
	f.Fuzz(func(_ *testing.T, method, target, host string) {
		r, err := http.NewRequest(method, "http://127.0.0.1"+target, nil)
		if err != nil {
			return
		}
		r.Host = host
		w := httptest.NewRecorder()
		b.door.ServeHTTP(w, r)
	})
}
