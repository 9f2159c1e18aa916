// Package harness runs the real thalweg binary for black-box tests and
// benchmarks: it builds it once a process, waits for the ready file, kills it
// with SIGKILL, and starts it again on the same ports and data.
//
// A Server is one process at a time. Start, Restart, Kill and Stop are called
// from one goroutine; the rest may be called from any. Every process dies with
// the one that started it. The package knows nothing of the wire APIs.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options says how to start a server. The zero Options starts a durable one in
// a fresh directory of its own, on free ports.
type Options struct {
	// Bin is the binary; "" is [Binary].
	Bin string
	// Dir holds the ready file and, below data/, the data directory; "" makes
	// one, which Close removes.
	Dir string
	// Args are further flags of `thalweg serve`.
	Args []string
	// Ephemeral starts the server without a data directory.
	Ephemeral bool
	// Wrap is a command that runs the server as its child ("strace", "-f", ...).
	Wrap []string
	// ReadyTimeout bounds the wait for the ready file; 0 is 60 s.
	ReadyTimeout time.Duration
}

// Ready is what the server says of itself once it serves.
type Ready struct {
	HTTP  string `json:"http"`
	HTTPS string `json:"https"`
	Kafka string `json:"kafka"`
	// KafkaListeners are all of them.
	KafkaListeners []KafkaListener `json:"kafka_listeners"`
	Data           string          `json:"data"`
	PID            int             `json:"pid"`
}

// KafkaListener is one broker's end of a listener of Kafka's protocol.
type KafkaListener struct {
	Broker     int32  `json:"broker"`
	Protocol   string `json:"protocol"`
	Bind       string `json:"bind"`
	Advertised string `json:"advertised"`
}

// Server is one server process and, across restarts, its successors.
type Server struct {
	opts    Options
	ownsDir bool
	out     *tail

	mu    sync.Mutex
	proc  *process      // guarded by mu; the newest
	ready Ready         // guarded by mu; of the newest that became ready
	took  time.Duration // guarded by mu; as above
}

// Start runs a server and returns once it serves.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.ReadyTimeout == 0 {
		opts.ReadyTimeout = 60 * time.Second
	}
	if opts.Bin == "" {
		bin, err := Binary()
		if err != nil {
			return nil, err
		}
		opts.Bin = bin
	}
	s := &Server{opts: opts, out: &tail{}}
	if opts.Dir == "" {
		dir, err := os.MkdirTemp("", "thalweg-test-")
		if err != nil {
			return nil, fmt.Errorf("make server directory: %w", err)
		}
		s.opts.Dir, s.ownsDir = dir, true
	}
	if err := s.launch(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Restart starts the server again after Kill or Stop, on the same ports and
// data.
func (s *Server) Restart(ctx context.Context) error { return s.launch(ctx) }

// args is the command line of the next process: the ports are those of the one
// before, if there was one.
func (s *Server) args(readyFile string) []string {
	listen, listenTLS, listenKafka := "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if r := s.Ready(); r.HTTP != "" {
		listen = hostPort(r.HTTP)
		if r.Kafka != "" {
			listenKafka = r.Kafka
		}
		if r.HTTPS != "" {
			listenTLS = hostPort(r.HTTPS)
		}
	}
	args := []string{"serve", "--listen", listen, "--listen-tls", listenTLS, "--listen-kafka", listenKafka, "--ready-file", readyFile}
	if s.opts.Ephemeral {
		args = append(args, "--ephemeral")
	} else {
		args = append(args, "--data", s.DataDir())
	}
	return append(args, s.opts.Args...)
}

// CrashStart starts the server after Kill or Stop and kills it again, after the
// given time or as soon as it is ready, whichever comes first: a crash in the
// middle of recovery.
func (s *Server) CrashStart(after time.Duration) error {
	p, err := s.spawn()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	if _, err := awaitReady(ctx, p); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w\noutput:\n%s", err, s.Output())
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may be gone already
	<-p.exited
	return nil
}

func (s *Server) launch(ctx context.Context) error {
	began := time.Now()
	p, err := s.spawn()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.ReadyTimeout)
	defer cancel()
	ready, err := awaitReady(ctx, p)
	if err != nil {
		return fmt.Errorf("%w\ncommand: %s\noutput:\n%s", err, strings.Join(p.cmd.Args, " "), s.Output())
	}
	s.mu.Lock()
	s.ready, s.took = ready, time.Since(began)
	s.mu.Unlock()
	return nil
}

