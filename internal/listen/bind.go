package listen

import (
	"net"
	"net/netip"
	"strings"

	"thalweg/internal/errs"
)

// Bind is one address that a server is about to listen on.
type Bind struct {
	Flag     string // that set it, for the message: "--listen"
	Addr     string // HOST:PORT
	Secure   bool   // under TLS
	Open     bool   // requests need no valid credentials
	Insecure bool   // --insecure: the operator has taken the risk
}

// CheckBind enforces where a server may listen: without verified requests on
// loopback only, and off loopback under TLS only, unless the operator says
// --insecure. The error says what to do.
func CheckBind(b Bind) error {
	host, port, err := net.SplitHostPort(b.Addr)
	if err != nil || port == "" {
		return &errs.Error{Kind: errs.Invalid, Msg: b.Flag + " " + b.Addr + " is not HOST:PORT", Hint: "for example " + b.Flag + " 127.0.0.1:4566"}
	}
	if b.Insecure || isLoopback(host) || b.Secure && !b.Open {
		return nil
	}
	e := &errs.Error{Kind: errs.Invalid}
	local := net.JoinHostPort("127.0.0.1", port)
	switch {
	case b.Open && b.Secure:
		e.Msg = b.Flag + " " + b.Addr + " can be reached from other machines, and with --auth open nobody has to prove who they are"
		e.Hint = "add --auth strict, or listen on " + local + ", or accept the risk with --insecure"
	case b.Open:
		e.Msg = b.Flag + " " + b.Addr + " can be reached from other machines, with neither verified nor encrypted requests"
		e.Hint = "use --listen-tls with --auth strict there, or listen on " + local + ", or accept the risk with --insecure"
	default:
		e.Msg = b.Flag + " " + b.Addr + " can be reached from other machines, with requests and answers readable on the way"
		e.Hint = "use --listen-tls there, or listen on " + local + ", or accept the risk with --insecure"
	}
	return e
}

// isLoopback reports whether only this machine can reach host. A name other than
// localhost may mean anything, and no host means every interface.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
