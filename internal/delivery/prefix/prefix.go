// Package prefix makes the names of delivered objects from a stream's Prefix and
// ErrorOutputPrefix.
//
//	name   = prefix STREAM "-" VERSION "-" yyyy-MM-dd-HH-mm-ss "-" UUID EXTENSION
//	prefix = text with expressions "!{" namespace ":" value "}"
//
//	timestamp:PATTERN          the time in a pattern of java.time's DateTimeFormatter
//	firehose:random-string     11 characters, others at each place
//	firehose:error-output-type ErrorOutputPrefix only: what failed
//	partitionKeyFromQuery:KEY  Prefix only, with dynamic partitioning
//	partitionKeyFromLambda:KEY
//
// A prefix without any expression has the time as yyyy/MM/dd/HH/ appended, with no
// slash between; an ErrorOutputPrefix without any, or none, has the type of error and
// a slash before that. The time is the arrival of the oldest record, in the stream's
// CustomTimeZone, in names as in prefixes.
//
// Sources: the developer guide's semantic rules of custom prefixes; floci issue 1857 for
// what AWS appends when, and that it follows none of the expressions (the guide appends
// the time to all prefixes that do not tell it). Messages but the one on a missing
// ErrorOutputPrefix are our own.
//
// Names are a function of their values: a delivery that is repeated has the same.
// A Names is safe for concurrent use.
package prefix

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are the same wherever the binary runs

	"thalweg/internal/errs"
)

// Partition keys are known by where they came from and their name, as two sources may
// use one name: query:NAME, lambda:NAME.
const (
	FromQuery  = "query:"
	FromLambda = "lambda:"
)

// maxPrefix is how long an evaluated prefix may be, in characters.
const maxPrefix = 512

const randomLength = 11

// Config is what a stream says of its names. An empty ErrorOutputPrefix is none.
type Config struct {
	Prefix            string
	ErrorOutputPrefix string
	CustomTimeZone    string // UTC when empty
	Dynamic           bool   // dynamic partitioning is enabled
}

// Values are what one object's name is made of.
type Values struct {
	// Time is the arrival of the oldest record.
	Time time.Time
	// Seed decides the random strings; the same seed gives the same.
	Seed string
	// Keys are the partition keys, each under query:NAME or lambda:NAME.
	Keys map[string]string
}

// Object is what follows the prefix.
type Object struct {
	Stream, Version, UUID, Extension string
}

// Names makes the names of one version of one stream.
type Names struct {
	zone         *time.Location
	data, failed template
	keys         []string
}

// Compile checks the prefixes, all rules of the package comment, and makes ready
// for evaluating them. Its errors are of kind Invalid.
func Compile(c Config) (*Names, error) {
	zone, err := zone(c.CustomTimeZone)
	if err != nil {
		return nil, err
	}
	n := &Names{zone: zone}
	if n.data, err = parse("Prefix", c.Prefix, zone); err != nil {
		return nil, err
	}
	if n.failed, err = parse("ErrorOutputPrefix", c.ErrorOutputPrefix, zone); err != nil {
		return nil, err
	}
	for _, p := range n.data {
		if p.kind == key {
			n.keys = append(n.keys, p.text)
		}
	}
	if err := n.check(c); err != nil {
		return nil, err
	}
	if !n.data.has(anything) {
		n.data = append(n.data, defaultTime)
	}
	if !n.failed.has(anything) {
		if c.ErrorOutputPrefix == "" {
			n.failed = template{{kind: literal, text: c.Prefix}}
		}
		n.failed = append(n.failed, part{kind: errorType}, part{kind: literal, text: "/"}, defaultTime)
	}
	return n, nil
}

func (n *Names) check(c Config) error {
	switch {
	case n.data.has(errorType):
		return invalid("Prefix can't contain !{firehose:error-output-type}")
	case n.failed.has(key):
		return invalid("ErrorOutputPrefix can't contain partition keys")
	case n.data.has(anything) && c.ErrorOutputPrefix == "":
		return invalid("ErrorOutputPrefix can't be null when Prefix contains expressions")
	case n.failed.has(anything) && !n.failed.has(errorType):
		return invalid("ErrorOutputPrefix must contain !{firehose:error-output-type} when it contains expressions")
	case c.Dynamic && !n.data.has(key):
		return invalid("Prefix must contain partition keys when dynamic partitioning is enabled")
	case !c.Dynamic && n.data.has(key):
		return invalid("Prefix can't contain partition keys when dynamic partitioning is not enabled")
	}
	return nil
}

