package streams

import (
	"context"
	"fmt"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// SetMode sets how a stream's capacity is set. Its shards stay; an on-demand
// stream that is to be warm gets as many as that takes. At most MaxModeChanges
// may change a stream's mode in a day; the present mode is no change. Errors:
// NotFound; InUse, also for a provisioned mode while there are queues or channels;
// LimitExceeded; Invalid for a warm throughput that the stream
// cannot have, and for a provisioned mode under AUTO.
func (s *Service) SetMode(ctx context.Context, scope catalog.Scope, name string, mode catalog.StreamMode, warmMiBps int) error {
	return s.redraw(ctx, scope, name, func(tx *catalog.Tx, d *redraw) error {
		if warmMiBps > 0 {
			if err := s.checkWarm(tx.Get(accountKey(scope)), mode, warmMiBps); err != nil {
				return err
			}
		}
		st := d.r.Stream
		changes := lastDay(st.ModeChanges, d.now)
		switch {
		case st.Mode == mode && warmMiBps > 0 && warmMiBps != st.WarmMiBps:
			return invalid("Stream %s under account %s is in %s mode already. Use UpdateStreamWarmThroughput.", name, scope.Account, mode)
		case st.Mode == mode:
			return nil
		case mode == catalog.Provisioned && len(tx.Queues(st.Number)) > 0:
			return errs.New(errs.InUse, fmt.Sprintf("Stream %s under account %s cannot be switched to PROVISIONED mode while there are "+
				"queues associated with it. Delete them first.", name, scope.Account))
		case mode == catalog.Provisioned && len(tx.Channels(st.Number)) > 0:
			return errs.New(errs.InUse, fmt.Sprintf("Stream %s under account %s cannot be switched to PROVISIONED mode while there are "+
				"channels associated with it. Delete them first.", name, scope.Account))
		case mode == catalog.Provisioned && st.AutoDistribution:
			return ErrAutoNeedsOnDemand
		case len(changes) >= MaxModeChanges:
			return errs.New(errs.LimitExceeded, fmt.Sprintf("The mode of stream %s under account %s cannot be changed more than %d times "+
				"in 24 hours.", name, scope.Account, MaxModeChanges))
		}
		if mode == catalog.OnDemand {
			if err := s.checkOnDemand(tx, scope); err != nil {
				return err
			}
		}
		st.Mode, st.WarmMiBps, st.ModeChanges, d.put = mode, warmMiBps, append(changes, d.now), true
		if warmMiBps > OpenShards(d.r) {
			d.uniform(warmMiBps)
		}
		return nil
	})
}
