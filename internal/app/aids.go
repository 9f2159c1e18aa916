package app

import (
	"context"
	"net/http"
	"time"

	"thalweg/internal/awsapi/faults"
	"thalweg/internal/catalog"
	"thalweg/internal/config"
	"thalweg/internal/errs"
)

// reset removes every delivery stream, channel, queue, stream, topic, database, table, configuration
// and Kafka cluster of every account. Access keys, the default cluster and what the brokers
// keep of themselves stay.
func (s *Server) reset(w http.ResponseWriter, r *http.Request) {
	for _, d := range s.delivery.All() {
		if err := s.delivery.Delete(r.Context(), d.Scope, d.Name); err != nil && errs.KindOf(err) != errs.NotFound {
			answerError(w, err)
			return
		}
	}
	for _, c := range s.catalog.All(catalog.KindChannel) { // a stream that has one stays
		err := s.delivery.DeleteChannel(r.Context(), c)
		if err == nil {
			err = s.delivery.Gone(r.Context(), c)
		}
		if err != nil && errs.KindOf(err) != errs.NotFound {
			answerError(w, err)
			return
		}
	}
	for _, q := range s.streams.AllQueues() {
		if err := s.queues.Delete(r.Context(), q.Scope, q.Name); err != nil && errs.KindOf(err) != errs.NotFound {
			answerError(w, err)
			return
		}
	}
	n := 0
	for _, res := range s.catalog.All(catalog.KindStream) {
		if t := res.Stream.Topic; t != nil && t.Internal {
			continue
		}
		if err := s.removeStream(r.Context(), res); err != nil && errs.KindOf(err) != errs.NotFound {
			answerError(w, err)
			return
		}
		n++
	}
	if err := s.schemas.Clear(r.Context()); err != nil {
		answerError(w, err)
		return
	}
	clusters, err := s.clusters.Clear(r.Context())
	if err != nil {
		answerError(w, err)
		return
	}
	tables, err := s.tables.Clear(r.Context())
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]int{"streams_removed": n, "tables_removed": tables, "clusters_removed": clusters})
}

// removeStream removes a stream, or a topic with what groups have read of it.
func (s *Server) removeStream(ctx context.Context, res *catalog.Resource) error {
	if res.Stream.Topic == nil {
		return s.streams.DeleteWithConsumers(ctx, res.Scope, res.Name)
	}
	if c := s.clusters.OfTopic(res); c != nil {
		if t := c.Topic(res.Name); t != nil {
			if err := c.DeleteTopic(ctx, t); err != nil {
				return err
			}
			return nil
		}
	}
	return s.streams.DeleteTopic(ctx, res.Scope, res.Name)
}

// aidRoutes are the test aids, for callers on this machine. They check no
// credentials, so they are guarded as an open server is, whatever --auth says.
func (s *Server) aidRoutes(mux *http.ServeMux) {
	here := func(h http.HandlerFunc) http.Handler {
		return s.guard(true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !fromHere(r) {
				refuse(w, http.StatusForbidden, "test aids answer this machine only")
				return
			}
			h(w, r)
		}))
	}
	mux.Handle("POST /_thalweg/clock", here(s.advanceClock))
	mux.Handle("POST /_thalweg/reset", here(s.reset))
	mux.Handle("POST /_thalweg/firehose/{name}/flush", here(s.flushDelivery))
	mux.Handle("GET /_thalweg/faults", here(s.listFaults))
	mux.Handle("POST /_thalweg/faults", here(s.addFaults))
	mux.Handle("DELETE /_thalweg/faults", here(s.clearFaults))
}

// addFaults adds rules of package faults behind those there are: {"seed":1,"rules":[...]}.
func (s *Server) addFaults(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Seed  uint64        `json:"seed"`
		Rules []faults.Rule `json:"rules"`
	}
	if !read(w, r, &in) {
		return
	}
	if err := s.faults.Add(in.Seed, in.Rules); err != nil {
		answerError(w, err)
		return
	}
	s.listFaults(w, r)
}

func (s *Server) listFaults(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string][]faults.Status{"rules": s.faults.List()})
}

func (s *Server) clearFaults(w http.ResponseWriter, r *http.Request) {
	s.faults.Clear()
	s.listFaults(w, r)
}

// advanceClock moves the server's clock on: {"advance":"5m"}.
func (s *Server) advanceClock(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Advance string `json:"advance"`
	}
	if !read(w, r, &in) {
		return
	}
	var d config.Duration
	if err := d.Set(in.Advance); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !s.shift.Advance(time.Duration(d)) {
		refuse(w, http.StatusBadRequest, "the clock can be at most 100 years ahead")
		return
	}
	answer(w, http.StatusOK, map[string]string{"now": s.clock.Now().UTC().Format(time.RFC3339Nano)})
}
