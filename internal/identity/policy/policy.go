// Package policy reads resource policies and decides by them: the JSON grammar
// of IAM, as far as a policy on a stream or consumer takes it
// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
//
// What a policy says is either done or refused when it is read: an element, an
// operator or a condition key that [Policy.Decide] does not know is an error of
// [Parse], never passed over. The keys of conditions are listed in conditions.go,
// with those that no request here ever has.
//
// A Policy is immutable and safe for concurrent use. Deciding takes no lock, no
// I/O and time bounded by the sizes of policy and request.
package policy

import (
	"strings"
	"time"
)

// MaxBytes is the most that a policy may have (20 KB,
// docs.aws.amazon.com/streams/latest/dev/controlling-access.html).
const MaxBytes = 20 << 10

// Effect is what a policy says to a request.
type Effect uint8

const (
	// Silent is a policy that says nothing to it.
	Silent Effect = iota
	// Allow is a policy that allows it.
	Allow
	// Deny is a policy that forbids it, whatever else allows it.
	Deny
)

// Request is what a policy is asked about.
type Request struct {
	// Principal is the caller's ARN, Account the 12 digits it belongs to.
	Principal, Account string
	// Action is such as kinesis:PutRecord.
	Action string
	// Resource is an ARN; Region is the caller's.
	Resource, Region string
	// SourceIP is the caller's address, Secure whether it came over TLS.
	SourceIP string
	Secure   bool
	Time     time.Time
}

// Policy is one that can be decided by.
type Policy struct{ statements []statement }

type statement struct {
	effect     Effect
	principals []string // "*", an account, or an ARN
	actions    []string // lower case, with wildcards
	notActions bool     // all but those
	resources  []string // with wildcards
	conditions []condition
}

// Decide returns what the policy says to a request: one statement that denies
// outweighs any that allow.
func (p *Policy) Decide(r *Request) Effect {
	effect := Silent
	for i := range p.statements {
		s := &p.statements[i]
		if effect == Allow && s.effect == Allow || !s.applies(r) {
			continue
		}
		if s.effect == Deny {
			return Deny
		}
		effect = Allow
	}
	return effect
}

func (s *statement) applies(r *Request) bool {
	if !s.names(r) || matchAny(s.actions, strings.ToLower(r.Action)) == s.notActions || !matchAny(s.resources, r.Resource) {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(r) {
			return false
		}
	}
	return true
}

// names reports whether the statement is about the caller: everybody, the
// caller's account, or the caller.
func (s *statement) names(r *Request) bool {
	for _, p := range s.principals {
		if p == "*" || p == r.Principal || p == r.Account {
			return true
		}
	}
	return false
}

func matchAny(patterns []string, text string) bool {
	for _, p := range patterns {
		if match(p, text) {
			return true
		}
	}
	return false
}

// match reports whether text is of the form of a pattern, in which * stands for
// any characters and ? for one. It takes at most len(pattern)*len(text) steps.
func match(pattern, text string) bool {
	p, t := 0, 0
	star, from := -1, 0 // the last *, and where its share of text ends for now
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
