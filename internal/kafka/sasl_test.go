package kafka

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"thalweg/internal/clock"
	"thalweg/internal/identity"
	"thalweg/internal/sigv4"
	"thalweg/internal/vfs"
)

// applied is a journal that keeps nothing.
type applied struct{ keys *identity.Keys }

func (j applied) Append(_ context.Context, event []byte) error { return j.keys.Apply(event) }

// guarded is a server with SASL, and a key of its account.
type guarded struct {
	*server
	keys   *identity.Keys
	key    identity.Key
	secret string
	tls    *tls.Config
}

func newGuarded(t testing.TB, tune func(*Options)) *guarded {
	t.Helper()
	g := &guarded{}
	var err error
	if g.keys, err = identity.NewKeys(newStore(t), clock.System()); err != nil {
		t.Fatal(err)
	}
	g.keys.Attach(applied{g.keys})
	var secret identity.Secret
	if g.key, secret, err = g.keys.Create(t.Context(), scope().Account, "ada"); err != nil {
		t.Fatal(err)
	}
	g.secret = secret.Reveal()
	authority := identity.New(identity.Config{Clock: clock.System(), Keys: g.keys, Account: scope().Account, Region: scope().Region})
	certs, pool := serverCerts(t)
	g.tls = &tls.Config{RootCAs: pool}
	g.server = newServerOn(t, 1, func(o *Options) {
		o.Authority, o.FailDelay = authority, time.Millisecond
		if tune != nil {
			tune(o)
		}
	}, Listener{SASL: true, TLS: TLSConfig(certs.Certificate, nil)})
	return g
}

