package sigv4

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Scope is who a request claims to come from and what it claims to be for.
type Scope struct {
	AccessKeyID string
	Date        string // yyyymmdd
	Region      string
	Service     string
}

// Auth is the authentication that a request carries, as the client stated it.
// Its strings are parts of the request's own.
type Auth struct {
	Scope
	SignedHeaders string
	Signature     string
	Token         string // session token, empty for a long-term key
	Presigned     bool   // the query form

	algorithm  string
	credential string
	terminator string
	stamp      string // request date, yyyymmddThhmmssZ
	time       time.Time
	lifetime   string        // X-Amz-Expires as sent
	expires    time.Duration // 0: not stated
}

// Parse reads a request's authentication and checks its shape: one place for
// it, all parts there, a readable date and credential. It proves nothing.
func Parse(r *http.Request) (Auth, *Error) {
	var a Auth
	_, query := target(r)
	header, inHeader := r.Header["Authorization"]
	if query != "" {
		if err := a.parseQuery(query); err != nil {
			return a, err
		}
	}
	switch {
	case inHeader && a.Presigned:
		return a, &Error{InvalidSignature, textBoth}
	case inHeader:
		if len(header) != 1 {
			return a, incomplete("Found %d 'Authorization' HTTP headers, expected one.", len(header))
		}
		if err := a.parseHeader(r.Header, header[0]); err != nil {
			return a, err
		}
	case a.Presigned:
		if err := a.checkQuery(); err != nil {
			return a, err
		}
	default:
		return a, &Error{MissingAuthenticationToken, textMissing}
	}
	return a, a.check()
}

// ParseScope reads a request's claimed scope without checking anything else. It
// reports false where there is none that can be read.
func ParseScope(r *http.Request) (Scope, bool) {
	var s Scope
	if header := r.Header["Authorization"]; len(header) > 0 {
		_, c, ok := strings.Cut(header[0], "Credential=")
		if !ok {
			return s, false
		}
		if i := strings.IndexAny(c, ", \t"); i >= 0 {
			c = c[:i]
		}
		_, ok = s.split(c)
		return s, ok
	}
	_, query := target(r)
	if !strings.Contains(query, "X-Amz-Credential=") {
		return s, false
	}
	ok := false
	for key, value := range params(query) {
		if key == "X-Amz-Credential" {
			c, err := url.QueryUnescape(value)
			if err != nil {
				return s, false
			}
			_, ok = s.split(c)
		}
	}
	return s, ok
}

// target returns the path and the query of the request target as they were
// sent. A request that no server parsed has none; its URL stands in.
func target(r *http.Request) (path, query string) {
	uri := r.RequestURI
	if uri == "" {
		return r.URL.EscapedPath(), r.URL.RawQuery
	}
	if uri[0] != '/' { // absolute form, as sent to a proxy
		if _, rest, ok := strings.Cut(uri, "://"); ok {
			i := strings.IndexAny(rest, "/?")
			if i < 0 {
				return "/", ""
			}
			uri = rest[i:]
		}
	}
	path, query, _ = strings.Cut(uri, "?")
	return path, query
}

// params yields the raw pairs of a query, empty ones left out.
func params(query string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		for query != "" {
			var pair string
			pair, query, _ = strings.Cut(query, "&")
			if pair == "" {
				continue
			}
			if key, value, _ := strings.Cut(pair, "="); !yield(key, value) {
				return
			}
		}
	}
}

// parseQuery takes the X-Amz-* parameters, each at most once. Without an
// X-Amz-Algorithm there is no presigned request.
func (a *Auth) parseQuery(query string) *Error {
	var q Auth
	var seen uint
	hasAlgorithm := false
	for rawKey, rawValue := range params(query) {
		key, kerr := url.QueryUnescape(rawKey)
		value, verr := url.QueryUnescape(rawValue)
		if kerr != nil || verr != nil {
			continue // the canonical form of such a query is refused
		}
		var dst *string
		var bit uint
		switch key {
		case "X-Amz-Algorithm":
			dst, bit, hasAlgorithm = &q.algorithm, 1<<0, true
		case "X-Amz-Credential":
			dst, bit = &q.credential, 1<<1
		case "X-Amz-Date":
			dst, bit = &q.stamp, 1<<2
		case "X-Amz-Expires":
			dst, bit = &q.lifetime, 1<<3
		case "X-Amz-SignedHeaders":
			dst, bit = &q.SignedHeaders, 1<<4
		case "X-Amz-Signature":
			dst, bit = &q.Signature, 1<<5
		case "X-Amz-Security-Token":
			dst, bit = &q.Token, 1<<6
		default:
			continue
		}
		if seen&bit != 0 {
			return incomplete("Found more than one '%s' query-string parameter.", key)
		}
		seen |= bit
		*dst = value
	}
	if hasAlgorithm {
		*a = q
		a.Presigned = true
	}
	return nil
}

