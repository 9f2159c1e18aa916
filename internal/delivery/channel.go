package delivery

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

// A channel takes the records of one stream or topic to a destination: a delivery stream
// with a source, by other names, of another service. The engine tells them apart in
// nothing but their keys.

// ChannelsOfStream is how many channels a Kinesis stream may have that deliver to
// buckets (docs.aws.amazon.com/streams/latest/dev/data-delivery-quotas.html).
const ChannelsOfStream = 1

// NewChannel is what a channel is made from.
type NewChannel struct {
	// Key is ChannelKey.
	Key  catalog.Key
	ID   string
	Name string
	// Type is KinesisSource, for which AWS's rules of Kinesis channels hold, or MSKSource.
	Type   string
	Source catalog.DeliverySource
	Kind   string
	Config dest.Config
	// Shape is kept for the door.
	Shape []byte
	Tags  map[string]string
}

// ChannelKey is where the channel is whose ARN ends with a path after "channel/".
func ChannelKey(scope catalog.Scope, path string) catalog.Key {
	return catalog.Key{Kind: catalog.KindChannel, Scope: scope, Name: path}
}

// CreateChannel makes a channel, which is ACTIVE when it returns and delivers what its
// source is given from then on. Errors: Exists, LimitExceeded, InUse, Invalid,
// Unsupported, NotFound of the source, those of the log.
func (s *Service) CreateChannel(ctx context.Context, n NewChannel) (*catalog.Resource, error) {
	spec, config, err := s.check(n.Key.Scope, n.Kind, n.Config)
	if err != nil {
		return nil, err
	}
	if len(n.Tags) > MaxTags {
		return nil, tooManyTags(n.Name, n.Key.Account)
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(n.Source.ARN, "arn:aws:"), ":")
	own := arn.New(service, n.Key.Region, n.Key.Account, "channel/"+n.Key.Name).String()
	var made *catalog.Resource
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		now := clock.Millis(s.clock)
		if err := s.checkChannel(tx, &n); err != nil {
			return err
		}
		src := n.Source
		if err := s.begin(&src, now); err != nil {
			return err
		}
		made = &catalog.Resource{
			Key: n.Key, Created: now, State: catalog.Active, Tags: n.Tags,
			ARN: own,
			Delivery: &catalog.Delivery{
				Number: tx.NewStreamNumber(), Type: n.Type, Source: &src,
				Destination: catalog.DeliveryDestination{Version: 1, Kind: n.Kind, Config: s.sealSecrets(own, spec, config)},
			},
			Channel: &catalog.Channel{ID: n.ID, Name: n.Name, Shape: n.Shape},
		}
		tx.Put(made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.rouse(made)
	return made, nil
}

// checkChannel refuses a channel that there cannot be.
func (s *Service) checkChannel(tx *catalog.Tx, n *NewChannel) error {
	exists := errs.New(errs.Exists, fmt.Sprintf("Channel %s already exists for account %s.", n.Name, n.Key.Account))
	all := tx.List(catalog.KindChannel, n.Key.Scope)
	if len(all) >= Quota {
		return errs.New(errs.LimitExceeded, fmt.Sprintf("Account %s has %d channels, which is as many as it can have.", n.Key.Account, Quota))
	}
	if n.Type != KinesisSource {
		if tx.Get(n.Key) != nil {
			return exists
		}
		return nil
	}
	ofStream := 0
	for _, r := range all {
		switch {
		case r.Delivery.Type != n.Type:
		case r.Channel.Name == n.Name:
			return exists
		case r.Delivery.Source.Stream == n.Source.Stream:
			ofStream++
		}
	}
	st := s.catalog.StreamNumber(n.Source.Stream)
	switch {
	case st == nil:
		return errs.New(errs.NotFound, "Stream "+n.Source.ARN+" not found.")
	case s.o.Streams.Status(st) != catalog.Active:
		return errs.New(errs.InUse, fmt.Sprintf("Stream %s under account %s is not ACTIVE, instead in state %s.", st.Name, st.Account,
			s.o.Streams.Status(st)))
	case st.Stream.Mode != catalog.OnDemand:
		return errs.New(errs.Unsupported, fmt.Sprintf("Channels are supported only for streams in ON_DEMAND mode, and stream %s under "+
			"account %s is not.", st.Name, st.Account))
	case ofStream >= ChannelsOfStream:
		return errs.New(errs.LimitExceeded, fmt.Sprintf("Stream %s under account %s can have at most %d channel that delivers to a general "+
			"purpose bucket.", st.Name, st.Account, ChannelsOfStream))
	}
	return nil
}

// Channel returns the channel of that key and type of source, in whatever state. Errors:
// NotFound.
func (s *Service) Channel(k catalog.Key, kind string) (*catalog.Resource, error) {
	if r := s.catalog.Get(k); r != nil && r.Delivery.Type == kind {
		return r, nil
	}
	return nil, notFound(k)
}

// Channels returns the channels of a scope with that type of source, by key.
func (s *Service) Channels(scope catalog.Scope, kind string) (out []*catalog.Resource) {
	for _, r := range s.catalog.List(catalog.KindChannel, scope) {
		if r.Delivery.Type == kind {
			out = append(out, r)
		}
	}
	return out
}

// ChannelStream returns the stream or topic that a channel reads, nil when it has been
// deleted.
func (s *Service) ChannelStream(r *catalog.Resource) *catalog.Resource {
	return s.catalog.StreamNumber(r.Delivery.Source.Stream)
}

// UpdateChannel lets alter change a channel's shape, and its configuration: what is
// planned from then on goes by that. Errors: NotFound, InUse, those of alter and of the
// log.
func (s *Service) UpdateChannel(ctx context.Context, r *catalog.Resource, alter func(*catalog.Channel, dest.Config) (dest.Config, error)) (*catalog.Resource, error) {
	l := s.line(r)
	l.planning.Lock() // so that the open plan's version is kept
	defer l.planning.Unlock()
	changed, err := s.change(ctx, r.Key, func(_ *catalog.Tx, r *catalog.Resource) error {
		d := r.Delivery
		config, err := alter(r.Channel, d.Destination.Config)
		if err != nil {
			return err
		}
		if string(config) == string(d.Destination.Config) {
			return nil
		}
		if _, config, err = s.check(r.Scope, d.Destination.Kind, config); err != nil {
			return err
		}
		l.redirect(d, d.Destination.Kind, config)
		d.Updated = clock.Millis(s.clock)
		return nil
	})
	if err == nil {
		l.nudge()
	}
	return changed, err
}

// DeleteChannel removes a channel. What is planned is tried once more at most; all else
// stays in its source. Errors: NotFound, those of the log.
func (s *Service) DeleteChannel(ctx context.Context, r *catalog.Resource) error {
	return s.delete(ctx, r.Key)
}

// Gone waits until a channel that is being deleted is gone. Errors: those of the context.
func (s *Service) Gone(ctx context.Context, r *catalog.Resource) error {
	l := s.line(r)
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if s.catalog.Get(r.Key) == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TagChannel adds tags to a channel or replaces their values, and removes those of the
// keys without. Errors: NotFound, InUse, Invalid.
func (s *Service) TagChannel(ctx context.Context, r *catalog.Resource, tags map[string]string, without []string) error {
	_, err := s.change(ctx, r.Key, func(_ *catalog.Tx, r *catalog.Resource) error {
		if r.Tags == nil {
			r.Tags = make(map[string]string, len(tags))
		}
		maps.Copy(r.Tags, tags)
		for _, k := range without {
			delete(r.Tags, k)
		}
		if len(r.Tags) > MaxTags {
			return tooManyTags(r.Channel.Name, r.Account)
		}
		return nil
	})
	return err
}

func tooManyTags(name, account string) error {
	return invalid("Failed to add tags to channel %s under account %s because a given channel cannot have more than %d tags associated with it.",
		name, account, MaxTags)
}
