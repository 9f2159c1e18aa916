// Package httpguard stands between the network and every HTTP handler: it
// answers browsers' cross-origin questions, keeps foreign pages away from a
// server that checks no credentials, and refuses requests that two parties
// could read in two ways.
//
// [New] wraps the outermost handler; [NewConn] and [NewTLSConn] wrap each
// connection below net/http, which hides from handlers what it has put right.
//
// In open mode nobody has to prove anything, so a page from anywhere could reach
// the server through its reader's browser: directly, or by a name that the page's
// owner points at 127.0.0.1 (DNS rebinding). Requests are therefore only taken
// under names that belong to this server, and from pages of this machine or of
// the allow list.
//
// The CORS headers are those of AWS's endpoints, as kinesalite recorded them
// (index.js and test/connection.js, github.com/mhart/kinesalite), but only for
// the origins that are allowed.
package httpguard

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"thalweg/internal/ids"
)

// Config says who may talk to a server.
type Config struct {
	// Open is a server that checks no credentials: requests under foreign names
	// and from foreign origins are refused.
	Open bool
	// Origins are the allowed origins beside those on loopback, as
	// "https://console.example.com"; "*" allows all.
	Origins []string
	// Hosts are the advertised names and addresses of this server, without ports.
	Hosts []string
}

type guard struct {
	cfg     Config
	next    http.Handler
	origins map[string]bool
	hosts   map[string]bool
	any     bool
}

// New returns a handler that guards next.
func New(cfg Config, next http.Handler) http.Handler {
	g := &guard{cfg: cfg, next: next, origins: map[string]bool{}, hosts: map[string]bool{}}
	for _, o := range cfg.Origins {
		g.any = g.any || o == "*"
		g.origins[strings.ToLower(strings.TrimSuffix(o, "/"))] = true
	}
	for _, h := range cfg.Hosts {
		g.hosts[hostname(h)] = true
	}
	return g
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		refuse(w, http.StatusMethodNotAllowed, "InvalidAction", "The method "+r.Method+" is not supported.")
		return
	case r.Host == "" || !sameHost(r):
		refuse(w, http.StatusBadRequest, "InvalidRequest", "The request names no host, or two.")
		return
	case g.cfg.Open && !g.ownHost(r.Host):
		name := hostname(r.Host)
		refuse(w, http.StatusForbidden, "AccessDeniedException", "The host "+strconv.Quote(name)+
			" is not a name of this server, which checks no credentials. Use localhost, or start it with --advertise "+name+".")
		return
	}
	if origin, ok := r.Header["Origin"]; ok && !g.cors(w, r, origin) {
		return
	}
	g.next.ServeHTTP(w, r)
}

// cors adds the headers that let a browser's page read the answer, and answers
// the preflight. It reports whether the request is to be served.
func (g *guard) cors(w http.ResponseWriter, r *http.Request, origin []string) (serve bool) {
	if len(origin) != 1 || !g.allowed(origin[0], r.Host) {
		if !g.cfg.Open {
			return true // without the headers, the page does not see the answer
		}
		refuse(w, http.StatusForbidden, "AccessDeniedException", "Pages of the origin "+strconv.Quote(strings.Join(origin, ","))+
			" may not use this server, which checks no credentials. Start it with --allow-origin to let them.")
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Add("Vary", "Origin")
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		h.Set("Access-Control-Expose-Headers", exposed)
		return true
	}
	h.Set("Access-Control-Allow-Methods", method)
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	h.Set("Access-Control-Max-Age", "172800")
	h.Set("X-Amzn-Requestid", ids.NewRequest()[:ids.RequestIDLen])
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return false
}

const exposed = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"

// allowed reports whether pages of an origin may use the server: those of this
// machine, those that this server serves, and those of the allow list.
func (g *guard) allowed(origin, host string) bool {
	if g.any || g.origins[strings.ToLower(origin)] {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Host == "" ||
		u.Scheme+"://"+u.Host != strings.ToLower(origin) {
		return false
	}
	return isLoopback(hostname(u.Host)) || strings.EqualFold(u.Host, host)
}

// ownHost reports whether a Host header names this server.
func (g *guard) ownHost(host string) bool {
	name := hostname(host)
	return isLoopback(name) || g.hosts[name] || isAWS(name)
}

// hostname returns a host without port, brackets and final dot, in lower case.
func hostname(host string) string {
	if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host[1:], "]")
		return strings.ToLower(host)
	}
	if strings.Count(host, ":") == 1 { // more of them are an address without brackets
		host, _, _ = strings.Cut(host, ":")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isLoopback reports whether a name always means the machine that uses it
// (RFC 6761 section 6.3 for localhost).
func isLoopback(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.Unmap().IsLoopback()
}

// isAWS reports whether a name is one that AWS's own clients make up. Nobody but
// AWS can point such a name at an address in public DNS.
func isAWS(name string) bool {
	for _, suffix := range [...]string{".amazonaws.com", ".api.aws", ".amazonaws.com.cn"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// sameHost reports whether the request names one host only. Over HTTP/2 a client
// can send a Host beside the :authority.
func sameHost(r *http.Request) bool {
	for _, h := range r.Header["Host"] {
		if !strings.EqualFold(h, r.Host) {
			return false
		}
	}
	return len(r.Header["Host"]) <= 1
}

// refuse answers in the form that AWS's JSON clients and people can both read.
func refuse(w http.ResponseWriter, status int, code, message string) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("X-Amzn-Errortype", code)
	h.Set("X-Amzn-Requestid", ids.NewRequest()[:ids.RequestIDLen])
	h.Set("Connection", "close")
	w.WriteHeader(status)
	body, err := json.Marshal(map[string]string{"__type": code, "message": message})
	if err == nil {
		_, _ = w.Write(body)
	}
}
