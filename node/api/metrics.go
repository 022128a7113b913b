package api

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/time/rate"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/password"
)

// Metrics of the edge. Labels are bounded: no ARNs, no names that callers choose.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	decisions *prometheus.CounterVec
	watchers  prometheus.Gauge
	refusals  *prometheus.CounterVec
	work      prometheus.Counter
	faults    *prometheus.CounterVec
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
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "writ_refused_total",
		Help: "Requests that were refused for want of a place, by limit and by whether the caller was known.",
	}, []string{"limit", "caller"})
	m.work = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "writ_work_units_total", Help: "Work of evaluating policies and contexts for callers, in units of about a nanosecond.",
	})
	m.faults = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "writ_faults_total", Help: "Requests that were not carried out, by the code that their callers were told in the native API's words.",
	}, []string{"code"})
	registry.MustRegister(m.requests, m.decisions, m.watchers, m.refusals, m.work, m.faults)
	return m
}

// unverified stands for the action of a request that was refused before anybody had
// signed it: else every name of an action with every status would be a series that
// anybody can make.
const unverified = "unverified"

// remembered shows how many derived signing keys a desk remembers.
func (m *Metrics) remembered(desk *admission.Desk) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "writ_signing_keys", Help: "Derived signing keys that are remembered, of signatures that verified."},
			func() float64 { n, _ := desk.SigningKeys(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "writ_signing_keys_bytes", Help: "About what they take."},
			func() float64 { _, size := desk.SigningKeys(); return float64(size) }))
}

// places shows how many places of each limit are taken, and how many there are; those of
// bytes apart.
func (m *Metrics) places(desk *admission.Desk) {
	show := func(name, help, limit string, value func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"limit": limit}},
			func() float64 { return float64(value()) }))
	}
	for limit, slots := range desk.Places() {
		switch limit {
		case "bodies", "strangers_bodies", "answers":
			show("writ_places_taken_bytes", "Bytes that requests and answers hold at the node, by limit.", limit, slots.Taken)
			show("writ_places_limit_bytes", "Bytes that requests and answers may hold at the node, by limit.", limit, slots.Limit)
		default:
			show("writ_places_taken", "Places that requests take at the node, by limit: of those that wait for a position, watch, come from strangers and so on.", limit, slots.Taken)
			show("writ_places_limit", "Places that there are at the node, by limit.", limit, slots.Limit)
		}
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "writ_sessions_open", Help: "Sessions (temporary credentials) that called the node lately and that it remembers."},
		func() float64 { return float64(desk.Sessions()) }))
}

// hashed shows how many hashes of passwords are made.
func (m *Metrics) hashed(known, strangers *password.Hasher) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "writ_password_hashes_total", Help: "Hashes of passwords that were made, to store or to compare."},
		func() float64 { return float64(known.Made() + strangers.Made()) }))
}

// Observe records one answered request. action is one of our own names.
func (m *Metrics) Observe(action string, status int, verified bool, took time.Duration) {
	if !verified && status >= http.StatusBadRequest {
		action = unverified
	}
	m.requests.WithLabelValues(action, strconv.Itoa(status)).Observe(took.Seconds())
}

// Refused counts a request that found no place. limit is one of our own names.
func (m *Metrics) Refused(limit string, verified bool) {
	caller := "stranger"
	if verified {
		caller = "known"
	}
	m.refusals.WithLabelValues(limit, caller).Inc()
}

// Faulted counts a request that was not carried out.
func (m *Metrics) Faulted(why fault.Code) { m.faults.WithLabelValues(why.String()).Inc() }

// Evaluated counts an answered decision. Both values are our own names.
func (m *Metrics) Evaluated(decision, freshness string) {
	m.decisions.WithLabelValues(decision, freshness).Inc()
}

// Watching adds to the number of streams of events that are being served.
func (m *Metrics) Watching(change int) { m.watchers.Add(float64(change)) }

// Worked counts the work of one request.
func (m *Metrics) Worked(units int64) { m.work.Add(float64(units)) }

// Limits of GET /metrics, which anybody may ask for.
const (
	// metricsPerSecond is how often the metrics are gathered for those who ask, beyond
	// the first metricsBurst: others get what was gathered last.
	metricsPerSecond = 10
	metricsBurst     = 20
)

// page serves the metrics. They are gathered by one request at a time, and at a
// bounded rate: whoever asks more often, or reads slowly, costs no more.
type page struct {
	gather http.Handler

	mu   sync.Mutex
	rate *rate.Limiter  // guarded by mu
	last *pageOfMetrics // guarded by mu
}

// pageOfMetrics is an answer that was gathered.
type pageOfMetrics struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header, WriteHeader and Write are those of http.ResponseWriter.
func (p *pageOfMetrics) Header() http.Header { return p.header }

// WriteHeader notes the status.
func (p *pageOfMetrics) WriteHeader(status int) { p.status = status }

// Write keeps what is written.
func (p *pageOfMetrics) Write(b []byte) (int, error) { return p.body.Write(b) }

func (m *Metrics) handler() http.Handler {
	return &page{gather: promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true}), rate: rate.NewLimiter(metricsPerSecond, metricsBurst)}
}

// ServeHTTP answers with metrics that are as new as the rate allows.
func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	got := p.get()
	for name, values := range got.header {
		w.Header()[name] = values
	}
	w.WriteHeader(got.status)
	w.Write(got.body.Bytes()) // an error here means that the caller has gone
}

func (p *page) get() *pageOfMetrics {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate.Allow() || p.last == nil {
		got := &pageOfMetrics{header: http.Header{}, status: http.StatusOK}
		p.gather.ServeHTTP(got, &http.Request{Method: http.MethodGet, Header: http.Header{}})
		p.last = got
	}
	return p.last
}
