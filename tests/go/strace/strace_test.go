// Package strace runs the real binary under strace, which delays and fails its
// fdatasync calls: no acknowledgement may come before the sync, nor after one
// that failed.
package strace

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

const (
	stream = "durable"
	delay  = 200 * time.Millisecond
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// needStrace fails the test where strace is missing: what it proves cannot be
// shown without.
func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is not installed: run scripts/deps.sh, which installs it (apt-get install strace)")
	}
}

// TestDelayedSync: with every fdatasync delayed by 200 ms no PutRecord is
// acknowledged sooner, however many are in flight.
func TestDelayedSync(t *testing.T) {
	needStrace(t)
	server := harness.ForTest(t, harness.Options{
		Wrap: []string{
			"strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=fdatasync",
			"-e", "inject=fdatasync:delay_enter=" + strconv.FormatInt(delay.Microseconds(), 10),
		},
	})
	client := sdk.Client(server.URL(), sdk.NoRetry)
	if _, err := sdk.CreateStream(t.Context(), client, stream, 2); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	fastest, slowest := time.Hour, time.Duration(0)
	const alone, together = 5, 8
	timed := func(ctx context.Context, i int) error {
		began := time.Now()
		_, err := put(ctx, client, fmt.Sprintf("record %d", i))
		took := time.Since(began)
		mu.Lock()
		defer mu.Unlock()
		fastest, slowest = min(fastest, took), max(slowest, took)
		return err
	}
	for i := range alone {
		if err := timed(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	err := harness.Parallel(t.Context(), together, func(ctx context.Context, i int) error {
		for j := range 3 {
			if err := timed(ctx, alone+i*3+j); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d PutRecords: fastest %v, slowest %v", alone+together*3, fastest, slowest)
	if fastest < delay {
		t.Errorf("a PutRecord was acknowledged after %v, before its fdatasync could return (%v)", fastest, delay)
	}
	harness.Evidence(t, "strace-delay", map[string]any{
		"delay_ms": delay.Milliseconds(), "puts": alone + together*3,
		"fastest_ms": fastest.Milliseconds(), "slowest_ms": slowest.Milliseconds(),
	})
}

// TestFailedSync: once fdatasync fails with EIO nothing is acknowledged any
// more, not even when the disk works again; reading goes on; and a restart has
// everything that was acknowledged and takes writes again.
func TestFailedSync(t *testing.T) {
	needStrace(t)
	server := harness.ForTest(t, harness.Options{})
	client := sdk.Client(server.URL(), sdk.NoRetry)
	list, err := sdk.CreateStream(t.Context(), client, stream, 1)
	if err != nil {
		t.Fatal(err)
	}
	shard := *list[0].ShardId
	acked := map[string]string{} // sequence number -> data
	good := func(data string) {
		t.Helper()
		seq, err := put(t.Context(), client, data)
		if err != nil {
			t.Fatal(err)
		}
		acked[seq] = data
	}
	for i := range 50 {
		good(fmt.Sprintf("before %d", i))
	}

	detach := attach(t, server.Ready().PID, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO")
	refused := func(when string) {
		t.Helper()
		// Alone, then together: a latch must hold for whoever waits.
		err := harness.Parallel(t.Context(), 8, func(ctx context.Context, i int) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if seq, err := put(ctx, client, fmt.Sprintf("%s %d", when, i)); err == nil {
				return fmt.Errorf("acknowledged %s, at %s", when, seq)
			} else if i == 0 {
				t.Logf("%s: %v", when, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	refused("while fdatasync fails")
	detach()
	refused("after fdatasync failed")
	if got := readAll(t, client, shard); !holds(t, got, acked) {
		t.Error("reading while read-only")
	}

	for _, s := range []func() error{server.Kill, func() error { return server.Restart(t.Context()) }} {
		if err := s(); err != nil {
			t.Fatal(err)
		}
	}
	good("after the restart")
	got := readAll(t, client, shard)
	holds(t, got, acked)
	harness.Evidence(t, "strace-eio", map[string]any{
		"acked": len(acked), "acked_read_back_after_restart": len(acked), "records_read_back": len(got),
		"acknowledged_after_eio": 0,
	})
}

// holds checks that every acknowledged record stands at its sequence number.
func holds(t *testing.T, got, acked map[string]string) bool {
	t.Helper()
	ok := true
	for seq, data := range acked {
		if got[seq] != data {
			t.Errorf("%s holds %q, acknowledged as %q", seq, got[seq], data)
			ok = false
		}
	}
	return ok
}

func put(ctx context.Context, client *kinesis.Client, data string) (seq string, err error) {
	out, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
		StreamName: aws.String(stream), PartitionKey: aws.String(data), Data: []byte(data),
	})
	if err != nil {
		return "", err
	}
	return *out.SequenceNumber, nil
}

// readAll reads the shard to its tip: sequence number -> data.
func readAll(t *testing.T, client *kinesis.Client, shard string) map[string]string {
	t.Helper()
	it, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String(stream), ShardId: &shard, ShardIteratorType: "TRIM_HORIZON",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for next := it.ShardIterator; ; {
		out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			if _, twice := got[*r.SequenceNumber]; twice {
				t.Errorf("%s came twice", *r.SequenceNumber)
			}
			got[*r.SequenceNumber] = string(r.Data)
		}
		if len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0 {
			return got
		}
		next = out.NextShardIterator
	}
}

// attach runs strace on every thread of a running process and returns, once
// it is in place, a function that takes it away again.
func attach(t *testing.T, pid int, args ...string) (detach func()) {
	t.Helper()
	cmd := exec.Command("strace", append([]string{"-f", "-p", strconv.Itoa(pid)}, args...)...)
	cmd.Stdout = io.Discard
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	attached, ended := make(chan struct{}), make(chan string)
	go func() {
		lines, once := bufio.NewScanner(stderr), sync.Once{}
		said := ""
		for lines.Scan() {
			if strings.Contains(lines.Text(), " attached") {
				once.Do(func() { close(attached) })
			} else if len(said) < 4096 {
				said += lines.Text() + "\n"
			}
		}
		_ = cmd.Wait() // a signal ends it: that is no failure
		ended <- said
	}()
	select {
	case <-attached:
	case said := <-ended:
		t.Fatalf("strace could not attach (it needs root, or kernel.yama.ptrace_scope=0):\n%s", said)
	}
	return func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if said := <-ended; !strings.Contains(said, "EIO") {
			t.Errorf("strace saw no failed fdatasync: the server did not call it\n%s", said)
		}
	}
}
