package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"thalweg/tests/harness"
)

// worker is one process of Kafka Connect.
type worker struct {
	name, config, log string
	libs, addr        string
	cmd               *exec.Cmd
}

// newWorker writes the configuration of a worker of one cluster.
func newWorker(t *testing.T, dir, name, broker string) *worker {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{name: name, config: filepath.Join(dir, name+".properties"), log: filepath.Join(dir, name+".log"),
		libs: jars(t, "KAFKA_CONNECT", "tests/kafka/connect/pom.xml"), addr: free.Addr().String()}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	config := `bootstrap.servers=` + broker + `
group.id=connect
listeners=http://` + w.addr + `
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=5
status.storage.partitions=2
offset.flush.interval.ms=500
session.timeout.ms=6000
heartbeat.interval.ms=500
scheduled.rebalance.max.delay.ms=0
plugin.discovery=only_scan
`
	if err := os.WriteFile(w.config, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.kill()
		if t.Failed() {
			said, _ := os.ReadFile(w.log) // only to be shown
			t.Logf("%s:\n%s", w.name, said[max(0, len(said)-6000):])
		}
	})
	return w
}

func (w *worker) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(w.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	w.cmd = exec.Command("java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", filepath.Join(w.libs, "*"), "org.apache.kafka.connect.cli.ConnectDistributed", w.config)
	w.cmd.Stdout, w.cmd.Stderr = log, log
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (w *worker) kill() {
	if w.cmd != nil {
		_ = w.cmd.Process.Kill() // it may have ended by itself
		_ = w.cmd.Wait()
		w.cmd = nil
	}
}

// call speaks REST to the worker; into may be nil.
func (w *worker) call(ctx context.Context, method, path string, in, into any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+w.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// await looks every 50 ms until done, for up to two minutes.
func await(t *testing.T, what string, done func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within two minutes: %v", what, err)
		}
	}
}

// where is the worker that runs the one task of a connector; nil while none does.
func where(ctx context.Context, asked *worker, connector string, workers ...*worker) (*worker, error) {
	var status struct {
		Tasks []struct {
			State    string
			WorkerID string `json:"worker_id"`
			Trace    string
		}
	}
	if err := asked.call(ctx, http.MethodGet, "/connectors/"+connector+"/status", nil, &status); err != nil {
		return nil, err
	}
	for _, w := range workers {
		if len(status.Tasks) == 1 && status.Tasks[0].State == "RUNNING" && status.Tasks[0].WorkerID == w.addr {
			return w, nil
		}
	}
	return nil, fmt.Errorf("%s: %+v", connector, status)
}

// TestConnect moves lines from file to file through a topic with two workers of
// Kafka Connect, whose configuration, offsets and states are in compacted topics.
// The one that reads is killed: the other takes its tasks over, and no line is lost
// or out of order; a worker that starts again knows everything.
func TestConnect(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{}).Ready().Kafka
	dir := t.TempDir()
	source, sink := filepath.Join(dir, "source"), filepath.Join(dir, "sink")
	from, err := os.Create(source)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	workers := []*worker{newWorker(t, dir, "one", broker), newWorker(t, dir, "two", broker)}
	for _, w := range workers {
		w.start(t)
	}
	for _, w := range workers {
		await(t, w.name+" serves", func() (bool, error) {
			err := w.call(t.Context(), http.MethodGet, "/connectors", nil, nil)
			return err == nil, err
		})
	}
	for name, config := range map[string]map[string]string{
		"source": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": source, "topic": "lines"},
		"sink":   {"connector.class": "FileStreamSink", "tasks.max": "1", "file": sink, "topics": "lines"},
	} {
		await(t, "make "+name, func() (bool, error) { // a rebalance that is under way is a 409
			err := workers[0].call(t.Context(), http.MethodPut, "/connectors/"+name+"/config", config, nil)
			return err == nil, err
		})
	}
	written := 0
	write := func(n int) {
		for range n {
			if _, err := fmt.Fprintf(from, "line %d\n", written); err != nil {
				t.Fatal(err)
			}
			written++
		}
	}
	arrived := func() (bool, error) {
		data, err := os.ReadFile(sink)
		return strings.Contains(string(data), fmt.Sprintf("line %d\n", written-1)), err
	}
	write(1000)
	await(t, "the first lines", arrived)
	var reads *worker
	await(t, "a task that reads", func() (_ bool, err error) {
		reads, err = where(t.Context(), workers[0], "source", workers...)
		return reads != nil, err
	})
	other := workers[0]
	if reads == other {
		other = workers[1]
	}
	write(500)
	reads.kill()
	write(500)
	await(t, "the lines written around the kill", arrived)
	for _, name := range []string{"source", "sink"} {
		await(t, name+" on the other worker", func() (bool, error) {
			w, err := where(t.Context(), other, name, workers...)
			return w == other, err
		})
	}
	reads.start(t)
	var known []string
	await(t, "the worker that was killed knows the connectors", func() (bool, error) {
		err := reads.call(t.Context(), http.MethodGet, "/connectors", nil, &known)
		return len(known) == 2, err
	})
	write(100)
	await(t, "the last lines", arrived)
	inOrder(t, sink, written)
	for _, topic := range []string{"connect-configs", "connect-offsets", "connect-status"} {
		if got := tool(t, "", "ConfigCommand", "--describe", "--entity-type", "topics", "--entity-name", topic, "--bootstrap-server", broker); !strings.Contains(got, "cleanup.policy=compact") {
			t.Errorf("%s: %s", topic, got)
		}
	}
}

// inOrder fails unless lines 0 to n-1 came first in that order; what came again is
// what a worker had moved and not yet committed when it was killed.
func inOrder(t *testing.T, path string, n int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next, again := 0, 0
	for line := range strings.Lines(string(data)) {
		var got int
		if _, err := fmt.Sscanf(line, "line %d", &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case got > next:
			t.Fatalf("line %d came after line %d", got, next-1)
		case got == next:
			next++
		default:
			again++
		}
	}
	if next != n {
		t.Fatalf("%d lines of %d came", next, n)
	}
	t.Logf("%d lines, %d of them again", n, again)
}
