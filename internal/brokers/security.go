package brokers

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/meta"
	"thalweg/internal/streams"
)

// Security is what a cluster knows about its clients by itself: SCRAM users, ACLs and
// quotas. It is the state of an event log of its own, and is safe for concurrent
// use. docs/formats/kafka-security.md has its events.
type Security struct {
	seal  cipher.AEAD
	dummy [32]byte // makes up users that there are not
	store *meta.Store

	mu    sync.RWMutex
	users map[scramID]*ScramUser // guarded by mu
	acls  map[ACL]struct{}       // guarded by mu
	at    map[ResourceName][]ACL // guarded by mu: literal ones
	under map[ResourceKind][]ACL // guarded by mu: prefixed ones

	quotas  map[QuotaEntity]map[string]float64 // guarded by mu; inner maps never change
	limited atomic.Bool                        // there are quotas
}

// Bounds on what is kept in memory.
const (
	maxACLs  = 10_000
	maxUsers = 10_000
)

// SecurityOptions are what a [Security] is made of. All are needed.
type SecurityOptions struct {
	Log       log.Log
	Partition log.PartitionID
	Clock     clock.Clock
	// Seal hides what users could be impersonated with.
	Seal cipher.AEAD
	Keys streams.Keys
}

// OpenSecurity reads the state back.
func OpenSecurity(ctx context.Context, o SecurityOptions) (*Security, error) {
	s := &Security{seal: o.Seal, dummy: o.Keys.Secret("kafka unknown users")}
	s.reset()
	var err error
	s.store, err = meta.Open(ctx, meta.Options{Log: o.Log, Partition: o.Partition, Clock: o.Clock, Machine: (*securityState)(s)})
	return s, err
}

func (s *Security) reset() {
	s.users, s.acls = map[scramID]*ScramUser{}, map[ACL]struct{}{}
	s.at, s.under = map[ResourceName][]ACL{}, map[ResourceKind][]ACL{}
	s.quotas = map[QuotaEntity]map[string]float64{}
	s.limited.Store(false)
}

// securityEvent is one change: an ACL that is given or taken, or a user's secret
// as it is from then on, Sealed nil forgets it; or an entity's quotas.
type securityEvent struct {
	Give   *ACL     `json:"give,omitempty"`
	Take   *ACL     `json:"take,omitempty"`
	User   *scramID `json:"user,omitempty"`
	Sealed []byte   `json:"sealed,omitempty"` // nonce and ciphertext

	Quota *QuotaEntity       `json:"quota,omitempty"`
	Rates map[string]float64 `json:"rates,omitempty"`
}

// securityState is a Security as meta sees it.
type securityState Security

// Reset implements meta.Machine.
func (m *securityState) Reset() {
	s := (*Security)(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset()
}

// Apply implements meta.Machine.
func (m *securityState) Apply(event []byte) error {
	const op = "apply Kafka security event"
	s := (*Security)(m)
	var e securityEvent
	d := json.NewDecoder(bytes.NewReader(event))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return errs.Wrap(errs.Corrupt, op, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.Give != nil:
		s.give(*e.Give)
	case e.Take != nil:
		s.take(*e.Take)
	case e.Quota != nil:
		s.setQuotas(*e.Quota, e.Rates)
	case e.User != nil && e.Sealed == nil:
		delete(s.users, *e.User)
	case e.User != nil:
		u, err := s.open(*e.User, e.Sealed)
		if err != nil {
			return errs.Wrap(errs.Corrupt, op, err)
		}
		s.users[*e.User] = u
	default:
		return errs.New(errs.Corrupt, op+": it says nothing")
	}
	return nil
}

// Snapshot implements meta.Machine.
func (m *securityState) Snapshot(emit func([]byte)) {
	s := (*Security)(m)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range slices.SortedFunc(maps.Keys(s.acls), compareACLs) {
		emit(encodeSecurity(securityEvent{Give: &a}))
	}
	for _, q := range slices.SortedFunc(maps.Keys(s.quotas), compareEntities) {
		emit(encodeSecurity(securityEvent{Quota: &q, Rates: s.quotas[q]}))
	}
	for id, u := range s.users {
		emit(encodeSecurity(securityEvent{User: &id, Sealed: u.sealed}))
	}
}

// encodeSecurity is an event's text: of numbers, strings and bytes, which JSON
// always has a form for.
func encodeSecurity(e securityEvent) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		return nil
	}
	return b
}

// commit makes events durable, and visible; decide reads the state that they
// change.
func (s *Security) commit(ctx context.Context, decide func() ([]securityEvent, *Error)) *Error {
	var refused *Error
	_, err := s.store.Commit(ctx, func() (meta.Change, error) {
		events, no := decide()
		var c meta.Change
		if refused = no; no != nil {
			return c, no
		}
		for _, e := range events {
			c.Events = append(c.Events, encodeSecurity(e))
		}
		return c, nil
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return logError(err)
	}
	return nil
}

func (s *Security) give(a ACL) {
	if _, ok := s.acls[a]; ok {
		return
	}
	s.acls[a] = struct{}{}
	if a.Pattern == PatternPrefixed {
		s.under[a.Kind] = append(s.under[a.Kind], a)
		return
	}
	s.at[a.resource()] = append(s.at[a.resource()], a)
}

func (s *Security) take(a ACL) {
	delete(s.acls, a)
	without := func(list []ACL) []ACL {
		return slices.DeleteFunc(slices.Clone(list), func(b ACL) bool { return a == b })
	}
	if a.Pattern == PatternPrefixed {
		s.under[a.Kind] = without(s.under[a.Kind])
		return
	}
	if s.at[a.resource()] = without(s.at[a.resource()]); len(s.at[a.resource()]) == 0 {
		delete(s.at, a.resource())
	}
}

// sealUser hides a secret, bound to its user.
func (s *Security) sealUser(id scramID, u *ScramUser) ([]byte, error) {
	plain, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, s.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return s.seal.Seal(nonce, nonce, plain, id.context()), nil
}

func (s *Security) open(id scramID, sealed []byte) (*ScramUser, error) {
	n := s.seal.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("a SCRAM user without a secret")
	}
	plain, err := s.seal.Open(nil, sealed[:n], sealed[n:], id.context())
	if err != nil {
		return nil, err
	}
	u := &ScramUser{sealed: bytes.Clone(sealed)}
	return u, json.Unmarshal(plain, u)
}

func compareACLs(a, b ACL) int { return strings.Compare(a.text(), b.text()) }
