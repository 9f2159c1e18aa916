package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"thalweg/internal/errs"
)

func policy(t testing.TB, local bool, allow ...string) *Policy {
	t.Helper()
	p, err := New(local, allow)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAllows(t *testing.T) {
	open, local := policy(t, false), policy(t, true)
	listed := policy(t, false, "10.1.0.0/16", "169.254.169.254", "fd00::7")
	for _, c := range []struct {
		address             string
		open, local, listed bool
	}{
		{"8.8.8.8", true, true, true},
		{"2606:4700::1111", true, true, true},
		{"::ffff:8.8.8.8", true, true, true},
		{"127.0.0.1", false, true, false},
		{"127.8.9.10", false, true, false},
		{"::1", false, true, false},
		{"::ffff:127.0.0.1", false, true, false},
		{"10.1.2.3", false, true, true},
		{"::ffff:10.1.2.3", false, true, true},
		{"10.2.0.1", false, true, false},
		{"172.31.255.255", false, true, false},
		{"192.168.1.1", false, true, false},
		{"fd00::7", false, true, true},
		{"fd00::8", false, true, false},
		{"169.254.169.254", false, false, true}, // a cloud's metadata, even for a local server
		{"::ffff:169.254.169.254", false, false, true},
		{"64:ff9b::a9fe:a9fe", false, false, true},
		{"64:ff9b::808:808", true, true, true},
		{"2002:a9fe:a9fe::1", false, false, true},
		{"2002:7f00:1::", false, true, false},
		{"fe80::1", false, false, false},
		{"0.0.0.0", false, false, false},
		{"0.1.2.3", false, false, false},
		{"::", false, false, false},
		{"::7f00:1", false, false, false},
		{"100.64.0.1", false, false, false},
		{"192.0.0.8", false, false, false},
		{"198.19.0.1", false, false, false},
		{"224.0.0.1", false, false, false},
		{"255.255.255.255", false, false, false},
		{"ff02::1", false, false, false},
		{"2001:0:4136:e378::", false, false, false},
		{"64:ff9b:1::1", false, false, false},
	} {
		a := netip.MustParseAddr(c.address)
		for name, got := range map[string][2]bool{
			"open": {open.Allows(a), c.open}, "local": {local.Allows(a), c.local}, "listed": {listed.Allows(a), c.listed},
		} {
			if got[0] != got[1] {
				t.Errorf("%s, %s: %v", c.address, name, got[0])
			}
		}
	}
	if (&Policy{}).Allows(netip.Addr{}) {
		t.Error("the zero address is allowed")
	}
}

// Addresses are judged when they are dialled, whatever the name.
func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, c := range []struct {
		policy *Policy
		host   string
		ok     bool
	}{
		{policy(t, false), "127.0.0.1", false},
		{policy(t, false), "localhost", false},
		{policy(t, false), "::ffff:127.0.0.1", false},
		{policy(t, true), "127.0.0.1", true},
		{policy(t, true), "localhost", true},
		{policy(t, false, "127.0.0.0/8"), "localhost", true},
		{policy(t, false, "LocalHost"), "localhost", true},
		{policy(t, false, "localhost"), "127.0.0.1", false},
		{policy(t, false, "*.host"), "localhost", false},
	} {
		conn, err := c.policy.DialContext(context.Background(), "tcp", net.JoinHostPort(c.host, port))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != c.ok || err != nil && errs.KindOf(err) != errs.Denied {
			t.Errorf("%+v to %s: %v", c.policy, c.host, err)
		}
	}
	if !policy(t, false, "*.internal").named("a.b.INTERNAL.") || policy(t, false, "*.internal").named("internal") {
		t.Error("*.internal is all below internal")
	}
}

func TestClient(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	c := policy(t, true).Client()
	defer c.CloseIdleConnections()
	r, err := c.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusFound || calls != 1 {
		t.Errorf("status %d after %d calls; a redirect is not followed", r.StatusCode, calls)
	}
	_, err = policy(t, false).Client().Get(server.URL)
	var denied *errs.Error
	if !errors.As(err, &denied) || denied.Kind != errs.Denied || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestBadAllow(t *testing.T) {
	for _, a := range []string{"", "*", "*.", "a b", "http://x", "10.0.0.0/99", "*x.y", "x:80"} {
		if p, err := New(false, []string{a}); err == nil {
			t.Errorf("%q allows %+v", a, p)
		}
	}
}

// Nothing that is allowed in one spelling is refused in another, and a local address
// stays one.
func FuzzAllows(f *testing.F) {
	for _, s := range []string{"8.8.8.8", "127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::1", "fe80::1%eth0"} {
		f.Add(s)
	}
	p, local := policy(f, false), policy(f, true)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			return
		}
		if p.Allows(a) != p.Allows(netip.AddrFrom16(a.As16())) {
			t.Errorf("%s differs from its mapped form", a)
		}
		if p.Allows(a) && (!local.Allows(a) || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()) {
			t.Errorf("%s", a)
		}
	})
}
