// Package egress decides where the server connects to when a resource names the
// address: endpoints of delivery, functions, outside stores.
//
// Whoever may create a delivery stream may otherwise reach, through the server, what
// only the server can: services bound to loopback, the private network, a cloud's
// metadata at 169.254.169.254. So connections go to public addresses; to loopback and
// private ones only when the server itself listens on nothing but loopback, where every
// caller has them anyway; and to what the operator has allowed by name or network.
//
// The address is judged when it is dialled, after names are resolved, each address that
// is tried: a name that resolves to something else the second time gains nothing. No
// redirect is followed and no proxy of the environment is used.
//
// A Policy does not change and is safe for concurrent use.
package egress

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"thalweg/internal/errs"
)

// Policy says which addresses may be connected to. The zero Policy allows public
// addresses only.
type Policy struct {
	local    bool
	networks []netip.Prefix
	names    []string // "host", or ".domain" for all below
}

// New returns a policy. Local says that the server listens on loopback only. Each of
// allow is an address, a network (10.0.0.0/8), a host name, or *.DOMAIN.
func New(local bool, allow []string) (*Policy, error) {
	p := &Policy{local: local}
	for _, a := range allow {
		name := strings.ToLower(strings.TrimPrefix(a, "*"))
		if prefix, err := netip.ParsePrefix(a); err == nil {
			p.networks = append(p.networks, prefix.Masked())
		} else if addr, err := netip.ParseAddr(a); err == nil {
			p.networks = append(p.networks, netip.PrefixFrom(addr, addr.BitLen()))
		} else if isName(name) && (name == strings.ToLower(a) || name[0] == '.') {
			p.names = append(p.names, name)
		} else {
			return nil, errs.New(errs.Invalid, "egress: "+a+" is no address, network, host name or *.DOMAIN")
		}
	}
	return p, nil
}

func isName(s string) bool {
	return s != "" && s != "." && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

// connectTimeout bounds a connection's setup, the TLS handshake apart.
const connectTimeout = 10 * time.Second

// DialContext connects as a net.Dialer does, where the policy allows; its error is
// of kind Denied where it does not.
func (p *Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, "connect", err)
	}
	d := net.Dialer{Timeout: connectTimeout}
	if !p.named(host) {
		d.Control = func(_, address string, _ syscall.RawConn) error { return p.check(address) }
	}
	return d.DialContext(ctx, network, address)
}

// Client returns a client of HTTP/1.1 and HTTP/2 that connects as the policy allows,
// follows no redirect, and decompresses nothing. The caller bounds each request by its
// context and each answer by how much it reads.
func (p *Policy) Client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           p.DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   4,
			ExpectContinueTimeout: time.Second,
			DisableCompression:    true,
			ForceAttemptHTTP2:     true,
			// Beyond this much of a head the answer is none.
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// named tells whether the host was allowed by its name.
func (p *Policy) named(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, n := range p.names {
		if host == n || n[0] == '.' && strings.HasSuffix(host, n) {
			return true
		}
	}
	return false
}

// check judges an address that is about to be dialled.
func (p *Policy) check(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return errs.Wrap(errs.Denied, "connect", err)
	}
	if addr := a.Addr(); !p.Allows(addr) {
		return &errs.Error{Kind: errs.Denied, Op: "connect", Msg: addr.String() + " is not a public address",
			Hint: "an operator allows it with --egress-allow"}
	}
	return nil
}

// Allows tells whether an address may be connected to.
func (p *Policy) Allows(a netip.Addr) bool {
	a = carried(a.Unmap().WithZone("")) // networks contain no address with a zone
	for _, n := range p.networks {
		if n.Contains(a) {
			return true
		}
	}
	if p.local && (a.IsLoopback() || a.IsPrivate()) {
		return true
	}
	return public(a)
}

// carried is the IPv4 address that an IPv6 address of a translator or tunnel leads to,
// else the address.
func carried(a netip.Addr) netip.Addr {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")

	// special are the networks of IANA's special-purpose registries that netip does not
	// tell by a method.
	special = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/23"), // Teredo and others
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("fec0::/10"),
	}
)

func public(a netip.Addr) bool {
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, n := range special {
		if n.Contains(a) {
			return false
		}
	}
	return true
}
