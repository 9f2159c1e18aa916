package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// SaslHandshake
//
// Agrees on how the client proves who it is: by an access key with AWS_MSK_IAM,
// OAUTHBEARER with a token of MSK's signers, or PLAIN where TLS hides the secret;
// as a user of the cluster with SCRAM-SHA-256 and SCRAM-SHA-512. On a connection
// that is authenticated it begins again (KIP-368), with the same mechanism.
//
// Errors: UNSUPPORTED_SASL_MECHANISM with those there are, and
// ILLEGAL_SASL_STATE on a listener without SASL; both end the connection.
//
// Status: partial: version 0, after which tokens come without frames of their own (before KIP-152), is shown and refused; no GSSAPI
func (d *Door) saslHandshake(r *request, in *kmsg.SASLHandshakeRequest) (*kmsg.SASLHandshakeResponse, error) {
	resp := kmsg.NewPtrSASLHandshakeResponse()
	c := r.conn
	resp.SupportedMechanisms = c.mechanisms()
	switch {
	case !c.at.sasl:
		resp.ErrorCode = int16(brokers.IllegalSASLState)
	case !slices.Contains(resp.SupportedMechanisms, in.Mechanism):
		resp.ErrorCode = int16(brokers.UnsupportedSASLMechanism)
	case c.login.mechanism != "" && c.login.mechanism != in.Mechanism:
		resp.ErrorCode = int16(brokers.IllegalSASLState)
	}
	if resp.ErrorCode != 0 {
		r.end = errRefused
		return resp, nil
	}
	c.login.begin(in.Mechanism, d.exchange(c, in.Mechanism))
	return resp, nil
}
