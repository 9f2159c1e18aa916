package streams

import (
	"context"
	"fmt"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// CommitmentStatus is how a commitment stands, as the API names it.
type CommitmentStatus string

const (
	CommitmentEnabled  CommitmentStatus = "ENABLED"
	CommitmentDisabled CommitmentStatus = "DISABLED"
	// CommitmentEnding holds until its earliest end, and is over then.
	CommitmentEnding CommitmentStatus = "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
)

// Commitment is an account's minimum throughput billing commitment in a region.
// Nothing is billed here; what hangs on it is allowed with it.
type Commitment struct {
	Status CommitmentStatus
	// Started, Ended and EarliestEnd are in Unix milliseconds; 0 is none.
	Started, Ended, EarliestEnd int64
}

// Active reports whether what hangs on the commitment is allowed.
func (c Commitment) Active() bool { return c.Status != CommitmentDisabled }

// Commitment returns how a scope's commitment stands now.
func (s *Service) Commitment(scope catalog.Scope) Commitment {
	return s.commitment(s.catalog.Get(accountKey(scope)))
}

// commitment is how the commitment of an account stands; r may be nil.
func (s *Service) commitment(r *catalog.Resource) Commitment {
	if r == nil || r.Settings.CommitmentStarted == 0 {
		return Commitment{Status: CommitmentDisabled}
	}
	c := Commitment{
		Status: CommitmentEnabled, Started: r.Settings.CommitmentStarted,
		EarliestEnd: r.Settings.CommitmentStarted + CommitmentTime.Milliseconds(),
	}
	switch ends := r.Settings.CommitmentEnds; {
	case ends == 0:
	case ends > clock.Millis(s.clock):
		c.Status = CommitmentEnding
	default:
		c.Status, c.Ended, c.EarliestEnd = CommitmentDisabled, ends, 0
	}
	return c
}

// SetCommitment begins or ends a scope's commitment and returns how it stands
// then. One that is to end before its time ends at its time, unless it is begun
// again before; what is so already is left so. Errors: those of the log.
func (s *Service) SetCommitment(ctx context.Context, scope catalog.Scope, on bool) (Commitment, error) {
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		now := clock.Millis(s.clock)
		r := tx.Get(accountKey(scope))
		c := s.commitment(r)
		if r == nil {
			r = &catalog.Resource{Key: accountKey(scope), Created: now, State: catalog.Active, Settings: &catalog.Settings{}}
		}
		r = r.Clone()
		switch {
		case on && c.Status == CommitmentDisabled:
			r.Settings.CommitmentStarted, r.Settings.CommitmentEnds = now, 0
		case on && c.Status == CommitmentEnding:
			r.Settings.CommitmentEnds = 0
		case !on && c.Status == CommitmentEnabled:
			r.Settings.CommitmentEnds = max(now, c.EarliestEnd)
		default:
			return nil
		}
		tx.Put(r)
		return nil
	})
	return s.Commitment(scope), err
}

func accountKey(scope catalog.Scope) catalog.Key {
	return catalog.Key{Kind: catalog.KindAccount, Scope: scope}
}

// checkWarm refuses a warm throughput that a stream of that mode, of an account
// with those settings (nil is none), cannot have.
func (s *Service) checkWarm(account *catalog.Resource, mode catalog.StreamMode, mibps int) error {
	switch {
	case mode != catalog.OnDemand:
		return invalid("Warm throughput is supported only for streams in ON_DEMAND mode.")
	case !s.commitment(account).Active():
		return invalid("Warm throughput is supported only for accounts with MinimumThroughputBillingCommitment enabled.")
	case mibps > MaxWarmMiBps:
		return errs.New(errs.LimitExceeded, fmt.Sprintf("WarmThroughputMiBps cannot be more than %d.", MaxWarmMiBps))
	}
	return nil
}

// SetWarm sets how much an on-demand stream takes at once, in MiB/s, and gives it
// as many shards as that takes: more, or fewer down to OnDemandShards. It returns
// the stream as it is then. Errors: NotFound, InUse, LimitExceeded; Invalid for a
// warm throughput that the stream cannot have.
func (s *Service) SetWarm(ctx context.Context, scope catalog.Scope, name string, mibps int) (*catalog.Resource, error) {
	var out *catalog.Resource
	err := s.redraw(ctx, scope, name, func(tx *catalog.Tx, d *redraw) error {
		if err := s.checkWarm(tx.Get(accountKey(scope)), d.r.Stream.Mode, mibps); err != nil {
			return err
		}
		out = d.r
		if d.r.Stream.WarmMiBps != mibps {
			d.r.Stream.WarmMiBps, d.put = mibps, true
		}
		if n := warmShards(mibps); n != OpenShards(d.r) {
			d.uniform(n)
		}
		return nil
	})
	return out, err
}

// warmShards is how many shards an on-demand stream has that takes mibps at once.
func warmShards(mibps int) int { return min(max(OnDemandShards, mibps), MaxWarmMiBps) }
