package delivery

import (
	"slices"
	"sync"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/streams"
)

// rates are what AWS lets through to one DirectPut stream before it has been asked for
// more (docs.aws.amazon.com/firehose/latest/dev/limits.html).
type rates struct{ records, calls, bytes limits.Rate }

// largeRegions have five times the bytes of others.
var largeRegions = []string{"us-east-1", "us-west-2", "eu-west-1"}

func ratesOf(region string) rates {
	r := rates{records: perSecond(100_000), calls: perSecond(1000), bytes: perSecond(1 << 20)}
	if slices.Contains(largeRegions, region) {
		r = rates{records: perSecond(500_000), calls: perSecond(2000), bytes: perSecond(5 << 20)}
	}
	return r
}

func perSecond(n int64) limits.Rate { return limits.Rate{PerSecond: n, Burst: n} }

// use is what a delivery stream has used of its rates.
type use struct {
	mu                    sync.Mutex
	records, calls, bytes limits.Bucket // guarded by mu
}

// take spends a put, and reports whether it is within the rates; one that is not
// spends nothing.
func (u *use) take(r rates, now int64, records, size int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.records.Has(r.records, now, records) || !u.calls.Has(r.calls, now, 1) || !u.bytes.Has(r.bytes, now, size) {
		return false
	}
	u.records.Spend(r.records, now, records)
	u.calls.Spend(r.calls, now, 1)
	u.bytes.Spend(r.bytes, now, size)
	return true
}

// mode says which of AWS's limits hold for r: the server's, unless a tag says
// otherwise.
func (s *Service) mode(r *catalog.Resource) limits.Mode {
	if text, ok := r.Tags[streams.LimitsTag]; ok {
		if m, ok := limits.ParseMode(text); ok {
			return m
		}
	}
	return s.o.Limits
}

// admit refuses a put beyond the rates where they hold.
func (s *Service) admit(r *catalog.Resource, l *line, records int, size int64) error {
	mode := s.mode(r)
	if !mode.On() || l.use.take(ratesOf(r.Region), s.clock.Now().UnixNano(), int64(records), size) {
		return nil
	}
	if mode == limits.Warn {
		l.meter.OverLimit.Add(int64(records))
		return nil
	}
	l.meter.Throttled.Add(int64(records))
	return errs.New(errs.Throttled, "Slow down.")
}
