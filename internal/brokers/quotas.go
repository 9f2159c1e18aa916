package brokers

import (
	"cmp"
	"context"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// Quotas that are enforced; their values are per second.
const (
	ProducerByteRate       = "producer_byte_rate"
	ConsumerByteRate       = "consumer_byte_rate"
	ControllerMutationRate = "controller_mutation_rate" // partitions made and removed
	ConnectionCreationRate = "connection_creation_rate" // of addresses
)

// Bounds on what is kept in memory.
const (
	maxQuotas    = 10_000 // entities
	maxQuotaName = 2048   // bytes
)

// QuotaOf is a part of an entity: that there is none, all that have no quota of
// their own, or one by name.
type QuotaOf uint8

// The kinds of a part. Values are on disk.
const (
	QuotaOfNone    QuotaOf = 0
	QuotaOfDefault QuotaOf = 1
	QuotaOfName    QuotaOf = 2
)

// QuotaPart is one part of an entity.
type QuotaPart struct {
	Of   QuotaOf `json:"of,omitempty"`
	Name string  `json:"name,omitempty"`
}

func named(name string) QuotaPart { return QuotaPart{QuotaOfName, name} }

// QuotaEntity is whom quotas are about: a user, a client id, or both; or an address.
type QuotaEntity struct {
	User   QuotaPart `json:"user,omitzero"`
	Client QuotaPart `json:"client,omitzero"`
	IP     QuotaPart `json:"ip,omitzero"`
}

func compareEntities(a, b QuotaEntity) int {
	part := func(a, b QuotaPart) int { return cmp.Or(cmp.Compare(a.Of, b.Of), strings.Compare(a.Name, b.Name)) }
	return cmp.Or(part(a.User, b.User), part(a.Client, b.Client), part(a.IP, b.IP))
}

// check refuses an entity that there cannot be.
func (e QuotaEntity) check() *Error {
	switch {
	case e == QuotaEntity{}:
		return refuse(InvalidRequest, "Invalid empty client quota entity")
	case e.IP.Of != QuotaOfNone && (e.User.Of != QuotaOfNone || e.Client.Of != QuotaOfNone):
		return refuse(InvalidRequest, "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId")
	case max(len(e.User.Name), len(e.Client.Name)) > maxQuotaName:
		return refuse(InvalidRequest, "The name of a client quota entity is longer than %d bytes.", maxQuotaName)
	case e.User == named(""):
		return refuse(InvalidRequest, "Empty user not supported")
	case e.Client == named(""):
		return refuse(InvalidRequest, "Empty client-id not supported")
	}
	if _, err := netip.ParseAddr(e.IP.Name); e.IP.Of == QuotaOfName && err != nil {
		return refuse(InvalidRequest, "%s is not a valid IP or resolvable host.", e.IP.Name)
	}
	return nil
}

// QuotaChange sets or removes one of an entity's quotas.
type QuotaChange struct {
	Key    string
	Value  float64
	Remove bool
}

func (c QuotaChange) check(e QuotaEntity) *Error {
	known := c.Key == ProducerByteRate || c.Key == ConsumerByteRate || c.Key == ControllerMutationRate
	if e.IP.Of != QuotaOfNone {
		known = c.Key == ConnectionCreationRate
	}
	switch {
	case c.Key == "request_percentage" && e.IP.Of == QuotaOfNone:
		return refuse(InvalidRequest, "request_percentage is not enforced by this server, so it cannot be set.")
	case !known:
		return refuse(InvalidRequest, "Invalid configuration key %s", c.Key)
	case c.Remove:
		return nil
	case c.Key != ControllerMutationRate && c.Value != math.Trunc(c.Value):
		return refuse(InvalidRequest, "%s cannot be a fractional value.", c.Key)
	case !(c.Value > 0) || c.Value > math.MaxInt64/2:
		return refuse(InvalidRequest, "Quota %s must be greater than 0", c.Key)
	}
	return nil
}

// AlterQuotas changes the quotas of an entity, durably, or only says whether it
// would.
func (s *Security) AlterQuotas(ctx context.Context, e QuotaEntity, changes []QuotaChange, validateOnly bool) *Error {
	if err := e.check(); err != nil {
		return err
	}
	for _, c := range changes {
		if err := c.check(e); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	return s.commit(ctx, func() ([]securityEvent, *Error) {
		s.mu.RLock()
		rates := maps.Clone(s.quotas[e])
		full := rates == nil && len(s.quotas) >= maxQuotas
		s.mu.RUnlock()
		if full {
			return nil, refuse(PolicyViolation, "A cluster can have quotas of %d entities at most.", maxQuotas)
		}
		if rates == nil {
			rates = map[string]float64{}
		}
		for _, c := range changes {
			if rates[c.Key] = c.Value; c.Remove {
				delete(rates, c.Key)
			}
		}
		return []securityEvent{{Quota: &e, Rates: rates}}, nil
	})
}

// setQuotas is what an event says; mu is held.
func (s *Security) setQuotas(e QuotaEntity, rates map[string]float64) {
	if delete(s.quotas, e); len(rates) > 0 {
		s.quotas[e] = rates
	}
	s.limited.Store(len(s.quotas) > 0)
}

// Quotas are the entities that have quotas, and which.
func (s *Security) Quotas() (entities []QuotaEntity, rates []map[string]float64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	entities = slices.SortedFunc(maps.Keys(s.quotas), compareEntities)
	for _, e := range entities {
		rates = append(rates, s.quotas[e])
	}
	return entities, rates
}

// Quota finds the quota that holds for a client: the one of the entity that says
// most of it, a user before a client id, a name before a default (KIP-55). shared is
// who draws on it together. ok is false when there is none.
func (s *Security) Quota(key, user, client string) (rate float64, shared QuotaEntity, ok bool) {
	if !s.limited.Load() {
		return 0, shared, false
	}
	u, c, all := named(user), named(client), QuotaPart{Of: QuotaOfDefault}
	for _, try := range [...]struct{ of, shared QuotaEntity }{
		{QuotaEntity{User: u, Client: c}, QuotaEntity{User: u, Client: c}},
		{QuotaEntity{User: u, Client: all}, QuotaEntity{User: u, Client: c}},
		{QuotaEntity{User: u}, QuotaEntity{User: u}},
		{QuotaEntity{User: all, Client: c}, QuotaEntity{User: u, Client: c}},
		{QuotaEntity{User: all, Client: all}, QuotaEntity{User: u, Client: c}},
		{QuotaEntity{User: all}, QuotaEntity{User: u}},
		{QuotaEntity{Client: c}, QuotaEntity{Client: c}},
		{QuotaEntity{Client: all}, QuotaEntity{Client: c}},
	} {
		if rate, ok = s.quota(try.of, key); ok {
			return rate, try.shared, true
		}
	}
	return 0, shared, false
}

// AddressQuota finds the quota of connections that holds for an address.
func (s *Security) AddressQuota(ip string) (rate float64, ok bool) {
	if !s.limited.Load() {
		return 0, false
	}
	if rate, ok = s.quota(QuotaEntity{IP: named(ip)}, ConnectionCreationRate); ok {
		return rate, true
	}
	return s.quota(QuotaEntity{IP: QuotaPart{Of: QuotaOfDefault}}, ConnectionCreationRate)
}

func (s *Security) quota(e QuotaEntity, key string) (float64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rate, ok := s.quotas[e][key]
	return rate, ok
}
