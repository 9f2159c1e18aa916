package delivery

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// change runs fn in an update, with a copy of an ACTIVE delivery stream, or channel,
// that fn alters. Errors: NotFound, InUse, those of fn and of the log.
func (s *Service) change(ctx context.Context, k catalog.Key, fn func(*catalog.Tx, *catalog.Resource) error) (*catalog.Resource, error) {
	var changed *catalog.Resource
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(k)
		if r == nil {
			return notFound(k)
		}
		if r.State != catalog.Active {
			return inUse(k, r.State)
		}
		changed = r.Clone()
		if err := fn(tx, changed); err != nil {
			return err
		}
		tx.Put(changed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// Update is a change of the destination.
type Update struct {
	Scope catalog.Scope
	Name  string
	// Version is the VersionId that the caller has seen.
	Version, DestinationID string
	Kind                   string
	// Patch makes the new configuration of the one there is, nil when that is of
	// another kind.
	Patch func(old dest.Config) (dest.Config, error)
}

// fixedKinds cannot be changed to or from (UpdateDestination).
var fixedKinds = []string{"HttpEndpoint", "Elasticsearch", "Amazonopensearchservice", "AmazonOpenSearchServerless"}

// Update changes the destination: what is planned from then on goes there. Errors:
// NotFound, InUse, Conflict of the version as Fenced, Invalid, those of the log.
func (s *Service) Update(ctx context.Context, u Update) error {
	r, err := s.Lookup(u.Scope, u.Name)
	if err != nil {
		return errs.New(errs.NotFound, fmt.Sprintf("Firehose %s under accountId %s not found.", u.Name, u.Scope.Account))
	}
	l := s.line(r)
	l.planning.Lock() // so that the open plan's version is kept
	defer l.planning.Unlock()
	_, err = s.change(ctx, r.Key, func(_ *catalog.Tx, r *catalog.Resource) error {
		d := r.Delivery
		if now := fmt.Sprint(d.Destination.Version); now != u.Version {
			return errs.New(errs.Fenced, fmt.Sprintf("Cannot update firehose: %s since the current version id: %s and specified version id: %s "+
				"do not match", u.Name, now, u.Version))
		}
		if u.DestinationID != DestinationID {
			return invalid("Destination Id %s not found", u.DestinationID)
		}
		was := d.Destination
		old := was.Config
		if was.Kind != u.Kind {
			for _, kind := range []string{was.Kind, u.Kind} {
				if slices.Contains(fixedKinds, kind) {
					return invalid("Changing the destination type to or from %s is not supported at this time.", kind)
				}
			}
			old = nil
		}
		config, err := u.Patch(old)
		if err != nil {
			return err
		}
		spec, config, err := s.check(u.Scope, u.Kind, config)
		if err != nil {
			return err
		}
		if err := unchangeable(old, config); err != nil {
			return err
		}
		l.redirect(d, u.Kind, s.sealSecrets(r.ARN, spec, config))
		d.Updated = clock.Millis(s.clock)
		return nil
	})
	if err == nil {
		l.nudge()
	}
	return err
}

// redirect gives d another version of its destination, and keeps the one that the plan
// under way was made for. planning is held.
func (l *line) redirect(d *catalog.Delivery, kind string, config dest.Config) {
	plan := l.current()
	d.Earlier = slices.DeleteFunc(append(d.Earlier, d.Destination), func(e catalog.DeliveryDestination) bool {
		return plan == nil || e.Version != plan.Version
	})
	d.Destination = catalog.DeliveryDestination{Version: d.Destination.Version + 1, Kind: kind, Config: config}
}

// unchangeable refuses what an update cannot change of a configuration of the same
// kind; old is nil for another kind's.
func unchangeable(old, changed dest.Config) error {
	if old == nil {
		return nil
	}
	was, err := readCommon(old)
	if err != nil {
		return err
	}
	now, err := readCommon(changed)
	if err != nil {
		return err
	}
	switch {
	case was.DynamicPartitioningConfiguration.Enabled != now.DynamicPartitioningConfiguration.Enabled:
		return invalid("Enabling or disabling dynamic partitioning is not supported on an existing delivery stream.")
	case was.S3BackupMode == "Enabled" && now.S3BackupMode == "Disabled":
		return invalid("Disabling S3 backup is not supported once it has been enabled.")
	}
	return nil
}

// Tag adds tags or replaces their values. Errors: NotFound, InUse, LimitExceeded.
func (s *Service) Tag(ctx context.Context, scope catalog.Scope, name string, tags map[string]string) error {
	_, err := s.change(ctx, deliveryKey(scope, name), func(_ *catalog.Tx, r *catalog.Resource) error {
		if r.Tags == nil {
			r.Tags = make(map[string]string, len(tags))
		}
		maps.Copy(r.Tags, tags)
		if len(r.Tags) > MaxTags {
			return errs.New(errs.LimitExceeded, fmt.Sprintf("Firehose %s under account %s can have at most %d tags.", name, scope.Account, MaxTags))
		}
		return nil
	})
	return err
}

// Untag removes tags; those it has not are no error. Errors: NotFound, InUse.
func (s *Service) Untag(ctx context.Context, scope catalog.Scope, name string, keys []string) error {
	_, err := s.change(ctx, deliveryKey(scope, name), func(_ *catalog.Tx, r *catalog.Resource) error {
		for _, k := range keys {
			delete(r.Tags, k)
		}
		return nil
	})
	return err
}

// Encrypt has what is put from now on stored encrypted under a key, which is made if
// there is none of its name, or with nil not encrypted. What is there stays as it is.
// Errors: NotFound, InUse, Invalid for one with a source, LimitExceeded, those of the log.
func (s *Service) Encrypt(ctx context.Context, scope catalog.Scope, name string, key *Key) error {
	_, err := s.change(ctx, deliveryKey(scope, name), func(tx *catalog.Tx, r *catalog.Resource) error {
		d := r.Delivery
		if d.Type != DirectPut {
			return invalid("This operation is not permitted on %s delivery stream type.", d.Type)
		}
		now := clock.Millis(s.clock)
		d.KeyChanges = slices.DeleteFunc(d.KeyChanges, func(at int64) bool { return at <= now-24*3600_000 })
		if len(d.KeyChanges) >= MaxKeyChanges {
			return errs.New(errs.LimitExceeded, fmt.Sprintf("Firehose %s under account %s: encryption has been started or stopped %d times "+
				"in a rolling 24-hour period.", name, scope.Account, MaxKeyChanges))
		}
		d.KeyChanges = append(d.KeyChanges, now)
		if err := s.rekey(tx, scope, d, key); err != nil {
			return err
		}
		tx.Entry(log.Entry{Kind: log.Configure, Partition: d.Partition(0), Config: log.Config{KeyID: d.DataKey}})
		if _, err := s.log.Info(d.Partition(1)); err == nil { // names of objects may tell of records
			tx.Entry(log.Entry{Kind: log.Configure, Partition: d.Partition(1), Config: ledgerConfig(d)})
		}
		return nil
	})
	return err
}

// rekey gives d a key, or none.
func (s *Service) rekey(tx *catalog.Tx, scope catalog.Scope, d *catalog.Delivery, key *Key) error {
	if key == nil {
		d.KeyType, d.KeyARN, d.DataKey = "", "", 0
		return nil
	}
	k, err := s.o.Streams.KeyIn(tx, scope, key.Name)
	if err != nil {
		return err
	}
	d.KeyType, d.KeyARN, d.DataKey = key.Type, key.ARN, k.DataKey.Number
	return nil
}

// Delete removes a delivery stream. What is planned is tried once more at most;
// what is not delivered then is lost, and said to be ([Service.Lost]). Errors:
// NotFound, those of the log.
func (s *Service) Delete(ctx context.Context, scope catalog.Scope, name string) error {
	return s.delete(ctx, deliveryKey(scope, name))
}

func (s *Service) delete(ctx context.Context, k catalog.Key) error {
	var gone *catalog.Resource
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(k)
		if r == nil {
			return notFound(k)
		}
		gone = r
		if r.State == catalog.Deleting {
			return nil
		}
		gone = r.Clone()
		gone.State = catalog.Deleting
		tx.Put(gone)
		return nil
	})
	if err != nil {
		return err
	}
	s.rouse(gone)
	s.line(gone).nudge()
	return nil
}

// remove takes a deleted delivery stream out of the catalog, with its partitions and
// all that is known of it.
func (s *Service) remove(r *catalog.Resource, lost []Entry) error {
	if len(lost) > 0 { // first: a crash must not forget it
		var events []event
		for i := range lost {
			events = append(events, event{Lost: &lost[i]})
		}
		if err := s.commit(events); err != nil {
			return err
		}
	}
	err := s.catalog.Update(context.Background(), func(tx *catalog.Tx) error {
		if tx.Get(r.Key) == nil {
			return nil
		}
		tx.Delete(r.Key, 0, clock.Millis(s.clock)/1000)
		for index := range uint32(2) {
			p := r.Delivery.Partition(index)
			if _, err := s.log.Info(p); err == nil {
				tx.Entry(log.Entry{Kind: log.Delete, Partition: p})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.commit([]event{{Number: r.Delivery.Number, Gone: true}})
}