// checkQuery checks that the query form is whole.
func (a *Auth) checkQuery() *Error {
	if a.algorithm == "" || a.credential == "" || a.Signature == "" || a.SignedHeaders == "" || a.stamp == "" {
		return missingParts(a, a.stamp != "", "")
	}
	if a.lifetime != "" {
		n, err := strconv.ParseUint(a.lifetime, 10, 32)
		if err != nil || n < 1 || time.Duration(n)*time.Second > maxExpires {
			return incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800, got '%s'", a.lifetime)
		}
		a.expires = time.Duration(n) * time.Second
	}
	return nil
}

// parseHeader takes an Authorization header apart. Its parts stand apart by
// commas, by spaces, or by both.
func (a *Auth) parseHeader(h http.Header, v string) *Error {
	rest := strings.Trim(v, " \t")
	a.algorithm, rest = cutAny(rest)
	for rest != "" {
		var part string
		if part, rest = cutAny(rest); part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return incomplete("Invalid key=value pair (missing equal-sign) in Authorization header"+
				" (hashed with SHA-256 and encoded with Base64): '%s'.", hashed(v))
		}
		var dst *string
		switch key {
		case "Credential":
			dst = &a.credential
		case "SignedHeaders":
			dst = &a.SignedHeaders
		case "Signature":
			dst = &a.Signature
		default:
			continue
		}
		if *dst != "" {
			return incomplete("Authorization header has more than one '%s' parameter. "+
				"(Hashed with SHA-256 and encoded with Base64) Authorization=%s", key, hashed(v))
		}
		*dst = value
	}
	dates := h["X-Amz-Date"]
	if len(dates) == 0 {
		dates = h["Date"]
	}
	if len(dates) > 0 {
		a.stamp = strings.Join(dates, ",")
	}
	if tokens := h["X-Amz-Security-Token"]; len(tokens) > 0 {
		a.Token = strings.Join(tokens, ",")
	}
	if a.credential == "" || a.Signature == "" || a.SignedHeaders == "" || a.stamp == "" {
		return missingParts(a, a.stamp != "", v)
	}
	return nil
}

// cutAny cuts s at its first comma, space or tab.
func cutAny(s string) (before, after string) {
	if i := strings.IndexAny(s, ", \t"); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// check reads the date and the credential, in the order in which AWS does.
func (a *Auth) check() *Error {
	t, err := time.Parse(stampLayout, a.stamp)
	if err != nil || len(a.stamp) != len(stampLayout) {
		// A Date header may carry HTTP's own form.
		if t, err = http.ParseTime(a.stamp); err != nil || a.Presigned {
			return incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", a.stamp)
		}
		t = t.UTC()
		a.stamp = t.Format(stampLayout)
	}
	a.time = t
	if a.algorithm != algorithm {
		return incomplete("Unsupported AWS 'algorithm': '%s' (only AWS4-HMAC-SHA256 for now). ", a.algorithm)
	}
	var ok bool
	if a.terminator, ok = a.split(a.credential); !ok {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", a.credential)
	}
	return nil
}

// split reads key/date/region/service/terminator; slashes at the end are not
// counted.
func (s *Scope) split(c string) (terminator string, ok bool) {
	c = strings.TrimRight(c, "/")
	if strings.Count(c, "/") != 4 {
		return "", false
	}
	s.AccessKeyID, c, _ = strings.Cut(c, "/")
	s.Date, c, _ = strings.Cut(c, "/")
	s.Region, c, _ = strings.Cut(c, "/")
	s.Service, terminator, _ = strings.Cut(c, "/")
	return terminator, true
}

// Window returns when the request was signed, and for how long it says that it
// holds: 0 where it does not say.
func (a *Auth) Window() (from time.Time, lifetime time.Duration) { return a.time, a.expires }
