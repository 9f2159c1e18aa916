package kafka

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"thalweg/internal/brokers"
	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/kwire"
)

// The mechanisms by which clients can prove who they are.
const (
	saslPlain = "PLAIN"
	saslIAM   = "AWS_MSK_IAM"
	saslOAuth = "OAUTHBEARER"
	scram256  = "SCRAM-SHA-256"
	scram512  = "SCRAM-SHA-512"
)

const (
	// maxEarlyFrame and maxEarlyRequests bound a connection until its client has
	// proved who it is.
	maxEarlyFrame    = 64 << 10
	maxEarlyRequests = 16
)

// client is who a connection's client has proved to be.
type client struct {
	name     string        // as a principal of Kafka
	key      identity.Key  // with no ID for a SCRAM user
	lifetime time.Duration // of the proof; 0 is without an end
}

// outcome is what one step of a mechanism comes to: an answer, with who the
// client is when that is known, or why it failed.
type outcome struct {
	answer []byte
	who    *client
	failed string
}

// login is how far a connection is with saying who its client is. Only the
// goroutine that serves the connection uses it.
type login struct {
	mechanism string // agreed on
	step      func([]byte) outcome
	who       *client       // nil: not yet known
	lifetime  time.Duration // of the session, as the client was told
	ends      time.Time     // of the session
	requests  int           // before the client was known
}

func (l *login) begin(mechanism string, step func([]byte) outcome) {
	l.mechanism, l.step = mechanism, step
}

// accept takes the client for who it has proved to be. It is false when that is
// another than before.
func (c *conn) accept(who *client) bool {
	if c.login.who != nil && c.login.who.name != who.name {
		return false
	}
	l := c.door.opts.MaxReauth
	if who.lifetime > 0 {
		l = min(l, who.lifetime)
	}
	c.login.who, c.login.step, c.login.lifetime = who, nil, l
	c.principal = who.name
	c.login.ends = c.door.opts.Clock.Now().Add(l)
	c.known()
	return true
}

// early tells whether the client must say who it is before anything else.
func (c *conn) early() bool { return c.at.sasl && c.login.who == nil }

// admit refuses a request that the client may not make as far as it is known. An
// access key that is no longer accepted ends its connections with their next
// request.
func (c *conn) admit(key int16) error {
	if !c.at.sasl {
		return nil
	}
	switch key {
	case kwire.APIVersions, kwire.SASLHandshake, kwire.SASLAuthenticate:
		if c.login.requests++; c.early() && c.login.requests > maxEarlyRequests {
			return errs.New(errs.Denied, "client does not come to say who it is")
		}
		return nil
	}
	switch {
	case c.early():
		return errs.New(errs.Denied, "request before authentication")
	case c.door.opts.Clock.Now().After(c.login.ends):
		return errs.New(errs.Expired, "session is over")
	case c.login.who.key.ID != "" && !c.door.opts.Authority.Enabled(c.login.who.key.ID):
		return errs.New(errs.Denied, "access key is not accepted any more")
	}
	return nil
}

// mechanisms are those of the listener that c came to. Without TLS a secret is
// not asked for.
func (c *conn) mechanisms() []string {
	switch {
	case !c.at.sasl:
		return []string{}
	case c.at.mechanisms != nil:
		return c.at.mechanisms
	case c.at.tls == nil:
		return []string{saslIAM, saslOAuth, scram256, scram512}
	}
	return []string{saslIAM, saslOAuth, saslPlain, scram256, scram512}
}

// MechanismsOfUsers and MechanismsOfKeys are what the listeners of a cluster take
// whose clients are users of its own, or have access keys, as Amazon MSK's do.
func MechanismsOfUsers() []string { return []string{scram256, scram512} }

// MechanismsOfKeys: see MechanismsOfUsers.
func MechanismsOfKeys() []string { return []string{saslIAM, saslOAuth} }

// exchange begins a mechanism. All but SCRAM have one step.
func (d *Door) exchange(c *conn, mechanism string) func([]byte) outcome {
	switch mechanism {
	case saslPlain:
		return d.plain
	case saslOAuth:
		return d.oauth
	case scram256:
		return d.scram(brokers.ScramSHA256)
	case scram512:
		return d.scram(brokers.ScramSHA512)
	}
	return func(token []byte) outcome { return d.iam(c, token) }
}

// scram takes a user's proof, in two steps.
func (d *Door) scram(m brokers.ScramMechanism) func([]byte) outcome {
	x := d.opts.Security.NewScram(m)
	failed := outcome{failed: "Authentication failed during authentication due to invalid credentials with SASL mechanism " + m.String()}
	step := 0
	return func(message []byte) outcome {
		if step++; step == 1 {
			if answer, ok := x.First(message); ok {
				return outcome{answer: answer}
			}
			return failed
		}
		if answer, name, ok := x.Final(message); ok {
			return outcome{answer: answer, who: &client{name: "User:" + name}}
		}
		return failed
	}
}

