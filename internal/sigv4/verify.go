package sigv4

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"thalweg/internal/clock"
)

// Secrets finds the secret of an access key. version must change whenever the
// secret of that key does. Unknown and disabled keys alike give ok false. It is
// called for every request and must be safe for concurrent use.
type Secrets interface {
	Secret(accessKeyID string) (secret Secret, version uint64, ok bool)
}

// Verifier proves requests. It is safe for concurrent use.
type Verifier struct {
	clock   clock.Clock
	secrets Secrets
	keys    keyCache
	dummy   Secret    // stands in for the secret of an unknown key
	pool    sync.Pool // of *scratch
}

// NewVerifier returns a Verifier that takes the time from c and secrets from s.
func NewVerifier(c clock.Clock, s Secrets) *Verifier {
	return &Verifier{clock: c, secrets: s, dummy: NewSecret(rand.Text())}
}

// Verify proves that r, whose whole body is body, was signed as a says by the
// holder of a's access key, and meets the rules. a is what [Parse] returned for
// r. A session token is covered by the signature but not looked at.
//
// For an unknown key the signature is computed all the same, with a secret that
// nobody has. The cost is the hashing of the body plus a few microseconds.
func (v *Verifier) Verify(r *http.Request, a *Auth, body []byte, rules *Rules) *Error {
	var buf [2 * sha256.Size]byte
	payload, ok := payloadHash(r, a, body, rules, buf[:0])
	_, _, err := v.prove(r, a, payload, ok, rules)
	return err
}

// prove is Verify for the last line of the canonical request, which sound says can
// be one. It returns the signature, and the key that made it.
func (v *Verifier) prove(r *http.Request, a *Auth, payload []byte, sound bool, rules *Rules) (sum [sha256.Size]byte, key signingKey, err *Error) {
	if err := v.checkTime(a); err != nil {
		return sum, key, err
	}
	if err := coversTarget(r, a.SignedHeaders); err != nil {
		return sum, key, err
	}
	if err := a.checkScope(rules); err != nil {
		return sum, key, err
	}
	secret, version, known := v.secrets.Secret(a.AccessKeyID)
	if !known {
		secret, version = v.dummy, 0
	}
	id := keyID{a.Scope, version}
	key, young, cached := v.keys.get(id)
	if !cached {
		key = deriveKey(secret, &a.Scope)
	}
	sum, good := v.matches(r, a, payload, rules, &key)
	switch {
	case !known:
		return sum, key, Unrecognized()
	case !good || !sound:
		return sum, key, mismatch()
	}
	if !young {
		v.keys.put(id, key)
	}
	return sum, key, nil
}

// checkTime holds the request date against the clock.
func (v *Verifier) checkTime(a *Auth) *Error {
	now := v.clock.Now().UTC()
	if limit := now.Add(maxSkew); a.time.After(limit) {
		return tooNew(a.stamp, limit, now)
	}
	if a.expires > 0 {
		if end := a.time.Add(a.expires); end.Before(now) {
			return tooOld(end.Format(stampLayout), now, a.time, fmt.Sprintf("+ %d s", a.expires/time.Second))
		}
		return nil
	}
	if limit := now.Add(-maxSkew); a.time.Before(limit) {
		return tooOld(a.stamp, limit, now, "- 15 min.")
	}
	return nil
}

// coversTarget checks that the signature covers whom the request is for: the
// host, and the operation where a header names it.
func coversTarget(r *http.Request, signed string) *Error {
	hasHost, hasTarget := false, false
	for rest, more := signed, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		switch name {
		case "host", ":authority":
			hasHost = true
		case "x-amz-target":
			hasTarget = true
		}
	}
	if !hasHost {
		return &Error{InvalidSignature, textNoHost}
	}
	if !hasTarget && len(r.Header["X-Amz-Target"]) > 0 {
		return &Error{InvalidSignature, textNoTarget}
	}
	return nil
}

// checkScope compares the credential's scope with the rules and the date, and
// names everything that is wrong with it at once, as AWS does.
func (a *Auth) checkScope(rules *Rules) *Error {
	day := a.stamp[:len("yyyymmdd")]
	if a.Service == rules.Service && (rules.Region == "" || a.Region == rules.Region) &&
		a.terminator == terminator && a.Date == day {
		return nil
	}
	var b strings.Builder
	if rules.Region != "" && a.Region != rules.Region {
		b.WriteString("Credential should be scoped to a valid region, not '" + a.Region + "'. ")
	}
	if a.Service != rules.Service {
		b.WriteString("Credential should be scoped to correct service: '" + rules.Service + "'. ")
	}
	if a.terminator != terminator {
		b.WriteString("Credential should be scoped with a valid terminator: 'aws4_request', not '" + a.terminator + "'. ")
	}
	if a.Date != day {
		b.WriteString("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			a.Date + "' != '" + day + "', from '" + a.stamp + "'.")
	}
	return &Error{InvalidSignature, b.String()}
}

// matches computes the signature and compares it, in constant time, with the one
// in a.
func (v *Verifier) matches(r *http.Request, a *Auth, payload []byte, rules *Rules, key *signingKey) (sum [sha256.Size]byte, ok bool) {
	s, _ := v.pool.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	defer v.pool.Put(s)
	if !s.canonicalRequest(r, a, payload, rules.pathMode()) {
		return sum, false
	}
	sum = s.sign(a, key)
	return sum, sameHex(sum, a.Signature)
}

// sameHex compares a sum with its hexadecimal form in constant time.
func sameHex(sum [sha256.Size]byte, text string) bool {
	var want, got [2 * sha256.Size]byte
	hex.Encode(want[:], sum[:])
	n := copy(got[:], text)
	return n == len(text) && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// sign turns the canonical request in s.buf into the signature.
func (s *scratch) sign(a *Auth, key *signingKey) [sha256.Size]byte {
	canonical := sha256.Sum256(s.buf)
	b := append(s.buf[:0], algorithm...)
	b = append(b, '\n')
	b = append(b, a.stamp...)
	b = append(b, '\n')
	b = append(b, a.Date...)
	b = append(b, '/')
	b = append(b, a.Region...)
	b = append(b, '/')
	b = append(b, a.Service...)
	b = append(b, '/')
	b = append(b, terminator...)
	b = append(b, '\n')
	s.buf = hex.AppendEncode(b, canonical[:])
	return key.sum(s.buf)
}

// payloadHash appends the last line of the canonical request to b. What the
// client states of the body must be true: its hash, or, where the rules allow
// it, that it is not signed.
func payloadHash(r *http.Request, a *Auth, body []byte, rules *Rules, b []byte) ([]byte, bool) {
	stated := ""
	if values := r.Header["X-Amz-Content-Sha256"]; len(values) > 0 {
		stated = values[0]
	} else if a.Presigned && rules.UnsignedPayload {
		stated = UnsignedPayload
		_, query := target(r)
		for key, value := range params(query) {
			if key == "X-Amz-Content-Sha256" {
				stated, _ = url.QueryUnescape(value)
			}
		}
	}
	if rules.UnsignedPayload && stated == UnsignedPayload {
		return append(b, UnsignedPayload...), true
	}
	sum := sha256.Sum256(body)
	b = hex.AppendEncode(b, sum[:])
	return b, stated == "" || stated == string(b)
}
