package clusters

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/lifecycle"
	"thalweg/internal/log"
)

// running is a cluster that runs.
type running struct {
	topics   catalog.Scope
	cluster  *brokers.Cluster
	security *brokers.Security
	group    *lifecycle.Group
	served   Served // nil: clients cannot come to it
	failure  string // why not
	version  string // of Kafka, that clients see
}

// retry is how long what failed waits to be tried again.
const retry = 5 * time.Second

// stopTime is how long the requests of clients may take when their cluster stops
// to listen.
const stopTime = 5 * time.Second

var errStops error = errs.New(errs.Closed, "the server stops")

// Start makes the default cluster if there is none yet, and has all clusters run.
// Only that the default one cannot is an error; others show it in their state.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	def, err := s.ensureDefault(ctx)
	if err != nil {
		return err
	}
	for _, r := range s.o.Catalog.All(catalog.KindCluster) {
		if r.State == catalog.Deleting || s.elsewhere(r) {
			continue
		}
		l, err := s.open(ctx, r)
		if err != nil {
			return errs.Wrap(errs.KindOf(err), "open Kafka cluster "+r.Name, err)
		}
		if err := s.serve(ctx, r, l); err != nil && r.Key == def {
			return err
		}
	}
	return nil
}

// ensureDefault returns the key of the default cluster. On a log that takes no
// writes it is whatever was there before.
func (s *Service) ensureDefault(ctx context.Context) (catalog.Key, error) {
	key := Key(s.o.Default, brokers.DefaultName)
	have := s.o.Catalog.Get(key)
	if have != nil && have.Cluster.Number == 0 && have.Cluster.Brokers == s.o.Brokers {
		return key, nil
	}
	err := s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		id := brokers.DefaultIdentity(s.o.Keys)
		r := &catalog.Resource{Key: key, ARN: brokers.ARN(s.o.Default, "cluster", brokers.DefaultName, id, ""), Created: clock.Millis(s.o.Clock),
			State: catalog.Active, Cluster: &catalog.Cluster{UUID: id.String(), Revision: 1}}
		if have != nil {
			r = have.Clone()
		}
		r.Cluster.Brokers = s.o.Brokers
		tx.Put(r)
		return nil
	})
	if errs.KindOf(err) == errs.ReadOnly {
		err = nil
	}
	return key, err
}

// open has a cluster do its work, for nobody yet. One that runs is returned as it
// is.
func (s *Service) open(ctx context.Context, r *catalog.Resource) (*running, error) {
	s.mu.Lock()
	l, ends := s.live[r.Key], s.ends
	s.mu.Unlock()
	switch {
	case ends:
		return nil, errStops
	case l != nil:
		return l, nil
	}
	id, ok := brokers.ParseIdentity(r.Cluster.UUID)
	if !ok {
		return nil, errs.New(errs.Corrupt, "the identity of the cluster is none: "+r.Cluster.UUID)
	}
	l = &running{topics: topics(r), group: lifecycle.NewGroup(context.WithoutCancel(ctx))}
	o := brokers.Options{Log: s.o.Log, Catalog: s.o.Catalog, Streams: s.o.Streams, Clock: s.o.Clock, Keys: s.o.Keys,
		Scope: l.topics, Brokers: r.Cluster.Brokers, Memory: s.o.Memory, Members: s.members, Unpackers: s.unpack}
	purpose := "kafka SCRAM users"
	if r.Cluster.Number != 0 {
		o.Name, o.Number, o.Identity = r.Name, r.Cluster.Number, id
		purpose += " of " + hex.EncodeToString(id[:])
	}
	l.cluster = brokers.New(o)
	seal, err := s.o.AEAD(purpose)
	if err != nil {
		return nil, err
	}
	l.security, err = brokers.OpenSecurity(ctx, brokers.SecurityOptions{Log: s.o.Log, Partition: l.cluster.SecurityPartition(),
		Clock: s.o.Clock, Seal: seal, Keys: s.o.Keys})
	if err != nil {
		return nil, err
	}
	if err := l.cluster.Configure(ctx, settingsOf(r.Cluster)); err != nil {
		return nil, err
	}
	l.group.Go("consumer groups", l.cluster.Groups().Run)
	l.group.Go("consumer group answers", l.cluster.Groups().Deliver)
	l.group.Go("transactions", l.cluster.Transactions().Run)
	s.o.Memory.Take(clusterBytes)
	s.mu.Lock()
	s.live[r.Key] = l
	s.mu.Unlock()
	return l, nil
}

