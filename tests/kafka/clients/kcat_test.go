// Package clients runs Kafka clients that are programs of their own against the
// real binary.
package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func kcat(t *testing.T, in string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", args...)
	cmd.Stdin = strings.NewReader(in)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	if err := cmd.Run(); err != nil {
		t.Fatalf("kcat %s: %v\n%s", strings.Join(args, " "), err, told.String())
	}
	if strings.Contains(told.String(), "does not support compression") {
		t.Errorf("kcat %s: %s", strings.Join(args, " "), told.String())
	}
	return out.String()
}

// TestKcat produces with every codec, holds the stored batches to it, and reads
// back alone and in a group. Its librdkafka is one that silently does not compress
// if the broker's version ranges are not to its liking.
func TestKcat(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka
	var sent strings.Builder
	for i := range 500 {
		fmt.Fprintf(&sent, "key%d:move %d of a game that repeats itself, itself, itself\n", i%7, i)
	}
	for codec, want := range map[string]uint8{"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4} {
		t.Run(codec, func(t *testing.T) {
			topic := "kcat-" + codec
			kcat(t, sent.String(), "-b", broker, "-P", "-t", topic, "-K:", "-z", codec, "-X", "topic.request.required.acks=all", "-X", "linger.ms=50")
			if got := kcat(t, "", "-b", broker, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-K:"); got != sent.String() {
				t.Errorf("%d bytes came back of %d", len(got), sent.Len())
			}
			if got := kcat(t, "", "-b", broker, "-G", "group-"+codec, "-X", "auto.offset.reset=earliest", "-c", "500", "-q", "-K:", topic); got != sent.String() {
				t.Errorf("%d bytes came back of %d in a group", len(got), sent.Len())
			}
			compressed(t, broker, topic, want)
		})
	}
}

// compressed checks what the stored batches of a topic say that they are
// compressed with.
func compressed(t *testing.T, broker, topic string, want uint8) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := 0; n < 500; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			if got := r.Attrs.CompressionType(); got != want {
				t.Fatalf("record %d is in a batch of codec %d, want %d", r.Offset, got, want)
			}
		})
	}
}
