package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/clock"
	"thalweg/internal/listen"
	"thalweg/internal/vfs"
)

// serverCerts makes an authority and the pool of clients that trust it.
func serverCerts(t testing.TB) (*listen.Certs, *x509.CertPool) {
	t.Helper()
	certs, err := listen.OpenCerts(vfs.NewEphemeral(), "/data", clock.System(), nil, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certs.CAPEM())
	return certs, pool
}

// clientCert makes a certificate that vouches for itself, and the pool that has it.
func clientCert(t testing.TB, name pkix.Name) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: name, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestTLS(t *testing.T) {
	certs, pool := serverCerts(t)
	s := newServerOn(t, 1, nil, Listener{TLS: TLSConfig(certs.Certificate, nil)})
	cl := s.client(t, kgo.DialTLSConfig(&tls.Config{RootCAs: pool}))
	mustCreate(t, cl, "orders", 1)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: make([]byte, 900_000)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	reader := s.client(t, kgo.DialTLSConfig(&tls.Config{RootCAs: pool}), kgo.ConsumeTopics("orders"))
	if got := reader.PollFetches(t.Context()); got.NumRecords() != 1 {
		t.Errorf("%d records, %v", got.NumRecords(), got.Err())
	}
	plain := s.client(t, kgo.RequestRetries(0))
	if _, err := plain.Request(t.Context(), kmsg.NewPtrMetadataRequest()); err == nil {
		t.Error("a client in the clear was answered on a TLS port")
	}
}

func TestClientCertificates(t *testing.T) {
	certs, pool := serverCerts(t)
	mine, clients := clientCert(t, pkix.Name{CommonName: "ada, countess", Organization: []string{"Analytical"}, Country: []string{"GB"}})
	s := newServerOn(t, 1, nil, Listener{TLS: TLSConfig(certs.Certificate, clients)})
	cl := s.client(t, kgo.DialTLSConfig(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{mine}}))
	ask[*kmsg.MetadataResponse](t, cl, kmsg.NewPtrMetadataRequest())
	if name, err := subject(mine.Leaf); err != nil || name != `CN=ada\, countess,O=Analytical,C=GB` {
		t.Errorf("subject %q, %v", name, err)
	}
	other, _ := clientCert(t, pkix.Name{CommonName: "mallory"})
	for name, with := range map[string][]tls.Certificate{"none": nil, "of another authority": {other}} {
		cl := s.client(t, kgo.RequestRetries(0), kgo.DialTLSConfig(&tls.Config{RootCAs: pool, Certificates: with}))
		if _, err := cl.Request(t.Context(), kmsg.NewPtrMetadataRequest()); err == nil {
			t.Errorf("certificate %s: let in", name)
		}
	}
}

// TestHandshakeTimesOut: who says nothing on a TLS port is sent away.
func TestHandshakeTimesOut(t *testing.T) {
	certs, _ := serverCerts(t)
	s := newServerOn(t, 1, func(o *Options) { o.FirstTimeout = 20 * time.Millisecond }, Listener{TLS: TLSConfig(certs.Certificate, nil)})
	nc, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("read %d, %v", n, err)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("still open after ten seconds")
	}
}
