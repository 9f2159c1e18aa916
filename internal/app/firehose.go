package app

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
)

// deliveryStream is the one that a request's path names, of the account and region that
// its query names or that are the server's own; or the channel, by what its ARN ends with,
// channel/ID or channel/CLUSTER/ID/NAME. It answers when there is none.
func (s *Server) deliveryStream(w http.ResponseWriter, r *http.Request) *catalog.Resource {
	q := r.URL.Query()
	scope := catalog.Scope{Account: cmp.Or(q.Get("account"), string(s.cfg.Account)), Region: cmp.Or(q.Get("region"), string(s.cfg.Region))}
	name := r.PathValue("name")
	res, err := s.delivery.Lookup(scope, name)
	if path, ok := strings.CutPrefix(name, "channel/"); ok {
		kind := delivery.KinesisSource
		if strings.Contains(path, "/") {
			kind = delivery.MSKSource
		}
		res, err = s.delivery.Channel(delivery.ChannelKey(scope, path), kind)
	}
	if err != nil {
		answerError(w, err)
		return nil
	}
	return res
}

// flushDelivery has everything delivered that is there, and answers when it is.
func (s *Server) flushDelivery(w http.ResponseWriter, r *http.Request) {
	res := s.deliveryStream(w, r)
	if res == nil {
		return
	}
	if err := s.delivery.Flush(r.Context(), res); err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, s.delivery.Explain(res))
}

// firehoseRoutes are what the command line asks of delivery streams beside the API.
func (s *Server) firehoseRoutes(route func(string, http.HandlerFunc)) {
	with := func(pattern string, h func(http.ResponseWriter, *http.Request, *catalog.Resource)) {
		route(pattern, func(w http.ResponseWriter, r *http.Request) {
			if res := s.deliveryStream(w, r); res != nil {
				h(w, r, res)
			}
		})
	}
	with("GET /_thalweg/admin/firehose/{name}", func(w http.ResponseWriter, _ *http.Request, res *catalog.Resource) {
		answer(w, http.StatusOK, s.delivery.Explain(res))
	})
	with("GET /_thalweg/admin/firehose/{name}/ledger", func(w http.ResponseWriter, _ *http.Request, res *catalog.Resource) {
		s.answerLedger(w, res)
	})
	with("GET /_thalweg/admin/firehose/{name}/records/{id}", func(w http.ResponseWriter, r *http.Request, res *catalog.Resource) {
		found, err := s.delivery.Where(res, r.PathValue("id"))
		if err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, found)
	})
	with("POST /_thalweg/admin/firehose/{name}/replay", func(w http.ResponseWriter, r *http.Request, res *catalog.Resource) {
		var in ReplayFrom
		if !read(w, r, &in) {
			return
		}
		if err := s.delivery.Replay(res, in.Since); err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, s.delivery.Explain(res))
	})
	with("POST /_thalweg/admin/firehose/{name}/flush", func(w http.ResponseWriter, r *http.Request, res *catalog.Resource) {
		if err := s.delivery.Flush(r.Context(), res); err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, s.delivery.Explain(res))
	})
	with("POST /_thalweg/admin/firehose/{name}/try", func(w http.ResponseWriter, r *http.Request, res *catalog.Resource) {
		var in TryRecords
		if !read(w, r, &in) {
			return
		}
		out, err := s.delivery.Try(r.Context(), res, in.Records)
		if err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, out)
	})
	route("GET /_thalweg/admin/firehose-lost", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.delivery.Lost()) })
}

// ReplayFrom is what a replay asks for.
type ReplayFrom struct {
	Since time.Time `json:"since"`
}

// TryRecords are samples that a delivery stream's processing is tried with.
type TryRecords struct {
	Records [][]byte `json:"records"`
}

// maxLedger is how many of the newest entries of a ledger are answered.
const maxLedger = 1000

func (s *Server) answerLedger(w http.ResponseWriter, res *catalog.Resource) {
	list := []*delivery.Entry{}
	err := s.delivery.Ledger(res, func(e *delivery.Entry) bool {
		list = append(list, e)
		list = list[max(0, len(list)-maxLedger):]
		return true
	})
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, list)
}
