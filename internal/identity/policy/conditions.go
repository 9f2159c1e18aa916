package policy

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/arn"
)

// condition is one key under one operator: it holds when any of the wanted
// values fits the request's.
type condition struct {
	key      func(*Request) (string, bool)
	fits     func(have string, want value) bool
	wanted   []value
	negated  bool // none of them fits; a key that is not there does not either
	ifExists bool // a key that is not there is right
	null     bool // the operator Null: whether the key is not there
}

// value is a wanted value, read once.
type value struct {
	text   string
	number float64
	net    netip.Prefix
}

func (c *condition) holds(r *Request) bool {
	have, there := c.key(r)
	switch {
	case c.null:
		return strconv.FormatBool(!there) == c.wanted[0].text
	case !there:
		return c.ifExists || c.negated
	}
	for _, w := range c.wanted {
		if c.fits(have, w) {
			return !c.negated
		}
	}
	return c.negated
}

// key returns the part of a request that a condition key names, by its name in
// lower case; nil if that is not known.
//
// The second group is known and never there: the access keys of this server are
// no temporary credentials, carry no tags, belong to no organisation, and come
// through no VPC; and no service of AWS calls on somebody's behalf.
func key(name string) func(*Request) (string, bool) {
	switch name {
	case "aws:principalarn":
		return func(r *Request) (string, bool) { return r.Principal, true }
	case "aws:principalaccount":
		return func(r *Request) (string, bool) { return r.Account, true }
	case "aws:principaltype":
		return func(r *Request) (string, bool) {
			if strings.HasSuffix(r.Principal, ":root") {
				return "Account", true
			}
			return "User", true
		}
	case "aws:username":
		return func(r *Request) (string, bool) {
			_, name, ok := strings.Cut(r.Principal, ":user/")
			return name[strings.LastIndexByte(name, '/')+1:], ok
		}
	case "aws:principalisawsservice", "aws:viaawsservice":
		return func(*Request) (string, bool) { return "false", true }
	case "aws:sourceip":
		return func(r *Request) (string, bool) { return r.SourceIP, r.SourceIP != "" }
	case "aws:securetransport":
		return func(r *Request) (string, bool) { return strconv.FormatBool(r.Secure), true }
	case "aws:currenttime", "aws:epochtime":
		return func(r *Request) (string, bool) { return strconv.FormatInt(r.Time.Unix(), 10), true }
	case "aws:requestedregion":
		return func(r *Request) (string, bool) { return r.Region, r.Region != "" }
	case "aws:resourceaccount":
		return func(r *Request) (string, bool) {
			a, ok := arn.Parse(r.Resource)
			return a.Account, ok
		}
	case "aws:principalorgid", "aws:principalorgpaths", "aws:resourceorgid", "aws:resourceorgpaths",
		"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths", "aws:calledviafirst", "aws:calledvialast",
		"aws:principalservicename", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:ec2instancesourcevpc",
		"aws:multifactorauthpresent", "aws:multifactorauthage", "aws:tokenissuetime", "aws:federatedprovider", "aws:sourceidentity":
		return never
	}
	if strings.HasPrefix(name, "aws:principaltag/") {
		return never
	}
	return nil
}

func never(*Request) (string, bool) { return "", false }

// operator is a condition operator: how values are read and compared.
type operator struct {
	fits    func(have string, want value) bool
	read    func(text string) (value, error)
	negated bool
	ordered bool // of numbers and dates
	any     bool // takes every key
}

// takes reports whether the operator can be used with a key that is known.
// Times are numbers in a request.
func (o operator) takes(key string) bool {
	isTime := key == "aws:currenttime" || key == "aws:epochtime"
	return o.any || o.ordered || !isTime
}

func operatorOf(name string) (operator, bool) {
	o := operator{read: readText}
	base := name
	for _, prefix := range []string{"String", "Arn", "Numeric", "Date", ""} {
		if rest, ok := strings.CutPrefix(name, prefix+"Not"); ok && (prefix != "" || rest == "IpAddress") {
			base, o.negated = prefix+rest, true
		}
	}
	switch base {
	case "StringEquals":
		o.fits = func(have string, want value) bool { return have == want.text }
	case "StringEqualsIgnoreCase":
		o.fits = func(have string, want value) bool { return strings.EqualFold(have, want.text) }
	case "StringLike":
		o.fits = func(have string, want value) bool { return match(want.text, have) }
	case "ArnEquals", "ArnLike": // the two are the same
		o.fits, o.read = fitsARN, readARN
	case "Bool":
		o.fits, o.read = func(have string, want value) bool { return have == want.text }, readBool
	case "IpAddress":
		o.fits, o.read = fitsIP, readIP
	case "Null":
		o.read, o.any = readBool, true
	default:
		compare := comparison(base)
		if compare == nil {
			return o, false
		}
		o.fits = func(have string, want value) bool {
			n, err := strconv.ParseFloat(have, 64)
			return err == nil && compare(n, want.number)
		}
		o.read, o.ordered = readNumber, true
		if strings.HasPrefix(base, "Date") {
			o.read = readDate
		}
	}
	return o, !o.negated || !strings.Contains(base, "Than") // no such operators
}