// Keys are the partition keys that Prefix uses, each as query:NAME or lambda:NAME; one
// that it uses twice stands there twice.
func (n *Names) Keys() []string { return slices.Clone(n.keys) }

// Key is the name of an object of data. It fails when a partition key is missing or
// empty, or the prefix grows too long; both are the records' faults.
func (n *Names) Key(v Values, o Object) (string, error) { return n.name(n.data, v, o, "") }

// ErrorKey is the name of an object of records that failed; failure is the
// error-output-type, "processing-failed" and the like.
func (n *Names) ErrorKey(v Values, o Object, failure string) (string, error) {
	return n.name(n.failed, v, o, failure)
}

func (n *Names) name(t template, v Values, o Object, failure string) (string, error) {
	at := v.Time.In(n.zone)
	var out []byte
	for i, p := range t {
		switch p.kind {
		case literal:
			out = append(out, p.text...)
		case timestamp:
			out = p.time.append(out, at)
		case random:
			sum := sha256.Sum256([]byte(v.Seed + "/" + strconv.Itoa(i)))
			out = append(out, hex.EncodeToString(sum[:])[:randomLength]...)
		case errorType:
			out = append(out, failure...)
		case key:
			value := v.Keys[p.text]
			if value == "" {
				return "", invalid("partition key " + p.text + " is missing or empty")
			}
			out = append(out, value...)
		}
	}
	if n := len([]rune(string(out))); n > maxPrefix {
		return "", invalid(fmt.Sprintf("the evaluated prefix has %d characters, more than %d", n, maxPrefix))
	}
	out = fmt.Appendf(out, "%s-%s-%s-%s%s", o.Stream, o.Version, at.Format("2006-01-02-15-04-05"), o.UUID, o.Extension)
	return string(out), nil
}

func invalid(message string) error { return errs.New(errs.Invalid, message) }

func zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if l, err := time.LoadLocation(name); err == nil && l != time.Local {
		return l, nil
	}
	return nil, invalid("CustomTimeZone " + strconv.Quote(name) + " is not a time zone")
}

// A part of a template.
type part struct {
	kind kind
	text string // of a literal, or the key
	time pattern
}

type kind uint8

const (
	literal kind = iota
	timestamp
	random
	errorType
	key
	anything // any kind but literal
)

type template []part

func (t template) has(k kind) bool {
	return slices.ContainsFunc(t, func(p part) bool { return p.kind == k || k == anything && p.kind != literal })
}

// parse reads the value of a field.
func parse(field, text string, zone *time.Location) (t template, err error) {
	for text != "" {
		before, rest, found := strings.Cut(text, "!{")
		if before != "" {
			t = append(t, part{kind: literal, text: before})
		}
		if !found {
			break
		}
		expression, after, closed := strings.Cut(rest, "}")
		namespace, value, named := strings.Cut(expression, ":")
		if !closed || !named || value == "" || strings.Contains(expression, "!{") {
			return nil, invalid(field + " can contain !{ in expressions of the form !{namespace:value} only")
		}
		p, err := expressionOf(namespace, value, zone)
		if err != nil {
			return nil, invalid(field + " contains !{" + expression + "}: " + err.Error())
		}
		t, text = append(t, p), after
	}
	return t, nil
}

func expressionOf(namespace, value string, zone *time.Location) (part, error) {
	switch namespace {
	case "timestamp":
		p, err := compile(value, zone)
		return part{kind: timestamp, time: p}, err
	case "firehose":
		switch value {
		case "random-string":
			return part{kind: random}, nil
		case "error-output-type":
			return part{kind: errorType}, nil
		}
		return part{}, errors.New("the firehose namespace has error-output-type and random-string only")
	case "partitionKeyFromQuery":
		return part{kind: key, text: FromQuery + value}, nil
	case "partitionKeyFromLambda":
		return part{kind: key, text: FromLambda + value}, nil
	}
	return part{}, errors.New("the namespaces are timestamp, firehose, partitionKeyFromQuery and partitionKeyFromLambda")
}
