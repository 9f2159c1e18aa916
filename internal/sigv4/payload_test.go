package sigv4

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"thalweg/internal/clock"
)

// The examples of docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
// sigv4-streaming-trailers.html: 66,560 letters a, in chunks of 64 KiB and 1 KiB.
type chunkedExample struct {
	name, statement, signedHeaders, seed, body string
	trailer                                    bool
}

var chunkedExamples = []chunkedExample{
	{name: "chunks", statement: streamingSigned,
		signedHeaders: "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		seed:          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		body: "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + strings.Repeat("a", 65536) + "\r\n" +
			"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + strings.Repeat("a", 1024) + "\r\n" +
			"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"},
	{name: "trailer", statement: streamingSignedTrailer, trailer: true,
		signedHeaders: "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		seed:          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
		body: "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" + strings.Repeat("a", 65536) + "\r\n" +
			"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" + strings.Repeat("a", 1024) + "\r\n" +
			"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
			"x-amz-checksum-crc32c:sOO8/Q==\r\n" +
			"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"},
}

// open proves the head of the example and returns a reader of body.
func (e *chunkedExample) open(t testing.TB, body io.Reader) *Body {
	t.Helper()
	r := httptest.NewRequest("PUT", "http://s3.amazonaws.com/examplebucket/chunkObject.txt", strings.NewReader(""))
	r.ContentLength = 66824
	for name, value := range map[string]string{
		"X-Amz-Date": "20130524T000000Z", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY", "Content-Encoding": "aws-chunked",
		"X-Amz-Decoded-Content-Length": "66560", "X-Amz-Content-Sha256": e.statement, "X-Amz-Trailer": "x-amz-checksum-crc32c",
		"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
			e.signedHeaders + ",Signature=" + e.seed,
	} {
		r.Header.Set(name, value)
	}
	a, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := ParsePayload(r, &a)
	if !ok || !p.Chunked || !p.Signed || p.Trailer != e.trailer {
		t.Fatalf("%+v", p)
	}
	v := NewVerifier(clock.NewManual(time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)), oneSecret{id: "AKIAIOSFODNN7EXAMPLE", secret: NewSecret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")})
	if err := v.VerifyHead(r, &a, &p, &Rules{Service: "s3", S3Path: true}); err != nil {
		t.Fatal(err)
	}
	return p.Body(body)
}

func TestChunkedExamples(t *testing.T) {
	for _, e := range chunkedExamples {
		for _, in := range []io.Reader{strings.NewReader(e.body), iotest.OneByteReader(strings.NewReader(e.body)),
			iotest.DataErrReader(strings.NewReader(e.body))} {
			b := e.open(t, in)
			got, err := io.ReadAll(b)
			if err != nil || string(got) != strings.Repeat("a", 66560) {
				t.Fatalf("%s: %d bytes, %v", e.name, len(got), err)
			}
			if e.trailer && b.Trailer("x-amz-checksum-crc32c") != "sOO8/Q==" {
				t.Fatal(b.trailer)
			}
		}
	}
}

// Whatever is changed, left out or added is told before the end.
func TestChunkedBodiesAreGuarded(t *testing.T) {
	for _, e := range chunkedExamples {
		try := func(what, body string) {
			if _, err := io.ReadAll(e.open(t, strings.NewReader(body))); err == nil {
				t.Errorf("%s: %s is taken", e.name, what)
			} else if !errors.Is(err, ErrChunk) && !errors.Is(err, ErrChunkSignature) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %s: %v", e.name, what, err)
			}
		}
		for i := 0; i < len(e.body); i++ {
			if i == 200 {
				i = 65600 // all of the letters are alike
			}
			c := e.body[i]
			if c == '\r' || c == '\n' && i+3 > len(e.body) {
				continue
			}
			try("a changed byte", e.body[:i]+string(c^0x04)+e.body[i+1:])
		}
		for i := 0; i < len(e.body)-2; i += 97 {
			try("a body cut off", e.body[:i])
		}
		try("more than the body", e.body+"x")
		second := strings.Index(e.body, "400;")
		last := strings.LastIndex(e.body, "\r\n0;")
		try("a chunk left out", e.body[:second]+e.body[last+2:])
		try("a chunk twice", e.body[:last+2]+e.body[second:])
		try("no last chunk", e.body[:last+2])
	}
}

func TestPayloads(t *testing.T) {
	read := func(stated, body string) (string, error) {
		r := httptest.NewRequest("PUT", "/b/k", nil)
		r.Header.Set("X-Amz-Content-Sha256", stated)
		p, ok := ParsePayload(r, &Auth{})
		if !ok {
			return "", errors.New("no payload")
		}
		b := p.Body(strings.NewReader(body))
		got, err := io.ReadAll(b)
		return string(got) + b.Trailer("x-amz-checksum-crc32"), err
	}
	hello := "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	for _, c := range []struct {
		stated, body, want string
		err                error
	}{
		{UnsignedPayload, "hello", "hello", nil},
		{hello, "hello", "hello", nil},
		{strings.ToUpper(hello), "hello", "hello", nil},
		{hello, "hellp", "hellp", ErrPayloadHash},
		{streamingUnsignedTrailer, "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "helloNhCmhg==", nil},
		{streamingUnsignedTrailer, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello", nil},
		{streamingUnsignedTrailer, "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n", "hello" + "NhCmhg==", io.ErrUnexpectedEOF},
		{streamingUnsignedTrailer, "5\r\nhello\r\n", "hello", io.ErrUnexpectedEOF},
		{streamingUnsignedTrailer, "6\r\nhello\r\n", "hello\r", io.ErrUnexpectedEOF},
		{streamingUnsignedTrailer, "hello", "", io.ErrUnexpectedEOF},
		{streamingUnsignedTrailer, "zz\r\nhello", "", ErrChunk},
		{streamingUnsignedTrailer, strings.Repeat("0", 5000), "", ErrChunk},
		{streamingUnsignedTrailer, "0\r\n" + strings.Repeat("a:b\r\n", 40) + "\r\n", "", ErrChunk},
		{streamingSigned, "5\r\nhello\r\n0\r\n\r\n", "", ErrChunk},
	} {
		if got, err := read(c.stated, c.body); !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("%s %q: %q, %v", c.stated, c.body, got, err)
		}
	}
	for _, stated := range []string{"", "x", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", hello[1:]} {
		if _, err := read(stated, ""); err == nil {
			t.Errorf("%q is a payload", stated)
		}
	}
}

func FuzzChunked(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", true)
	f.Add("5;chunk-signature=ab\r\nhello\r\n0;chunk-signature=cd\r\n\r\n", false)
	f.Fuzz(func(t *testing.T, body string, trailer bool) {
		b := Payload{Chunked: true, Trailer: trailer}.Body(strings.NewReader(body))
		got, err := io.ReadAll(b)
		if err == nil && len(got) > len(body) {
			t.Fatalf("%d bytes of %d", len(got), len(body))
		}
	})
}
