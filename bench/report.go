package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// report is everything a run measured.
type report struct {
	Commit  string `json:"commit"`
	Date    string `json:"date"`
	Machine string `json:"machine"`
	// Load is how many others wanted a core when the run began (the one-minute
	// load average): figures taken beside other work are not worth much.
	Load    float64       `json:"load_at_start"`
	Go      string        `json:"go"`
	Seconds float64       `json:"seconds_per_workload"`
	Disk    disk          `json:"disk"`
	Starts  []startFigure `json:"starts"`
	Results []result      `json:"results"`
	Aims    []aim         `json:"aims"`
}

// aim is one number to design for, and what came of it. Ratio is how much of
// the aim is used up: above 1 it is missed.
type aim struct {
	Name     string  `json:"name"`
	Aim      float64 `json:"aim"`
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit"`
	AtLeast  bool    `json:"at_least"`
	Missed   bool    `json:"missed"`
	Ratio    float64 `json:"missed_by"`
}

// judge holds the primary target against the aims.
func (r *report) judge() {
	const primary = "thalweg fsync/strict"
	for _, s := range r.Starts {
		if s.Server != primary {
			continue
		}
		r.most("start, empty", s.EmptyMillis, 50, "ms")
		if s.Hot != nil {
			r.most(fmt.Sprintf("start after kill -9, %d MB of log", s.Hot.Bytes>>20), s.Hot.ReadyMillis, 1000, "ms")
		}
		r.most("RSS idle", mega(s.IdleRSS), 30, "MB")
	}
	for _, x := range r.Results {
		if x.Server != primary || x.Client != "lean" {
			continue
		}
		switch x.Workload {
		case "PutRecord 1 KiB x16":
			r.most(x.Workload+", server CPU", x.CPUPerMillion, 15, "s/M")
			r.least(x.Workload+", rate", x.PerSecond, 20_000, "/s")
			r.most(x.Workload+", p50 over the disk's", x.P50Millis/r.Disk.Prewritten.P50Millis, 2, "x")
		case "PutRecords 500 x 1 KiB":
			r.most(x.Workload+", server CPU", x.CPUPerMillion, 2.5, "s/M")
			r.least(x.Workload+", rate", x.PerSecond, 200_000, "/s")
		case fanoutName(1), fanoutName(20):
			r.most(x.Workload+", put to receive, p50", x.P50Millis, 2, "ms")
			r.most(x.Workload+", put to receive, p99", x.P99Millis, 10, "ms")
		case "GetRecords drain 1 KiB":
			r.most(x.Workload+", server CPU", x.CPUPerMillion, 1, "s/M")
		}
		if strings.Contains(x.Workload, "1 KiB") {
			r.most(x.Workload+", RSS", mega(x.RSS), 100, "MB")
		}
	}
}

func (r *report) most(name string, measured, limit float64, unit string) {
	r.Aims = append(r.Aims, aim{
		Name: name, Aim: limit, Measured: measured, Unit: unit, Missed: measured > limit, Ratio: measured / limit,
	})
}

func (r *report) least(name string, measured, limit float64, unit string) {
	r.Aims = append(r.Aims, aim{
		Name: name, Aim: limit, Measured: measured, Unit: unit, AtLeast: true, Missed: measured < limit,
		Ratio: limit / max(measured, 1e-9),
	})
}

func mega(bytes int64) float64 { return float64(bytes) / 1e6 }

func (x result) line() string {
	volume := ""
	if x.MBPerSecond > 0 {
		volume = fmt.Sprintf(" %8.0f %9.3f", x.MBPerSecond, x.CPUPerGB)
	}
	return fmt.Sprintf("%-24s %-40s %-14s %10.0f %9.2f %9.3f %9.3f %8.0f%s",
		x.Server, x.Workload, x.Client, x.PerSecond, x.CPUPerMillion, x.P50Millis, x.P99Millis, mega(x.RSS), volume)
}

func (r *report) print(w io.Writer, about string) {
	fmt.Fprintf(w, "\n%-24s %-40s %-14s %10s %9s %9s %9s %8s %8s %9s\n",
		"server", "workload", "client", "records/s", "s/M", "p50 ms", "p99 ms", "RSS MB", "MB/s", "CPU s/GB")
	for _, x := range r.Results {
		fmt.Fprintln(w, x.line())
	}
	fmt.Fprintf(w, "\n%-24s %16s %12s %26s\n", "server", "start, empty ms", "idle RSS MB", "start after kill -9, ms")
	for _, s := range r.Starts {
		after := "-"
		if s.Hot != nil {
			after = fmt.Sprintf("%.0f (%d MB of log)", s.Hot.ReadyMillis, s.Hot.Bytes>>20)
		}
		fmt.Fprintf(w, "%-24s %16.1f %12.1f %26s\n", s.Server, s.EmptyMillis, mega(s.IdleRSS), after)
	}
	fmt.Fprintln(w)
	r.Disk.print(w)
	if len(r.Aims) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%-52s %12s %12s\n", "aims, "+about, "aim", "measured")
	for _, a := range r.Aims {
		sign, verdict := "<=", "met"
		if a.AtLeast {
			sign = ">="
		}
		if a.Missed {
			verdict = fmt.Sprintf("missed by %.2fx", a.Ratio)
		}
		fmt.Fprintf(w, "%-52s %12s %12s  %s\n", a.Name, fmt.Sprintf("%s %g %s", sign, a.Aim, a.Unit),
			fmt.Sprintf("%.4g %s", a.Measured, a.Unit), verdict)
	}
}

func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// load reads the one-minute load average; 0 where there is none.
func load() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	var minute float64
	if _, err := fmt.Sscan(string(data), &minute); err != nil {
		return 0
	}
	return minute
}

// machine names the processor and the number of cores.
func machine() string {
	name := runtime.GOARCH
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores", name, runtime.NumCPU())
}
