package firehose

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"thalweg/tests/events"
	"thalweg/tests/harness"
)

// TestOutsideBucket delivers from one server into a bucket of another, which is killed
// amid deliveries, again and again: every event is there once.
func TestOutsideBucket(t *testing.T) {
	set, err := events.Load(harness.Root(), 20_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(set.Origin)
	keys := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(keys, []byte("[default]\naws_access_key_id = 000000000000\naws_secret_access_key = test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	far := newSuite(t)
	near := &suite{t: t, server: harness.ForTest(t, harness.Options{Args: []string{"--test-aids", "--s3-endpoint", far.server.URL(), "--s3-credentials", keys}})}
	near.client, near.s3 = newClient(near.server.URL(), nil), far.s3
	near.create("own", "own/", nil)
	owned := set.Split(*workers)
	var acked atomic.Int64
	err = harness.Parallel(t.Context(), *workers+1, func(ctx context.Context, i int) error {
		if i < *workers {
			return putOwn(ctx, near.server.URL(), "own", owned[i], &acked)
		}
		for k := range 3 {
			for acked.Load() < int64(len(set.Events)*(k+1)/4) {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := far.server.Kill(); err != nil {
				return err
			}
			for range 20 { // deliveries meet a bucket that is not there
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := far.server.Restart(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	near.flush("own")
	check(t, "put", far.objects(""), "own/", set, nil)
}
