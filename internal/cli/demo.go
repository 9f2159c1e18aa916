package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"thalweg/internal/app"
	"thalweg/internal/client"
	"thalweg/internal/config"
	"thalweg/internal/demo"
	"thalweg/internal/vfs"
)

// demoStream is the demo's stream.
const demoStream = "arena"

// demoFlags are what `thalweg demo` takes.
type demoFlags struct {
	data, dest, events string
	listen             config.HostPort
	durability         string
	players            int
	shards             int32
	rate, speed        factor
	seed               uint64
	duration           time.Duration
	headless           bool
}

// factor is how many times faster than real: x10, 10, or max.
type factor float64

func (f *factor) Set(s string) error {
	if s == "max" {
		*f = 0
		return nil
	}
	v, err := strconv.ParseFloat(strings.TrimPrefix(s, "x"), 64)
	if err != nil || v <= 0 || v > 1e6 {
		return fmt.Errorf("%q is no factor; write x10, 0.5 or max", s)
	}
	*f = factor(v)
	return nil
}

func (f *factor) String() string {
	if *f == 0 {
		return "max"
	}
	return "x" + strconv.FormatFloat(float64(*f), 'g', -1, 64)
}

// Type names the form.
func (f *factor) Type() string { return "xN|max" }

func (e Env) demoCmd() *cobra.Command {
	d := demoFlags{listen: "127.0.0.1:4566", durability: string(config.Fsync), rate: 1, speed: 1}
	c := &cobra.Command{Use: "demo", Short: "Run a server with an online game flowing through it",
		Long: `Run a server with an online game flowing through it: simulated players, or recorded
ones, put their events into a stream over HTTP, and two applications read it
independently, one for a live leaderboard, one writing files. At the end, of its
time or by Ctrl-C, it checks that every event arrived at both, once and in order,
and fails if not.`,
		Example: "  thalweg demo --players 500 --rate x5\n  thalweg demo --headless --duration 30s\n  thalweg demo --events events.ndjson.gz --speed x20", Args: exactly()}
	f := c.Flags()
	f.StringVar(&d.data, "data", "", "`DIR` of the data, kept (default a temporary one, removed at the end)")
	f.StringVar(&d.dest, "dest", "", "`DIR` that the archive writes to (default beside the data)")
	f.StringVar(&d.events, "events", "", "replay recorded events from this `FILE` (.ndjson or .ndjson.gz)")
	f.Var(&d.speed, "speed", "how fast to replay --events")
	f.IntVar(&d.players, "players", 200, "simulated players")
	f.Var(&d.rate, "rate", "how fast simulated players live")
	f.Uint64Var(&d.seed, "seed", 1, "seed of the simulation: the same seed, the same game")
	f.Int32Var(&d.shards, "shards", 4, "shards of the stream")
	f.DurationVar(&d.duration, "duration", 0, "end after this long (default when the events end, or by Ctrl-C)")
	f.BoolVar(&d.headless, "headless", false, "show nothing but the result")
	f.Var(&d.listen, "listen", "`HOST:PORT` of the server; a free port when the default one is taken")
	f.StringVar(&d.durability, "durability", d.durability, "what an acknowledged record survives: `fsync|os`, as in serve")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return e.runDemo(c.Context(), &d, c.Flags().Changed("listen"))
	}
	return c
}

func (d *demoFlags) check() error {
	switch {
	case d.players < 2 || d.players > 1_000_000:
		return usagef("", "--players %d is not between 2 and 1000000", d.players)
	case d.shards < 1 || d.shards > 1000:
		return usagef("", "--shards %d is not between 1 and 1000", d.shards)
	case d.duration < 0:
		return usagef("", "--duration %v is negative", d.duration)
	case d.headless && d.duration == 0 && d.events == "":
		return usagef("give --duration 30s, or --events FILE", "a headless game would never end")
	}
	return nil
}

