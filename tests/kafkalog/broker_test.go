// Package kafkalog runs what needs a real Apache Kafka as a server: the log on one, with
// the suite that every log passes and what only this one has to show; and delivery
// streams that read one.
package kafkalog

import (
	"bufio"
	"context"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"thalweg/tests/harness"
)

var libs = flag.String("libs", "", "directory of Apache Kafka's jars (scripts/clients.sh fetches them)")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// readyLine is what the broker logs when it serves.
const readyLine = "Kafka Server started"

// start starts Apache Kafka for as long as the test runs. It returns its address,
// and a function that kills it sooner.
func start(t *testing.T) (addr string, kill func()) {
	t.Helper()
	if *libs == "" {
		t.Skip("no Apache Kafka: give its jars with -libs, as scripts/clients.sh does")
	}
	jars, err := filepath.Abs(*libs)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	addr = freeAddr(t)
	config := filepath.Join(dir, "server.properties")
	template, err := os.ReadFile("../kafka/broker/server.properties")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("@PORT@", port(addr), "@CONTROLLER@", port(freeAddr(t)), "@DIR@", dir).Replace(string(template))
	text += "log.cleaner.backoff.ms=500\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	java := func(ctx context.Context, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "java", append([]string{"-Xmx512m", "-cp", filepath.Join(jars, "*")}, args...)...)
	}
	out, err := java(ctx, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config).CombinedOutput()
	if err != nil {
		t.Fatalf("format: %v\n%s", err, out)
	}
	broker := java(context.WithoutCancel(t.Context()), "kafka.Kafka", config)
	r, w := io.Pipe()
	broker.Stdout, broker.Stderr = w, w
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	ready, exited := make(chan struct{}), make(chan struct{})
	var said strings.Builder
	go func() {
		defer close(exited)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		up := false
		for lines.Scan() {
			if !up {
				said.WriteString(lines.Text() + "\n")
			}
			if !up && strings.Contains(lines.Text(), readyLine) {
				up = true
				close(ready)
			}
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	kill = sync.OnceFunc(func() {
		_ = broker.Process.Kill()
		_ = broker.Wait()
		_ = w.Close()
		<-exited
	})
	t.Cleanup(kill)
	select {
	case <-ready:
	case <-ctx.Done():
		_ = w.Close()
		<-exited
		t.Fatalf("Apache Kafka is not ready after two minutes:\n%s", said.String())
	}
	return addr, kill
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// freeAddr returns an address on which nothing listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
