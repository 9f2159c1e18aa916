package brokers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ResourceKind is what an ACL is about, by its number in Kafka's protocol.
type ResourceKind int8

// The kinds of resources.
const (
	AnyKind     ResourceKind = 1 // in filters
	TopicKind   ResourceKind = 2
	GroupKind   ResourceKind = 3
	ClusterKind ResourceKind = 4
	TxnKind     ResourceKind = 5
)

// Operation is what is done to a resource, by its number in Kafka's protocol.
type Operation int8

// The operations.
const (
	OpAny             Operation = 1 // in filters
	OpAll             Operation = 2
	OpRead            Operation = 3
	OpWrite           Operation = 4
	OpCreate          Operation = 5
	OpDelete          Operation = 6
	OpAlter           Operation = 7
	OpDescribe        Operation = 8
	OpClusterAction   Operation = 9
	OpDescribeConfigs Operation = 10
	OpAlterConfigs    Operation = 11
	OpIdempotentWrite Operation = 12
)

// Pattern is how an ACL's name is meant.
type Pattern int8

// The patterns; the first two are for filters.
const (
	PatternAny      Pattern = 1
	PatternMatch    Pattern = 2
	PatternLiteral  Pattern = 3
	PatternPrefixed Pattern = 4
)

// Permission is what an ACL does.
type Permission int8

// The permissions.
const (
	PermissionAny   Permission = 1 // in filters
	PermissionDeny  Permission = 2
	PermissionAllow Permission = 3
)

// ClusterResource is the name of the one resource of ClusterKind.
const ClusterResource = "kafka-cluster"

// Everybody and wildcard stand for all principals, hosts and names.
const (
	everybody = "User:*"
	wildcard  = "*"
)

// ResourceName is a resource, or "*" for all of a kind.
type ResourceName struct {
	Kind ResourceKind
	Name string
}

// ACL is one rule: who may, or may not, do what to which resources from where.
type ACL struct {
	Kind       ResourceKind `json:"kind"`
	Name       string       `json:"name"`
	Pattern    Pattern      `json:"pattern"`
	Principal  string       `json:"principal"`
	Host       string       `json:"host"`
	Operation  Operation    `json:"operation"`
	Permission Permission   `json:"permission"`
}

func (a *ACL) resource() ResourceName { return ResourceName{a.Kind, a.Name} }

func (a *ACL) text() string {
	return fmt.Sprintf("%02d %d %q %q %q %02d %d", a.Kind, a.Pattern, a.Name, a.Principal, a.Host, a.Operation, a.Permission)
}

// check refuses a rule that says nothing.
func (a *ACL) check() *Error {
	kind, name, ok := strings.Cut(a.Principal, ":")
	switch {
	case a.Kind < TopicKind || a.Kind > TxnKind:
		return refuse(InvalidRequest, "ACLs on this kind of resource are not known here.")
	case a.Name == "" || len(a.Name) > maxACLText || len(a.Principal) > maxACLText || len(a.Host) > maxACLText:
		return refuse(InvalidRequest, "The name of a resource must have 1 to %d bytes, principal and host as many at most.", maxACLText)
	case a.Kind == ClusterKind && (a.Name != ClusterResource || a.Pattern != PatternLiteral):
		return refuse(InvalidRequest, "The only valid name for the CLUSTER resource is kafka-cluster")
	case a.Pattern != PatternLiteral && a.Pattern != PatternPrefixed:
		return refuse(InvalidRequest, "Invalid resource pattern type.")
	case !ok || kind == "" || name == "":
		return refuse(InvalidRequest, "expected a string in format principalType:principalName but got %s", a.Principal)
	case a.Host == "":
		return refuse(InvalidRequest, "An ACL needs a host; * is every one.")
	case a.Operation < OpAll || a.Operation > OpIdempotentWrite:
		return refuse(InvalidRequest, "Invalid operation.")
	case a.Permission != PermissionDeny && a.Permission != PermissionAllow:
		return refuse(InvalidRequest, "Invalid permission type.")
	}
	return nil
}

const maxACLText = 1024

// CreateACLs adds rules in one durable step, those that are valid; the answer has
// a refusal, or nil, for each.
func (s *Security) CreateACLs(ctx context.Context, list []ACL) []*Error {
	out := make([]*Error, len(list))
	err := s.commit(ctx, func() ([]securityEvent, *Error) {
		var events []securityEvent
		for i := range list {
			if out[i] = list[i].check(); out[i] != nil {
				continue
			}
			if s.count()+len(events) >= maxACLs {
				out[i] = refuse(PolicyViolation, "A cluster can have %d ACLs at most.", maxACLs)
				continue
			}
			events = append(events, securityEvent{Give: &list[i]})
		}
		return events, nil
	})
	for i := range out {
		if out[i] == nil {
			out[i] = err
		}
	}
	return out
}

