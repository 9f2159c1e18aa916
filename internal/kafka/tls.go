package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"
)

// anonymous is a client that did not say who it is.
const anonymous = "User:ANONYMOUS"

// TLSConfig is how a listener encrypts: with certificate, and with clients that
// an authority of clients vouches for, unless that is nil.
func TLSConfig(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), clients *x509.CertPool) *tls.Config {
	c := &tls.Config{GetCertificate: certificate, MinVersion: tls.VersionTLS12, ClientCAs: clients}
	if clients != nil {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c
}

// handshake begins TLS, if the listener has it, and learns who the client is
// from its certificate.
func (c *conn) handshake(limit time.Duration) error {
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		return err
	}
	if certs := tc.ConnectionState().PeerCertificates; len(certs) > 0 {
		name, err := subject(certs[0])
		if err != nil {
			return err
		}
		c.principal = "User:" + name
	}
	if !c.early() {
		c.known()
	}
	return nil
}

// subject is a certificate's distinguished name in the form of RFC 2253, as
// Apache Kafka's principals have it.
func subject(cert *x509.Certificate) (string, error) {
	var name pkix.RDNSequence
	if _, err := asn1.Unmarshal(cert.RawSubject, &name); err != nil {
		return "", err
	}
	return name.String(), nil
}
