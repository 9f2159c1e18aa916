package clusters

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// NewCluster is what a cluster is made from.
type NewCluster struct {
	Scope      catalog.Scope
	Name       string
	Serverless bool
	Brokers    int
	// Kinds are those of its listeners.
	Kinds        []Kind
	KafkaVersion string
	// Configuration is what its brokers are set to, by one of its revisions; nil is
	// the defaults.
	Configuration *catalog.Resource
	Revision      int64
	Tags          map[string]string
	// Shape is kept for its API.
	Shape json.RawMessage
}

// Create makes a cluster, which is CREATING until [Service.Run] has seen to it.
// Errors: Exists, Invalid, LimitExceeded, those of the log.
func (s *Service) Create(ctx context.Context, n NewCluster) (*catalog.Resource, error) {
	if err := checkName(n.Name); err != nil {
		return nil, err
	}
	if err := s.o.Host.Check(n.Kinds); err != nil {
		return nil, err
	}
	if err := CheckTags(n.Tags); err != nil {
		return nil, err
	}
	if err := checkShapes(n.Shape); err != nil {
		return nil, err
	}
	key := Key(n.Scope, n.Name)
	id := newUUID()
	err := s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if tx.Get(key) != nil {
			return errs.New(errs.Exists, "A resource with this name already exists.")
		}
		if err := s.checkRoom(); err != nil {
			return err
		}
		c := &catalog.Cluster{Number: tx.NewStreamNumber(), UUID: id.String(), Revision: 1, Serverless: n.Serverless, Brokers: n.Brokers,
			KafkaVersion: n.KafkaVersion, Shape: n.Shape}
		if err := s.setListeners(c, n.Kinds); err != nil {
			return err
		}
		r := &catalog.Resource{Key: key, ARN: brokers.ARN(n.Scope, "cluster", n.Name, id, ""), Created: clock.Millis(s.o.Clock),
			State: catalog.Creating, Tags: n.Tags, Cluster: c}
		if n.Configuration != nil {
			if err := s.Apply(tx, r, n.Configuration, n.Revision); err != nil {
				return err
			}
		}
		tx.Put(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.rouse()
	return s.Lookup(n.Scope, n.Name, id.String())
}

// checkRoom refuses one more cluster than there can be.
func (s *Service) checkRoom() error {
	n := 0
	for _, r := range s.o.Catalog.All(catalog.KindCluster) {
		if r.Cluster.Number != 0 {
			n++
		}
	}
	if n >= MaxClusters {
		return errs.New(errs.LimitExceeded, fmt.Sprintf("There are %d clusters, which is all that this server can have. Delete one first.", n))
	}
	if most := s.o.Memory.Max() / 4 / clusterBytes; most > 0 && int64(n) >= most {
		return errs.New(errs.LimitExceeded, fmt.Sprintf("The memory of this server is enough for %d clusters. Start it with a larger --memory.", most))
	}
	return nil
}

// Delete begins to remove a cluster with all that is in it. version, if not "",
// must be its current one. Errors: NotFound, Invalid, InUse, those of the log.
func (s *Service) Delete(ctx context.Context, r *catalog.Resource, version string) error {
	if err := s.runs(); err != nil {
		return err
	}
	err := s.change(ctx, r, func(tx *catalog.Tx, r *catalog.Resource) error {
		switch {
		case r.Cluster.Number == 0:
			return errs.New(errs.Invalid, "The default cluster cannot be deleted: it is there as long as the server listens for Kafka clients (--listen-kafka).")
		case version != "" && version != Version(r):
			return errVersion
		case r.State == catalog.Deleting:
			return notActive(r)
		case hasChannels(tx, r):
			return errs.New(errs.InUse, "The cluster has channels. Delete them first.")
		}
		r.State = catalog.Deleting
		return nil
	})
	if err == nil {
		s.rouse()
	}
	return err
}

// hasChannels tells whether there are channels of a cluster's topics.
func hasChannels(tx *catalog.Tx, r *catalog.Resource) bool {
	of := strings.Replace(r.ARN, ":cluster/", ":channel/", 1) + "/"
	return slices.ContainsFunc(tx.List(catalog.KindChannel, r.Scope), func(c *catalog.Resource) bool { return strings.HasPrefix(c.ARN, of) })
}

// Clear removes every cluster that was made, and every configuration. It returns how
// many clusters there were. Errors: Internal when one could not be removed yet; those
// of the log.
func (s *Service) Clear(ctx context.Context) (int, error) {
	n := 0
	err := s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		n = 0
		for _, r := range s.o.Catalog.All(catalog.KindCluster) {
			if r.Cluster.Number == 0 && r.Cluster.Configuration == "" {
				continue
			}
			r = r.Clone()
			r.Cluster.Configuration, r.Cluster.ConfigurationRevision, r.Cluster.Settings = "", 0, nil
			if r.State = catalog.Updating; r.Cluster.Number != 0 {
				r.State = catalog.Deleting
				n++
			}
			tx.Put(r)
		}
		for _, r := range s.o.Catalog.All(catalog.KindConfiguration) {
			tx.Delete(r.Key, 0, clock.Millis(s.o.Clock)/1000)
		}
		return nil
	})
	if err == nil && !s.tendAll(ctx) {
		err = errs.New(errs.Internal, "A cluster could not be removed yet; the server goes on trying.")
	}
	return n, err
}

