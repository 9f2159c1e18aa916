package main

import (
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	r := report{
		Disk:   disk{Prewritten: syncFigure{P50Millis: 0.1}},
		Starts: []startFigure{{Server: "thalweg fsync/strict", EmptyMillis: 100, IdleRSS: 20e6}, {Server: "peer", EmptyMillis: 1}},
		Results: []result{
			{Server: "thalweg fsync/strict", Client: "lean", Workload: "PutRecord 1 KiB x16", CPUPerMillion: 10, PerSecond: 10_000, P50Millis: 0.15, RSS: 50e6},
			{Server: "thalweg os/open", Client: "lean", Workload: "PutRecord 1 KiB x16", CPUPerMillion: 99},
		},
	}
	r.judge()
	var out strings.Builder
	r.print(&out, "fsync")
	got := map[string]aim{}
	for _, a := range r.Aims {
		got[a.Name] = a
	}
	for name, missed := range map[string]bool{
		"start, empty": true, "RSS idle": false, "PutRecord 1 KiB x16, server CPU": false,
		"PutRecord 1 KiB x16, rate": true, "PutRecord 1 KiB x16, p50 over the disk's": false, "PutRecord 1 KiB x16, RSS": false,
	} {
		if a, ok := got[name]; !ok || a.Missed != missed || missed && a.Ratio != 2 {
			t.Errorf("%s: %+v, want missed %v", name, a, missed)
		}
	}
	if n := strings.Count(out.String(), "missed by 2.00x"); n != 2 || len(r.Aims) != 6 {
		t.Errorf("%d aims missed in\n%s", n, out.String())
	}
}

func TestQuantile(t *testing.T) {
	sorted := []time.Duration{1, 2, 3, 4}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := quantile(sorted, q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("the median of nothing is not 0")
	}
}
