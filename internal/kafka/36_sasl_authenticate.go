package kafka

import (
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// SaslAuthenticate
//
// Takes what the client says for its mechanism, and tells for how long it is
// believed: the client must say it again before that is over. A connection that
// has failed is told so after a pause and closed; the answer does not tell an
// unknown name from a wrong secret. A connection keeps its principal for life.
//
// Errors: SASL_AUTHENTICATION_FAILED; ILLEGAL_SASL_STATE without a SaslHandshake.
//
// Status: done
func (d *Door) saslAuthenticate(r *request, in *kmsg.SASLAuthenticateRequest) (*kmsg.SASLAuthenticateResponse, error) {
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	c := r.conn
	if c.login.step == nil {
		resp.ErrorCode = int16(brokers.IllegalSASLState)
		resp.ErrorMessage = kmsg.StringPtr("SaslAuthenticate request received without a SaslHandshake before it.")
		r.end = errRefused
		return resp, nil
	}
	out := c.login.step(in.SASLAuthBytes)
	if out.failed != "" || out.who != nil && !c.accept(out.who) {
		if out.failed == "" {
			out.failed = "Cannot change principals during re-authentication."
		}
		c.pause(d.opts.FailDelay)
		resp.ErrorCode, resp.ErrorMessage = int16(brokers.SASLAuthenticationFailed), &out.failed
		r.end = errRefused
		return resp, nil
	}
	resp.SASLAuthBytes = out.answer
	if out.who != nil {
		resp.SessionLifetimeMillis = min(c.login.lifetime.Milliseconds(), math.MaxInt32)
	}
	return resp, nil
}

// pause holds an answer back for d, or until the connection ends.
func (c *conn) pause(d time.Duration) {
	t := c.door.opts.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-c.ctx.Done():
	}
}
