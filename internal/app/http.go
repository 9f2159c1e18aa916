package app

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
)

// handler returns what answers every request behind the guard: the server's own
// paths, and for all others the AWS APIs, of which S3 has a wire of its own.
func (s *Server) handler() http.Handler {
	own := http.NewServeMux()
	own.HandleFunc("GET /_thalweg/health", s.health)
	own.HandleFunc("GET /_localstack/health", s.localstackHealth)
	own.Handle("GET /metrics", s.metrics.Handler())
	s.adminRoutes(own)
	if s.cfg.HasTestAids() {
		s.aidRoutes(own)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isOwn(r) {
			own.ServeHTTP(w, r)
			return
		}
		switch {
		case s.iceberg.Wants(r):
			s.iceberg.ServeHTTP(w, r)
		case s.s3.Wants(r):
			s.s3.ServeHTTP(w, r)
		default:
			s.aws.ServeHTTP(w, r)
		}
	})
}

// isOwn tells whether a path is the server's own. No AWS path begins so.
func isOwn(r *http.Request) bool {
	p := r.URL.Path
	return p == "/metrics" || strings.HasPrefix(p, "/_thalweg/") || strings.HasPrefix(p, "/_localstack/")
}

// guarantees are what a client may ask about: put-records-in-shard-order says
// that within a call the records of a shard are stored together or not at all.
func guarantees() []string { return []string{"put-records-in-shard-order"} }

type healthReport struct {
	Status     string   `json:"status"` // ok, damaged, full, read-only
	Reason     string   `json:"reason,omitempty"`
	Version    string   `json:"version"`
	Durability string   `json:"durability"`
	Unsafe     []string `json:"unsafe,omitempty"`
	Auth       string   `json:"auth"`
	Region     string   `json:"region"`
	Services   []string `json:"services"`
	Guarantees []string `json:"guarantees"`
}

// health answers 200 once requests are: a server that takes no writes still
// serves readers, and says so in status. So does one that has met damage in a
// segment: that range is refused to readers, all else goes on.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	state := s.log.State()
	h := healthReport{Status: "ok", Version: Version(), Durability: string(s.cfg.Durability), Unsafe: s.cfg.Unsafe(),
		Auth: string(s.cfg.Auth), Region: string(s.cfg.Region), Services: []string{"kinesis", "s3"}, Guarantees: guarantees()}
	if s.cfg.Ephemeral {
		h.Durability = "ephemeral"
	}
	switch {
	case !state.Writable:
		h.Status, h.Reason = "read-only", state.Reason
	case state.Full && s.cfg.Ephemeral && s.cfg.MaxDisk == 0:
		h.Status, h.Reason = "full", "the records in memory fill half of --memory, writes are refused until there is room"
	case state.Full:
		h.Status, h.Reason = "full", "no space left, writes are refused until there is"
	case s.log.Stats().Damage > 0:
		h.Status, h.Reason = "damaged", "readers have met stored data that fails its check: `thalweg verify` names the ranges"
	}
	answer(w, http.StatusOK, h)
}

// localstackHealth answers in the form that tools made for LocalStack wait for.
func (s *Server) localstackHealth(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"services": map[string]string{"kinesis": "running", "s3": "running"}, "edition": "thalweg", "version": Version()})
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func refuse(w http.ResponseWriter, status int, msg string) {
	answer(w, status, map[string]string{"message": msg})
}

// maxOwnBody bounds the bodies of the server's own endpoints.
const maxOwnBody = 64 << 10

// read decodes a JSON body into v, or answers what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOwnBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		refuse(w, http.StatusBadRequest, "the body is not what is expected: "+err.Error())
		return false
	}
	return true
}

// fromHere tells whether a request comes from this machine: over loopback, or
// from the very address that it was sent to.
func fromHere(r *http.Request) bool {
	remote := hostIP(r.RemoteAddr)
	if remote == nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return remote.IsLoopback() || (ok && remote.Equal(hostIP(local.String())))
}

func hostIP(hostport string) net.IP {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil
	}
	return net.ParseIP(host)
}
