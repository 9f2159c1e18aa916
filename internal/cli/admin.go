package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"thalweg/internal/app"
	"thalweg/internal/client"
	"thalweg/internal/config"
	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

// dataDir is the data directory that a command means.
func (e Env) dataDir(flag string) string {
	return cmp.Or(flag, e.get("THALWEG_DATA"), config.DefaultData(e.Lookup))
}

// administer does something with a data directory: through the server that has
// it open, or by opening it here.
func (e Env) administer(ctx context.Context, data string, running func(*admin) error, here func(*app.Server) error) (err error) {
	cfg := config.Default(e.Lookup)
	cfg.Data = e.dataDir(data)
	if _, err := os.Stat(cfg.Data); errors.Is(err, os.ErrNotExist) {
		return &failure{msg: "there is no data directory " + cfg.Data, hint: "name it with --data DIR; " + e.program() + " serve makes one"}
	}
	srv, err := app.OpenKeys(ctx, app.Options{Config: cfg, Clock: e.Clock, Logger: slog.New(slog.DiscardHandler)})
	if errors.Is(err, vfs.ErrLocked) {
		a, err := newAdmin(cfg.Data)
		if err != nil {
			return err
		}
		defer a.client.Close()
		return running(a)
	}
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, srv.Close(stop))
	}()
	return here(srv)
}

// admin talks to the running server of a data directory, as its owner.
type admin struct {
	app.Admin
	client *client.Client
}

func newAdmin(data string) (*admin, error) {
	dir, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	found, err := app.ReadAdmin(vfs.OS{}, dir)
	if err != nil {
		return nil, err
	}
	o := client.Options{Endpoint: found.Endpoint}
	if strings.HasPrefix(found.Endpoint, "https:") {
		if o.CA, err = os.ReadFile(filepath.Join(dir, caFile)); err != nil {
			return nil, err
		}
	}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	return &admin{found, c}, nil
}

// call makes one request. in may be nil; the answer goes to out.
func (a *admin) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.Endpoint+"/_thalweg/admin/"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.Token)
	resp, err := a.client.HTTP.Do(req)
	if err != nil {
		return &failure{msg: fmt.Sprintf("the server of process %d does not answer", a.PID), err: err}
	}
	defer resp.Body.Close()
	answer := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 16<<20))
	if resp.StatusCode != http.StatusOK {
		var refusal struct {
			Message string `json:"message"`
		}
		if err := answer.Decode(&refusal); err != nil || refusal.Message == "" {
			refusal.Message = resp.Status
		}
		return errs.New(errs.Internal, refusal.Message)
	}
	return answer.Decode(out)
}
