package listen

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

const (
	caFile, caKeyFile     = "ca.pem", "ca-key.pem"
	leafFile, leafKeyFile = "server.pem", "server-key.pem"

	caLife    = 10 * 365 * 24 * time.Hour
	leafLife  = 397 * 24 * time.Hour // the longest that clients commonly accept
	renewal   = 30 * 24 * time.Hour  // before the end
	backdated = time.Hour            // for clients whose clocks are late
)

// Certs is the certificate of a server and the certificate authority, made by
// itself, that vouches for it. It renews the certificate when it nears its end.
// It is safe for concurrent use.
type Certs struct {
	fs    vfs.FS
	dir   string
	clock clock.Clock
	dns   []string
	ips   []net.IP

	ca    *x509.Certificate
	caKey crypto.Signer
	caPEM []byte

	leaf atomic.Pointer[tls.Certificate]
	mu   sync.Mutex // held to renew leaf
}

// OpenCerts reads dir's certificates or makes them: ca.pem with ca-key.pem, to be
// trusted by clients, and server.pem with server-key.pem. The certificate is for
// this machine (localhost, *.localhost, 127.0.0.1, ::1), for names, which are
// advertised hosts or addresses, and for the names of AWS's endpoints in region.
// It is made anew when it covers less than that, is damaged or nears its end.
//
// A damaged authority is an error: clients trust it, so it is not replaced
// without a word. One past its end is replaced.
func OpenCerts(fsys vfs.FS, dir string, c clock.Clock, names []string, region string) (*Certs, error) {
	s := &Certs{fs: fsys, dir: dir, clock: c}
	s.dns = append(s.dns, "localhost", "*.localhost")
	s.ips = append(s.ips, net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback)
	for _, name := range names {
		if ip := net.ParseIP(strings.Trim(name, "[]")); ip != nil {
			s.ips = append(s.ips, ip)
		} else {
			s.dns = append(s.dns, strings.ToLower(name))
		}
	}
	for _, suffix := range []string{"amazonaws.com", "api.aws"} {
		base := region + "." + suffix
		s.dns = append(s.dns, "*."+base, "*.data-kinesis."+base, "*.control-kinesis."+base, "*.kinesisvideo."+base)
	}
	const op = "open TLS certificates"
	err := fsys.MkdirAll(dir, 0o700)
	if err == nil {
		err = fsys.SyncDir(path.Dir(dir))
	}
	if err != nil {
		return nil, errs.Wrap(errs.KindOf(err), op, err)
	}
	if err := s.openCA(); err != nil {
		return nil, errs.Wrap(errs.KindOf(err), op, err)
	}
	if cert, err := s.readLeaf(); err == nil && s.usable(cert) {
		s.leaf.Store(cert)
	} else if err := s.renew(); err != nil {
		return nil, errs.Wrap(errs.KindOf(err), op, err)
	}
	return s, nil
}

// CAPEM returns the authority's certificate, for clients to trust.
func (s *Certs) CAPEM() []byte { return bytes.Clone(s.caPEM) }

// Certificate implements tls.Config.GetCertificate.
func (s *Certs) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert := s.leaf.Load()
	if s.fresh(cert.Leaf) {
		return cert, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cert = s.leaf.Load(); s.fresh(cert.Leaf) {
		return cert, nil
	}
	if err := s.renew(); err != nil {
		if s.clock.Now().Before(cert.Leaf.NotAfter) {
			return cert, nil // still good; the next handshake tries again
		}
		return nil, err
	}
	return s.leaf.Load(), nil
}

func (s *Certs) openCA() error {
	cert, err := s.readPair(caFile, caKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.createCA()
	case err == nil && cert.Leaf.IsCA:
	default:
		return &errs.Error{Kind: errs.Corrupt, Msg: "the certificate authority in " + s.dir + " is damaged", Err: err,
			Hint: "remove " + s.dir + " to have a new one made, and trust that one: thalweg trust"}
	}
	if !s.clock.Now().Before(cert.Leaf.NotAfter) {
		return s.createCA()
	}
	s.ca, s.caKey = cert.Leaf, cert.PrivateKey.(crypto.Signer)
	s.caPEM = encodePEM("CERTIFICATE", cert.Certificate[0])
	return nil
}

