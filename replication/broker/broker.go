// Package broker runs the NATS server that is embedded in every writer: started
// with a Config, standalone or clustered with the other writers' brokers, watched
// while it runs, and stopped with everything it started.
//
// The broker is a cache for fan-out and is treated as one. It starts empty each
// time, so nothing that an earlier life left behind, whole or broken, can keep a
// process from starting; and when its directory disappears or its JetStream stops
// while it runs, the server inside is replaced by an empty one. Whoever publishes
// finds the stream missing and fills it again from the event store.
//
// Two kinds of clients may connect. The publisher is the process that the broker
// lives in: it connects in process with a password minted at each start. Everybody
// who comes over the network, with a certificate that Config.ClientTLS accepts, is a
// follower: it may look at streams and consume them by consumers of its name, and
// nothing else. How such a consumer is made is the publisher's to say, which hears who
// wants one on ConsumerRequests. Streams are in the publisher's account; followers have another one,
// into which JetStream answers by way of imported services. So whatever subject a
// follower names for an answer, the answer arrives nowhere but in its own account,
// and never on a stream; and there each connection hears its own inbox alone.
package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Limits of a broker.
const (
	// DefaultMemory bounds what JetStream keeps in memory.
	DefaultMemory = 512 << 20
	// maxStore bounds what JetStream keeps on disk: the cluster's own records.
	maxStore = 256 << 20
	// maxPayload bounds one message. It is NATS's own default, so that an outside
	// server takes what an embedded one takes.
	maxPayload = 1 << 20
	// MaxConnections bounds clients: every replica has one, and may have a second
	// while it reconnects.
	MaxConnections = 4096
	// maxPerName of them may be of one follower, with those that it lost and that the
	// server has not missed yet: it does after two pings.
	maxPerName   = 32
	pingInterval = 20 * time.Second
	// maxSubscriptions bounds those of one client, which needs a few.
	maxSubscriptions = 256
	// sayBurst and sayInterval bound the server's warnings and errors in the log.
	sayBurst    = 10
	sayInterval = 10 * time.Second
	// handshakeTimeout is how long a connection may take to show its certificate, and
	// then to say who it is. Until then it takes a place of MaxConnections.
	handshakeTimeout = 2 * time.Second
	// startTimeout is how long a server may take to listen.
	startTimeout = 10 * time.Second
	// watchInterval is how often the directory and JetStream are looked at.
	watchInterval = time.Second
)

// ErrStopped is returned for a connection to a broker that is not running.
var ErrStopped = errors.New("the broker is not running")

// Config says where a broker listens and with whom it is clustered.
type Config struct {
	// Name of this server, unique among the writers.
	Name string
	// Cluster is the name that clustered brokers share.
	Cluster string
	// Dir is the broker's own directory. Everything in it is removed at a start.
	Dir string

	// ClientAddr is the host:port on which followers are served; port 0 picks one.
	// Empty serves the own process only.
	ClientAddr string
	// ClientTLS must demand and verify client certificates. It may be nil on a
	// loopback address only.
	ClientTLS *tls.Config

	// Admits says whether a follower with that certificate may connect; it is asked
	// again about the connected ones by Expel. Nil admits every certificate that
	// ClientTLS accepts.
	Admits func(*x509.Certificate) bool
	// Consumers names the consumers that a follower of that name may have, none of
	// which may be another's. Nil lets nobody have one.
	Consumers func(name string) []string

	// RouteAddr is the host:port on which other brokers are served. Empty means
	// standalone.
	RouteAddr string
	// Routes are the RouteAddr of all brokers of the cluster, with this one's:
	// their number is how many the first election waits for.
	Routes []string
	// RouteTLS is used on both ends of a route and must demand and verify
	// certificates, of writers alone: a route may do everything. It may be nil on a
	// loopback address only.
	RouteTLS *tls.Config

	// Connections bounds those of clients; 0 means MaxConnections.
	Connections int
	// Memory bounds JetStream in bytes; 0 means DefaultMemory.
	Memory int64
	// Logger gets the server's warnings and errors, most of them as what is for debugging; nil
	// means slog.Default().
	Logger *slog.Logger
}

func (c *Config) validate() error {
	switch {
	case c.Name == "" || c.Dir == "":
		return errors.New("a broker needs a name and a directory")
	case c.RouteAddr != "" && (c.Cluster == "" || len(c.Routes) == 0):
		return errors.New("a clustered broker needs the cluster's name and routes")
	case c.Memory < 0:
		return fmt.Errorf("broker memory %d is negative", c.Memory)
	case c.Connections < 0:
		return fmt.Errorf("broker connections %d are negative", c.Connections)
	}
	if err := checkListener(c.ClientAddr, c.ClientTLS); err != nil {
		return fmt.Errorf("broker client address %q: %w", c.ClientAddr, err)
	}
	if err := checkListener(c.RouteAddr, c.RouteTLS); err != nil {
		return fmt.Errorf("broker route address %q: %w", c.RouteAddr, err)
	}
	if c.Connections == 0 {
		c.Connections = MaxConnections
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// checkListener refuses an address that strangers could reach unauthenticated.
func checkListener(addr string, cfg *tls.Config) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return err
	case cfg != nil && cfg.ClientAuth != tls.RequireAndVerifyClientCert:
		return errors.New("the TLS configuration does not demand a verified certificate")
	case cfg == nil && !net.ParseIP(host).IsLoopback():
		return errors.New("without TLS only a loopback IP address can be served")
	}
	return nil
}