// as asks for metadata with a mechanism.
func (g *guarded) as(t testing.TB, m sasl.Mechanism) error {
	t.Helper()
	cl := g.client(t, kgo.DialTLSConfig(g.tls), kgo.SASL(m), kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := cl.Request(ctx, kmsg.NewPtrMetadataRequest())
	return err
}

// token is a bearer token of MSK's signers.
func token(id, secret, region, host string, age, lifetime time.Duration, now time.Time) string {
	s := sigv4.Signer{AccessKeyID: id, Secret: sigv4.NewSecret(secret), Region: region, Service: "kafka-cluster", Clock: clock.NewManual(now.Add(-age))}
	r, err := http.NewRequest(http.MethodGet, "https://"+host+"/?Action=kafka-cluster%3AConnect", http.NoBody)
	if err != nil {
		return ""
	}
	s.Presign(r, nil, lifetime)
	return base64.RawURLEncoding.EncodeToString([]byte(r.URL.String() + "&User-Agent=test%2F1"))
}

func TestSASL(t *testing.T) {
	t.Setenv("AWS_REGION", scope().Region)
	g := newGuarded(t, nil)
	stranger, theirs, err := g.keys.Create(t.Context(), "123456789012", "eve")
	if err != nil {
		t.Fatal(err)
	}
	off, offSecret, err := g.keys.Create(t.Context(), scope().Account, "off")
	if err == nil {
		err = g.keys.SetState(t.Context(), off.ID, identity.Disabled)
	}
	if err != nil {
		t.Fatal(err)
	}
	const host = "kafka.us-east-1.amazonaws.com"
	now := time.Now()
	bearer := func(s string) sasl.Mechanism { return oauth.Auth{Token: s}.AsMechanism() }
	good := token(g.key.ID, g.secret, "us-east-1", host, 0, 15*time.Minute, now)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	pathless := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), ".com/?", ".com?", 1)))
	elsewhere := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), ".com/?", ".com/x?", 1)))
	tampered := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "X-Amz-Expires=900", "X-Amz-Expires=899", 1)))
	for _, tc := range []struct {
		name string
		as   sasl.Mechanism
		ok   bool
	}{
		{"PLAIN", plain.Auth{User: g.key.ID, Pass: g.secret}.AsMechanism(), true},
		{"PLAIN, wrong secret", plain.Auth{User: g.key.ID, Pass: g.secret + "x"}.AsMechanism(), false},
		{"PLAIN, no secret of an unknown key", plain.Auth{User: "AKIAUNKNOWN", Pass: "x"}.AsMechanism(), false},
		{"PLAIN, another's name", plain.Auth{Zid: "root", User: g.key.ID, Pass: g.secret}.AsMechanism(), false},
		{"PLAIN, another account", plain.Auth{User: stranger.ID, Pass: theirs.Reveal()}.AsMechanism(), false},
		{"PLAIN, a disabled key", plain.Auth{User: off.ID, Pass: offSecret.Reveal()}.AsMechanism(), false},
		{"IAM", aws.Auth{AccessKey: g.key.ID, SecretKey: g.secret}.AsManagedStreamingIAMMechanism(), true},
		{"IAM, wrong secret", aws.Auth{AccessKey: g.key.ID, SecretKey: "x"}.AsManagedStreamingIAMMechanism(), false},
		{"IAM, session token", aws.Auth{AccessKey: g.key.ID, SecretKey: g.secret, SessionToken: "t"}.AsManagedStreamingIAMMechanism(), false},
		{"IAM, another account", aws.Auth{AccessKey: stranger.ID, SecretKey: theirs.Reveal()}.AsManagedStreamingIAMMechanism(), false},
		{"bearer", bearer(good), true},
		{"bearer, without the path", bearer(pathless), true},
		{"bearer, another path", bearer(elsewhere), false},
		{"bearer, tampered", bearer(tampered), false},
		{"bearer, expired", bearer(token(g.key.ID, g.secret, "us-east-1", host, time.Hour, 15*time.Minute, now)), false},
		{"bearer, too long", bearer(token(g.key.ID, g.secret, "us-east-1", host, 0, time.Hour, now)), false},
		{"bearer, another region", bearer(token(g.key.ID, g.secret, "eu-west-1", "kafka.eu-west-1.amazonaws.com", 0, 15*time.Minute, now)), false},
		{"bearer, another host", bearer(token(g.key.ID, g.secret, "us-east-1", "evil.example", 0, 15*time.Minute, now)), false},
		{"bearer, nonsense", bearer("AAAA"), false},
	} {
		switch err := g.as(t, tc.as); {
		case tc.ok && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case !tc.ok && !errors.Is(err, kerr.SaslAuthenticationFailed):
			t.Errorf("%s: %v, want SASL_AUTHENTICATION_FAILED", tc.name, err)
		}
	}
	if n := g.door.early.Load(); n != 0 {
		g.door.each(func(*conn) { n-- })
		if n > 0 {
			t.Errorf("%d connections are thought to be early", n)
		}
	}
}

