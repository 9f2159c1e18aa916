// Package badinput sends the real binary what no client should: malformed,
// oversized, deep, truncated and mistyped requests, raw over one keep-alive
// connection. Each gets its status and error, the connection stays usable where
// HTTP allows, memory stays bounded, nothing is written, nothing crashes.
package badinput

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"thalweg/tests/harness"
	"thalweg/tests/lean"
	"thalweg/tests/sdk"
)

const (
	stream = "bad"
	// memory is the server's budget; what it may hold resident is that and 64 MiB.
	memory     = 64 << 20
	memoryFlag = "64MiB"
	maxRSS     = memory + 64<<20
	patience   = 20 * time.Second
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// probe is one bad request and what has to come of it.
type probe struct {
	name    string
	request []byte
	status  []int    // one of these
	code    []string // one of these in __type; none: not looked at
	message string   // part of the message
	// closes tells that HTTP lets the server close the connection after this.
	closes bool
	cbor   bool // the answer is CBOR
}

// suite is one server and one connection to it.
type suite struct {
	server *harness.Server
	signer lean.Signer
	conn   *lean.Conn
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{server: harness.ForTest(t, harness.Options{Args: []string{"--memory", memoryFlag}})}
	client := sdk.Client(s.server.URL())
	if _, err := sdk.CreateStream(t.Context(), client, stream, 2); err != nil {
		t.Fatal(err)
	}
	s.signer = lean.Signer{Host: s.server.Addr(), AccessKey: sdk.AccessKey, SecretKey: sdk.SecretKey, Region: sdk.Region}
	s.dial(t)
	t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// dial replaces the connection.
func (s *suite) dial(t *testing.T) {
	t.Helper()
	conn, err := lean.Dial(s.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if s.conn != nil {
		_ = s.conn.Close() // the server has done so already
	}
	s.conn = conn
}

// send sends a probe and checks the answer; then a good request must work, on
// the same connection unless the probe may close it.
func (s *suite) send(t *testing.T, p probe) {
	t.Helper()
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// A server may answer and close before it has read everything.
	sendErr := s.conn.Send(p.request)
	r, err := s.conn.Receive()
	if err != nil {
		if p.closes && sendErr != nil {
			s.dial(t)
			s.good(t)
			return
		}
		s.dial(t)
		s.good(t)
		t.Fatalf("no answer: %v", errors.Join(sendErr, err))
	}
	if !slices.Contains(p.status, r.Status) {
		t.Errorf("status %d, want one of %v: %.300q", r.Status, p.status, r.Body)
	}
	code, message := fault(p.cbor, r.Body)
	if len(p.code) > 0 && !slices.Contains(p.code, code) {
		t.Errorf("error %q, want one of %v: %.300q", code, p.code, r.Body)
	}
	if !strings.Contains(message, p.message) {
		t.Errorf("message %.300q, want %q in it", message, p.message)
	}
	switch {
	case r.Close && !p.closes:
		t.Error("the server closes the connection")
		s.dial(t)
	case p.closes:
		s.dial(t)
	}
	s.good(t)
}

// good makes a request that must succeed.
func (s *suite) good(t *testing.T) {
	t.Helper()
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"StreamName":"` + stream + `"}`)
	if err := s.conn.Call(s.signer.Request("DescribeStreamSummary", body), nil); err != nil {
		t.Errorf("a good request afterwards: %v", err)
		s.dial(t)
	}
}

// fault reads an error body; Message and message are the same to it.
func fault(isCBOR bool, body []byte) (code, message string) {
	var e map[string]any
	if isCBOR {
		_ = cbor.Unmarshal(body, &e) // an unreadable one has no code
	} else {
		_ = json.Unmarshal(body, &e) // as above
	}
	code, _ = e["__type"].(string)
	for _, name := range []string{"message", "Message"} {
		if m, ok := e[name].(string); ok {
			message = m
		}
	}
	return code[strings.LastIndexByte(code, '#')+1:], message
}

// rss reports the server's memory and fails beyond the bound.
func (s *suite) rss(t *testing.T) harness.Memory {
	t.Helper()
	mem, err := harness.MemoryOf(s.server.Ready().PID)
	if err != nil {
		t.Fatalf("the server is gone: %v", err)
	}
	if mem.Peak > maxRSS {
		t.Errorf("the server held %d MB at its peak, more than --memory and 64 MiB allow (%d MB)", mem.Peak/1e6, maxRSS/1_000_000)
	}
	return mem
}

// empty checks that no probe has written a record.
func (s *suite) empty(t *testing.T) {
	t.Helper()
	client := sdk.Client(s.server.URL())
	for i := range 2 {
		reads, err := sdk.Drain(t.Context(), client, stream, fmt.Sprintf("shardId-%012d", i))
		if err != nil || len(reads) != 0 {
			t.Errorf("shard %d holds %d records that a refused request wrote (%v)", i, len(reads), err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	s := newSuite(t)
	for _, group := range []struct {
		name   string
		probes []probe
	}{
		{"JSON", jsonProbes(&s.signer)},
		{"values", valueProbes(&s.signer)},
		{"sizes", sizeProbes(&s.signer)},
		{"CBOR", cborProbes(&s.signer)},
		{"protocol", protocolProbes(&s.signer)},
		{"HTTP", httpProbes(s.signer.Host)},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, p := range group.probes {
				t.Run(p.name, func(t *testing.T) { s.send(t, p) })
			}
			mem := s.rss(t)
			t.Logf("%d probes, server at %d MB, at most %d MB", len(group.probes), mem.RSS/1e6, mem.Peak/1e6)
		})
	}
	s.empty(t)
}

// TestBrokenOff ends connections in every place of a request: the server must
// take it and go on.
func TestBrokenOff(t *testing.T) {
	s := newSuite(t)
	body := lean.PutRecordBody(stream, lean.Record{Key: "k", Data: []byte("never whole")})
	request := s.signer.Request("PutRecord", body)
	for cut := 0; cut < len(request); cut += 7 {
		conn, err := lean.Dial(s.server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(conn.SetDeadline(time.Now().Add(patience)), conn.Send(request[:cut]), conn.CloseWrite())
		if err != nil {
			t.Fatal(err)
		}
		if r, err := conn.Receive(); err == nil && (r.Status < 400 || r.Status > 499) {
			t.Errorf("cut after %d of %d bytes: answered %d %.200q", cut, len(request), r.Status, r.Body)
		} else if err != nil && !isEnd(err) {
			t.Errorf("cut after %d of %d bytes: %v", cut, len(request), err)
		}
		_ = conn.Close() // it ends here
	}
	s.good(t)
	s.empty(t)
	s.rss(t)
}

// isEnd tells that the peer closed, cleanly or not, rather than kept silent.
func isEnd(err error) bool {
	var timeout net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || !(errors.As(err, &timeout) && timeout.Timeout())
}

// TestManyBigBodies sends many bodies at once, each as big as is allowed: they
// are served or refused as throttled, within the memory that was configured.
func TestManyBigBodies(t *testing.T) {
	s := newSuite(t)
	const conns, rounds = 32, 4
	data := make([]byte, 1<<20)
	records := make([]lean.Record, 7)
	for i := range records {
		records[i] = lean.Record{Key: fmt.Sprint(i), Data: data}
	}
	request := s.signer.Request("PutRecords", lean.PutRecordsBody(stream, records))
	var statuses [conns]map[int]int
	stop := make(chan struct{})
	peak := make(chan int64)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		most := int64(0)
		for {
			select {
			case <-tick.C:
				if mem, err := harness.MemoryOf(s.server.Ready().PID); err == nil {
					most = max(most, mem.RSS)
				}
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	err := harness.Parallel(t.Context(), conns, func(_ context.Context, i int) error {
		statuses[i] = map[int]int{}
		for range rounds {
			conn, err := lean.Dial(s.server.Addr())
			if err != nil {
				return err
			}
			err = errors.Join(conn.SetDeadline(time.Now().Add(3*patience)), conn.Send(request))
			r, recvErr := conn.Receive()
			switch {
			case recvErr == nil:
				statuses[i][r.Status]++
			case err == nil:
				return recvErr
			}
			_ = conn.Close() // one request a connection
		}
		return nil
	})
	close(stop)
	most := <-peak
	if err != nil {
		t.Error(err)
	}
	total := map[int]int{}
	for _, m := range statuses {
		for status, n := range m {
			total[status] += n
			if status != 200 && status != 400 && status != 413 && status != 500 && status != 503 {
				t.Errorf("a big body was answered with status %d", status)
			}
		}
	}
	t.Logf("%d bodies of %d MB on %d connections: statuses %v, server at most %d MB",
		conns*rounds, len(request)/1e6, conns, total, most/1e6)
	if most > maxRSS {
		t.Errorf("the server held %d MB, more than --memory and 64 MiB allow (%d MB)", most/1e6, maxRSS/1_000_000)
	}
	s.good(t)
}