// Broker is a running server. Its methods may be called by any goroutine.
type Broker struct {
	cfg      Config
	password string // of the publisher, for this start

	cancel context.CancelFunc // ends watch
	done   chan struct{}      // closed when watch has ended

	mu   sync.Mutex
	life *life // nil once stopped
}

// Start runs a broker until Stop. It does not wait for the other brokers of a
// cluster; see Ready. Cancelling ctx ends a start that is under way, not the
// broker.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, password: rand.Text(), done: make(chan struct{})}
	if err := b.begin(ctx); err != nil {
		return nil, fmt.Errorf("start broker %s: %w", cfg.Name, err)
	}
	watching, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go b.watch(watching)
	return b, nil
}

// Stop ends the server and everything it started, and waits for that.
func (b *Broker) Stop() {
	b.cancel()
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life != nil {
		b.life.end()
		b.life = nil
	}
}

// InProcessConn opens a connection that needs no network. The client of nats.go
// takes the Broker itself as its in-process server, and so finds the new server
// after one was replaced.
func (b *Broker) InProcessConn() (net.Conn, error) {
	l := b.current()
	if l == nil {
		return nil, ErrStopped
	}
	return l.server.InProcessConn()
}

// Credentials are the publisher's user and password.
func (b *Broker) Credentials() (user, password string) { return publisherUser, b.password }

// ClientAddr is the host:port that followers connect to, with the port that was
// picked; empty when there is none.
func (b *Broker) ClientAddr() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cfg.ClientAddr
}

// Ready is nil when JetStream can be used: it runs, and in a cluster this server
// knows the leader and what the leader knows.
func (b *Broker) Ready() error {
	l := b.current()
	switch {
	case l == nil:
		return ErrStopped
	case !l.server.JetStreamEnabled():
		return errors.New("JetStream is not running")
	case b.cfg.RouteAddr != "" && !l.server.JetStreamIsCurrent():
		return errors.New("JetStream waits for the other brokers")
	}
	return nil
}

// Expel closes the connections of followers that Config.Admits admits no more.
func (b *Broker) Expel() {
	if l := b.current(); l != nil {
		l.admission.expel(l.server)
	}
}

func (b *Broker) current() *life {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life
}

// watch replaces the server when it lost its directory or its JetStream.
func (b *Broker) watch(ctx context.Context) {
	defer close(b.done)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := b.check(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Logger.Error("the broker could not be restarted; trying again", "error", err)
		}
	}
}

// check looks at the server once and replaces it when it is broken.
func (b *Broker) check(ctx context.Context) error {
	if l := b.current(); l != nil {
		err := l.broken()
		if err == nil {
			l.admission.forget(l.server)
			return nil
		}
		b.cfg.Logger.Warn("the broker lost its cache and starts again with an empty one", "reason", err)
		b.mu.Lock()
		b.life = nil
		b.mu.Unlock()
		l.end()
	}
	return b.begin(ctx)
}

// begin starts a server in an empty directory.
func (b *Broker) begin(ctx context.Context) error {
	dir, err := emptyDir(b.cfg.Dir, b.cfg.Logger)
	if err != nil {
		return err
	}
	admission := &admission{password: b.password, admits: b.cfg.Admits, consume: b.cfg.Consumers, clients: make(map[uint64]*x509.Certificate)}
	options, err := b.options(dir, admission)
	if err != nil {
		return err
	}
	l, err := newLife(ctx, options, admission, b.cfg.Logger)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life = l
	// Keep the ports: others know them by now.
	if b.cfg.ClientAddr != "" {
		b.cfg.ClientAddr = l.server.Addr().String()
	}
	if b.cfg.RouteAddr != "" {
		b.cfg.RouteAddr = l.server.ClusterAddr().String()
	}
	return nil
}

// emptyDir makes a new directory inside dir and removes what an earlier life left
// there. What cannot be removed stays beside the new one.
func emptyDir(dir string, logger *slog.Logger) (string, error) {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		aside := dir + ".broken"
		logger.Warn("the broker's directory is not a directory; moving it aside", "path", dir, "to", aside)
		if err := os.Rename(dir, aside); err != nil {
			return "", fmt.Errorf("move %s aside: %w", dir, err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, entry := range old {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			logger.Warn("an earlier broker's files could not be removed and are left alone", "error", err)
		}
	}
	return os.MkdirTemp(dir, "jetstream-")
}
