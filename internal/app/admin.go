package app

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/vfs"
)

// AdminFile is the file in the data directory of a running server that lets its
// owner's other processes administer it. It is readable by the owner only and
// gone after an orderly stop.
const AdminFile = "admin.token"

// Admin is what AdminFile holds, as JSON.
type Admin struct {
	// Endpoint is a URL on loopback, plain unless the plain listener is off.
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
	PID      int    `json:"pid"`
}

// ReadAdmin returns how to administer the server that runs on a data directory.
func ReadAdmin(fsys vfs.FS, dir string) (Admin, error) {
	var a Admin
	b, err := vfs.ReadFile(fsys, dir+"/"+AdminFile, 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return a, &errs.Error{Kind: errs.NotFound, Msg: "the process that uses " + dir + " cannot be administered",
			Hint: "is it a server that is still starting, or another command? wait for it and try again"}
	}
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(b, &a)
}

func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// KeyInfo describes an access key without its secret.
type KeyInfo struct {
	AccessKeyID string    `json:"access_key_id"`
	Account     string    `json:"account"`
	Principal   string    `json:"principal"`
	State       string    `json:"state"`
	Created     time.Time `json:"created"`
}

// NewKeyInfo is a new key; its secret is never shown again.
type NewKeyInfo struct {
	KeyInfo
	SecretAccessKey string `json:"secret_access_key"`
}

// Describe returns a key's description.
func Describe(k identity.Key) KeyInfo {
	return KeyInfo{AccessKeyID: k.ID, Account: k.Account, Principal: k.PrincipalARN, State: string(k.State), Created: k.Created.UTC()}
}

// NewKey is what making a key asks for.
type NewKey struct {
	Account string `json:"account"`
	User    string `json:"user"`
}

// BackupTo is what making a backup asks for.
type BackupTo struct {
	// Dir is an absolute path, empty or absent.
	Dir string `json:"dir"`
}

// adminRoutes are for whoever can read AdminFile, on this machine.
func (s *Server) adminRoutes(mux *http.ServeMux) {
	route := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			want := s.admin.Load()
			if !ok || want == nil || !fromHere(r) || subtle.ConstantTimeCompare([]byte(token), []byte(*want)) != 1 {
				refuse(w, http.StatusForbidden, "not allowed")
				return
			}
			h(w, r)
		})
	}
	route("GET /_thalweg/admin/keys", func(w http.ResponseWriter, _ *http.Request) {
		list := []KeyInfo{}
		for _, k := range s.keys.List() {
			list = append(list, Describe(k))
		}
		answer(w, http.StatusOK, list)
	})
	route("POST /_thalweg/admin/keys", func(w http.ResponseWriter, r *http.Request) {
		var in NewKey
		if !read(w, r, &in) {
			return
		}
		key, secret, err := s.keys.Create(r.Context(), in.Account, in.User)
		if err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, NewKeyInfo{Describe(key), secret.Reveal()})
	})
	route("POST /_thalweg/admin/keys/{id}/{state}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.keys.SetState(r.Context(), r.PathValue("id"), identity.State(r.PathValue("state"))); err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, struct{}{})
	})
	route("POST /_thalweg/admin/backup", func(w http.ResponseWriter, r *http.Request) {
		var in BackupTo
		if !read(w, r, &in) {
			return
		}
		if err := s.Backup(r.Context(), in.Dir); err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, struct{}{})
	})
	s.firehoseRoutes(route)
	route("DELETE /_thalweg/admin/keys/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.keys.Delete(r.Context(), r.PathValue("id")); err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, struct{}{})
	})
}

// answerError maps a failure to a status; the message carries the hint.
func answerError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Exists, errs.Unsupported, errs.InUse:
		status = http.StatusBadRequest
	case errs.NotFound:
		status = http.StatusNotFound
	case errs.LimitExceeded, errs.ReadOnly, errs.NoSpace:
		status = http.StatusServiceUnavailable
	}
	refuse(w, status, err.Error())
}
