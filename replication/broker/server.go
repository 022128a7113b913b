package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/time/rate"
)

// sentinel is a file in the server's directory that only a wipe removes.
const sentinel = "in-use"

// options translates the configuration for a server that keeps its files in dir.
func (b *Broker) options(dir string, a *admission) (*server.Options, error) {
	o := &server.Options{
		ServerName: b.cfg.Name,
		NoSigs:     true,
		NoLog:      true,
		DontListen: b.cfg.ClientAddr == "",

		MaxConn:      b.cfg.Connections,
		MaxSubs:      maxSubscriptions,
		MaxPayload:   maxPayload,
		PingInterval: pingInterval,
		TLSTimeout:   handshakeTimeout.Seconds(),
		AuthTimeout:  handshakeTimeout.Seconds(),

		JetStream:          true,
		StoreDir:           dir,
		JetStreamMaxMemory: b.cfg.Memory,
		JetStreamMaxStore:  maxStore,

		DisableJetStreamBanner: true,

		CustomClientAuthentication: a,
	}
	if b.cfg.ClientAddr != "" {
		var err error
		if o.Host, o.Port, err = splitAddr(b.cfg.ClientAddr); err != nil {
			return nil, err
		}
		o.TLSConfig, o.TLS, o.TLSVerify = b.cfg.ClientTLS.Clone(), b.cfg.ClientTLS != nil, b.cfg.ClientTLS != nil
	}
	if b.cfg.RouteAddr == "" {
		return o, nil
	}
	return o, b.cluster(o)
}

// cluster adds what a clustered server needs. Addresses are never gossiped:
// every member is told them all, by names that may resolve anew at each dial.
func (b *Broker) cluster(o *server.Options) (err error) {
	o.Cluster = server.ClusterOpts{Name: b.cfg.Cluster, TLSConfig: b.cfg.RouteTLS.Clone(), NoAdvertise: true}
	if o.Cluster.Host, o.Cluster.Port, err = splitAddr(b.cfg.RouteAddr); err != nil {
		return err
	}
	for _, addr := range b.cfg.Routes {
		if _, _, err := splitAddr(addr); err != nil {
			return err
		}
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: addr})
	}
	return nil
}

// splitAddr parses host:port. To the server port 0 means its default and -1 means
// any free one.
func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil:
		return "", 0, fmt.Errorf("port of %q: %w", addr, err)
	case number == 0:
		return host, server.RANDOM_PORT, nil
	}
	return host, int(number), nil
}

// life is one server, from start to end.
type life struct {
	server *server.Server
	dir    string
	// admission is the server's.
	admission *admission
	fatal     chan string // why the server gave up; the first time only
}

// newLife starts a server and waits until it listens.
func newLife(ctx context.Context, o *server.Options, a *admission, logger *slog.Logger) (*life, error) {
	if err := os.WriteFile(filepath.Join(o.StoreDir, sentinel), nil, 0o600); err != nil {
		return nil, err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	l := &life{server: s, dir: o.StoreDir, admission: a, fatal: make(chan string, 1)}
	s.SetLoggerV2(newBridge(logger.With("component", "nats"), l.fatal), false, false, false)
	started := make(chan struct{})
	go func() { // ends with the server's start, which Shutdown ends early
		defer close(started)
		s.Start()
	}()
	err = l.wait(ctx, started)
	if err == nil {
		err = a.open(s)
	}
	if err != nil {
		l.end()
		<-started
		return nil, err
	}
	return l, nil
}

func (l *life) wait(ctx context.Context, started <-chan struct{}) error {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return fmt.Errorf("the server was not up within %v", startTimeout)
	case <-started:
	}
	select {
	case reason := <-l.fatal:
		return errors.New(reason)
	default:
	}
	if !l.server.ReadyForConnections(startTimeout) {
		return fmt.Errorf("the server did not listen within %v", startTimeout)
	}
	return l.broken()
}

// end stops the server and waits for all it started.
func (l *life) end() {
	l.server.Shutdown()
	l.server.WaitForShutdown()
}

// broken says why the server cannot go on, or nil.
func (l *life) broken() error {
	if !l.server.JetStreamEnabled() {
		return errors.New("JetStream is not running")
	}
	if _, err := os.Stat(filepath.Join(l.dir, sentinel)); err != nil {
		return fmt.Errorf("the broker's directory was wiped: %w", err)
	}
	return nil
}

// matters are parts of the server's warnings and errors that an operator has to hear of: what
// stops the broker or loses the stream, and what a change of settings or of certificates would
// end. All others tell what comes and goes with other nodes, which Writ tells of itself, or what
// some client did; they are for who looks for them, at the level of debugging.
var matters = []string{
	"NO quorum", "critical write error", "DISABLED", "disabling JetStream", "no space left", "corrupt",
	"limits exceeded for", "resources exceeded", "insufficient resources", "maximum connections exceeded", "certificate has expired",
}

// bridge hands the server's warnings and errors to slog. Its notices are of no
// interest to an operator of Writ. What clients do they may do as often as they like:
// beyond a rate it is counted.
type bridge struct {
	logger *slog.Logger
	fatal  chan<- string
	rate   *rate.Limiter
	silent atomic.Int64 // since the last that was said
}

func newBridge(logger *slog.Logger, fatal chan<- string) *bridge {
	return &bridge{logger: logger, fatal: fatal, rate: rate.NewLimiter(rate.Every(sayInterval), sayBurst)}
}

func (b *bridge) say(level slog.Level, format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if !slices.ContainsFunc(matters, func(part string) bool { return strings.Contains(text, part) }) {
		level = slog.LevelDebug
	}
	if !b.logger.Enabled(context.Background(), level) {
		return
	}
	if !b.rate.Allow() {
		b.silent.Add(1)
		return
	}
	logger := b.logger
	if n := b.silent.Swap(0); n > 0 {
		logger = logger.With("unsaid", n)
	}
	logger.Log(context.Background(), level, text)
}

func (b *bridge) Noticef(string, ...any) {}
func (b *bridge) Debugf(string, ...any)  {}
func (b *bridge) Tracef(string, ...any)  {}

func (b *bridge) Warnf(format string, v ...any)  { b.say(slog.LevelWarn, format, v...) }
func (b *bridge) Errorf(format string, v ...any) { b.say(slog.LevelError, format, v...) }

// Fatalf is what the server says before it gives up. The process goes on.
func (b *bridge) Fatalf(format string, v ...any) {
	reason := fmt.Sprintf(format, v...)
	b.logger.Error(reason)
	select {
	case b.fatal <- reason:
	default:
	}
}