// ofKey is the client that an access key belongs to.
func ofKey(k identity.Key) *client { return &client{name: "User:" + k.PrincipalARN, key: k} }

const denied = "Authentication failed: Invalid username or password"

// plain takes an access key and its secret (RFC 4616).
func (d *Door) plain(token []byte) outcome {
	parts := strings.Split(string(token), "\x00")
	if len(parts) != 3 || parts[0] != "" && parts[0] != parts[1] {
		return outcome{failed: denied}
	}
	key, ok := d.opts.Authority.VerifySecret(parts[1], parts[2])
	if !ok || !d.mayConnect(key) {
		return outcome{failed: denied}
	}
	return outcome{who: ofKey(key)}
}

// iamVersion is the one version of AWS_MSK_IAM that there is.
const iamVersion = "2020_10_22"

// iam takes a signed request to connect to the host that the client dialled
// (aws-msk-iam-auth).
func (d *Door) iam(c *conn, token []byte) outcome {
	id := requestID()
	host, query, ok := iamQuery(token)
	if ok && slices.ContainsFunc(c.hosts(), func(h string) bool { return strings.EqualFold(h, host) }) {
		if key, _, ok := d.opts.Authority.VerifyKafka(d.cluster.Region(), host, query); ok && d.mayConnect(key) {
			answer, err := json.Marshal(map[string]string{"version": iamVersion, "request-id": id})
			if err == nil {
				return outcome{who: ofKey(key), answer: answer}
			}
		}
	}
	return outcome{failed: "[" + id + "]: Access denied"}
}

// iamQuery makes the query that was signed of a client's payload.
func iamQuery(token []byte) (host, query string, ok bool) {
	var in map[string]string
	if json.Unmarshal(token, &in) != nil || in["version"] != iamVersion || in["host"] == "" {
		return "", "", false
	}
	var b strings.Builder
	for _, name := range []string{"Action", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
		"X-Amz-Security-Token", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		value, there := in[strings.ToLower(name)]
		if !there {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + url.QueryEscape(value))
	}
	return in["host"], b.String(), true
}

// oauth takes a presigned URL of MSK's own endpoint as a bearer token (RFC 7628,
// aws-msk-iam-sasl-signer).
func (d *Door) oauth(token []byte) outcome {
	query, ok := oauthQuery(token, d.cluster.Region())
	if !ok {
		return outcome{failed: "Access denied"}
	}
	key, lifetime, ok := d.opts.Authority.VerifyKafka(d.cluster.Region(), "kafka."+d.cluster.Region()+".amazonaws.com", query)
	if !ok || lifetime <= 0 || !d.mayConnect(key) {
		return outcome{failed: "Access denied"}
	}
	who := ofKey(key)
	who.lifetime = lifetime
	return outcome{who: who}
}

// oauthQuery takes the signed query out of a client's first message. AWS's signer
// for Java leaves out the path, which is / in what it signs; the User-Agent is put
// into the URL after it was signed.
func oauthQuery(message []byte, region string) (query string, ok bool) {
	header, rest, ok := bytes.Cut(message, []byte("\x01"))
	if !ok || string(header) != "n,," {
		return "", false
	}
	token := ""
	for pair := range strings.SplitSeq(string(rest), "\x01") {
		if t, ok := strings.CutPrefix(pair, "auth=Bearer "); ok {
			if token != "" {
				return "", false
			}
			token = t
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(token, "="))
	if err != nil {
		return "", false
	}
	endpoint, query, ok := strings.Cut(string(raw), "?")
	if !ok || strings.TrimSuffix(endpoint, "/") != "https://kafka."+region+".amazonaws.com" {
		return "", false
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(pair, "User-Agent=") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&"), true
}

// mayConnect tells whether a key may use the cluster at all.
func (d *Door) mayConnect(k identity.Key) bool {
	return d.opts.Authority.MayKafka(k, "Connect", d.cluster.ARN("cluster", ""))
}

// hosts are the names by which the client of c may have come here. What it says
// in its handshake does not count: it is what a stranger in between would say too.
func (c *conn) hosts() []string {
	out := append([]string{c.at.Host, c.localHost}, c.at.names...)
	if ip := net.ParseIP(c.localHost); ip != nil && ip.IsLoopback() {
		out = append(out, "localhost")
	}
	return slices.DeleteFunc(out, func(h string) bool { return h == "" })
}

// requestID is a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// known takes a connection off the number of those whose clients are not.
func (c *conn) known() { c.counted.Do(func() { c.door.early.Add(-1) }) }

// strange tells whether clients have something to prove on a listener first.
func (b *Bound) strange() bool {
	return b.sasl || b.tls != nil && b.tls.ClientAuth == tls.RequireAndVerifyClientCert
}