// process is one run of the server.
type process struct {
	cmd       *exec.Cmd
	readyFile string
	exited    chan struct{} // closed when it has ended
	err       error         // of its end; valid once exited is closed
}

func (s *Server) spawn() (*process, error) {
	p := &process{readyFile: filepath.Join(s.opts.Dir, "ready.json"), exited: make(chan struct{})}
	if err := os.Remove(p.readyFile); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("remove ready file: %w", err)
	}
	argv := append(append([]string{}, s.opts.Wrap...), s.opts.Bin)
	argv = append(argv, s.args(p.readyFile)...)
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = s.out, s.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if len(s.opts.Wrap) > 0 {
		// A wrapper passes SIGTERM on to its child; SIGKILL would orphan it.
		p.cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	return p, nil
}

// awaitReady looks for the ready file every 500 us until it parses, the process
// ends or ctx does.
func awaitReady(ctx context.Context, p *process) (Ready, error) {
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		if data, err := os.ReadFile(p.readyFile); err == nil {
			var r Ready
			if json.Unmarshal(data, &r) == nil && r.HTTP != "" && r.PID != 0 {
				return r, nil
			}
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return Ready{}, fmt.Errorf("the server ended before it was ready: %v", p.err)
		case <-ctx.Done():
			return Ready{}, fmt.Errorf("wait for the ready file %s: %w", p.readyFile, ctx.Err())
		}
	}
}

// Ready returns what the newest process wrote into its ready file.
func (s *Server) Ready() Ready {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// Took is the time from the start of the newest process to its ready file.
func (s *Server) Took() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took
}

// Addr is the plain listener as host:port.
func (s *Server) Addr() string { return hostPort(s.Ready().HTTP) }

// URL is the plain listener as http://host:port.
func (s *Server) URL() string { return "http://" + s.Addr() }

// DataDir is where the server keeps its data.
func (s *Server) DataDir() string { return filepath.Join(s.opts.Dir, "data") }

// process returns the newest run, nil before the first.
func (s *Server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Exited returns a channel that is closed when the newest process has ended.
func (s *Server) Exited() <-chan struct{} { return s.process().exited }

// Kill ends the server process with SIGKILL and waits until it is gone.
func (s *Server) Kill() error {
	if err := syscall.Kill(s.Ready().PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %d: %w", s.Ready().PID, err)
	}
	return s.await(10 * time.Second)
}

// Stop asks the server to end (SIGTERM), waits until it is gone and returns an
// error if it did not leave with exit code 0 within 30 s.
func (s *Server) Stop() error {
	if err := syscall.Kill(s.Ready().PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %d: %w", s.Ready().PID, err)
	}
	if err := s.await(30 * time.Second); err != nil {
		return err
	}
	return s.process().err
}

func (s *Server) await(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.Exited():
		return nil
	case <-timer.C:
		return fmt.Errorf("the server still runs %v after its signal\n%s", limit, s.Output())
	}
}

// Close kills whatever still runs and removes the directory if Start made it.
func (s *Server) Close() error {
	if p := s.process(); p != nil {
		select {
		case <-p.exited:
		default:
			// The whole group: a wrapper's child would outlive it.
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may be gone already
			<-p.exited
		}
	}
	if s.ownsDir {
		return os.RemoveAll(s.opts.Dir)
	}
	return nil
}

// Output returns the last 64 KiB that the server's processes printed.
func (s *Server) Output() string { return s.out.String() }

// hostPort strips a scheme and a trailing slash.
func hostPort(addr string) string {
	if i := strings.Index(addr, "://"); i >= 0 {
		addr = addr[i+3:]
	}
	addr = strings.TrimRight(addr, "/")
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return net.JoinHostPort(addr, "80")
	}
	return addr
}

// tail keeps the newest 64 KiB written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

const tailBytes = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if extra := t.buf.Len() - tailBytes; extra > tailBytes {
		t.buf.Next(extra)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buf.Bytes()
	if len(b) > tailBytes {
		b = b[len(b)-tailBytes:]
	}
	return string(b)
}
