package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
)

// Payload is what a request states of a body that is still to be read, in
// X-Amz-Content-Sha256.
// Source: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html.
type Payload struct {
	// Hash is the SHA-256 of the body in hexadecimal, empty where none is stated.
	Hash string
	// Chunked is whether the body comes in chunks of aws-chunked.
	Chunked bool
	// Trailer is whether headers follow the chunks.
	Trailer bool
	// Signed is whether each chunk, and the trailer, has a signature.
	Signed bool

	stated string
	chain  *chain // nil where signatures are not checked
}

// Values of X-Amz-Content-Sha256 beside a hash and UnsignedPayload.
const (
	streamingSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// ParsePayload reads what r, with the authentication a, states of its body. It
// reports false for what is none of the forms, and for a missing statement outside
// of a presigned request.
func ParsePayload(r *http.Request, a *Auth) (Payload, bool) {
	p := Payload{stated: statedPayload(r, a)}
	switch p.stated {
	case UnsignedPayload:
	case streamingSigned:
		p.Chunked, p.Signed = true, true
	case streamingSignedTrailer:
		p.Chunked, p.Signed, p.Trailer = true, true, true
	case streamingUnsignedTrailer:
		p.Chunked, p.Trailer = true, true
	default:
		if raw, err := hex.DecodeString(p.stated); err != nil || len(raw) != sha256.Size {
			return Payload{}, false
		}
		p.Hash = p.stated
	}
	return p, true
}

// statedPayload returns the statement itself, "" where there is none.
func statedPayload(r *http.Request, a *Auth) string {
	if values := r.Header["X-Amz-Content-Sha256"]; len(values) > 0 {
		return values[0]
	}
	if !a.Presigned {
		return ""
	}
	stated := UnsignedPayload
	_, query := target(r)
	for key, value := range params(query) {
		if key == "X-Amz-Content-Sha256" {
			stated, _ = url.QueryUnescape(value)
		}
	}
	return stated
}

// VerifyHead is [Verifier.Verify] for a request whose body is still to be read: it
// proves everything but the body, which p, of [ParsePayload], then proves as it is
// read.
func (v *Verifier) VerifyHead(r *http.Request, a *Auth, p *Payload, rules *Rules) *Error {
	sum, key, err := v.prove(r, a, []byte(p.stated), true, rules)
	if err != nil {
		return err
	}
	if p.Signed {
		p.chain = &chain{auth: *a, key: key, last: hex.EncodeToString(sum[:])}
	}
	return nil
}

// chain is the row of signatures over the chunks of a body: each covers the one
// before, the first that of the head.
type chain struct {
	auth Auth
	key  signingKey
	last string
}

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (c *chain) chunk(sum [sha256.Size]byte, signature string) bool {
	return c.next("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n"+hex.EncodeToString(sum[:]), signature)
}

func (c *chain) trailer(sum [sha256.Size]byte, signature string) bool {
	return c.next("AWS4-HMAC-SHA256-TRAILER", hex.EncodeToString(sum[:]), signature)
}

func (c *chain) next(algorithm, covers, signature string) bool {
	a := &c.auth
	text := algorithm + "\n" + a.stamp + "\n" + a.Date + "/" + a.Region + "/" + a.Service + "/" + terminator + "\n" + c.last + "\n" + covers
	sum := c.key.sum([]byte(text))
	c.last = hex.EncodeToString(sum[:])
	return sameHex(sum, signature)
}
