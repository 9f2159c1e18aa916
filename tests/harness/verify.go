package harness

import (
	"context"
	"fmt"
	"os/exec"
)

// Verify runs `thalweg verify` on the data directory of a server that has ended
// and returns an error with what it printed unless it found nothing.
func (s *Server) Verify(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, s.opts.Bin, "verify", s.DataDir()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("thalweg verify: %w\n%s", err, out)
	}
	return nil
}