// serve has clients come to a cluster, and notes the ports that it got.
func (s *Service) serve(ctx context.Context, r *catalog.Resource, l *running) error {
	taken := s.ports()
	served, err := s.o.Host.Serve(Serving{Cluster: l.cluster, Security: l.security, Listeners: r.Cluster.Listeners,
		KafkaVersion: r.Cluster.KafkaVersion,
		Spare:        func() (int, bool) { return s.o.Ports.next(taken) }})
	s.mu.Lock()
	ends := s.ends
	l.version = r.Cluster.KafkaVersion
	if l.served, l.failure = served, ""; err != nil {
		l.served, l.failure = nil, err.Error()
	}
	s.mu.Unlock()
	switch {
	case ends: // Shutdown may have missed it
		s.unserve(ctx, l)
		return errStops
	case err != nil:
		s.o.Logger.Error("a Kafka cluster cannot listen", "cluster", r.Name, "error", err)
		return err
	}
	got := boundListeners(r.Cluster.Listeners, served.Endpoints())
	if slices.EqualFunc(got, r.Cluster.Listeners, func(a, b catalog.ClusterListener) bool { return slices.Equal(a.Ports, b.Ports) }) {
		return nil
	}
	return s.change(ctx, r, func(_ *catalog.Tx, r *catalog.Resource) error {
		r.Cluster.Listeners = got
		return nil
	})
}

// boundListeners are listeners with the ports that they got.
func boundListeners(list []catalog.ClusterListener, at []Endpoint) []catalog.ClusterListener {
	out := slices.Clone(list)
	for i := range out {
		out[i].Ports = nil
		for _, e := range at {
			if string(e.Kind) == out[i].Kind {
				out[i].Ports = append(out[i].Ports, e.Bound)
			}
		}
	}
	return out
}

// Run brings about what was asked for, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	timer := s.o.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		case <-s.wake:
		}
		if !s.tendAll(ctx) {
			timer.Reset(retry)
		}
	}
}

// tendAll looks at every cluster, and tells whether all are what they should be.
func (s *Service) tendAll(ctx context.Context) bool {
	s.work.Lock()
	defer s.work.Unlock()
	done := true
	for _, r := range s.o.Catalog.All(catalog.KindCluster) {
		if err := s.tend(ctx, r); err != nil && ctx.Err() == nil {
			s.o.Logger.Error("a Kafka cluster is not yet what it should be", "cluster", r.Name, "state", string(r.State), "error", err)
			done = false
		}
	}
	return done
}

// tend does for a cluster what its state asks for.
func (s *Service) tend(ctx context.Context, r *catalog.Resource) error {
	if s.elsewhere(r) {
		return nil
	}
	switch r.State {
	case catalog.Deleting:
		return s.remove(ctx, r)
	case catalog.Active:
		if state, _ := s.State(r); state == catalog.Active {
			return nil
		}
	}
	l, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	err = s.apply(ctx, r, l)
	if r.State == catalog.Active || errors.Is(err, errStops) {
		return err
	}
	done := s.change(ctx, r, func(_ *catalog.Tx, now *catalog.Resource) error {
		if now.State != r.State {
			return errOvertaken
		}
		now.State = catalog.Active
		for i := range now.Cluster.Operations {
			if o := &now.Cluster.Operations[i]; o.Ended == 0 {
				o.Ended = clock.Millis(s.o.Clock)
				if err != nil {
					o.Error = err.Error()
				}
			}
		}
		return nil
	})
	if errors.Is(done, errOvertaken) { // it is looked at again
		done = nil
		s.rouse()
	}
	return errors.Join(err, done)
}

