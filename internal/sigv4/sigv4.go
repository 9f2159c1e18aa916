// Package sigv4 verifies and makes AWS Signature Version 4, in the header form
// and in the presigned (query) form, over requests as they stood on the wire.
//
// [Parse] reads what a request claims, [Verifier.Verify] proves it, [Signer]
// makes such claims, and [ParseScope] reads a claimed scope cheaply for routing.
// The one invariant: nothing that Parse or ParseScope returns is to be believed
// before Verify returned nil for the same request and body.
//
// The canonical request is built from the raw request target, never from a
// cleaned URL, and from the places where net/http keeps the headers that it
// takes out of the header map (Host, Transfer-Encoding). Over HTTP/2 a client
// may sign ":authority" in place of "host", as the JavaScript SDK does. A
// signed "trailer" header is not supported: net/http does not keep its value.
//
// Callers pass the whole body, or, for Amazon S3, prove the head alone
// ([Verifier.VerifyHead]) and read the body through the [Payload] that it states,
// which proves it piece by piece, signed chunks and trailers included.
//
// Algorithm: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
package sigv4

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	terminator  = "aws4_request"
	stampLayout = "20060102T150405Z"

	// UnsignedPayload stands in place of a body's hash when a client leaves the
	// body out of its signature.
	UnsignedPayload = "UNSIGNED-PAYLOAD"

	maxSkew    = 15 * time.Minute   // either way, between request date and clock
	maxExpires = 7 * 24 * time.Hour // longest X-Amz-Expires
)

// Rules are what one service asks of the requests made to it.
type Rules struct {
	// Service is the signing name that the scope must carry, as "kinesis".
	Service string
	// Region is the region that the scope must carry; empty allows any.
	Region string
	// S3Path takes the path as Amazon S3 does: encoded once, dot segments and
	// repeated slashes kept. Every other service normalises the path and encodes
	// it a second time.
	S3Path bool
	// UnsignedPayload allows requests that leave the body out of the signature.
	// A presigned request without a stated hash then counts as one of them.
	UnsignedPayload bool
}

// Secret is a secret access key. Every way of printing it gives "[redacted]", and
// for a Secret in an unexported field, whose methods package fmt cannot call, an
// address. Secrets cannot be compared with ==.
type Secret struct {
	_     [0]func()
	value *string // nil is the empty secret
}

const redacted = "[redacted]"

// NewSecret returns a Secret that holds value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the secret itself: for deriving keys, for sealing, and for the
// one time that a new key is shown to its owner.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns a placeholder.
func (s Secret) String() string { return redacted }

// Format writes a placeholder, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder, for JSON, YAML and map keys alike.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns a placeholder.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
