package clusters

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// Bounds on configurations, as Amazon MSK's.
const (
	MaxConfigurations = 100
	MaxRevisions      = 50
)

// ErrNoConfiguration is a configuration that there is not.
var ErrNoConfiguration error = errs.New(errs.Invalid, "Configuration ARN does not exist.")

func configurationKey(scope catalog.Scope, name string) catalog.Key {
	return catalog.Key{Kind: catalog.KindConfiguration, Scope: scope, Name: name}
}

// NewConfiguration is what a configuration is made from.
type NewConfiguration struct {
	Scope             catalog.Scope
	Name, Description string
	KafkaVersions     []string
	Properties        string
}

// CreateConfiguration makes a configuration with its first revision. Errors:
// Exists, Invalid, LimitExceeded, those of the log.
func (s *Service) CreateConfiguration(ctx context.Context, n NewConfiguration) (*catalog.Resource, error) {
	if err := checkConfigurationName(n.Name); err != nil {
		return nil, err
	}
	if _, err := ParseProperties(n.Properties); err != nil {
		return nil, err
	}
	key, id := configurationKey(n.Scope, n.Name), newUUID()
	err := s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if tx.Get(key) != nil {
			return errs.New(errs.Exists, "A resource with this name already exists.")
		}
		if len(tx.List(catalog.KindConfiguration, n.Scope)) >= MaxConfigurations {
			return errs.New(errs.LimitExceeded, fmt.Sprintf("There can be %d configurations at most.", MaxConfigurations))
		}
		now := clock.Millis(s.o.Clock)
		tx.Put(&catalog.Resource{Key: key, ARN: brokers.ARN(n.Scope, "configuration", n.Name, id, ""), Created: now, State: catalog.Active,
			Configuration: &catalog.Configuration{UUID: id.String(), KafkaVersions: n.KafkaVersions, Description: n.Description,
				Revisions: []catalog.ConfigurationRevision{{Created: now, Description: n.Description, Properties: n.Properties}}}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.Configuration(n.Scope, n.Name, id.String())
}

// Configuration returns the configuration of that name and identity. Errors:
// ErrNoConfiguration.
func (s *Service) Configuration(scope catalog.Scope, name, uuid string) (*catalog.Resource, error) {
	r := s.o.Catalog.Get(configurationKey(scope, name))
	if r == nil || r.Configuration.UUID != uuid {
		return nil, ErrNoConfiguration
	}
	return r, nil
}

// Configurations returns the configurations of an account and region by name,
// those after the name after, and whether there are more.
func (s *Service) Configurations(scope catalog.Scope, after string, limit int) ([]*catalog.Resource, bool) {
	return page(s.o.Catalog.List(catalog.KindConfiguration, scope), after, limit, func(*catalog.Resource) bool { return true })
}

// Revise gives a configuration one more revision. Clusters go on with the one that
// they have. Errors: Invalid, LimitExceeded, those of the log.
func (s *Service) Revise(ctx context.Context, of *catalog.Resource, description, properties string) (*catalog.Resource, error) {
	if _, err := ParseProperties(properties); err != nil {
		return nil, err
	}
	err := s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(of.Key)
		switch {
		case r == nil || r.ARN != of.ARN:
			return ErrNoConfiguration
		case len(r.Configuration.Revisions) >= MaxRevisions:
			return errs.New(errs.LimitExceeded, fmt.Sprintf("A configuration can have %d revisions at most.", MaxRevisions))
		}
		r = r.Clone()
		r.Configuration.Revisions = append(r.Configuration.Revisions, catalog.ConfigurationRevision{
			Created: clock.Millis(s.o.Clock), Description: description, Properties: properties})
		tx.Put(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.Configuration(of.Scope, of.Name, of.Configuration.UUID)
}

// DeleteConfiguration removes a configuration with all its revisions. Errors:
// Invalid; InUse while a cluster has it; those of the log.
func (s *Service) DeleteConfiguration(ctx context.Context, of *catalog.Resource) error {
	return s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(of.Key)
		if r == nil || r.ARN != of.ARN {
			return ErrNoConfiguration
		}
		for _, c := range tx.List(catalog.KindCluster, of.Scope) {
			if c.Cluster.Configuration == r.ARN {
				return errs.New(errs.InUse, "The configuration "+r.Name+" is in use by the cluster "+c.Name+".")
			}
		}
		tx.Delete(r.Key, 0, clock.Millis(s.o.Clock)/1000)
		return nil
	})
}

// Apply is for a [Change]: the cluster is to have that revision of a configuration of
// its own account and region. Errors: NotFound, Invalid.
func (s *Service) Apply(tx *catalog.Tx, r *catalog.Resource, of *catalog.Resource, revision int64) error {
	if of = tx.Get(of.Key); of == nil || of.Scope != r.Scope {
		return ErrNoConfiguration
	}
	if revision < 1 || revision > int64(len(of.Configuration.Revisions)) {
		return errs.New(errs.NotFound, fmt.Sprintf("The configuration %s has no revision %d.", of.Name, revision))
	}
	set, err := ParseProperties(of.Configuration.Revisions[revision-1].Properties)
	if err != nil {
		return err
	}
	r.Cluster.Configuration, r.Cluster.ConfigurationRevision, r.Cluster.Settings = of.ARN, revision, set
	return nil
}

// settingsOf are what the brokers of a cluster are set to: where a cluster that was
// made has nothing else said of it, Amazon MSK's defaults that are not Apache
// Kafka's.
func settingsOf(c *catalog.Cluster) map[string]string {
	out := map[string]string{}
	if c.Number != 0 {
		out["auto.create.topics.enable"] = "false"
		out["default.replication.factor"] = strconv.Itoa(min(c.Brokers, 3))
	}
	for k, v := range c.Settings {
		out[k] = v
	}
	return out
}

// checkConfigurationName refuses what would not fit an ARN.
func checkConfigurationName(name string) error {
	ok := name != "" && len(name) <= 255
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || i > 0 && (c == '-' || c == '.' || c == '_'))
	}
	if !ok {
		return errs.New(errs.Invalid, "The name "+cmp.Or(name, "of the configuration")+" is not valid: it can have letters, digits, dots, hyphens and "+
			"underscores, and begins with a letter or digit.")
	}
	return nil
}
