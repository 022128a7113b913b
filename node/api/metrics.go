package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics of the edge. Labels are bounded: no ARNs, no names that callers choose.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	decisions *prometheus.CounterVec
	watchers  prometheus.Gauge
}

// NewMetrics registers the edge's metrics with a node's registry.
func NewMetrics(registry *prometheus.Registry) *Metrics {
	m := &Metrics{
		registry: registry,
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "writ_request_duration_seconds",
			Help:    "Time to answer a request, by action and status.",
			Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 30},
		}, []string{"action", "code"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "writ_decisions_total",
			Help: "Authorization decisions answered, by decision and freshness.",
		}, []string{"decision", "freshness"}),
	}
	m.watchers = prometheus.NewGauge(prometheus.GaugeOpts{Name: "writ_watchers", Help: "Streams of events that are being served."})
	registry.MustRegister(m.requests, m.decisions, m.watchers)
	return m
}

// observe records one answered request. action is one of our own names.
func (m *Metrics) observe(action string, status int, took time.Duration) {
	m.requests.WithLabelValues(action, strconv.Itoa(status)).Observe(took.Seconds())
}

// decided counts an answered decision. Both values are our own names.
func (m *Metrics) decided(decision, freshness string) {
	m.decisions.WithLabelValues(decision, freshness).Inc()
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
