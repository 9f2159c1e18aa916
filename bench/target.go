package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"thalweg/tests/harness"
	"thalweg/tests/lean"
	"thalweg/tests/sdk"
)

// target is a server to measure.
type target struct {
	name string
	// primary marks the one that the aims speak of: durable, signatures verified.
	primary bool
	peer    bool
	pushes  bool // knows SubscribeToShard
	start   func(ctx context.Context, dir string) (*server, error)
}

// server is a running target.
type server struct {
	addr      string
	kafka     string // the same of Kafka's protocol
	pid       func() int
	accessKey string
	secretKey string
	took      time.Duration // from exec to ready
	thalweg   *harness.Server
	close     func() error
}

// signer returns a signer for the server; sign only matters where nothing
// checks.
func (s *server) signer(sign bool) lean.Signer {
	return lean.Signer{
		Host: s.addr, AccessKey: s.accessKey, SecretKey: s.secretKey, Region: sdk.Region,
		Unsigned: !sign && s.accessKey == sdk.AccessKey,
	}
}

func targetsOf(ctx context.Context, o options) ([]target, error) {
	var targets []target
	for mode := range strings.SplitSeq(o.modes, ",") {
		durability, auth, ok := strings.Cut(mode, "/")
		if !ok || !slices.Contains([]string{"fsync", "os", "ephemeral"}, durability) ||
			!slices.Contains([]string{"open", "strict"}, auth) || mode == "ephemeral/strict" {
			return nil, fmt.Errorf("mode %q: want fsync or os, / open or strict; or ephemeral/open", mode)
		}
		targets = append(targets, target{
			name: "thalweg " + mode, primary: mode == "fsync/strict", pushes: true,
			start: func(ctx context.Context, dir string) (*server, error) {
				return startThalweg(ctx, dir, durability, auth)
			},
		})
	}
	for peer := range strings.SplitSeq(o.peers, ",") {
		if peer == "none" || peer == "" {
			continue
		}
		spec, ok := peerSpecs()[peer]
		if !ok {
			return nil, fmt.Errorf("peer %q is not known", peer)
		}
		modules, err := installPeers(ctx)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target{name: peer, peer: true, pushes: spec.pushes, start: func(ctx context.Context, dir string) (*server, error) {
			return startPeer(ctx, spec, modules, dir)
		}})
	}
	return targets, nil
}

func startThalweg(ctx context.Context, dir, durability, auth string, more ...string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &server{accessKey: sdk.AccessKey, secretKey: sdk.SecretKey}
	opts := harness.Options{Dir: dir, Ephemeral: durability == "ephemeral"}
	if opts.Ephemeral {
		opts.Args = []string{"--max-disk", "4GiB"} // room for the records of all workloads
	} else {
		opts.Args = []string{"--durability", durability}
	}
	if auth == "strict" {
		opts.Args = append(opts.Args, "--auth", "strict")
	}
	opts.Args = append(opts.Args, more...)
	h, err := harness.Start(ctx, opts)
	if err != nil {
		return nil, err
	}
	if auth == "strict" {
		key, err := h.CreateKey(ctx, sdk.AccessKey)
		if err != nil {
			return nil, errors.Join(err, h.Close())
		}
		s.accessKey, s.secretKey = key.AccessKey, key.SecretKey
	}
	s.thalweg, s.addr, s.kafka, s.took = h, h.Addr(), h.Ready().Kafka, h.Took()
	s.pid = func() int { return h.Ready().PID }
	s.close = func() error { return errors.Join(h.Close(), os.RemoveAll(dir)) }
	return s, nil
}

// peerSpec says how a peer from npm is run. The names of ports in args and env
// stand for free ones.
type peerSpec struct {
	module string // its directory below node_modules, where it runs
	args   []string
	env    []string
	pushes bool // knows SubscribeToShard
}

const (
	port    = "{port}"
	portTLS = "{tls}"
)

