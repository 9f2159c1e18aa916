package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"thalweg/internal/errs"
	"thalweg/internal/objstore"
	"thalweg/internal/sigv4"
)

// wireError is an error as S3 answers it.
// Codes: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
type wireError struct {
	status  int
	code    string
	message string
	extra   []element // further elements of the document
}

type element struct{ name, value string }

func (e *wireError) Error() string { return e.code + ": " + e.message }

// Is makes errors of the same code the same.
func (e *wireError) Is(target error) bool {
	var t *wireError
	return errors.As(target, &t) && t.code == e.code
}

// with returns the error with another message.
func (e *wireError) with(message string) *wireError {
	return &wireError{e.status, e.code, message, e.extra}
}

// and returns the error with one more element.
func (e *wireError) and(name, value string) *wireError {
	return &wireError{e.status, e.code, e.message, append(e.extra[:len(e.extra):len(e.extra)], element{name, value})}
}

func refusal(status int, code, message string) *wireError {
	return &wireError{status: status, code: code, message: message}
}

var (
	errInternal         = refusal(500, "InternalError", "We encountered an internal error. Please try again.")
	errSlowDown         = refusal(503, "SlowDown", "Please reduce your request rate.")
	errNotImplemented   = refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
	errMethod           = refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	errInvalidURI       = refusal(400, "InvalidURI", "Couldn't parse the specified URI.")
	errAccessDenied     = refusal(403, "AccessDenied", "Access Denied")
	errNoBucket         = refusal(404, "NoSuchBucket", "The specified bucket does not exist")
	errBucketName       = refusal(400, "InvalidBucketName", "The specified bucket is not valid.")
	errBucketOwned      = refusal(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	errBucketExists     = refusal(409, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.")
	errBucketNotEmpty   = refusal(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	errTooManyBuckets   = refusal(400, "TooManyBuckets", "You have attempted to create more buckets than allowed")
	errLocation         = refusal(400, "InvalidLocationConstraint", "The specified location-constraint is not valid")
	errNoKey            = refusal(404, "NoSuchKey", "The specified key does not exist.")
	errKeyTooLong       = refusal(400, "KeyTooLongError", "Your key is too long")
	errPrecondition     = refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	errNotModified      = refusal(304, "NotModified", "Not Modified")
	errNoUpload         = refusal(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	errPart             = refusal(400, "InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
	errPartOrder        = refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
	errPartSize         = refusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
	errTooLarge         = refusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	errHeadersTooLarge  = refusal(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	errRange            = refusal(416, "InvalidRange", "The requested range is not satisfiable")
	errPartNumber       = refusal(416, "InvalidPartNumber", "The requested partnumber is not satisfiable")
	errXML              = refusal(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	errNoLength         = refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	errIncomplete       = refusal(400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
	errDigest           = refusal(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
	errBadDigest        = refusal(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
	errPayloadHash      = refusal(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	errSignature        = refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	errStorageClass     = refusal(400, "InvalidStorageClass", "The storage class you specified is not valid")
	errRequest          = refusal(400, "InvalidRequest", "Invalid Request")
	errArgument         = refusal(400, "InvalidArgument", "Invalid Argument")
	errNoSpace          = refusal(503, "ServiceUnavailable", "There is no space left to store objects. Please try again later.")
	errReadTimeout      = refusal(400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.")
	errSelfCopy         = errRequest.with("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	errCopySource       = errArgument.with("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	errMissingSHA       = errRequest.with("Missing required header for this request: x-amz-content-sha256")
	errOldSignature     = errRequest.with("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	errMissingIntegrity = errRequest.with("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
)

// invalidArgument is an argument that S3 names.
func invalidArgument(message, name, value string) *wireError {
	return errArgument.with(message).and("ArgumentName", name).and("ArgumentValue", value)
}

// stored maps the errors of the store and of bodies.
var stored = []struct {
	is   error
	wire *wireError
}{
	{objstore.ErrNoBucket, errNoBucket},
	{objstore.ErrBucketName, errBucketName},
	{objstore.ErrBucketExists, errBucketExists},
	{objstore.ErrBucketNotEmpty, errBucketNotEmpty},
	{objstore.ErrTooManyBuckets, errTooManyBuckets},
	{objstore.ErrNoKey, errNoKey},
	{objstore.ErrKey, errKeyTooLong},
	{objstore.ErrPrecondition, errPrecondition},
	{objstore.ErrNoUpload, errNoUpload},
	{objstore.ErrPart, errPart},
	{objstore.ErrPartOrder, errPartOrder},
	{objstore.ErrPartSize, errPartSize},
	{io.ErrUnexpectedEOF, errIncomplete},
	{sigv4.ErrChunk, errIncomplete},
	{sigv4.ErrChunkSignature, errSignature},
	{sigv4.ErrPayloadHash, errPayloadHash},
	{context.DeadlineExceeded, errReadTimeout},
	{context.Canceled, errReadTimeout},
}

// wireError returns an error as S3 answers it, with what names its subject.
func (x *exchange) wireError(err error) *wireError {
	var e *wireError
	if !errors.As(err, &e) {
		e = errInternal
		for _, s := range stored {
			if errors.Is(err, s.is) {
				e = s.wire
				break
			}
		}
		if e == errInternal {
			switch errs.KindOf(err) {
			case errs.NoSpace, errs.ReadOnly, errs.Throttled:
				e = errNoSpace
			case errs.Invalid:
				e = errHeadersTooLarge
			}
		}
	}
	switch e.code {
	case errNoBucket.code, errBucketName.code, errBucketExists.code, errBucketOwned.code, errBucketNotEmpty.code:
		return e.and("BucketName", x.bucket)
	case errNoKey.code:
		return e.and("Key", x.key)
	case errNoUpload.code:
		return e.and("UploadId", x.query.get("uploadId"))
	}
	return e
}

// authError returns why a request was not let in, in S3's words.
func (x *exchange) authError(e *sigv4.Error) *wireError {
	switch e.Code {
	case sigv4.MissingAuthenticationToken:
		if x.query.has("AWSAccessKeyId") {
			return errOldSignature
		}
		return errAccessDenied
	case sigv4.InvalidSignature:
		if e.Mismatch() {
			return refusal(http.StatusForbidden, errSignature.code, e.Message)
		}
		return refusal(http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed; "+e.Message)
	case sigv4.IncompleteSignature:
		if strings.HasPrefix(x.r.Header.Get("Authorization"), "AWS ") {
			return errOldSignature
		}
		return refusal(http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed; "+e.Message)
	case sigv4.Expired:
		if x.query.has("X-Amz-Signature") {
			return errAccessDenied.with("Request has expired")
		}
		return refusal(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	case sigv4.UnrecognizedClient:
		return refusal(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	case sigv4.InvalidPayload:
		return errMissingSHA
	}
	return errAccessDenied.with(e.Message)
}

// document is the error's XML.
func (e *wireError) document(x *exchange) any {
	type doc struct {
		XMLName xml.Name `xml:"Error"`
		Fields  []field
	}
	h := x.w.Header()
	out := doc{Fields: []field{newField("Code", e.code), newField("Message", e.message)}}
	for _, f := range e.extra {
		out.Fields = append(out.Fields, newField(f.name, f.value))
	}
	out.Fields = append(out.Fields, newField("RequestId", h.Get("X-Amz-Request-Id")), newField("HostId", h.Get("X-Amz-Id-2")))
	return out
}

type field struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

func newField(name, value string) field { return field{xml.Name{Local: name}, value} }
