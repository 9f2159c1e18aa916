package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// disk is what the machine's own write and fdatasync of 4 KiB does, which no
// durable figure can beat for a single client.
type disk struct {
	Prewritten, Growing syncFigure
}

type syncFigure struct {
	PerSecond float64 `json:"per_second"`
	P50Millis float64 `json:"p50_ms"`
	P99Millis float64 `json:"p99_ms"`
}

const (
	diskBlock = 4 << 10
	diskTime  = time.Second
	diskBytes = 64 << 20
)

// measureDisk writes and syncs one block after another, in a file written
// before and in one that grows.
func measureDisk(dir string) (disk, error) {
	var d disk
	for _, prewritten := range []bool{true, false} {
		figure, err := measureSync(filepath.Join(dir, "disk"), prewritten)
		if err != nil {
			return disk{}, fmt.Errorf("measure disk: %w", err)
		}
		if prewritten {
			d.Prewritten = figure
		} else {
			d.Growing = figure
		}
	}
	return d, nil
}

func measureSync(path string, prewritten bool) (syncFigure, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return syncFigure{}, err
	}
	defer os.Remove(path)
	defer file.Close()
	if prewritten {
		zeros := make([]byte, 1<<20)
		for at := int64(0); at < diskBytes; at += int64(len(zeros)) {
			if _, err := file.WriteAt(zeros, at); err != nil {
				return syncFigure{}, err
			}
		}
		if err := file.Sync(); err != nil {
			return syncFigure{}, err
		}
	}
	block := make([]byte, diskBlock)
	for i := range block {
		block[i] = byte(i)
	}
	var took []time.Duration
	began := time.Now()
	for at := int64(0); time.Since(began) < diskTime && at < diskBytes; at += diskBlock {
		one := time.Now()
		if _, err := file.WriteAt(block, at); err != nil {
			return syncFigure{}, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return syncFigure{}, err
		}
		took = append(took, time.Since(one))
	}
	n := float64(len(took)) / time.Since(began).Seconds()
	slices.Sort(took)
	return syncFigure{PerSecond: n, P50Millis: millis(quantile(took, 0.50)), P99Millis: millis(quantile(took, 0.99))}, nil
}

func (d disk) print(w io.Writer) {
	for _, f := range []struct {
		name string
		syncFigure
	}{{"prewritten file", d.Prewritten}, {"growing file", d.Growing}} {
		fmt.Fprintf(w, "disk, write + fdatasync of 4 KiB, %-15s %7.0f/s  p50 %.3f ms  p99 %.3f ms\n",
			f.name+":", f.PerSecond, f.P50Millis, f.P99Millis)
	}
}

// quantile returns the q-quantile of sorted durations, 0 of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