// errOvertaken is a cluster of which something else was asked meanwhile: to be
// removed.
var errOvertaken error = errs.New(errs.InUse, "something else was asked of the cluster")

// apply has a cluster be what its resource says. That clients cannot come to it is
// shown in its state, and tried again.
func (s *Service) apply(ctx context.Context, r *catalog.Resource, l *running) error {
	if err := l.cluster.Configure(ctx, settingsOf(r.Cluster)); err != nil {
		return err
	}
	s.mu.Lock()
	served, version := l.served, l.version
	s.mu.Unlock()
	switch {
	case served == nil || version != r.Cluster.KafkaVersion:
	case r.State == catalog.Rebooting:
		for _, o := range r.Cluster.Operations {
			for _, b := range o.Brokers {
				if o.Ended == 0 {
					served.Drop(b)
				}
			}
		}
		return nil
	case sameListeners(r.Cluster.Listeners, boundListeners(r.Cluster.Listeners, served.Endpoints())):
		return nil
	}
	s.unserve(ctx, l)
	l.cluster.SetBrokers(r.Cluster.Brokers)
	return s.serve(ctx, r, l)
}

func sameListeners(a, b []catalog.ClusterListener) bool {
	return slices.EqualFunc(a, b, func(a, b catalog.ClusterListener) bool { return a.Kind == b.Kind && slices.Equal(a.Ports, b.Ports) })
}

// unserve ends the connections of a cluster's clients.
func (s *Service) unserve(ctx context.Context, l *running) {
	s.mu.Lock()
	served := l.served
	l.served = nil
	s.mu.Unlock()
	if served == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := served.Shutdown(ctx); err != nil {
		s.o.Logger.Warn("a Kafka cluster stopped to listen before its requests were answered", "error", err)
	}
}

// remove ends a cluster and removes what is in it, the cluster itself last: what
// is left of it when the server is killed is removed by the next one.
func (s *Service) remove(ctx context.Context, r *catalog.Resource) error {
	s.mu.Lock()
	l := s.live[r.Key]
	s.mu.Unlock()
	if l != nil {
		s.unserve(ctx, l)
		if err := l.group.Stop(ctx); err != nil {
			return err
		}
		l.cluster.Close()
		s.o.Memory.Release(clusterBytes)
		s.mu.Lock()
		delete(s.live, r.Key)
		s.mu.Unlock()
	}
	for _, t := range s.o.Catalog.List(catalog.KindStream, topics(r)) {
		if err := s.o.Streams.DeleteTopic(ctx, t.Scope, t.Name); err != nil && errs.KindOf(err) != errs.NotFound {
			return err
		}
	}
	return s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if len(tx.List(catalog.KindStream, topics(r))) > 0 {
			return errs.New(errs.InUse, "a topic was made meanwhile")
		}
		if hasChannels(tx, r) {
			return errs.New(errs.InUse, "a channel was made meanwhile")
		}
		for _, p := range s.o.Log.Partitions() {
			if p.Stream == r.Cluster.Number && p.Generation == 0 {
				tx.Entry(log.Entry{Kind: log.Delete, Partition: p})
			}
		}
		now := clock.Millis(s.o.Clock) / 1000
		for _, g := range tx.List(catalog.KindGroup, topics(r)) {
			tx.Delete(g.Key, 0, now)
		}
		tx.Delete(r.Key, 0, now)
		return nil
	})
}

// Shutdown has clients leave all clusters: requests under way finish until ctx
// ends. Nothing is opened after it.
func (s *Service) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.ends = true
	var served []Served
	var groups []*lifecycle.Group
	for _, l := range s.live {
		groups = append(groups, l.group)
		if l.served != nil {
			served = append(served, l.served)
		}
	}
	s.mu.Unlock()
	var list []error
	for _, l := range served {
		list = append(list, l.Shutdown(ctx))
	}
	for _, g := range groups {
		list = append(list, g.Stop(ctx))
	}
	return errors.Join(list...)
}