func peerSpecs() map[string]peerSpec {
	return map[string]peerSpec{
		"kinesis-local": {
			module: "kinesis-local", args: []string{"main.js"},
			env: []string{
				"KINESIS_MOCK_PLAIN_PORT=" + port, "KINESIS_MOCK_TLS_PORT=" + portTLS, "LOG_LEVEL=ERROR",
				"SHARD_LIMIT=1000", "CREATE_STREAM_DURATION=10ms",
			},
			pushes: true,
		},
		"kinesalite": {
			module: "kinesalite", args: []string{"cli.js", "--port", port, "--shardLimit", "1000", "--createStreamMs", "10"},
		},
	}
}

// installPeers installs the peers, at the versions of bench/peers, into
// bench/.cache, once, and returns the directory of the modules.
func installPeers(ctx context.Context) (string, error) {
	from := filepath.Join(harness.Root(), "bench", "peers")
	to := filepath.Join(harness.Root(), "bench", ".cache")
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return "", fmt.Errorf("install peers: %w", err)
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return "", fmt.Errorf("install peers: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return "", fmt.Errorf("install peers: %w", err)
		}
	}
	modules := filepath.Join(to, "node_modules")
	var last error
	for range 3 {
		if last = checkPeers(modules, from); last == nil {
			return modules, nil
		}
		cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
		cmd.Dir = to
		if out, err := cmd.CombinedOutput(); err != nil {
			last = fmt.Errorf("npm ci: %w\n%s", err, out)
		}
	}
	if err := checkPeers(modules, from); err != nil {
		return "", fmt.Errorf("install peers: %w", errors.Join(err, last))
	}
	return modules, nil
}

// checkPeers tells whether what is installed has the versions asked for.
func checkPeers(modules, from string) error {
	var want struct{ Dependencies map[string]string }
	if err := readJSON(filepath.Join(from, "package.json"), &want); err != nil {
		return err
	}
	for name, version := range want.Dependencies {
		var have struct{ Version string }
		if err := readJSON(filepath.Join(modules, name, "package.json"), &have); err != nil {
			return err
		}
		if have.Version != version {
			return fmt.Errorf("%s is at %s, want %s", name, have.Version, version)
		}
	}
	return nil
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// startPeer runs a peer on a free port and waits until it answers.
func startPeer(ctx context.Context, spec peerSpec, modules, dir string) (*server, error) {
	number, err1 := freePort()
	numberTLS, err2 := freePort()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	names := strings.NewReplacer(port, number, portTLS, numberTLS)
	set := func(in []string) []string {
		out := slices.Clone(in)
		for i := range out {
			out[i] = names.Replace(out[i])
		}
		return out
	}
	cmd := exec.Command("node", set(spec.args)...)
	cmd.Dir = filepath.Join(modules, spec.module)
	cmd.Env = append(os.Environ(), set(spec.env)...)
	return runPeer(ctx, cmd, number, dir, "ListStreams")
}

// runPeer runs a peer that listens on a port until it answers an operation.
func runPeer(ctx context.Context, cmd *exec.Cmd, number, dir, operation string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{
		addr: "127.0.0.1:" + number, accessKey: sdk.AccessKey, secretKey: sdk.SecretKey,
		pid: func() int { return cmd.Process.Pid },
		close: func() error {
			_ = cmd.Process.Kill() // a peer keeps nothing
			_ = cmd.Wait()         // killed: no failure
			return os.RemoveAll(dir)
		},
	}
	if err := awaitPeer(ctx, s, operation); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "log")) // only to be shown
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, said), s.close())
	}
	s.took = time.Since(began)
	return s, nil
}

// freePort returns a port that was free a moment ago.
func freePort() (string, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, number, err := net.SplitHostPort(free.Addr().String())
	return number, errors.Join(err, free.Close())
}

func awaitPeer(ctx context.Context, s *server, operation string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	signer := s.signer(true)
	if operation == listHoses {
		signer = s.hoseSigner(true)
	}
	for {
		if conn, err := lean.Dial(s.addr); err == nil {
			err = conn.Call(signer.Request(operation, []byte("{}")), nil)
			if errors.Join(err, conn.Close()) == nil {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for an answer: %w", ctx.Err())
		}
	}
}
