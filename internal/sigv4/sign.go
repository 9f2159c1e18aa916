package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"thalweg/internal/clock"
)

// Signer signs requests with one key for one region and service. It is safe for
// concurrent use; its fields must not change after the first call.
type Signer struct {
	AccessKeyID string
	Secret      Secret
	Token       string // session token, or empty
	Region      string
	Service     string
	S3Path      bool // see [Rules.S3Path]
	Clock       clock.Clock

	mu   sync.Mutex
	date string     // guarded by mu: the day that key is for
	key  signingKey // guarded by mu
}

// Sign adds X-Amz-Date and Authorization to r, whose whole body is body. It
// signs the host, Content-Type, Content-Length if set, and every X-Amz-* header.
func (s *Signer) Sign(r *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	s.sign(r, hex.AppendEncode(nil, sum[:]))
}

// SignUnsigned is [Signer.Sign] without the body: for services whose rules allow
// [UnsignedPayload], which it states.
func (s *Signer) SignUnsigned(r *http.Request) {
	r.Header.Set("X-Amz-Content-Sha256", UnsignedPayload)
	s.sign(r, []byte(UnsignedPayload))
}

func (s *Signer) sign(r *http.Request, payload []byte) {
	a := s.auth()
	r.Header.Set("X-Amz-Date", a.stamp)
	if s.Token != "" {
		r.Header.Set("X-Amz-Security-Token", s.Token)
	}
	names := []string{"host"}
	for key := range r.Header {
		name := strings.ToLower(key)
		if name == "content-type" || name == "content-length" || strings.HasPrefix(name, "x-amz-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	a.SignedHeaders = strings.Join(names, ";")
	r.Header.Set("Authorization", algorithm+" Credential="+a.credential+
		", SignedHeaders="+a.SignedHeaders+", Signature="+s.signature(r, &a, payload))
}

// Presign puts the authentication into r's query, valid for d (1 s to 7 days).
// Only the host is signed, and body; nil signs an empty one.
func (s *Signer) Presign(r *http.Request, body []byte, d time.Duration) {
	sum := sha256.Sum256(body)
	a := s.auth()
	a.Presigned = true
	a.SignedHeaders = "host"
	q := "X-Amz-Algorithm=" + algorithm +
		"&X-Amz-Credential=" + url.QueryEscape(a.credential) +
		"&X-Amz-Date=" + a.stamp +
		"&X-Amz-Expires=" + strconv.FormatInt(int64(d/time.Second), 10) +
		"&X-Amz-SignedHeaders=host"
	if s.Token != "" {
		q += "&X-Amz-Security-Token=" + url.QueryEscape(s.Token)
	}
	if r.URL.RawQuery != "" {
		q = r.URL.RawQuery + "&" + q
	}
	r.URL.RawQuery = q
	r.URL.RawQuery += "&X-Amz-Signature=" + s.signature(r, &a, hex.AppendEncode(nil, sum[:]))
}

// auth states who signs and when.
func (s *Signer) auth() Auth {
	stamp := s.Clock.Now().UTC().Format(stampLayout)
	a := Auth{stamp: stamp, Scope: Scope{
		AccessKeyID: s.AccessKeyID, Date: stamp[:len("yyyymmdd")], Region: s.Region, Service: s.Service,
	}}
	a.credential = strings.Join([]string{a.AccessKeyID, a.Date, a.Region, a.Service, terminator}, "/")
	return a
}

// signature returns the hexadecimal signature. What cannot be signed (a broken
// escape in the URL) gets a signature that nobody accepts.
func (s *Signer) signature(r *http.Request, a *Auth, payload []byte) string {
	s.mu.Lock()
	if s.date != a.Date {
		s.date, s.key = a.Date, deriveKey(s.Secret, &a.Scope)
	}
	key := s.key
	s.mu.Unlock()
	rules := Rules{S3Path: s.S3Path}
	var sc scratch
	if !sc.canonicalRequest(r, a, payload, rules.pathMode()) {
		return strings.Repeat("0", 2*sha256.Size)
	}
	sum := sc.sign(a, &key)
	return hex.EncodeToString(sum[:])
}
