package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"thalweg/internal/clock"
)

var (
	rounds = flag.Int("sigv4.rounds", 300, "random requests signed by the SDK and mutated")
	seed   = flag.Uint64("sigv4.seed", 1, "seed of the random requests")
)

var testTime = time.Date(2026, 11, 23, 5, 20, 0, 0, time.UTC)

// wire writes a client's request and reads it back as a server does.
func wire(t testing.TB, r *http.Request, body []byte) *http.Request {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatalf("%v in %q", err, b.String())
	}
	return got
}

// sdkRequest returns a random request signed by the SDK, and its body.
func sdkRequest(t testing.TB, rnd *rand.Rand, presign bool) (*http.Request, []byte) {
	t.Helper()
	text := func(alphabet string, limit int) string {
		b := make([]byte, rnd.IntN(limit))
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return string(b)
	}
	const bytesOfAllKinds = "aZ09-_.~ !*'();:@&=+$,/?#[]%<>\"{}|\\^`\x7f\xe1\x88\xb4"
	u := &url.URL{Scheme: "http", Host: "localhost:4566", Path: "/"}
	for range rnd.IntN(4) {
		u.Path += "p" + strings.ReplaceAll(text(bytesOfAllKinds, 12), "/", "_") + "/"
	}
	q := url.Values{}
	for range rnd.IntN(5) {
		q.Add("k"+text(bytesOfAllKinds, 4), text(bytesOfAllKinds, 12))
	}
	if presign {
		q.Set("X-Amz-Expires", "300")
	}
	u.RawQuery = q.Encode()
	body := []byte(text(bytesOfAllKinds, 200))
	r, err := http.NewRequest("POST", u.String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if !presign {
		r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
	}
	r.Header.Set("X-Two-Spaces", "a  b   c "+text("x ", 9))
	for range rnd.IntN(3) {
		r.Header.Add("X-Amz-Meta-Many", "v "+text("ab ", 5))
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	creds := aws.Credentials{AccessKeyID: vectorKey, SecretAccessKey: vectorSecret}
	if rnd.IntN(2) == 0 {
		creds.SessionToken = "token+/="
	}
	signer := v4.NewSigner()
	if presign {
		signed, headers, err := signer.PresignHTTP(context.Background(), creds, r, hash, "kinesis", "eu-west-1", testTime)
		if err != nil {
			t.Fatal(err)
		}
		p, err := http.NewRequest("POST", signed, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range headers {
			p.Header[k] = v
		}
		return wire(t, p, body), body
	}
	if err := signer.SignHTTP(context.Background(), creds, r, hash, "kinesis", "eu-west-1", testTime); err != nil {
		t.Fatal(err)
	}
	return wire(t, r, body), body
}

func testVerifier() (*Verifier, *Rules) {
	v := NewVerifier(clock.NewManual(testTime), oneSecret{id: vectorKey, secret: NewSecret(vectorSecret)})
	return v, &Rules{Service: "kinesis"}
}

func verify(v *Verifier, r *http.Request, body []byte, rules *Rules) *Error {
	a, err := Parse(r)
	if err != nil {
		return err
	}
	return v.Verify(r, &a, body, rules)
}

// TestSDKRoundTrip signs with the SDK, verifies, then changes one signed byte at
// a time and wants a refusal for each.
func TestSDKRoundTrip(t *testing.T) {
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(*seed, 2))
	v, rules := testVerifier()
	for i := range *rounds {
		r, body := sdkRequest(t, rnd, i%3 == 0)
		if err := verify(v, r, body, rules); err != nil {
			t.Fatalf("round %d: %v\n%s %s %v", i, err, r.Method, r.RequestURI, r.Header)
		}
		for range 20 {
			c, changed, what := mutate(rnd, r, body)
			if what == "" {
				continue
			}
			if err := verify(v, c, changed, rules); err == nil {
				t.Fatalf("round %d: verified in spite of %s\n%s %s %v", i, what, c.Method, c.RequestURI, c.Header)
			}
		}
	}
}

// mutate changes one byte of what the signature covers. It returns what = ""
// when the change has no meaning: the same value written another way.
func mutate(rnd *rand.Rand, r *http.Request, body []byte) (c *http.Request, changed []byte, what string) {
	c = r.Clone(context.Background())
	c.RequestURI = r.RequestURI
	changed = bytes.Clone(body)
	flip := func(s string) string {
		if s == "" {
			return "x"
		}
		b := []byte(s)
		i := rnd.IntN(len(b))
		b[i] ^= 1 << rnd.IntN(6)
		return string(b)
	}
	switch rnd.IntN(6) {
	case 0:
		c.Method = flip(c.Method)
		return c, changed, "method " + c.Method
	case 1:
		if len(changed) == 0 {
			return c, []byte("x"), "body"
		}
		changed[rnd.IntN(len(changed))] ^= 1 << rnd.IntN(8)
		return c, changed, "body"
	case 2:
		c.Host = flip(c.Host)
		return c, changed, "host " + c.Host
	case 3:
		path, query, has := strings.Cut(r.RequestURI, "?")
		path = "/" + flip(path[1:])
		if x, _ := appendPath(nil, path, pathNormal); strings.ContainsAny(path, "?#") || samePath(x, r.RequestURI) {
			return c, changed, ""
		}
		c.RequestURI = path
		if has {
			c.RequestURI += "?" + query
		}
		return c, changed, "path " + c.RequestURI
	case 4:
		path, query, has := strings.Cut(r.RequestURI, "?")
		if !has {
			return c, changed, ""
		}
		flipped := flip(query)
		if sameQuery(query, flipped) {
			return c, changed, ""
		}
		c.RequestURI = path + "?" + flipped
		return c, changed, "query " + flipped
	default:
		a, _ := Parse(r)
		names := strings.Split(a.SignedHeaders, ";")
		key := http.CanonicalHeaderKey(names[rnd.IntN(len(names))])
		old := c.Header[key]
		if len(old) == 0 {
			return c, changed, ""
		}
		j := rnd.IntN(len(old))
		now := flip(old[j])
		if string(appendCollapsed(nil, now)) == string(appendCollapsed(nil, old[j])) {
			return c, changed, ""
		}
		old[j] = now
		return c, changed, "header " + key + ": " + now
	}
}

func samePath(canonical []byte, uri string) bool {
	path, _, _ := strings.Cut(uri, "?")
	was, _ := appendPath(nil, path, pathNormal)
	return bytes.Equal(canonical, was)
}

// sameQuery reports whether two queries mean the same, but for the order.
func sameQuery(a, b string) bool {
	var s scratch
	x, _ := s.appendQuery(nil, a, false)
	y, _ := s.appendQuery(nil, b, false)
	return bytes.Equal(x, y)
}
