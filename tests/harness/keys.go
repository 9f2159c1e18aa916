package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// Key is an access key of an account.
type Key struct {
	AccessKey string `json:"access_key_id"`
	SecretKey string `json:"secret_access_key"`
}

// CreateKey makes an access key for a 12-digit account with `thalweg keys
// create`, while the server runs.
func (s *Server) CreateKey(ctx context.Context, account string) (Key, error) {
	cmd := exec.CommandContext(ctx, s.opts.Bin, "keys", "create", "--account", account, "--data", s.DataDir(), "-o", "json")
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return Key{}, fmt.Errorf("create key: %w", err)
	}
	var k Key
	if err := json.Unmarshal(out, &k); err != nil {
		return Key{}, fmt.Errorf("create key: %w", err)
	}
	if k.AccessKey == "" || k.SecretKey == "" {
		return Key{}, fmt.Errorf("create key: no key in %q", out)
	}
	return k, nil
}
