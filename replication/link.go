package replication

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Waits of a link.
const (
	reconnectWait = 250 * time.Millisecond
	// maxReconnectWait bounds the wait between two attempts, which doubles: NATS may not
	// let this node in, for as long as an operator wants it so.
	maxReconnectWait = 2500 * time.Millisecond
	dialTimeout      = 2 * time.Second
	pingInterval     = 5 * time.Second // two unanswered pings end a connection
	// flushTimeout is how long NATS may leave what it was sent unread.
	flushTimeout = 15 * time.Second
	// requestTimeout bounds one request of JetStream's API.
	requestTimeout = 3 * time.Second
)

// LinkConfig says which NATS to use: the broker of this process, or servers
// anywhere by their URLs.
type LinkConfig struct {
	// Name tells NATS who connects. An embedded broker wants that of the certificate.
	Name string
	// InProcess is the broker of this process, or nil. It has precedence over URLs.
	InProcess interface{ InProcessConn() (net.Conn, error) }
	// URLs such as nats://host:4222 or tls://host:4222.
	URLs []string
	// User and Password, or CredentialsFile, where NATS asks for them.
	User, Password  string
	CredentialsFile string
	// TLS is used where not nil; it carries the client's certificate.
	TLS *tls.Config
	// Logger gets what NATS complains about; nil means slog.Default().
	Logger *slog.Logger
}

// Link is a connection to NATS that is made, lost and made again in the
// background. It may be used by any number of goroutines.
type Link struct {
	conn *nats.Conn
	js   jetstream.JetStream
	name string // of the client
}

// Dial returns a link. That NATS is not there is not an error: the link connects
// when it comes.
func Dial(cfg LinkConfig) (*Link, error) {
	if cfg.InProcess == nil && len(cfg.URLs) == 0 {
		return nil, errors.New("a link to NATS needs a broker or URLs")
	}
	id := ConnectionID(cfg.Name)
	conn, err := cfg.options(id).Connect()
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	// One for all publishers: the goroutine that nats.go starts at the first publish
	// may miss the end of a shorter life, and would then stay for good.
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(requestTimeout), jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	return &Link{conn: conn, js: js, name: cfg.Name}, nil
}

// ConnectionID names one connection of a client: by the client's name, a hyphen and
// what nobody can guess. It is the name under which the connection is made, and part of
// that of its inbox, which no other client may listen to or, not knowing it, have
// answers sent to.
func ConnectionID(client string) string { return token(client) + "-" + rand.Text() }

// Inbox is the prefix of the inboxes of a connection.
func Inbox(connection string) string { return "_INBOX." + connection }

func (cfg *LinkConfig) options(id string) nats.Options {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.Default()
	}
	o := nats.GetDefaultOptions()
	o.Name, o.InboxPrefix = id, Inbox(id)
	o.Servers = cfg.URLs
	o.User, o.Password = cfg.User, cfg.Password
	if cfg.InProcess != nil {
		o.InProcessServer = cfg.InProcess
	}
	if cfg.TLS != nil {
		o.Secure, o.TLSConfig = true, cfg.TLS.Clone()
	}
	if cfg.CredentialsFile != "" {
		// An error is one of connecting, and may pass.
		_ = nats.UserCredentials(cfg.CredentialsFile)(&o)
	}
	o.RetryOnFailedConnect = true
	o.MaxReconnect = -1
	o.CustomReconnectDelayCB = waitAfter
	var refused atomic.Bool // the latest attempt was, and that was said
	o.Timeout = dialTimeout
	o.PingInterval = pingInterval
	o.FlusherTimeout = flushTimeout
	o.IgnoreAuthErrorAbort = true
	// What cannot be sent now is sent again by whoever checks what became of it.
	o.ReconnectBufSize = -1
	o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) {
		level := slog.LevelWarn
		if errors.Is(err, nats.ErrAuthorization) && refused.Swap(true) {
			level = slog.LevelDebug
		}
		logger.Log(context.Background(), level, "NATS reports an error", "link", cfg.Name, "error", err)
	}
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) {
		if err != nil {
			logger.Warn("the connection to NATS is lost", "link", cfg.Name, "error", err)
		}
	}
	o.ReconnectedCB = func(c *nats.Conn) {
		refused.Store(false)
		logger.Info("the connection to NATS is back", "link", cfg.Name, "server", c.ConnectedServerName())
	}
	return o
}

// waitAfter is how long to wait after so many attempts in a row at all servers.
func waitAfter(attempts int) time.Duration {
	wait := min(reconnectWait<<min(max(attempts-1, 0), 10), maxReconnectWait)
	return wait + mathrand.N(wait)
}

// Connected says whether there is a connection at the moment.
func (l *Link) Connected() bool { return l.conn.IsConnected() }

// Close ends the link for good.
func (l *Link) Close() { l.conn.Close() }
