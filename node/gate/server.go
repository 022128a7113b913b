package gate

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits of a server of clients.
const (
	// ReadHeaderTimeout is how long a request's header may take, from its first byte or from
	// the begin of the connection.
	ReadHeaderTimeout = 5 * time.Second
	// MaxHeaderBytes bounds a request's header.
	MaxHeaderBytes = 32 << 10

	readTimeout = 30 * time.Second
	idleTimeout = 2 * time.Minute
)

// Server is a server of clients behind the gate. Its owner serves on the gate, or on what
// wraps it.
func (g *Gate) Server(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: ReadHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: MaxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnState: g.State, ConnContext: g.Context,
	}
}

// Observe shows how many clients are connected, and how many had to go.
func (g *Gate) Observe(registry prometheus.Registerer) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "writ_connections", Help: "Connections of clients."},
		func() float64 { return float64(g.Open()) }))
	for _, fate := range []Fate{Evicted, Refused} {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "writ_connections_closed_total", Help: "Connections of clients that made room for others, or found none.", ConstLabels: prometheus.Labels{"fate": string(fate)},
		}, func() float64 { return float64(g.Gone(fate)) }))
	}
}
