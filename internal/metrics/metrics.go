// Package metrics is the server's Prometheus registry: what it counts and how it
// is called. Every server has a registry of its own, so that several can run in
// one process.
//
// Names begin with thalweg_ and end in their unit. Labels have few values:
// services, operations and error codes come from tables, never from a request's
// text. Those of [Registry.Families] are names of what exists; only
// thalweg_published_* have what clients name, and are bounded. Recording takes no
// lock on the path of a request beyond the first of its
// kind.
package metrics

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry is one server's metrics. It is safe for concurrent use.
type Registry struct {
	reg      *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec

	published *published

	known sync.Map // opKey to *opMetrics: Observe finds its series here
}

type opKey struct{ service, op string }

type opMetrics struct {
	seconds  prometheus.Observer
	in, out  prometheus.Counter
	answered sync.Map // error code to prometheus.Counter
}

// New returns a registry that already has the process's and the Go runtime's
// metrics, and a build_info with the version.
func New(version string) *Registry {
	r := &Registry{
		reg: prometheus.NewRegistry(), published: newPublished(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "thalweg_requests_total",
			Help: "AWS requests answered, by error code; an empty code is success."}, []string{"service", "operation", "code"}),
		// From 100 us, which a request in memory takes, to 26 s, doubling.
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "thalweg_request_seconds",
			Help: "Time from the request's head to the end of its answer.", Buckets: prometheus.ExponentialBuckets(100e-6, 2, 19)}, []string{"service", "operation"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "thalweg_request_bytes_total",
			Help: "Bytes of bodies, in and out."}, []string{"service", "operation", "direction"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "thalweg_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	r.reg.MustRegister(r.requests, r.seconds, r.bytes, build, r.published,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.Counter("published_forgotten_total", "Metrics of clients that were forgotten to make room for others.", func() float64 {
		r.published.mu.Lock()
		defer r.published.mu.Unlock()
		return r.published.dropped
	})
	return r
}

// Observe counts one request; code is empty for success. It is an
// awsapi.Observer.
func (r *Registry) Observe(service, op, code string, seconds float64, bytesIn, bytesOut int) {
	m := r.op(opKey{service, op})
	m.seconds.Observe(seconds)
	m.in.Add(float64(bytesIn))
	m.out.Add(float64(bytesOut))
	c, ok := m.answered.Load(code)
	if !ok {
		c, _ = m.answered.LoadOrStore(code, r.requests.WithLabelValues(service, op, code))
	}
	c.(prometheus.Counter).Inc()
}

func (r *Registry) op(key opKey) *opMetrics {
	if m, ok := r.known.Load(key); ok {
		return m.(*opMetrics)
	}
	m, _ := r.known.LoadOrStore(key, &opMetrics{
		seconds: r.seconds.WithLabelValues(key.service, key.op),
		in:      r.bytes.WithLabelValues(key.service, key.op, "in"),
		out:     r.bytes.WithLabelValues(key.service, key.op, "out"),
	})
	return m.(*opMetrics)
}

// Gauge adds a value that is read when the metrics are. name is without the
// thalweg_ prefix. It must be called once for a name.
func (r *Registry) Gauge(name, help string, read func() float64) {
	r.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "thalweg_" + name, Help: help}, read))
}

// Counter is Gauge for a value that only rises.
func (r *Registry) Counter(name, help string, read func() float64) {
	r.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "thalweg_" + name, Help: help}, read))
}

// CounterBy is Counter for one series of several that share a name and help, and
// are told apart by labels. It must be called once for a name and its labels.
func (r *Registry) CounterBy(name, help string, labels map[string]string, read func() float64) {
	r.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "thalweg_" + name, Help: help, ConstLabels: labels}, read))
}

// Family is a metric with a series for each of some things that come and go.
type Family struct {
	// Name is without the thalweg_ prefix.
	Name, Help string
	Labels     []string
	// Gauge is for a value that also falls.
	Gauge bool
}

// families reads series when the metrics are read.
type families struct {
	descs []*prometheus.Desc
	types []prometheus.ValueType
	read  func(emit func(family int, value float64, labels ...string))
}

// Families adds metrics whose series are told by read when the metrics are: emit
// takes the family's index in list. It must be called once for a name.
func (r *Registry) Families(list []Family, read func(emit func(family int, value float64, labels ...string))) {
	c := &families{read: read}
	for _, f := range list {
		kind := prometheus.CounterValue
		if f.Gauge {
			kind = prometheus.GaugeValue
		}
		c.descs = append(c.descs, prometheus.NewDesc("thalweg_"+f.Name, f.Help, f.Labels, nil))
		c.types = append(c.types, kind)
	}
	r.reg.MustRegister(c)
}

// Describe implements prometheus.Collector.
func (c *families) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *families) Collect(out chan<- prometheus.Metric) {
	c.read(func(family int, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[family], c.types[family], value, labels...)
	})
}

// Handler answers GET /metrics.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