func (s *Security) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.acls)
}

// ACLFilter chooses ACLs; nil texts are any.
type ACLFilter struct {
	Kind                  ResourceKind
	Name, Principal, Host *string
	Pattern               Pattern
	Operation             Operation
	Permission            Permission
}

func (f *ACLFilter) check() *Error {
	if f.Kind < AnyKind || f.Kind > 7 || f.Pattern < PatternAny || f.Pattern > PatternPrefixed || f.Operation < OpAny || f.Permission < PermissionAny ||
		f.Permission > PermissionAllow {
		return refuse(InvalidRequest, "The filter has something that is not known.")
	}
	return nil
}

func (f *ACLFilter) matches(a *ACL) bool {
	is := func(want *string, have string) bool { return want == nil || *want == have }
	return (f.Kind == AnyKind || f.Kind == a.Kind) && f.names(a) && is(f.Principal, a.Principal) && is(f.Host, a.Host) &&
		(f.Operation == OpAny || f.Operation == a.Operation) && (f.Permission == PermissionAny || f.Permission == a.Permission)
}

func (f *ACLFilter) names(a *ACL) bool {
	switch {
	case f.Pattern == PatternAny || f.Pattern == a.Pattern:
		return f.Name == nil || *f.Name == a.Name
	case f.Pattern != PatternMatch:
		return false
	case f.Name == nil || *f.Name == a.Name:
		return true
	case a.Pattern == PatternPrefixed:
		return strings.HasPrefix(*f.Name, a.Name)
	}
	return a.Name == wildcard
}

// ACLs returns the rules that a filter chooses, by resource.
func (s *Security) ACLs(f ACLFilter) ([]ACL, *Error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []ACL
	for _, a := range slices.SortedFunc(maps.Keys(s.acls), compareACLs) {
		if f.matches(&a) {
			out = append(out, a)
		}
	}
	return out, nil
}

// DeleteACLs takes away what a filter chooses, durably, and returns it.
func (s *Security) DeleteACLs(ctx context.Context, f ACLFilter) ([]ACL, *Error) {
	var gone []ACL
	err := s.commit(ctx, func() (events []securityEvent, no *Error) {
		gone, no = s.ACLs(f)
		for i := range gone {
			events = append(events, securityEvent{Take: &gone[i]})
		}
		return events, no
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// implies tells whether who may do a may therefore do b, as with Apache Kafka.
func implies(a, b Operation) bool {
	switch b {
	case OpDescribe:
		return a == OpRead || a == OpWrite || a == OpDelete || a == OpAlter
	case OpDescribeConfigs:
		return a == OpAlterConfigs
	}
	return false
}

// applies tells whether a rule is about somebody.
func (a *ACL) applies(principal, host string) bool {
	return (a.Principal == everybody || a.Principal == principal) && (a.Host == wildcard || a.Host == host)
}

// May tells whether the rules let a principal, who comes from a host, do something
// to a resource. One that denies outweighs all that allow; where none allows, the
// answer is no.
func (s *Security) May(principal, host string, op Operation, kind ResourceKind, name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	allowed := false
	denied := func(list []ACL, prefixed bool) bool {
		for i := range list {
			a := &list[i]
			if prefixed && !strings.HasPrefix(name, a.Name) || !a.applies(principal, host) {
				continue
			}
			same := a.Operation == OpAll || a.Operation == op
			if a.Permission == PermissionDeny && same {
				return true
			}
			allowed = allowed || a.Permission == PermissionAllow && (same || implies(a.Operation, op))
		}
		return false
	}
	return !denied(s.at[ResourceName{kind, name}], false) && !denied(s.at[ResourceName{kind, wildcard}], false) &&
		!denied(s.under[kind], true) && allowed
}

// MayAny tells whether there is a resource of a kind, of whatever name, to which
// the rules let somebody do something.
func (s *Security) MayAny(principal, host string, op Operation, kind ResourceKind) bool {
	allow := ACLFilter{Kind: kind, Pattern: PatternAny, Operation: OpAny, Permission: PermissionAllow}
	list, _ := s.ACLs(allow) // the filter is valid
	return slices.ContainsFunc(list, func(a ACL) bool {
		return a.applies(principal, host) && (a.Operation == OpAll || a.Operation == op || implies(a.Operation, op)) &&
			s.May(principal, host, op, kind, a.Name)
	})
}
