package listen

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

var certStart = time.Date(2026, 11, 23, 5, 20, 0, 0, time.UTC)

func openCerts(t *testing.T, fsys vfs.FS, c clock.Clock, names ...string) *Certs {
	t.Helper()
	s, err := OpenCerts(fsys, "data/tls", c, names, "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func current(t *testing.T, s *Certs) *tls.Certificate {
	t.Helper()
	cert, err := s.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertNames(t *testing.T) {
	clk := clock.NewManual(certStart)
	s := openCerts(t, vfs.NewEphemeral(), clk, "Thalweg.example", "10.1.2.3", "[fd00::1]")
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CAPEM()) {
		t.Fatal("no CA certificate")
	}
	leaf := current(t, s).Leaf
	for name, want := range map[string]bool{
		"localhost": true, "s.localhost": true, "127.0.0.1": true, "::1": true, "thalweg.example": true, "10.1.2.3": true, "fd00::1": true,
		"kinesis.eu-west-1.amazonaws.com": true, "firehose.eu-west-1.amazonaws.com": true, "kinesis.eu-west-1.api.aws": true,
		"111111111111.data-kinesis.eu-west-1.amazonaws.com": true, "111111111111.control-kinesis.eu-west-1.api.aws": true,
		"s-1a2b3c4d.kinesisvideo.eu-west-1.amazonaws.com": true,
		"kinesis.us-east-1.amazonaws.com":                 false, "evil.example": false, "10.1.2.4": false, "a.b.localhost": false, "amazonaws.com": false,
	} {
		if err := leaf.VerifyHostname(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: pool, CurrentTime: clk.Now()})
	if err != nil {
		t.Error(err)
	}
}

func TestCertsReopened(t *testing.T) {
	m := vfs.NewEphemeral()
	clk := clock.NewManual(certStart)
	first := openCerts(t, m, clk)
	again := openCerts(t, m, clk)
	if !bytes.Equal(first.CAPEM(), again.CAPEM()) || !bytes.Equal(current(t, first).Certificate[0], current(t, again).Certificate[0]) {
		t.Error("reopening made others")
	}
	named := openCerts(t, m, clk, "thalweg.example")
	if bytes.Equal(current(t, first).Certificate[0], current(t, named).Certificate[0]) || !bytes.Equal(first.CAPEM(), named.CAPEM()) {
		t.Error("another name must change the certificate, and not the authority")
	}
	fewer := openCerts(t, m, clk)
	if !bytes.Equal(current(t, fewer).Certificate[0], current(t, named).Certificate[0]) {
		t.Error("a certificate for more names than needed was replaced")
	}
}

// TestCertRenewal moves the clock through the certificate's life and the
// authority's.
func TestCertRenewal(t *testing.T) {
	m := vfs.NewEphemeral()
	clk := clock.NewManual(certStart)
	s := openCerts(t, m, clk)
	serial := current(t, s).Leaf.SerialNumber
	clk.Set(certStart.Add(leafLife - renewal - time.Minute))
	if current(t, s).Leaf.SerialNumber.Cmp(serial) != 0 {
		t.Error("renewed too early")
	}
	clk.Set(certStart.Add(leafLife - renewal))
	renewed := current(t, s).Leaf
	if renewed.SerialNumber.Cmp(serial) == 0 || !renewed.NotAfter.Equal(clk.Now().Add(leafLife)) {
		t.Errorf("not renewed: until %v", renewed.NotAfter)
	}
	if !bytes.Equal(current(t, openCerts(t, m, clk)).Certificate[0], current(t, s).Certificate[0]) {
		t.Error("the renewed certificate was not stored")
	}
	// The last certificate ends with the authority, and is not renewed in vain.
	clk.Set(certStart.Add(caLife - time.Hour))
	last := current(t, s)
	if !last.Leaf.NotAfter.Equal(s.ca.NotAfter) || current(t, s) != last {
		t.Errorf("until %v, authority until %v", last.Leaf.NotAfter, s.ca.NotAfter)
	}
	clk.Set(certStart.Add(caLife))
	if _, err := s.Certificate(nil); errs.KindOf(err) != errs.Expired {
		t.Errorf("expired authority: %v", err)
	}
	if bytes.Equal(openCerts(t, m, clk).CAPEM(), s.CAPEM()) {
		t.Error("the expired authority was not replaced")
	}
}

// TestRenewalFails keeps a certificate in use that cannot be replaced yet.
func TestRenewalFails(t *testing.T) {
	m := vfs.NewMem(1)
	clk := clock.NewManual(certStart)
	s := openCerts(t, m, clk)
	m.SetCapacity(1)
	clk.Set(certStart.Add(leafLife - renewal))
	before := current(t, s)
	clk.Set(certStart.Add(leafLife))
	if _, err := s.Certificate(nil); !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("past its end: %v", err)
	}
	m.SetCapacity(1 << 30)
	if current(t, s) == before {
		t.Error("not renewed once there was space")
	}
}

func TestCertDamage(t *testing.T) {
	clk := clock.NewManual(certStart)
	for file, wantErr := range map[string]bool{"ca.pem": true, "ca-key.pem": true, "server.pem": false, "server-key.pem": false} {
		for what, data := range map[string][]byte{"empty": {}, "garbage": []byte("garbage"), "gone": nil} {
			m := vfs.NewEphemeral()
			ca := openCerts(t, m, clk).CAPEM()
			if data != nil {
				if err := vfs.WriteFile(m, "data/tls", file, data, 0o600); err != nil {
					t.Fatal(err)
				}
			} else if err := m.Remove("data/tls/" + file); err != nil {
				t.Fatal(err)
			}
			again, err := OpenCerts(m, "data/tls", clk, nil, "eu-west-1")
			switch {
			case file == "ca.pem" && what == "gone": // as after a crash while it was made
				if err != nil || bytes.Equal(again.CAPEM(), ca) {
					t.Errorf("%s %s: %v", file, what, err)
				}
			case wantErr:
				if errs.KindOf(err) != errs.Corrupt {
					t.Errorf("%s %s: %v", file, what, err)
				}
			case err != nil || !bytes.Equal(again.CAPEM(), ca):
				t.Errorf("%s %s: %v", file, what, err)
			}
		}
	}
}

// TestCertFiles checks what stands on a real disk.
func TestCertFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenCerts(vfs.OS{}, dir+"/tls", clock.NewManual(certStart), nil, "eu-west-1"); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{
		"": 0o700, "ca.pem": 0o644, "ca-key.pem": 0o600, "server.pem": 0o644, "server-key.pem": 0o600,
	} {
		info, err := os.Stat(dir + "/tls/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm() &^ want; got != 0 {
			t.Errorf("%s: %v", file, info.Mode())
		}
	}
}