func (e Env) runDemo(ctx context.Context, d *demoFlags, listenGiven bool) (err error) {
	if err := d.check(); err != nil {
		return err
	}
	if d.data == "" || d.dest == "" {
		tmp, terr := mkdirTemp()
		if terr != nil {
			return terr
		}
		defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
		if d.data == "" {
			d.data = filepath.Join(tmp, "data")
		}
		if d.dest == "" {
			d.dest = filepath.Join(filepath.Dir(d.data), "archive")
		}
	}
	src, title, closeSrc, err := e.demoSource(d)
	if err != nil {
		return err
	}
	defer closeSrc()
	cfg, srv, log, err := e.demoServer(ctx, d, listenGiven)
	if err != nil {
		return err
	}
	o := e.demoOptions(d, cfg, srv)
	o.Source, o.Title = src, title
	err = demo.Run(ctx, o)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(cfg.Shutdown))
	defer cancel()
	err = errors.Join(err, srv.Close(stop))
	_, _ = io.Copy(e.Stderr, log)
	return err
}

// demoSource returns the events.
func (e Env) demoSource(d *demoFlags) (demo.Source, string, func(), error) {
	if d.events == "" {
		return demo.NewGame(d.seed, d.players), fmt.Sprintf("%s simulated players, seed %d, %s", grouped(int64(d.players)), d.seed, d.rate.String()), func() {}, nil
	}
	f, _, err := e.open(d.events)
	if err != nil {
		return nil, "", nil, err
	}
	lines, err := unpacked(f)
	if err != nil {
		f.Close()
		return nil, "", nil, fmt.Errorf("%s: %w", d.events, err)
	}
	d.rate = d.speed
	return demo.Replay(lines), fmt.Sprintf("recorded events, %s", d.speed.String()), func() { f.Close() }, nil
}

// demoServer starts the server. Its warnings are kept for after the show.
func (e Env) demoServer(ctx context.Context, d *demoFlags, listenGiven bool) (config.Config, *app.Server, *bytes.Buffer, error) {
	log := &bytes.Buffer{}
	cfg := config.Default(e.Lookup)
	cfg.Data, cfg.Listen, cfg.ListenTLS, cfg.ListenKafka = d.data, d.listen, "off", nil
	if d.durability == string(config.OS) {
		cfg.Durability = config.OS
	} else if d.durability != string(config.Fsync) {
		return cfg, nil, nil, usagef("", "--durability %q is none of fsync|os", d.durability)
	}
	e.limitMemory(cfg)
	o := app.Options{Config: cfg, Clock: e.Clock, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	srv, err := app.Start(ctx, o)
	if errors.Is(err, syscall.EADDRINUSE) && !listenGiven {
		o.Config.Listen = "127.0.0.1:0"
		srv, err = app.Start(ctx, o)
	}
	return o.Config, srv, log, err
}

func (e Env) demoOptions(d *demoFlags, cfg config.Config, srv *app.Server) demo.Options {
	endpoint := srv.Addresses().HTTP
	o := demo.Options{
		Dial: func() (*client.Client, error) {
			return client.New(client.Options{Endpoint: endpoint, Region: string(cfg.Region), AccessKeyID: "test", SecretAccessKey: "test"})
		},
		Clock: e.Clock, FS: vfs.OS{}, Stream: demoStream, Shards: d.shards, InOrder: true,
		Speed: float64(d.rate), Dest: d.dest, Duration: d.duration, Out: e.Stdout,
	}
	if d.headless {
		return o
	}
	o.Screen = &demo.Screen{Out: e.Stdout, Color: e.color(e.Stdout), Unicode: e.utf8(),
		Notes: []string{"server at " + endpoint + ", data in " + srv.Data(), "durability: " + cfg.Promise()},
		Try: []string{
			e.program() + " stream tail " + demoStream + endpointFlag(endpoint),
			e.evalEnv(endpoint) + " && aws kinesis describe-stream-summary --stream-name " + demoStream,
			"curl -s " + endpoint + "/metrics | grep thalweg_requests_total",
		}}
	for _, u := range cfg.Unsafe() {
		o.Screen.Notes = append(o.Screen.Notes, "UNSAFE: "+u)
	}
	if fd, ok := terminal(e.Stdout); ok {
		o.Screen.Size = func() (int, int) {
			w, h, err := term.GetSize(fd)
			if err != nil {
				return 80, 24
			}
			return w, h
		}
	}
	return o
}
