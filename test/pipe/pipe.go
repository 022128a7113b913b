// Package pipe has a listener of pipes, for tests by the clock of a bubble.
package pipe

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Listener accepts the other ends of the pipes that it dials.
type Listener struct {
	conns chan net.Conn
	once  sync.Once
}

// NewListener returns an open one.
func NewListener() *Listener { return &Listener{conns: make(chan net.Conn)} }

// Dial connects to it.
func (l *Listener) Dial() net.Conn {
	here, there := net.Pipe()
	l.conns <- there
	return here
}

// Accept is that of net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close is that of net.Listener.
func (l *Listener) Close() error { l.once.Do(func() { close(l.conns) }); return nil }

// Addr is none.
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{} }

// EndsAfter reads a connection to its end, and checks when that comes.
func EndsAfter(t *testing.T, what string, c net.Conn, want time.Duration) (text string) {
	t.Helper()
	begun := time.Now()
	all, err := io.ReadAll(c)
	if took := time.Since(begun).Truncate(time.Millisecond); err != nil || took != want {
		t.Errorf("%s: ends after %v, %v", what, took, err)
	}
	return string(all)
}
