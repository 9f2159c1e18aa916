package brokers

import (
	"testing"

	"thalweg/internal/log"
)

// TestQuotaPrecedence: the entity that says most of a client decides, and the part
// that it says is who shares the quota.
func TestQuotaPrecedence(t *testing.T) {
	u, c, all := named("ann"), named("app"), QuotaPart{Of: QuotaOfDefault}
	s, l := newSecurity(t)
	// From the weakest to the strongest: each outweighs those before.
	for n, tc := range []struct{ of, shared QuotaEntity }{
		{QuotaEntity{Client: all}, QuotaEntity{Client: c}},
		{QuotaEntity{Client: c}, QuotaEntity{Client: c}},
		{QuotaEntity{User: all}, QuotaEntity{User: u}},
		{QuotaEntity{User: all, Client: all}, QuotaEntity{User: u, Client: c}},
		{QuotaEntity{User: all, Client: c}, QuotaEntity{User: u, Client: c}},
		{QuotaEntity{User: u}, QuotaEntity{User: u}},
		{QuotaEntity{User: u, Client: all}, QuotaEntity{User: u, Client: c}},
		{QuotaEntity{User: u, Client: c}, QuotaEntity{User: u, Client: c}},
	} {
		if err := s.AlterQuotas(t.Context(), tc.of, []QuotaChange{{Key: ConsumerByteRate, Value: float64(n + 1)}}, false); err != nil {
			t.Fatal(err)
		}
		if rate, shared, ok := s.Quota(ConsumerByteRate, "ann", "app"); !ok || rate != float64(n+1) || shared != tc.shared {
			t.Errorf("%d: %v, %+v, %v", n, rate, shared, ok)
		}
	}
	if _, _, ok := s.Quota(ProducerByteRate, "ann", "app"); ok {
		t.Error("a quota of another key")
	}
	if rate, _, _ := s.Quota(ConsumerByteRate, "ben", "app"); rate != 5 {
		t.Errorf("another user has %v", rate)
	}
	if _, ok := s.AddressQuota("10.0.0.1"); ok {
		t.Error("an address has a quota")
	}
	testQuotasSurvive(t, s, l)
}

// testQuotasSurvive: they are there after a start, and gone when they are removed.
func testQuotasSurvive(t *testing.T, s *Security, l log.Log) {
	had, _ := s.Quotas()
	s = openSecurity(t, l)
	entities, rates := s.Quotas()
	if len(entities) != len(had) || len(entities) != 8 || rates[0][ConsumerByteRate] == 0 {
		t.Fatalf("%+v, %v after %+v", entities, rates, had)
	}
	for _, e := range entities {
		if err := s.AlterQuotas(t.Context(), e, []QuotaChange{{Key: ConsumerByteRate, Remove: true}}, true); err != nil {
			t.Fatal(err)
		}
		if err := s.AlterQuotas(t.Context(), e, []QuotaChange{{Key: ConsumerByteRate, Remove: true}}, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if left, _ := s.Quotas(); len(left) != 0 || s.limited.Load() {
			t.Fatalf("left: %+v", left)
		}
		s = openSecurity(t, l)
	}
}