// comparison is that of a numeric or date operator, nil if it is none.
func comparison(name string) func(have, want float64) bool {
	rest, ok := strings.CutPrefix(name, "Numeric")
	if !ok {
		if rest, ok = strings.CutPrefix(name, "Date"); !ok {
			return nil
		}
	}
	switch rest {
	case "Equals":
		return func(have, want float64) bool { return have == want }
	case "LessThan":
		return func(have, want float64) bool { return have < want }
	case "LessThanEquals":
		return func(have, want float64) bool { return have <= want }
	case "GreaterThan":
		return func(have, want float64) bool { return have > want }
	case "GreaterThanEquals":
		return func(have, want float64) bool { return have >= want }
	}
	return nil
}

// conditions reads the Condition of a statement.
func conditions(v any) ([]condition, error) {
	operators, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("Condition must be an object")
	}
	var out []condition
	for name, v := range operators {
		base, ifExists := strings.CutSuffix(name, "IfExists")
		o, ok := operatorOf(base)
		if !ok || ifExists && base == "Null" {
			return nil, fmt.Errorf("Condition operator %q is not supported", name)
		}
		keys, ok := v.(map[string]any)
		if !ok || len(keys) == 0 {
			return nil, fmt.Errorf("Condition %s must be an object of keys", name)
		}
		for k, v := range keys {
			c := condition{key: key(strings.ToLower(k)), fits: o.fits, negated: o.negated, ifExists: ifExists, null: base == "Null"}
			if c.key == nil || !o.takes(strings.ToLower(k)) {
				return nil, fmt.Errorf("Condition key %q is not supported with %s", k, name)
			}
			list, err := texts("Condition "+k, v, nil)
			if err != nil {
				return nil, err
			}
			if c.null && len(list) != 1 {
				return nil, fmt.Errorf("Condition Null takes one value")
			}
			for _, text := range list {
				w, err := o.read(text)
				if err != nil {
					return nil, fmt.Errorf("Condition %s: %w", name, err)
				}
				c.wanted = append(c.wanted, w)
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func readText(text string) (value, error) { return value{text: text}, nil }

func readBool(text string) (value, error) {
	text = strings.ToLower(text)
	if text != "true" && text != "false" {
		return value{}, fmt.Errorf("%q is neither true nor false", text)
	}
	return value{text: text}, nil
}

func readNumber(text string) (value, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return value{}, fmt.Errorf("%q is no number", text)
	}
	return value{number: n}, nil
}

// readDate reads a date of ISO 8601, or seconds since 1970.
func readDate(text string) (value, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return value{number: float64(t.Unix())}, nil
		}
	}
	v, err := readNumber(text)
	if err != nil {
		return v, fmt.Errorf("%q is no date", text)
	}
	return v, nil
}

func readIP(text string) (value, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return value{}, fmt.Errorf("%q is no address", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	return value{net: p.Masked()}, nil
}

func fitsIP(have string, want value) bool {
	a, err := netip.ParseAddr(have)
	return err == nil && want.net.Contains(a.Unmap().WithZone(""))
}

// readARN reads an ARN in which each of the six parts may have wildcards.
func readARN(text string) (value, error) {
	if text != "*" && (strings.Count(text, ":") < 5 || !strings.HasPrefix(text, "arn:")) {
		return value{}, fmt.Errorf("%q is no ARN", text)
	}
	return value{text: text}, nil
}

// fitsARN compares part by part, so that a wildcard does not reach over a colon
// into the next, but for the resource, which may have colons.
func fitsARN(have string, want value) bool {
	if want.text == "*" {
		return true
	}
	h, w := strings.SplitN(have, ":", 6), strings.SplitN(want.text, ":", 6)
	if len(h) != 6 {
		return false
	}
	for i := range h {
		if !match(w[i], h[i]) {
			return false
		}
	}
	return true
}
