package clusters

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// Version is the current version of a cluster, which an update must name.
func Version(r *catalog.Resource) string {
	return versionOf(r.Cluster.UUID + strconv.Itoa(r.Cluster.Revision))
}

// versionOf is the name of a version of something.
func versionOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "K" + strings.ToUpper(fmt.Sprintf("%013s", strconv.FormatUint(binary.BigEndian.Uint64(sum[:]), 36)))
}

var errVersion error = errs.New(errs.Invalid, "The current version of the cluster is not the one that was given. Describe the cluster for it.")

// Change is an update of a cluster.
type Change struct {
	// Type is the type of the operation, as its API names it.
	Type string
	// Version is the cluster's current one; "" is whichever it is.
	Version string
	// State is the one that the cluster has meanwhile: UPDATING, or REBOOTING_BROKER.
	State catalog.State
	// Do alters the cluster, and says what the operation is to remember.
	Do func(tx *catalog.Tx, r *catalog.Resource, o *catalog.ClusterOperation) error
}

// Update begins a change of an ACTIVE cluster and returns the id of the operation.
// Errors: NotFound, InUse, Invalid, those of c.Do and of the log.
func (s *Service) Update(ctx context.Context, r *catalog.Resource, c Change) (id string, err error) {
	if err := s.runs(); err != nil {
		return "", err
	}
	id = newUUID().String()
	err = s.change(ctx, r, func(tx *catalog.Tx, r *catalog.Resource) error {
		if r.State != catalog.Active {
			return notActive(r)
		}
		if c.Version != "" && c.Version != Version(r) {
			return errVersion
		}
		o := catalog.ClusterOperation{ID: id, Type: c.Type, Started: clock.Millis(s.o.Clock)}
		if err := c.Do(tx, r, &o); err != nil {
			return err
		}
		if err := checkShapes(r.Cluster.Shape, o.Source, o.Target); err != nil {
			return err
		}
		r.State = c.State
		r.Cluster.Revision++
		if r.Cluster.Operations = append(r.Cluster.Operations, o); len(r.Cluster.Operations) > maxOperations {
			r.Cluster.Operations = r.Cluster.Operations[1:]
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	s.rouse()
	return id, nil
}

// SetBrokers is for a Change: the cluster is to have so many brokers.
func (s *Service) SetBrokers(r *catalog.Resource, n int) error {
	if err := ofTheServer(r, "--kafka-brokers"); err != nil {
		return err
	}
	r.Cluster.Brokers = n
	return s.setListeners(r.Cluster, kindsOf(r.Cluster))
}

// SetKinds is for a Change: the cluster is to have these listeners.
func (s *Service) SetKinds(r *catalog.Resource, kinds []Kind) error {
	if err := ofTheServer(r, "--listen-kafka"); err != nil {
		return err
	}
	if err := s.o.Host.Check(kinds); err != nil {
		return err
	}
	return s.setListeners(r.Cluster, kinds)
}

// ofTheServer refuses to change of the default cluster what a flag says.
func ofTheServer(r *catalog.Resource, flag string) error {
	if r.Cluster.Number != 0 {
		return nil
	}
	return errs.New(errs.Invalid, "The default cluster is what the server was started with. Use "+flag+" to change this.")
}

func kindsOf(c *catalog.Cluster) (out []Kind) {
	for _, l := range c.Listeners {
		out = append(out, Kind(l.Kind))
	}
	return out
}

// Operation returns the operation of a cluster of that id. Errors: NotFound.
func Operation(r *catalog.Resource, id string) (*catalog.ClusterOperation, error) {
	for i := range r.Cluster.Operations {
		if r.Cluster.Operations[i].ID == id {
			return &r.Cluster.Operations[i], nil
		}
	}
	return nil, ErrNotFound
}

// runs refuses what nobody would bring about.
func (s *Service) runs() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return nil
	}
	return errs.New(errs.InUse, "The server was started without Kafka (--listen-kafka off).")
}
