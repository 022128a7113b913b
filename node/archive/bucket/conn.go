package bucket

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Limits of connections.
const (
	// dialPatience is how long a store may take to be connected.
	dialPatience = 10 * time.Second
	// idlePatience is how long nothing may come or go while something is waited for.
	idlePatience = 30 * time.Second
	// leastMoved is how many bytes come or go in dripPatience times idlePatience at least: a store
	// that drips them would hold a backup for as long as it likes. (One that puts the parts of an
	// object together sends spaces meanwhile, for some minutes.)
	leastMoved   = 64 << 10
	dripPatience = 20
)

// http makes the client that reaches the store. It follows no redirects: what is signed, and sent,
// is for the endpoint alone.
func (c Config) http() (*http.Client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: dialPatience, MaxIdleConnsPerHost: 2, IdleConnTimeout: idlePatience,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates of the S3 store: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w: --s3-ca-file: %s has no certificates, PEM", ErrConfig, c.CAFile)
		}
	}
	d, idle := net.Dialer{Timeout: dialPatience}, cmp.Or(c.idle, idlePatience)
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &lively{Conn: conn, idle: idle, since: time.Now()}, conn.SetDeadline(time.Now().Add(idle))
	}
	return &http.Client{Transport: bounded{t}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// maxAnswer bounds what is read of an answer that is not an object, in bytes: a page of a listing
// with the longest keys is the largest.
const maxAnswer = 8 << 20

// bounded bounds answers, which are read into memory: all but objects.
type bounded struct{ http.RoundTripper }

// RoundTrip sends a request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := b.RoundTripper.RoundTrip(r)
	if err != nil || r.Method == http.MethodGet && r.URL.Query().Get("x-id") == "GetObject" && a.StatusCode < http.StatusMultipleChoices {
		return a, err
	}
	a.Body = http.MaxBytesReader(nil, a.Body, maxAnswer)
	return a, nil
}

// lively is a connection that ends when nothing comes or goes for a while, or too little for a
// longer one. One that sends may wait for its answer for longer, so each of the two moves the end
// of both.
type lively struct {
	net.Conn
	idle time.Duration

	mu    sync.Mutex
	since time.Time // the rest is counted from then; guarded by mu
	moved int       // bytes; guarded by mu
	reads bool      // the latest was a Read, so that a Write begins a request; guarded by mu
}

// progress moves the end, when so many bytes have come or gone.
func (c *lively) progress(n int, reads bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.moved += n
	if c.moved >= leastMoved || c.reads && !reads {
		c.since, c.moved = now, 0
	}
	c.reads = reads
	end, latest := now.Add(c.idle), c.since.Add(dripPatience*c.idle)
	if latest.Before(end) {
		end = latest
	}
	return c.SetDeadline(end)
}

func (c *lively) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil {
		err = c.progress(n, true)
	}
	return n, err
}

func (c *lively) Write(p []byte) (int, error) {
	if err := c.progress(0, false); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err == nil {
		err = c.progress(n, false)
	}
	return n, err
}
