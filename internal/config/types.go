package config

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Value is a setting's value: it reads itself from text, checks it, and writes
// itself back. A failed Set leaves it unchanged.
type Value interface {
	Set(text string) error
	String() string
	// Type names the form in help: SIZE, DURATION, HOST:PORT.
	Type() string
}

// Size is a count of bytes, written with a unit: 64KiB, 256MiB, 1.5GiB, or a
// bare number of bytes. Units are powers of two; KB, MB and GB are refused so
// that nobody wonders which thousand was meant.
type Size int64

// units lists the suffixes, largest first.
func units() []struct {
	name string
	n    float64
} {
	return []struct {
		name string
		n    float64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// Set reads text.
func (s *Size) Set(text string) error {
	number, factor := text, 1.0
	for _, u := range units() {
		if n, ok := cutSuffixFold(text, u.name); ok {
			number, factor = n, u.n
			break
		}
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || f < 0 || math.IsNaN(f) || f*factor > math.MaxInt64/2 {
		return fmt.Errorf("%q is not a size; write 512KiB, 256MiB or 2GiB", text)
	}
	*s = Size(f * factor)
	return nil
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) < len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}

func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range units() {
		if n := Size(u.n); s >= n && s%n == 0 {
			return strconv.FormatInt(int64(s/n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Type names the form.
func (Size) Type() string { return "SIZE" }

// Duration is a positive length of time: 500ms, 30s, 5m, 24h.
type Duration time.Duration

// Set reads text.
func (d *Duration) Set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a duration; write 500ms, 30s or 5m", text)
	}
	*d = Duration(v)
	return nil
}

func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Type names the form.
func (Duration) Type() string { return "DURATION" }

// HostPort is an address to listen on, or "off". Port 0 picks a free one. The
// host must be given: an empty one would mean every interface by accident.
type HostPort string

// Set reads text.
func (h *HostPort) Set(text string) error {
	if text == "off" {
		*h = HostPort(text)
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT; write 127.0.0.1:4566, [::1]:4566 or off", text)
	}
	if host == "" {
		return fmt.Errorf("%q has no host; write 127.0.0.1:%s, or 0.0.0.0:%s for every interface", text, port, port)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q has no port between 0 and 65535", text)
	}
	*h = HostPort(text)
	return nil
}

func (h HostPort) String() string { return string(h) }

// Type names the form.
func (HostPort) Type() string { return "HOST:PORT" }

// IsOff tells whether there is no listener.
func (h HostPort) IsOff() bool { return h == "off" || h == "" }

// Account is an AWS account id: twelve digits.
type Account string

// Set reads text.
func (a *Account) Set(text string) error {
	if len(text) != 12 || strings.Trim(text, "0123456789") != "" {
		return fmt.Errorf("%q is not an account; write 12 digits", text)
	}
	*a = Account(text)
	return nil
}

func (a Account) String() string { return string(a) }

// Type names the form.
func (Account) Type() string { return "ACCOUNT" }

// Region is an AWS region name, for example eu-central-1. Any name of that form
// will do: regions need not exist.
type Region string

// Set reads text.
func (r *Region) Set(text string) error {
	if err := r.check(text); err != nil {
		return err
	}
	*r = Region(text)
	return nil
}

func (Region) check(text string) error {
	parts := strings.Split(text, "-")
	ok := len(parts) >= 3 && len(text) <= 32
	for i, p := range parts {
		letters := p != "" && strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") == ""
		digits := p != "" && strings.Trim(p, "0123456789") == ""
		if i == len(parts)-1 {
			ok = ok && digits
		} else {
			ok = ok && letters
		}
	}
	if !ok {
		return fmt.Errorf("%q is not a region; write a name such as us-east-1", text)
	}
	return nil
}

func (r Region) String() string { return string(r) }

// Type names the form.
func (Region) Type() string { return "REGION" }

// Durability is what an acknowledgement survives.
type Durability string

const (
	// Fsync acknowledges after fdatasync: survives power loss.
	Fsync Durability = "fsync"
	// OS acknowledges after write: survives the process.
	OS Durability = "os"
)

// Auth is which requests are believed.
type Auth string

const (
	// AuthOpen believes any credentials. Loopback only.
	AuthOpen Auth = "open"
	// AuthStrict verifies every signature against a key made with `thalweg keys`.
	AuthStrict Auth = "strict"
)

// LogFormat is the form of the server's own log.
type LogFormat string

const (
	// FormatAuto is text on a terminal and JSON otherwise.
	FormatAuto LogFormat = "auto"
	// FormatText is for people.
	FormatText LogFormat = "text"
	// FormatJSON is for machines, one object a line.
	FormatJSON LogFormat = "json"
)

// LogLevel is the least severe level that is logged.
type LogLevel string

// LevelInfo is the default level.
const LevelInfo LogLevel = "info"

// Slog returns the level in slog's terms.
func (l LogLevel) Slog() slog.Level {
	var out slog.Level
	if err := out.UnmarshalText([]byte(l)); err != nil {
		return slog.LevelInfo
	}
	return out
}

// choice is a Value that is one of a few words.
type choice[T ~string] struct {
	at    *T
	words []T
}

func (c choice[T]) Set(text string) error {
	for _, w := range c.words {
		if string(w) == text {
			*c.at = w
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", text, c.Type())
}

func (c choice[T]) String() string { return string(*c.at) }

func (c choice[T]) Type() string {
	s := make([]string, len(c.words))
	for i, w := range c.words {
		s[i] = string(w)
	}
	return strings.Join(s, "|")
}

// text is a Value that is any line of text.
type text struct {
	at   *string
	form string
}

func (t text) Set(s string) error {
	if strings.ContainsAny(s, "\x00\n") {
		return fmt.Errorf("%q holds a line end or a zero byte", s)
	}
	*t.at = s
	return nil
}
func (t text) String() string { return *t.at }
func (t text) Type() string   { return t.form }

// boolean is a Value that is true or false.
type boolean struct{ at *bool }

func (b boolean) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	*b.at = v
	return nil
}
func (b boolean) String() string   { return strconv.FormatBool(*b.at) }
func (b boolean) Type() string     { return "" }
func (b boolean) IsBoolFlag() bool { return true }

// list is a Value of comma-separated parts; check refuses a part.
type list struct {
	at    *[]string
	form  string
	check func(string) error
}

func (l list) Set(s string) error {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if err := l.check(part); err != nil {
			return err
		}
		out = append(out, part)
	}
	*l.at = out
	return nil
}
func (l list) String() string { return strings.Join(*l.at, ",") }
func (l list) Type() string   { return l.form + "[,...]" }

func checkOrigin(s string) error {
	if s == "*" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return fmt.Errorf("%q is not an origin; write https://HOST, https://HOST:PORT or *", s)
	}
	return nil
}

// endpoint is a URL, or aws.
type endpoint struct{ at *string }

func (e endpoint) Set(s string) error {
	u, err := url.Parse(s)
	if s != "" && s != "aws" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		return fmt.Errorf("%q is not a URL; write http://HOST:PORT, https://HOST or aws", s)
	}
	*e.at = s
	return nil
}

func (e endpoint) String() string { return *e.at }

// Type names the form.
func (endpoint) Type() string { return "URL|aws" }

func checkFunction(s string) error {
	name, address, ok := strings.Cut(s, "=")
	u, err := url.Parse(address)
	module := err == nil && u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/")
	if !ok || name == "" || err != nil || !module && ((u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		return fmt.Errorf("%q is not FUNCTION=URL", s)
	}
	return nil
}

func checkEgress(s string) error {
	if s == "" || strings.ContainsAny(s, " /:") && net.ParseIP(s) == nil {
		if _, _, err := net.ParseCIDR(s); err != nil {
			return fmt.Errorf("%q is not an address, a network, a host name or *.DOMAIN", s)
		}
	}
	return nil
}

func checkHost(s string) error {
	host := s
	if h, _, err := net.SplitHostPort(s); err == nil {
		host = h
	}
	if host == "" || strings.ContainsAny(host, "/?#@ ") {
		return fmt.Errorf("%q is not HOST or HOST:PORT", s)
	}
	return nil
}
