package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/streams"
)

// New is what a delivery stream is made from.
type New struct {
	Scope catalog.Scope
	Name  string
	// Type is DirectPut, KinesisSource or MSKSource; Source is set for the latter two.
	Type              string
	Source            *catalog.DeliverySource
	ThroughputHintMiB int
	Kind              string
	Config            dest.Config
	// Key is nil for none.
	Key  *Key
	Tags map[string]string
}

// Key is what records are stored encrypted under.
type Key struct {
	// Type is AWS_OWNED_CMK or CUSTOMER_MANAGED_CMK, ARN the customer's.
	Type, ARN string
	// Name is the key's own among those of the account and region.
	Name string
}

func deliveryKey(scope catalog.Scope, name string) catalog.Key {
	return catalog.Key{Kind: catalog.KindDelivery, Scope: scope, Name: name}
}

// Create makes a delivery stream, which is ACTIVE when it returns, and whose source
// is read from now on, or from where the source's ReadFrom says. Errors: Exists,
// LimitExceeded, Invalid, Unsupported, NotFound of the source, those of the log.
func (s *Service) Create(ctx context.Context, n New) (*catalog.Resource, error) {
	spec, config, err := s.check(n.Scope, n.Kind, n.Config)
	if err != nil {
		return nil, err
	}
	name := arn.New("firehose", n.Scope.Region, n.Scope.Account, "deliverystream/"+n.Name).String()
	config = s.sealSecrets(name, spec, config)
	now := clock.Millis(s.clock)
	if n.Source != nil && n.Source.Remote {
		src := *n.Source
		if err := s.beginElsewhere(ctx, n.Scope.Account, &src, now); err != nil {
			return nil, invalid("The topic %s of the cluster %s cannot be read: %v", src.Topic, src.ARN, err)
		}
		n.Source = &src
	}
	var made *catalog.Resource
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		if tx.Get(deliveryKey(n.Scope, n.Name)) != nil {
			return errs.New(errs.Exists, fmt.Sprintf("Firehose %s under accountId %s already exists", n.Name, n.Scope.Account))
		}
		if all := tx.List(catalog.KindDelivery, n.Scope); len(all) >= Quota {
			return errs.New(errs.LimitExceeded, fmt.Sprintf("You have already consumed your firehose quota of %d hoses. Firehose names: [%s]",
				Quota, names(all)))
		}
		d := &catalog.Delivery{
			Number: tx.NewStreamNumber(), Type: n.Type, ThroughputHintMiB: n.ThroughputHintMiB,
			Destination: catalog.DeliveryDestination{Version: 1, Kind: n.Kind, Config: config},
		}
		switch {
		case n.Source != nil && n.Source.Remote:
			d.Source = n.Source
		case n.Source != nil:
			src := *n.Source
			if err := s.begin(&src, now); err != nil {
				return err
			}
			d.Source = &src
		}
		if n.Key != nil {
			if err := s.rekey(tx, n.Scope, d, n.Key); err != nil {
				return err
			}
		}
		made = &catalog.Resource{
			Key: deliveryKey(n.Scope, n.Name), Created: now, State: catalog.Active, Tags: n.Tags, Delivery: d,
			ARN: name,
		}
		tx.Put(made)
		if n.Type == DirectPut {
			tx.Entry(log.Entry{Kind: log.Create, Partition: d.Partition(0), Config: log.Config{KeyID: d.DataKey}})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.rouse(made)
	return made, nil
}

// begin fills where delivery begins in the source's shards.
func (s *Service) begin(src *catalog.DeliverySource, now int64) error {
	r := s.catalog.StreamNumber(src.Stream)
	if r == nil {
		return errs.New(errs.NotFound, "the source "+src.ARN+" does not exist")
	}
	at := streams.StartingAt{Type: streams.Latest}
	if src.ReadFrom >= 0 && src.Topic != "" {
		at = streams.StartingAt{Type: streams.AtTimestamp, Time: src.ReadFrom, HasTime: true}
	}
	src.Started, src.Starts = now, nil
	for i := range r.Stream.Shards {
		sh := &r.Stream.Shards[i]
		pos, err := s.o.Streams.Locate(r, sh, at)
		if err != nil {
			return err
		}
		src.Starts = append(src.Starts, catalog.QueueStart{Shard: sh.Number, Offset: pos.Offset})
	}
	return nil
}

// check fills a configuration's defaults in and has its kind look at it.
func (s *Service) check(of catalog.Scope, kind string, c dest.Config) (dest.Spec, dest.Config, error) {
	spec, ok := s.o.Destinations[kind]
	if !ok {
		return spec, nil, errs.New(errs.Unsupported, "Delivery to destinations of the type "+kind+" is not supported by this server.")
	}
	defaults := spec.Defaults
	if spec.DefaultsFor != nil {
		defaults = spec.DefaultsFor(c)
	}
	c, err := withDefaults(c, defaults)
	if err != nil {
		return spec, nil, err
	}
	if err := spec.Check(c); err != nil {
		return spec, nil, err
	}
	if c, err = s.checkBuckets(c); err != nil {
		return spec, nil, err
	}
	// What cannot be opened cannot deliver.
	probe := dest.Env{Stream: dest.Stream{Account: of.Account, Region: of.Region}, Clock: s.clock, Secret: func(text string) (string, error) { return text, nil }, Scratch: s.o.Files.Scratch}
	if _, err := spec.Open(c, probe); err != nil {
		return spec, nil, err
	}
	if _, err := s.o.Process(c, probe); err != nil {
		return spec, nil, err
	}
	return spec, c, nil
}

func names(all []*catalog.Resource) string {
	var out []string
	for _, r := range all {
		out = append(out, r.Name)
	}
	slices.Sort(out)
	return strings.Join(out[:min(len(out), 50)], ", ")
}
