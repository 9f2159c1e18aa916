package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Code says why a request was refused.
type Code uint8

const (
	// MissingAuthenticationToken is a request that carries no signature.
	MissingAuthenticationToken Code = iota + 1
	// IncompleteSignature is a signature that lacks a part or cannot be read.
	IncompleteSignature
	// InvalidSignature is a signature that does not fit the request.
	InvalidSignature
	// Expired is a request from too far in the past or in the future.
	Expired
	// UnrecognizedClient is an access key or a session token that is not known
	// or not enabled.
	UnrecognizedClient
	// AccessDenied is a caller that may not do this.
	AccessDenied
	// InvalidPayload is a request that does not state in one of the forms there are
	// whether and how its body is signed.
	InvalidPayload
)

// JSONName returns the error's name in the JSON, CBOR and REST-JSON protocols.
func (c Code) JSONName() string {
	switch c {
	case MissingAuthenticationToken:
		return "MissingAuthenticationTokenException"
	case IncompleteSignature:
		return "IncompleteSignatureException"
	case InvalidSignature, Expired:
		return "InvalidSignatureException"
	case UnrecognizedClient:
		return "UnrecognizedClientException"
	default:
		return "AccessDeniedException"
	}
}

// QueryName returns the error's name in the query protocol, which STS and
// CloudWatch speak.
func (c Code) QueryName() string {
	switch c {
	case MissingAuthenticationToken:
		return "MissingAuthenticationToken"
	case IncompleteSignature:
		return "IncompleteSignature"
	case InvalidSignature, Expired:
		return "SignatureDoesNotMatch"
	case UnrecognizedClient:
		return "InvalidClientTokenId"
	default:
		return "AccessDenied"
	}
}

// Error is a refusal. Message is AWS's own text where one is known.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return e.Code.JSONName() + ": " + e.Message }

// Mismatch reports whether the signature itself was wrong, not what it claims.
func (e *Error) Mismatch() bool { return e.Code == InvalidSignature && e.Message == textMismatch }

// Texts as real endpoints give them. What stood in an Authorization header is
// only ever shown as its hash.
const (
	textMissing      = "Missing Authentication Token"
	textMismatch     = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	textUnrecognized = "The security token included in the request is invalid."
	textBoth         = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
	textNoHost       = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
	textNoTarget     = "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization." // no known text of AWS's
)

// Unrecognized returns the refusal of an access key or session token.
func Unrecognized() *Error { return &Error{UnrecognizedClient, textUnrecognized} }

func mismatch() *Error { return &Error{InvalidSignature, textMismatch} }

func incomplete(format string, args ...any) *Error {
	return &Error{IncompleteSignature, fmt.Sprintf(format, args...)}
}

func hashed(s string) string {
	h := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(h[:])
}

// missingParts lists what an Authorization header, or a presigned query, lacks.
func missingParts(a *Auth, hasDate bool, header string) *Error {
	var b strings.Builder
	need := func(ok bool, format, name string) {
		if !ok {
			fmt.Fprintf(&b, format, name)
		}
	}
	if a.Presigned {
		const format = "AWS query-string parameters must include '%s'. "
		need(a.algorithm != "", format, "X-Amz-Algorithm")
		need(a.credential != "", format, "X-Amz-Credential")
		need(a.Signature != "", format, "X-Amz-Signature")
		need(a.SignedHeaders != "", format, "X-Amz-SignedHeaders")
		need(hasDate, format, "X-Amz-Date")
		b.WriteString("Re-examine the query-string parameters.")
		return &Error{IncompleteSignature, b.String()}
	}
	const format = "Authorization header requires '%s' parameter. "
	need(a.credential != "", format, "Credential")
	need(a.Signature != "", format, "Signature")
	need(a.SignedHeaders != "", format, "SignedHeaders")
	if !hasDate {
		b.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	b.WriteString("(Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed(header))
	return &Error{IncompleteSignature, b.String()}
}

// tooOld says that limit has passed; rule says how limit follows from ref.
func tooOld(stamp string, limit, ref time.Time, rule string) *Error {
	return &Error{Expired, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s %s)",
		stamp, limit.Format(stampLayout), ref.Format(stampLayout), rule)}
}

func tooNew(stamp string, limit, now time.Time) *Error {
	return &Error{Expired, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 15 min.)",
		stamp, limit.Format(stampLayout), now.Format(stampLayout))}
}
