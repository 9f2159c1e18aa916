package lean

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Media types of the two encodings that Kinesis speaks.
const (
	JSON = "application/x-amz-json-1.1"
	CBOR = "application/x-amz-cbor-1.1"
)

// Signer builds requests for one server and one principal.
type Signer struct {
	// Host is the Host header.
	Host string
	// AccessKey and SecretKey sign; with Unsigned the signature has the right
	// shape but is no signature, which saves the client the hashing.
	AccessKey, SecretKey string
	Region               string
	Unsigned             bool
	// Service and Target name another API than Kinesis's, as "firehose" and
	// "Firehose_20150804".
	Service, Target string
	// Now is the time of signing; nil is the system's.
	Now func() time.Time

	day string // of key
	key []byte
}

// Request builds a POST of body for the operation op.
func (s *Signer) Request(op string, body []byte) []byte {
	return s.RequestAs(op, JSON, body)
}

// RequestAs is Request with another media type.
func (s *Signer) RequestAs(op, contentType string, body []byte) []byte {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	stamp := now().UTC().Format("20060102T150405Z")
	service, target := cmp.Or(s.Service, "kinesis"), cmp.Or(s.Target, "Kinesis_20131202")+"."+op
	scope := stamp[:8] + "/" + s.Region + "/" + service + "/aws4_request"
	const signed = "content-type;host;x-amz-date;x-amz-target"
	signature := "0000000000000000000000000000000000000000000000000000000000000000"
	if !s.Unsigned {
		canonical := "POST\n/\n\ncontent-type:" + contentType + "\nhost:" + s.Host + "\nx-amz-date:" + stamp +
			"\nx-amz-target:" + target + "\n\n" + signed + "\n" + hexSum(body)
		toSign := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hexSum([]byte(canonical))
		signature = hex.EncodeToString(mac(s.signingKey(stamp[:8], service), toSign))
	}
	out := make([]byte, 0, len(body)+512)
	out = fmt.Appendf(out, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nX-Amz-Date: %s\r\nX-Amz-Target: %s\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s\r\nContent-Length: ",
		s.Host, contentType, stamp, target, s.AccessKey, scope, signed, signature)
	out = strconv.AppendInt(out, int64(len(body)), 10)
	out = append(out, "\r\n\r\n"...)
	return append(out, body...)
}

// signingKey derives the key of SigV4 for one day, which it keeps.
func (s *Signer) signingKey(day, service string) []byte {
	if s.day != day {
		key := mac([]byte("AWS4"+s.SecretKey), day)
		for _, part := range []string{s.Region, service, "aws4_request"} {
			key = mac(key, part)
		}
		s.day, s.key = day, key
	}
	return s.key
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
