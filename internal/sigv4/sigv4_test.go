package sigv4

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/invariants"
)

// signedPut returns a PutRecord request as a server sees it, and its body.
func signedPut(t testing.TB, size int) (*http.Request, []byte) {
	t.Helper()
	body := []byte(`{"StreamName":"arena","PartitionKey":"k","Data":"` + strings.Repeat("QUJD", size/4) + `"}`)
	r, err := http.NewRequest("POST", "http://localhost:4566/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
	r.Header.Set("Amz-Sdk-Invocation-Id", "7c1c7a3e-9a4f-4d8e-8a3c-1f6f1d8f6f10")
	testSigner().Sign(r, body)
	return wire(t, r, body), body
}

func testSigner() *Signer {
	return &Signer{
		AccessKeyID: vectorKey, Secret: NewSecret(vectorSecret), Region: "us-east-1", Service: "kinesis",
		Clock: clock.NewManual(testTime),
	}
}

// refusal is a change to a good PutRecord request, and what it leads to.
type refusal struct {
	name   string
	change func(*http.Request)
	code   Code
	text   string // begins with
}

const (
	testStamp = "20261123T052000Z"
	testScope = "AKIDEXAMPLE/20261123/us-east-1/kinesis/aws4_request"
	notMatch  = "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	invalidToken = "The security token included in the request is invalid."
)

func header(v string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", v) }
}

func replace(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
	}
}

func query(q string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del("Authorization")
		r.RequestURI = "/?" + q
	}
}

// at signs the request at another time.
func at(d time.Duration) func(*http.Request) {
	return func(r *http.Request) {
		s := testSigner()
		s.Clock = clock.NewManual(testTime.Add(d))
		b := new(bytes.Buffer)
		_, _ = b.ReadFrom(r.Body)
		s.Sign(r, b.Bytes())
	}
}

// malformed requests are refused for their shape.
func malformed() []refusal {
	return []refusal{
		{"no authentication", func(r *http.Request) { r.Header.Del("Authorization") }, MissingAuthenticationToken, "Missing Authentication Token"},
		{"all of the query form but the algorithm", query("X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d"),
			MissingAuthenticationToken, "Missing Authentication Token"},
		{"both forms", func(r *http.Request) { r.RequestURI = "/?X-Amz-Algorithm" }, InvalidSignature,
			"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		{"empty header", func(r *http.Request) {
			r.Header = http.Header{"Authorization": {"X"}}
		}, IncompleteSignature, "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
			"Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " +
			"(Hashed with SHA-256 and encoded with Base64) Authorization=S2irOEf+2n1sYsH7y+6/o16rc1HtXnj03a3qXfZLgBU="},
		{"two parts of three", header("AWS4-HMAC-SHA256 Signature=b, Credential=a"), IncompleteSignature,
			"Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed("AWS4-HMAC-SHA256 Signature=b, Credential=a")},
		{"bearer", header("Bearer abc"), IncompleteSignature,
			"Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '" + hashed("Bearer abc") + "'."},
		{"two headers", func(r *http.Request) { r.Header.Add("Authorization", "x") }, IncompleteSignature, "Found 2 'Authorization' HTTP headers, expected one."},
		{"credential twice", replace("Credential=", "Credential=x, Credential="), IncompleteSignature, "Authorization header has more than one 'Credential' parameter."},
		{"query form, all missing", query("X-Amz-Algorithm"), IncompleteSignature,
			"AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include 'X-Amz-Credential'. " +
				"AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. " +
				"AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		{"query form, one missing", query("X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d"), IncompleteSignature,
			"AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters."},
		{"query form, signature twice", query("X-Amz-Algorithm=a&X-Amz-Signature=c&X-Amz-Signature=c"), IncompleteSignature,
			"Found more than one 'X-Amz-Signature' query-string parameter."},
		{"query form, signature twice, once in disguise", query("X-Amz-Algorithm=a&X-Amz-Signature=c&X%2DAmz-Signature=c"), IncompleteSignature,
			"Found more than one 'X-Amz-Signature' query-string parameter."},
	}
}

