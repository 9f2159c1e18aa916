package metrics

import (
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(rec.Body)
	if err != nil || rec.Code != 200 {
		t.Fatalf("status %d, %v", rec.Code, err)
	}
	return string(b)
}

func TestScrape(t *testing.T) {
	r, other := New("v1"), New("v2") // two in one process
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				r.Observe("kinesis", "PutRecord", "", 0.0003, 1000, 200)
			}
			r.Observe("kinesis", "PutRecord", "ValidationException", 0.1, 10, 20)
		})
	}
	wg.Wait()
	r.Gauge("log_writable", "1 while the log takes writes.", func() float64 { return 1 })
	r.Counter("log_syncs_total", "Syncs.", func() float64 { return 7 })
	got := scrape(t, r)
	for _, want := range []string{
		`thalweg_requests_total{code="",operation="PutRecord",service="kinesis"} 800`,
		`thalweg_requests_total{code="ValidationException",operation="PutRecord",service="kinesis"} 8`,
		`thalweg_request_seconds_count{operation="PutRecord",service="kinesis"} 808`,
		`thalweg_request_seconds_bucket{operation="PutRecord",service="kinesis",le="0.0004"} 800`,
		`thalweg_request_bytes_total{direction="in",operation="PutRecord",service="kinesis"} 800080`,
		`thalweg_build_info{version="v1"} 1`,
		"thalweg_log_writable 1", "thalweg_log_syncs_total 7", "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q", want)
		}
	}
	if strings.Contains(scrape(t, other), "PutRecord") {
		t.Error("registries share series")
	}
}

func TestFamilies(t *testing.T) {
	r := New("v1")
	streams := map[string]float64{"a": 1, "b": 2}
	r.Families([]Family{
		{Name: "stream_records_total", Help: "Records.", Labels: []string{"stream"}},
		{Name: "stream_age_seconds", Help: "Age.", Labels: []string{"stream"}, Gauge: true},
	}, func(emit func(int, float64, ...string)) {
		for name, v := range streams {
			emit(0, v, name)
			emit(1, 10*v, name)
		}
	})
	got := scrape(t, r)
	for _, want := range []string{
		"# TYPE thalweg_stream_records_total counter", "# TYPE thalweg_stream_age_seconds gauge",
		`thalweg_stream_records_total{stream="a"} 1`, `thalweg_stream_age_seconds{stream="b"} 20`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q", want)
		}
	}
	delete(streams, "a")
	if strings.Contains(scrape(t, r), `stream="a"`) {
		t.Error("what is gone is still there")
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	r := New("v1")
	r.Observe("kinesis", "PutRecord", "", 1, 1, 1)
	if n := testing.AllocsPerRun(100, func() { r.Observe("kinesis", "PutRecord", "", 1, 1, 1) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