// change runs fn in an update, with a copy of the cluster that fn may alter, and
// puts that in place.
func (s *Service) change(ctx context.Context, of *catalog.Resource, fn func(*catalog.Tx, *catalog.Resource) error) error {
	return s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(of.Key)
		if r == nil || r.Cluster.UUID != of.Cluster.UUID {
			return ErrNotFound
		}
		r = r.Clone()
		if err := fn(tx, r); err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
}

// checkName refuses what would not fit an ARN, and the default cluster's name.
func checkName(name string) error {
	if name == brokers.DefaultName {
		return errs.New(errs.Exists, "The name default is that of the cluster that there is from the start.")
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-' && i > 0:
		default:
			return errs.New(errs.Invalid, "The name "+name+" is not valid: it can have letters, digits and hyphens, and begins with no hyphen.")
		}
	}
	return nil
}

// setListeners gives a cluster listeners of these kinds for as many brokers as it
// has. Ports that it has already stay its own.
func (s *Service) setListeners(c *catalog.Cluster, kinds []Kind) error {
	taken := s.ports()
	var out []catalog.ClusterListener
	for _, k := range kinds {
		l := catalog.ClusterListener{Kind: string(k)}
		if i := slices.IndexFunc(c.Listeners, func(old catalog.ClusterListener) bool { return old.Kind == string(k) }); i >= 0 {
			l.Ports = c.Listeners[i].Ports
		}
		l.Ports = slices.Clone(l.Ports[:min(len(l.Ports), c.Brokers)])
		for len(l.Ports) < c.Brokers {
			port, ok := s.o.Ports.next(taken)
			if !ok {
				return errs.New(errs.LimitExceeded, fmt.Sprintf("The ports %d to %d (--kafka-ports) are all taken by brokers of clusters: %d listeners of %d "+
					"brokers do not fit. Delete a cluster, or start the server with more ports.", s.o.Ports.From, s.o.Ports.To, len(kinds), c.Brokers))
			}
			l.Ports = append(l.Ports, port)
		}
		out = append(out, l)
	}
	c.Listeners = out
	return nil
}

// ports are those that clusters have.
func (s *Service) ports() map[int]bool {
	taken := map[int]bool{}
	for _, r := range s.o.Catalog.All(catalog.KindCluster) {
		for _, l := range r.Cluster.Listeners {
			for _, p := range l.Ports {
				taken[p] = true
			}
		}
	}
	return taken
}

// next is a port that is not taken, which it then is; 0 is any.
func (p PortRange) next(taken map[int]bool) (int, bool) {
	if p.From == 0 {
		return 0, true
	}
	for port := p.From; port <= p.To; port++ {
		if !taken[port] {
			taken[port] = true
			return port, true
		}
	}
	return 0, false
}

// checkShapes refuses what would be too much to keep.
func checkShapes(shapes ...json.RawMessage) error {
	for _, s := range shapes {
		if len(s) > maxShape {
			return errs.New(errs.Invalid, fmt.Sprintf("What the request says of the cluster is more than %d KiB.", maxShape>>10))
		}
	}
	return nil
}
