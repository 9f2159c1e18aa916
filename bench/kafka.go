package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/harness"
)

// primaryKafka is the target that the aims of Kafka's protocol speak of.
const primaryKafka = "thalweg fsync"

// kafkaTargets are thalweg and Apache Kafka, each once as it is when every
// acknowledged record is on the disk, and once as it is when the operating system
// may still hold it, which is Apache Kafka's default.
func kafkaTargets(ctx context.Context, o options) ([]target, error) {
	var targets []target
	for _, durability := range []string{"fsync", "os"} {
		targets = append(targets, target{name: "thalweg " + durability, primary: durability == "fsync",
			start: func(ctx context.Context, dir string) (*server, error) {
				return startThalweg(ctx, dir, durability, "open")
			}})
	}
	if o.peers == "none" {
		return targets, nil
	}
	libs, err := installKafka(ctx)
	if err != nil {
		return nil, err
	}
	for _, flush := range []struct{ name, setting string }{
		{"apache-kafka flush=1", "log.flush.interval.messages=1"}, {"apache-kafka", ""},
	} {
		targets = append(targets, target{name: flush.name, peer: true, start: func(ctx context.Context, dir string) (*server, error) {
			return startKafka(ctx, libs, dir, flush.setting)
		}})
	}
	return targets, nil
}

// installKafka fetches Apache Kafka's jars, at the version of
// tests/kafka/broker/pom.xml, into bench/.cache, once, and returns their directory.
func installKafka(ctx context.Context) (string, error) {
	pom := filepath.Join(harness.Root(), "tests", "kafka", "broker", "pom.xml")
	want, err := os.ReadFile(pom)
	if err != nil {
		return "", fmt.Errorf("install Apache Kafka: %w", err)
	}
	libs := filepath.Join(harness.Root(), "bench", ".cache", "kafka")
	mark := filepath.Join(libs, "pom.xml")
	var last error
	for range 3 {
		if have, err := os.ReadFile(mark); err == nil && string(have) == string(want) {
			return libs, nil
		}
		if err := os.RemoveAll(libs); err != nil {
			return "", fmt.Errorf("install Apache Kafka: %w", err)
		}
		cmd := exec.CommandContext(ctx, "mvn", "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+libs)
		if out, err := cmd.CombinedOutput(); err != nil {
			last = fmt.Errorf("mvn: %w\n%s", err, out)
			continue
		}
		if err := os.WriteFile(mark, want, 0o644); err != nil {
			return "", fmt.Errorf("install Apache Kafka: %w", err)
		}
	}
	return "", fmt.Errorf("install Apache Kafka: %w", last)
}

// kafkaJVM are the options with which Apache Kafka's own script starts a broker.
func kafkaJVM() []string {
	return []string{"-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
		"-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"}
}

// startKafka runs a broker that is its own controller, with Apache Kafka's defaults
// and one more setting, and waits until it answers.
func startKafka(ctx context.Context, libs, dir, setting string) (*server, error) {
	number, err1 := freePort()
	controller, err2 := freePort()
	template, err3 := os.ReadFile(filepath.Join(harness.Root(), "tests", "kafka", "broker", "server.properties"))
	if err := errors.Join(err1, err2, err3, os.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "server.properties")
	text := strings.NewReplacer("@PORT@", number, "@CONTROLLER@", controller, "@DIR@", dir).Replace(string(template)) + setting + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	java := func(args ...string) *exec.Cmd {
		cmd := exec.Command("java", append([]string{"-cp", filepath.Join(libs, "*")}, args...)...)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	if err := java("-Xmx256m", "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config).Run(); err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	cmd := java(append(kafkaJVM(), "kafka.Kafka", config)...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{
		kafka: "127.0.0.1:" + number, pid: func() int { return cmd.Process.Pid },
		close: func() error {
			_ = cmd.Process.Kill() // a peer keeps nothing
			_ = cmd.Wait()         // killed: no failure
			return os.RemoveAll(dir)
		},
	}
	if err := awaitKafka(ctx, s.kafka); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "log")) // only to be shown
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, said), s.close())
	}
	s.took = time.Since(began)
	return s, nil
}

// awaitKafka waits until a broker answers.
func awaitKafka(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		if err := cl.Ping(ctx); err == nil {
			return nil
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("wait for an answer: %w", err)
		}
	}
}

// judgeKafka holds thalweg against the aims of Kafka's protocol.
func (r *report) judgeKafka() {
	for _, s := range r.Starts {
		if s.Server == primaryKafka {
			r.most("start, empty", s.EmptyMillis, 50, "ms")
			r.most("RSS idle", mega(s.IdleRSS), 30, "MB")
		}
	}
	peer := map[string]result{}
	for _, x := range r.Results {
		peer[x.Server+x.Workload] = x
	}
	for _, x := range r.Results {
		if !strings.HasPrefix(x.Server, "thalweg") {
			continue
		}
		primary := x.Server == primaryKafka
		switch {
		case !primary:
		case x.Workload == produceName(1024, "none"):
			r.most(x.Workload+", server CPU", x.CPUPerMillion, 0.9, "s/M")
		case x.Workload == consumeName(1024, "none"):
			r.most(x.Workload+", server CPU", x.CPUPerMillion, 0.5, "s/M")
		case x.Workload == ackName:
			r.most(x.Workload+", p50", x.P50Millis, 0.3, "ms")
		case x.Workload == endToEndName:
			r.most(x.Workload+", p50", x.P50Millis, 0.4, "ms")
			r.most(x.Workload+", p99", x.P99Millis, 1, "ms")
		}
		if primary && strings.Contains(x.Workload, "1 KiB") {
			r.most(x.Workload+", RSS", mega(x.RSS), 100, "MB")
		}
		beside := "apache-kafka"
		if primary {
			beside += " flush=1"
		}
		if y, ok := peer[beside+x.Workload]; ok && x.CPUPerGB > 0 {
			r.least(x.Workload+", per CPU s, x "+beside, y.CPUPerGB/x.CPUPerGB, 2, "x")
		}
	}
}
