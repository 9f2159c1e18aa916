package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"thalweg/internal/config"
	"thalweg/internal/http1"
	"thalweg/internal/httpguard"
	"thalweg/internal/listen"
)

// startListeners checks where the server may listen, and does.
func startListeners(_ context.Context, s *Server) error {
	open := s.cfg.Auth == config.AuthOpen
	for _, b := range []listen.Bind{
		{Flag: "--listen", Addr: string(s.cfg.Listen), Open: open, Insecure: s.cfg.Insecure},
		{Flag: "--listen-tls", Addr: string(s.cfg.ListenTLS), Open: open, Insecure: s.cfg.Insecure, Secure: true},
	} {
		if config.HostPort(b.Addr).IsOff() {
			continue
		}
		if err := listen.CheckBind(b); err != nil {
			return err
		}
	}
	h := s.guard(open, s.handler())
	var err error
	if !s.cfg.Listen.IsOff() {
		if s.plain, err = s.listen(string(s.cfg.Listen), h, false); err != nil {
			return err
		}
	}
	if !s.cfg.ListenTLS.IsOff() {
		if s.secure, err = s.listen(string(s.cfg.ListenTLS), h, true); err != nil {
			return errors.Join(err, stopListeners(context.Background(), s))
		}
	}
	s.open.Store(new(slices.DeleteFunc([]*listen.Server{s.plain, s.secure}, func(l *listen.Server) bool { return l == nil })))
	return nil
}

// guard puts the rules for browsers before h; open is for what asks for no
// credentials.
func (s *Server) guard(open bool, h http.Handler) http.Handler {
	return httpguard.New(httpguard.Config{Open: open, Origins: s.cfg.AllowOrigin, Hosts: s.cfg.AdvertisedHosts()}, h)
}

// Bounds on one connection that http1 takes.
const (
	headTimeout = 10 * time.Second
	idleTimeout = 5 * time.Minute
	bodyTimeout = time.Minute
)

// listen opens one listener, with http1 in front of net/http.
func (s *Server) listen(addr string, h http.Handler, secure bool) (*listen.Server, error) {
	front := &front{ready: make(chan struct{})}
	front.Server = http1.Server{Handler: h, Plain: plainTarget, Fallback: front.fallback,
		HeadTimeout: headTimeout, IdleTimeout: idleTimeout, BodyTimeout: bodyTimeout, WriteTimeout: bodyTimeout,
		Clock: s.system, Logger: s.logger}
	o := listen.Options{Handler: h, Log: s.logger, Clock: s.system, Front: front, Memory: s.budget}
	if secure {
		o.Certificate = s.certs.certificate
	}
	l, err := listen.Open(addr, o)
	if err != nil {
		return nil, err
	}
	front.next = l
	close(front.ready)
	return l, nil
}

// front is http1 before a listener that is known only once it is open.
type front struct {
	http1.Server
	ready chan struct{} // closed when next is set
	next  *listen.Server
}

func (f *front) fallback(nc net.Conn) {
	<-f.ready
	f.next.Take(nc)
}

// plainTarget tells whether an operation's answer is one body of a known length.
func plainTarget(target string) bool { return !strings.HasSuffix(target, ".SubscribeToShard") }

// stopListeners lets requests under way finish, but for those that would take
// minutes: subscriptions end.
func stopListeners(ctx context.Context, s *Server) error {
	s.streams.EndSubscriptions()
	var list []error
	for _, l := range []*listen.Server{s.plain, s.secure} {
		if l != nil {
			list = append(list, l.Shutdown(ctx))
		}
	}
	return errors.Join(list...)
}

// loopback returns a listener's URL as this machine reaches it: a bind to every
// interface has no address of its own, and takes IPv4 also when it shows as [::].
func loopback(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return u.String()
}
