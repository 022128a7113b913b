package broker

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// publisherUser is the user of the publisher. A follower has no name.
const publisherUser = "publisher"

// Subjects that a client may publish to: the API that it needs, and nothing else.
// Answers and messages arrive in inboxes.
var (
	publisherSubjects = []string{
		"writ.>", // the streams' own subjects
		"$JS.API.STREAM.CREATE.*",
		"$JS.API.STREAM.INFO.*",
		"$JS.API.STREAM.DELETE.*",
		"$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.MSG.GET.*",
	}
	followerSubjects = []string{
		"$JS.API.STREAM.INFO.*",
		"$JS.API.CONSUMER.CREATE.*.>",
		"$JS.API.CONSUMER.DELETE.*.*",
		"$JS.API.CONSUMER.MSG.NEXT.*.*",
	}
	inboxes = []string{"_INBOX.>"}
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

		MaxConn:    maxConnections,
		MaxPayload: maxPayload,

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

// admission decides who a client is. Certificates were checked before.
type admission struct {
	password string
	admits   func(*x509.Certificate) bool // nil: every certificate

	mu      sync.Mutex
	clients map[uint64]*x509.Certificate // guarded by mu; those who came, by the server's number, some of them gone
}

// Check admits the publisher by its password and a follower by its certificate.
func (a *admission) Check(c server.ClientAuthentication) bool {
	given, subjects := c.GetOpts(), followerSubjects
	if given.Username != publisherUser && !a.admit(c) {
		return false
	}
	if given.Username == publisherUser {
		if subtle.ConstantTimeCompare([]byte(given.Password), []byte(a.password)) != 1 {
			return false
		}
		subjects = publisherSubjects
	}
	c.RegisterUser(&server.User{Username: given.Username, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: subjects},
		Subscribe: &server.SubjectPermission{Allow: inboxes},
	}})
	return true
}

// admit says whether a follower may come in, and remembers it before it asks: who is
// turned away in between is found by expel.
func (a *admission) admit(c server.ClientAuthentication) bool {
	if a.admits == nil {
		return true
	}
	state := c.GetTLSConnectionState()
	if state == nil || len(state.PeerCertificates) == 0 {
		return false
	}
	cert := state.PeerCertificates[0]
	a.mu.Lock()
	a.clients[c.GetID()] = cert
	a.mu.Unlock()
	return a.admits(cert)
}

// expel closes the connections of followers that are admitted no more.
func (a *admission) expel(s *server.Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, cert := range a.clients {
		if !a.admits(cert) {
			_ = s.DisconnectClientByID(id) // fails for one that has gone
			delete(a.clients, id)
		}
	}
}

// forget drops those that are connected no more, when there are many.
func (a *admission) forget(s *server.Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.clients) < maxConnections {
		return
	}
	for id := range a.clients {
		if s.GetClient(id) == nil {
			delete(a.clients, id)
		}
	}
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
	s.SetLoggerV2(&bridge{logger.With("component", "nats"), l.fatal}, false, false, false)
	started := make(chan struct{})
	go func() { // ends with the server's start, which Shutdown ends early
		defer close(started)
		s.Start()
	}()
	err = l.wait(ctx, started)
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

// bridge hands the server's warnings and errors to slog. Its notices are of no
// interest to an operator of Writ.
type bridge struct {
	logger *slog.Logger
	fatal  chan<- string
}

func (b *bridge) Noticef(string, ...any) {}
func (b *bridge) Debugf(string, ...any)  {}
func (b *bridge) Tracef(string, ...any)  {}

func (b *bridge) Warnf(format string, v ...any)  { b.logger.Warn(fmt.Sprintf(format, v...)) }
func (b *bridge) Errorf(format string, v ...any) { b.logger.Error(fmt.Sprintf(format, v...)) }

// Fatalf is what the server says before it gives up. The process goes on.
func (b *bridge) Fatalf(format string, v ...any) {
	reason := fmt.Sprintf(format, v...)
	b.logger.Error(reason)
	select {
	case b.fatal <- reason:
	default:
	}
}