// TestSASLHost: a payload that was signed for another host is refused, so that who
// receives one cannot pass it on.
func TestSASLHost(t *testing.T) {
	g := newGuarded(t, nil)
	t.Setenv("AWS_REGION", scope().Region)
	mech := aws.Auth{AccessKey: g.key.ID, SecretKey: g.secret}.AsManagedStreamingIAMMechanism()
	for host, want := range map[string]bool{"127.0.0.1:9092": true, "localhost:9092": true, "evil.example:9092": false} {
		_, first, err := mech.Authenticate(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		c := &conn{door: g.door, at: g.door.Bound()[0], localHost: "127.0.0.1"}
		if got := g.door.iam(c, first); (got.who != nil) != want {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

// TestReauthentication: a session ends, and clients begin it again before that.
func TestReauthentication(t *testing.T) {
	g := newGuarded(t, func(o *Options) { o.MaxReauth = 3 * time.Second })
	cl := g.client(t, kgo.DialTLSConfig(g.tls), kgo.SASL(plain.Auth{User: g.key.ID, Pass: g.secret}.AsMechanism()))
	mustCreate(t, cl, "orders", 1)
	begun := time.Now()
	for time.Since(begun) < 4*time.Second {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.keys.SetState(t.Context(), g.key.ID, identity.Disabled); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := cl.Request(ctx, kmsg.NewPtrMetadataRequest()); err == nil {
		t.Error("a disabled key goes on being accepted")
	}
}

// TestBeforeAuthentication: only what leads to it is answered, and little of that.
func TestBeforeAuthentication(t *testing.T) {
	g := newGuarded(t, nil)
	dial := func() net.Conn {
		d := tls.Dialer{Config: g.tls}
		nc, err := d.DialContext(t.Context(), "tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		if err := nc.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	frame := func(req kmsg.Request) []byte { return kmsg.NewRequestFormatter().AppendRequest(nil, req, 1) }
	versions := kmsg.NewPtrApiVersionsRequest()
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version = 12
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Version, handshake.Mechanism = 1, "SCRAM-SHA-1"
	raw := kmsg.NewPtrSASLHandshakeRequest()
	raw.Mechanism = saslPlain
	early := kmsg.NewPtrSASLAuthenticateRequest()
	huge := binary.BigEndian.AppendUint32(nil, maxEarlyFrame+1)
	for name, tc := range map[string]struct {
		send    []byte
		answers bool
	}{
		"metadata":              {frame(metadata), false},
		"unknown mechanism":     {frame(handshake), true},
		"handshake 0":           {frame(raw), false},
		"no handshake":          {frame(early), true},
		"a large frame":         {append(huge, 0, 18, 0, 0, 0, 0, 0, 1), false},
		"versions without end":  {[]byte(strings.Repeat(string(frame(versions)), maxEarlyRequests+1)), true},
		"a produce of much too": {append(huge, 0, 0, 0, 9, 0, 0, 0, 1), false},
	} {
		nc := dial()
		if _, err := nc.Write(tc.send); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(nc)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() || tc.answers != (len(got) > 0) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		_ = nc.Close()
	}
}

// TestStrangersAreFew: connections whose clients did not say who they are do not
// keep others out of memory.
func TestStrangersAreFew(t *testing.T) {
	g := newGuarded(t, func(o *Options) { o.MaxEarly = 1 })
	d := tls.Dialer{Config: g.tls}
	first, err := d.DialContext(t.Context(), "tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	if second, err := d.DialContext(t.Context(), "tcp", g.addr); err == nil {
		_ = second.Close()
		t.Error("a second stranger was let in")
	}
}

func FuzzSASLPayloads(f *testing.F) {
	f.Add([]byte(`{"version":"2020_10_22","host":"h","action":"kafka-cluster:Connect","x-amz-date":"20260101T000000Z"}`))
	f.Add([]byte("n,,\x01auth=Bearer " + token("AKIA", "s", "us-east-1", "kafka.us-east-1.amazonaws.com", 0, time.Minute, time.Unix(1e9, 0)) + "\x01\x01"))
	keys, err := identity.NewKeys(newStore(f), clock.System())
	if err != nil {
		f.Fatal(err)
	}
	u := identity.New(identity.Config{Clock: clock.System(), Keys: keys, Account: scope().Account, Region: scope().Region})
	f.Fuzz(func(t *testing.T, b []byte) {
		if host, query, ok := iamQuery(b); ok {
			if _, _, ok := u.VerifyKafka("us-east-1", host, query); ok {
				t.Error("believed without a key")
			}
		}
		if query, ok := oauthQuery(b, "us-east-1"); ok {
			if _, _, ok := u.VerifyKafka("us-east-1", "kafka.us-east-1.amazonaws.com", query); ok {
				t.Error("believed without a key")
			}
		}
	})
}

func newStore(t testing.TB) *identity.Keystore {
	t.Helper()
	fsys := vfs.NewEphemeral()
	if err := fsys.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := identity.OpenKeystore(fsys, "/data")
	if err != nil {
		t.Fatal(err)
	}
	return store
}
