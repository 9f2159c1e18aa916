package metrics

import (
	"container/list"
	"math"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Published is a metric that clients publish, as they name it. The members
// come from requests, so how many are kept is bounded.
type Published struct {
	Account, Region, Namespace, Name, Unit string
	// Dimensions are Name=Value, sorted and joined by commas.
	Dimensions string
}

func (p Published) size() int {
	return len(p.Account) + len(p.Region) + len(p.Namespace) + len(p.Name) + len(p.Unit) + len(p.Dimensions)
}

// Samples are values of a metric, summed up.
type Samples struct{ Count, Sum, Min, Max float64 }

// Bounds of what is kept of published metrics: beyond them, the one that was
// published to the longest ago is forgotten.
const (
	maxPublished      = 2000
	maxPublishedBytes = 2 << 20
)

// series is one metric and all that was published to it.
type series struct {
	key  Published
	all  Samples
	last float64 // the average of what was published last
}

// published keeps metrics by when they were last published to.
type published struct {
	mu      sync.Mutex
	byKey   map[Published]*list.Element
	recent  *list.List // of *series, the most recent first
	bytes   int
	dropped float64

	sum, count, least, most, latest *prometheus.Desc
}

func newPublished() *published {
	labels := []string{"account", "region", "namespace", "name", "unit", "dimensions"}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("thalweg_published_"+name, help, labels, nil)
	}
	return &published{
		byKey: map[Published]*list.Element{}, recent: list.New(),
		sum:    desc("sum", "Sum of the values that clients published with PutMetricData."),
		count:  desc("samples_total", "How many values clients published with PutMetricData."),
		least:  desc("minimum", "The least of the values that clients published with PutMetricData."),
		most:   desc("maximum", "The greatest of the values that clients published with PutMetricData."),
		latest: desc("last", "The average of the values that clients published with PutMetricData last."),
	}
}

// Publish adds samples to a metric that a client names.
func (r *Registry) Publish(key Published, s Samples) {
	if s.Count <= 0 {
		return
	}
	p := r.published
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byKey[key]
	if e == nil {
		e = p.recent.PushFront(&series{key: key, all: Samples{Min: math.Inf(1), Max: math.Inf(-1)}})
		p.byKey[key] = e
		p.bytes += key.size()
	}
	p.recent.MoveToFront(e)
	m := e.Value.(*series)
	m.all.Count += s.Count
	m.all.Sum += s.Sum
	m.all.Min, m.all.Max = min(m.all.Min, s.Min), max(m.all.Max, s.Max)
	m.last = s.Sum / s.Count
	for len(p.byKey) > maxPublished || p.bytes > maxPublishedBytes {
		oldest := p.recent.Back()
		gone := p.recent.Remove(oldest).(*series)
		delete(p.byKey, gone.key)
		p.bytes -= gone.key.size()
		p.dropped++
	}
}

// Describe implements prometheus.Collector.
func (p *published) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.sum, p.count, p.least, p.most, p.latest} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *published) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	all := make([]series, 0, len(p.byKey))
	for e := p.recent.Front(); e != nil; e = e.Next() {
		all = append(all, *e.Value.(*series))
	}
	p.mu.Unlock()
	for _, m := range all {
		k := m.key
		labels := []string{k.Account, k.Region, k.Namespace, k.Name, k.Unit, k.Dimensions}
		for _, v := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value float64
		}{
			{p.sum, prometheus.GaugeValue, m.all.Sum}, {p.count, prometheus.CounterValue, m.all.Count},
			{p.least, prometheus.GaugeValue, m.all.Min}, {p.most, prometheus.GaugeValue, m.all.Max}, {p.latest, prometheus.GaugeValue, m.last},
		} {
			if c, err := prometheus.NewConstMetric(v.desc, v.kind, v.value, labels...); err == nil {
				ch <- c
			}
		}
	}
}