func (s *Certs) createCA() error {
	now := s.clock.Now()
	serial := newSerial()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Thalweg"}, CommonName: "Thalweg local CA " + serial.Text(36)[:6]},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	cert, err := s.issue(template, template, nil, caFile, caKeyFile)
	if err != nil {
		return err
	}
	s.ca, s.caKey = cert.Leaf, cert.PrivateKey.(crypto.Signer)
	s.caPEM = encodePEM("CERTIFICATE", cert.Certificate[0])
	return nil
}

// renew makes another certificate and stores it.
func (s *Certs) renew() error {
	now := s.clock.Now()
	if !now.Before(s.ca.NotAfter) {
		return &errs.Error{Kind: errs.Expired, Msg: "the certificate authority in " + s.dir + " has expired",
			Hint: "restart the server to have a new one made, and trust that one: thalweg trust"}
	}
	end := now.Add(leafLife)
	if end.After(s.ca.NotAfter) {
		end = s.ca.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      pkix.Name{Organization: []string{"Thalweg"}, CommonName: "localhost"},
		NotBefore:    now.Add(-backdated),
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     s.dns,
		IPAddresses:  s.ips,
	}
	cert, err := s.issue(template, s.ca, s.caKey, leafFile, leafKeyFile)
	if err != nil {
		return err
	}
	s.leaf.Store(cert)
	return nil
}

// issue makes a key, has parent sign its certificate (nil signer: itself), and
// stores both, the key first.
func (s *Certs) issue(template, parent *x509.Certificate, signer crypto.Signer, certFile, keyFile string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := s.write(keyFile, encodePEM("PRIVATE KEY", keyDER), 0o600); err != nil {
		return nil, err
	}
	if err := s.write(certFile, encodePEM("CERTIFICATE", der), 0o644); err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// write replaces a file. A temporary one left by a crash would lend the new one
// its permissions.
func (s *Certs) write(base string, data []byte, perm fs.FileMode) error {
	if err := s.fs.Remove(s.dir + "/" + base + ".tmp"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return vfs.WriteFile(s.fs, s.dir, base, data, perm)
}

func (s *Certs) readPair(certFile, keyFile string) (*tls.Certificate, error) {
	const limit = 64 << 10
	certPEM, err := vfs.ReadFile(s.fs, s.dir+"/"+certFile, limit)
	if err != nil {
		return nil, err
	}
	keyPEM, err := vfs.ReadFile(s.fs, s.dir+"/"+keyFile, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New(keyFile + " is missing") // not the same as neither being there
	}
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

func (s *Certs) readLeaf() (*tls.Certificate, error) { return s.readPair(leafFile, leafKeyFile) }

// usable reports whether a stored certificate is ours, fresh, and for all names.
func (s *Certs) usable(cert *tls.Certificate) bool {
	leaf := cert.Leaf
	if leaf.CheckSignatureFrom(s.ca) != nil || !s.fresh(leaf) {
		return false
	}
	for _, name := range s.dns {
		if !slices.Contains(leaf.DNSNames, name) {
			return false
		}
	}
	for _, ip := range s.ips {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

// fresh reports whether a certificate has more than its renewal time to live, or
// as long as its authority.
func (s *Certs) fresh(leaf *x509.Certificate) bool {
	now := s.clock.Now()
	if now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		return false
	}
	return now.Before(leaf.NotAfter.Add(-renewal)) || leaf.NotAfter.Equal(s.ca.NotAfter)
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// newSerial returns a random serial number of 127 bits.
func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	b[0] |= 0x40 // not zero, and of constant length
	return new(big.Int).SetBytes(b[:])
}