// unproven requests have the right shape.
func unproven() []refusal {
	return []refusal{
		{"no date of that kind", func(r *http.Request) { r.Header.Set("X-Amz-Date", "2026-11-23") }, IncompleteSignature,
			"Date must be in ISO-8601 'basic format'. Got '2026-11-23'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"algorithm", replace("SHA256", "SHA25"), IncompleteSignature, "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). "},
		{"four elements", replace(testScope, "a/b/c/d"), IncompleteSignature,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'"},
		{"too old", at(-16 * time.Minute), Expired,
			"Signature expired: 20261123T050400Z is now earlier than 20261123T050500Z (" + testStamp + " - 15 min.)"},
		{"too new", at(16 * time.Minute), Expired,
			"Signature not yet current: 20261123T053600Z is still later than 20261123T053500Z (" + testStamp + " + 15 min.)"},
		{"host not signed", replace("host;", ""), InvalidSignature, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"operation not signed", replace(";x-amz-target", ""), InvalidSignature, "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."},
		{"scope", replace(testScope, "AKIDEXAMPLE/20261122/c/d/e"), InvalidSignature,
			"Credential should be scoped to a valid region, not 'c'. Credential should be scoped to correct service: 'kinesis'. " +
				"Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. " +
				"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261122' != '20261123', from '" + testStamp + "'."},
		{"unknown key", replace("AKIDEXAMPLE", "AKIDUNKNOWN"), UnrecognizedClient, invalidToken},
		{"signature", replace("Signature=", "Signature=0"), InvalidSignature, notMatch},
		{"short signature", replace("Signature=", "Signature=ab,x="), InvalidSignature, notMatch},
		{"headers out of order", replace("content-length;content-type", "content-type;content-length"), InvalidSignature, notMatch},
		{"header named twice", replace("host", "host;host"), InvalidSignature, notMatch},
		{"signed header absent", func(r *http.Request) { r.Header.Del("Content-Type") }, InvalidSignature, notMatch},
		{"stated hash of another body", func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", hashed("x"))
		}, InvalidSignature, notMatch},
		{"unsigned payload", func(r *http.Request) { testSigner().SignUnsigned(r) }, InvalidSignature, notMatch},
		{"streaming payload", func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
		}, InvalidSignature, notMatch},
		{"broken escape in the query", func(r *http.Request) { r.RequestURI = "/?a=%zz" }, InvalidSignature, notMatch},
	}
}

// TestRefusals pins code and text of each refusal.
func TestRefusals(t *testing.T) {
	for _, c := range append(malformed(), unproven()...) {
		t.Run(c.name, func(t *testing.T) {
			r, body := signedPut(t, 16)
			r.Header.Set("Content-Length", fmt.Sprint(len(body)))
			testSigner().Sign(r, body)
			c.change(r)
			v, rules := testVerifier()
			rules.Region = "us-east-1"
			err := verify(v, r, body, rules)
			if err == nil {
				t.Fatal("verified")
			}
			if err.Code != c.code || !strings.HasPrefix(err.Message, c.text) {
				t.Errorf("%d %q\nwant %d %q", err.Code, err.Message, c.code, c.text)
			}
		})
	}
}

func TestPresigned(t *testing.T) {
	newRequest := func(d time.Duration) *http.Request {
		r, err := http.NewRequest("GET", "http://localhost:4566/a%20b?z=1&a=2", nil)
		if err != nil {
			t.Fatal(err)
		}
		testSigner().Presign(r, nil, d)
		return wire(t, r, nil)
	}
	clk := clock.NewManual(testTime)
	v := NewVerifier(clk, oneSecret{id: vectorKey, secret: NewSecret(vectorSecret)})
	rules := &Rules{Service: "kinesis"}
	r := newRequest(time.Hour)
	for _, step := range []struct {
		at   time.Duration
		text string
	}{
		{0, ""},
		{time.Hour, ""},
		{time.Hour + time.Second, "Signature expired: 20261123T062000Z is now earlier than 20261123T062001Z (20261123T052000Z + 3600 s)"},
		{-16 * time.Minute, "Signature not yet current: 20261123T052000Z is still later than 20261123T051900Z (20261123T050400Z + 15 min.)"},
	} {
		clk.Set(testTime.Add(step.at))
		err := verify(v, r, nil, rules)
		if (err == nil) != (step.text == "") || err != nil && err.Message != step.text {
			t.Errorf("at %v: %v, want %q", step.at, err, step.text)
		}
	}
	clk.Set(testTime)
	for _, seconds := range []time.Duration{0, 604801, 1 << 33} {
		err := verify(v, newRequest(seconds*time.Second), nil, rules)
		if err == nil || err.Code != IncompleteSignature {
			t.Errorf("expires %d: %v", seconds, err)
		}
	}
	// A presigned request signs its body's hash unless the service lets it be.
	if err := verify(v, r, []byte("x"), rules); err == nil {
		t.Error("verified with a body that was not signed")
	}
}

func TestUnsignedPayload(t *testing.T) {
	r, body := signedPut(t, 16)
	testSigner().SignUnsigned(r)
	v, rules := testVerifier()
	rules.UnsignedPayload = true
	if err := verify(v, r, append(body, 'x'), rules); err != nil {
		t.Error(err)
	}
	rules.UnsignedPayload = false
	if err := verify(v, r, body, rules); err == nil {
		t.Error("verified where the body must be signed")
	}
}

// TestSignedHopHeaders signs what AWS's C SDKs sign: net/http takes these
// headers out of the map.
func TestSignedHopHeaders(t *testing.T) {
	const text = "POST / HTTP/1.1\r\nHost: localhost:4567\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n" +
		"X-Amz-Date: 20261123T052000Z\r\nX-Amz-Target: Kinesis_20131202.PutRecords\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
	r := readRequest(t, text)
	a := testSigner().auth()
	a.SignedHeaders = "connection;host;transfer-encoding;x-amz-date;x-amz-target"
	body := []byte("{}")
	canonical := "POST\n/\n\nconnection:keep-alive\nhost:localhost:4567\ntransfer-encoding:chunked\n" +
		"x-amz-date:20261123T052000Z\nx-amz-target:Kinesis_20131202.PutRecords\n\n" + a.SignedHeaders + "\n"
	hash, _ := payloadHash(r, &a, body, &Rules{}, nil)
	key := deriveKey(NewSecret(vectorSecret), &a.Scope)
	s := scratch{buf: append([]byte(canonical), hash...)}
	sum := s.sign(&a, &key)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=%s, Signature=%x", a.credential, a.SignedHeaders, sum))
	v, rules := testVerifier()
	if err := verify(v, r, body, rules); err != nil {
		t.Error(err)
	}
	// The same, with a length instead, is another request.
	r.TransferEncoding, r.ContentLength = nil, 2
	if err := verify(v, r, body, rules); err == nil {
		t.Error("verified without its signed transfer-encoding")
	}
}

