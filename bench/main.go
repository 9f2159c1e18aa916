// Command bench measures thalweg and its peers on this machine, one after the
// other in one run: what a record costs the server in CPU time, how many pass,
// how long one waits, how much memory that takes, how fast a server starts; and
// what the disk itself can do. It prints a table, holds thalweg against its
// aims, and writes everything as JSON.
//
// Client and server share the machine's cores, so rates say less than the
// server's CPU seconds per million records (s/M), which it reads from
// /proc/PID/stat.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"thalweg/tests/harness"
)

// options is the command line.
type options struct {
	seconds  time.Duration
	modes    string
	peers    string
	sign     bool
	hotBytes int64
	starts   int
	out      string
	only     string
	dir      string
	groups   string
}

func main() {
	var o options
	flag.DurationVar(&o.seconds, "t", 3*time.Second, "how long each workload is measured")
	flag.StringVar(&o.modes, "modes", "fsync/strict,fsync/open,os/open,ephemeral/open",
		"thalweg's durability and authentication, comma-separated")
	flag.StringVar(&o.peers, "peers", "kinesis-local", "peers to measure beside: kinesis-local, kinesalite, none, which leaves out Apache Kafka and moto too")
	flag.BoolVar(&o.sign, "sign", true, "whether the lean client really signs where the server does not check")
	flag.Int64Var(&o.hotBytes, "hot", 1<<30, "bytes in the log when it is killed to measure the start after a crash; 0 leaves it out")
	flag.IntVar(&o.starts, "starts", 7, "starts of an empty server to take the median of")
	flag.StringVar(&o.out, "o", filepath.Join(harness.Root(), "docs", "evidence", "bench.json"), `JSON file to write; "" for none`)
	flag.StringVar(&o.only, "only", "", "run only workloads whose name contains this")
	flag.StringVar(&o.groups, "groups", "kinesis,kafka,firehose", "services to measure, comma-separated; the file of another than kinesis bears its name")
	flag.StringVar(&o.dir, "dir", "", "directory on the disk to measure; \"\" is a temporary one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp(o.dir, "thalweg-bench-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	defer harness.RemoveBinary()
	for name := range strings.SplitSeq(o.groups, ",") {
		g, ok := groups()[name]
		if !ok {
			return fmt.Errorf("group %q: want kinesis, kafka or firehose", name)
		}
		if err := g.run(ctx, o, dir); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// group is what is measured of one service: who, what, and against which aims.
type group struct {
	suffix  string // of the file's name
	about   string // what the aims speak of
	targets func(context.Context, options) ([]target, error)
	load    func(*report, context.Context, *server, target, options) error
	judge   func(*report)
}

func groups() map[string]group {
	return map[string]group{
		"kinesis":  {"", "fsync with signatures verified", targetsOf, (*report).measureKinesis, (*report).judge},
		"kafka":    {"-kafka", "fsync", kafkaTargets, (*report).measureKafka, (*report).judgeKafka},
		"firehose": {"-firehose", "fsync with signatures verified", hoseTargets, (*report).measureHoses, (*report).judgeHoses},
	}
}

func (g group) run(ctx context.Context, o options, dir string) error {
	targets, err := g.targets(ctx, o)
	if err != nil {
		return err
	}
	r := report{
		Commit: harness.Commit(), Date: time.Now().UTC().Format(time.RFC3339),
		Machine: machine(), Load: load(), Go: runtime.Version(), Seconds: o.seconds.Seconds(),
	}
	fmt.Printf("%s, %s, commit %s, load average %.1f\n", r.Machine, r.Go, r.Commit, r.Load)
	if r.Load > 0.5*float64(runtime.NumCPU()) {
		fmt.Println("warning: other work is using this machine: costs and latencies come out too high")
	}
	if r.Disk, err = measureDisk(dir); err != nil {
		return err
	}
	r.Disk.print(os.Stdout)
	for _, t := range targets {
		if err := r.measure(ctx, t, g, o, dir); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	g.judge(&r)
	r.print(os.Stdout, g.about)
	if o.out == "" {
		return nil
	}
	return r.write(strings.TrimSuffix(o.out, ".json") + g.suffix + ".json")
}

// measure runs a group's workloads against one target.
func (r *report) measure(ctx context.Context, t target, g group, o options, dir string) (err error) {
	start, err := measureStart(ctx, t, o, dir)
	if err != nil {
		return err
	}
	s, err := t.start(ctx, filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(t.name)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	idle, err := harness.MemoryOf(s.pid())
	if err != nil {
		return err
	}
	start.Server, start.IdleRSS = t.name, idle.RSS
	r.Starts = append(r.Starts, start)
	return g.load(r, ctx, s, t, o)
}

// measureKinesis runs the workloads of Kinesis's API against a server, whose start
// is the report's last.
func (r *report) measureKinesis(ctx context.Context, s *server, t target, o options) (err error) {
	start := &r.Starts[len(r.Starts)-1]
	for _, w := range workloads(t, o) {
		if !strings.Contains(w.name, o.only) {
			continue
		}
		res, err := w.run(ctx, s, o)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		res.Server, res.Workload, res.Client = t.name, w.name, w.client
		fmt.Println(res.line())
		r.Results = append(r.Results, res)
	}
	if t.pushes && (t.primary || t.peer) {
		for _, consumers := range []int{1, 20} {
			name := fanoutName(consumers)
			if !strings.Contains(name, o.only) {
				continue
			}
			res, err := measureFanout(ctx, s, consumers, o)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			res.Server, res.Workload, res.Client = t.name, name, "lean"
			fmt.Println(res.line())
			r.Results = append(r.Results, res)
		}
	}
	if t.primary && strings.Contains(idleName, o.only) {
		if start.IdleSubscriptions, err = measureIdle(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", idleName, err)
		}
		fmt.Printf("%s: %.1f MB\n", idleName, mega(start.IdleSubscriptions))
	}
	if t.primary && o.hotBytes > 0 && o.only == "" {
		if start.Hot, err = measureHot(ctx, s, o.hotBytes); err != nil {
			return err
		}
	}
	return nil
}