func readRequest(t *testing.T, text string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(newReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuthority(t *testing.T) {
	r, body := signedPut(t, 16)
	a := testSigner().auth()
	a.SignedHeaders = ":authority;x-amz-date;x-amz-target"
	hash, _ := payloadHash(r, &a, body, &Rules{}, nil)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=%s, Signature=%s",
		a.credential, a.SignedHeaders, testSigner().signature(r, &a, hash)))
	v, rules := testVerifier()
	if err := verify(v, r, body, rules); err != nil {
		t.Error(err)
	}
	r.Host = "other:4566"
	if err := verify(v, r, body, rules); err == nil {
		t.Error("verified for another authority")
	}
}

func TestParseScope(t *testing.T) {
	r, _ := signedPut(t, 16)
	want := Scope{AccessKeyID: vectorKey, Date: "20261123", Region: "us-east-1", Service: "kinesis"}
	if s, ok := ParseScope(r); !ok || s != want {
		t.Errorf("header: %+v %v", s, ok)
	}
	p, _ := http.NewRequest("GET", "http://localhost/", nil)
	testSigner().Presign(p, nil, time.Minute)
	if s, ok := ParseScope(wire(t, p, nil)); !ok || s != want {
		t.Errorf("query: %+v %v", s, ok)
	}
	for _, bad := range []string{"", "Bearer x", "AWS4-HMAC-SHA256 Credential=a/b/c"} {
		r.Header.Set("Authorization", bad)
		if s, ok := ParseScope(r); ok {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

// versions is a key whose secret can be replaced.
type versions struct {
	secret  Secret
	version uint64
	gone    bool
}

func (v *versions) Secret(string) (Secret, uint64, bool) { return v.secret, v.version, !v.gone }

// TestKeyCache replaces and disables a key that is in the cache.
func TestKeyCache(t *testing.T) {
	keys := &versions{secret: NewSecret(vectorSecret), version: 1}
	v := NewVerifier(clock.NewManual(testTime), keys)
	rules := &Rules{Service: "kinesis"}
	r, body := signedPut(t, 16)
	for range 2 {
		if err := verify(v, r, body, rules); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(v.keys.young); n != 1 {
		t.Errorf("%d keys cached, want 1", n)
	}
	keys.gone = true
	if err := verify(v, r, body, rules); err == nil || err.Code != UnrecognizedClient {
		t.Errorf("disabled: %v", err)
	}
	keys.gone, keys.secret, keys.version = false, NewSecret("another"), 2
	if err := verify(v, r, body, rules); err == nil || err.Code != InvalidSignature {
		t.Errorf("replaced: %v", err)
	}
	if n := len(v.keys.young); n != 1 {
		t.Errorf("%d keys cached after refusals, want 1", n)
	}
	for i := range 3 * cacheSize {
		v.keys.put(keyID{version: uint64(i + 10)}, signingKey{})
	}
	if n := len(v.keys.young) + len(v.keys.old); n > 2*cacheSize {
		t.Errorf("%d keys cached", n)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const canary = "canary-secret"
	s := NewSecret(canary)
	type holder struct {
		S Secret
		P *Secret
		M map[string]Secret
		u Secret
	}
	h := holder{s, &s, map[string]Secret{"k": s}, s}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+verb, s, h)
	}
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(js)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "secret", s, "holder", h)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "secret", s, "holder", h)
	b.WriteString(testSigner().Secret.String())
	if strings.Contains(b.String(), canary) || strings.Contains(b.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("printed: %s", b.String())
	}
	if s.Reveal() != canary {
		t.Error("Reveal")
	}
}

func TestVerifyAllocs(t *testing.T) {
	r, body := signedPut(t, 1024)
	v, rules := testVerifier()
	n := testing.AllocsPerRun(100, func() {
		if err := verify(v, r, body, rules); err != nil {
			t.Fatal(err)
		}
	})
	limit := 0.0
	if invariants.Enabled {
		limit = 5 // under the race detector a sync.Pool forgets at random
	}
	if n > limit {
		t.Errorf("%v allocations to verify a PutRecord", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{0, 1024, 512 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r, body := signedPut(b, size)
			v, rules := testVerifier()
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if err := verify(v, r, body, rules); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseScope(b *testing.B) {
	r, _ := signedPut(b, 16)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ParseScope(r); !ok {
			b.Fatal("no scope")
		}
	}
}
