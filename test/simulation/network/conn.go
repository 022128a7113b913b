package network

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// segment is what one write sent, or how a connection ends.
type segment struct {
	due   time.Time // not to be read before
	data  []byte
	fin   bool // the writer closed
	reset bool // there is nobody at the other end
}

// stream is one direction of a connection. The network's lock guards it.
type stream struct {
	network  *Network
	from, to string
	queue    []segment
	size     int        // bytes in queue
	last     time.Time  // when the latest segment is due
	gone     bool       // there is no reader any more
	moved    *sync.Cond // the connection's
}

// put sends a segment on its way. The lock is held.
func (s *stream) put(g segment) {
	n := s.network
	g.due = time.Now().Add(n.delay(s.from, s.to))
	if g.due.Before(s.last) {
		g.due = s.last // bytes stay in order
	}
	if rate := n.link(s.from, s.to).shape.Rate; rate > 0 {
		g.due = g.due.Add(time.Duration(len(g.data)) * time.Second / time.Duration(rate))
	}
	s.last = g.due
	if g.reset {
		s.queue, s.size = nil, 0 // what was under way is lost with the connection
	}
	s.queue = append(s.queue, g)
	s.size += len(g.data)
	s.moved.Broadcast()
}

// arrived is the first segment, if it can be read now; and if not, when that may be
// so without anything else happening.
func (s *stream) arrived() (g *segment, at time.Time) {
	if len(s.queue) == 0 || !s.network.carries(s.from, s.to) {
		return nil, time.Time{}
	}
	if due := s.queue[0].due; due.After(time.Now()) {
		return nil, due
	}
	return &s.queue[0], time.Time{}
}

// conn is one end of a connection. The network's lock guards what changes.
type conn struct {
	network       *Network
	host          *Host
	near, far     string
	local, remote address
	in, out       *stream
	moved         *sync.Cond // something came, went, or may come now; of both ends

	closed     bool
	broken     error // nobody can use the connection any more
	readUntil  time.Time
	writeUntil time.Time
}

// state is the error that this end has come to. A reset is noticed by readers and
// writers alike.
func (c *conn) state() error {
	if c.closed {
		return net.ErrClosed
	}
	if c.broken == nil {
		if g, _ := c.in.arrived(); g != nil && g.reset {
			c.broken = syscall.ECONNRESET
		}
	}
	return c.broken
}

// Read reads what has arrived.
func (c *conn) Read(p []byte) (int, error) {
	n := c.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		if err := c.state(); err != nil {
			return 0, c.fail("read", err)
		}
		if passed(c.readUntil) {
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		}
		g, due := c.in.arrived()
		switch {
		case g != nil && g.fin:
			return 0, io.EOF
		case g != nil && len(g.data) > 0 && len(p) > 0:
			k := copy(p, g.data)
			g.data = g.data[k:]
			c.in.size -= k
			if len(g.data) == 0 {
				c.in.queue = c.in.queue[1:]
			}
			if c.in.size < bufferSize {
				c.moved.Broadcast()
			}
			return k, nil
		case g != nil && len(g.data) == 0:
			c.in.queue = c.in.queue[1:]
			continue
		case len(p) == 0:
			return 0, nil
		}
		c.wait(due, c.readUntil)
	}
}

// Write sends p, waiting while too much is under way.
func (c *conn) Write(p []byte) (int, error) {
	n := c.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		if err := c.state(); err != nil {
			return 0, c.fail("write", err)
		}
		if passed(c.writeUntil) {
			return 0, c.fail("write", os.ErrDeadlineExceeded)
		}
		if c.out.gone {
			if n.up(c.far) && n.carries(c.near, c.far) {
				c.in.put(segment{reset: true}) // the machine's answer to bytes that it knows nothing of
			}
			return len(p), nil
		}
		if c.out.size < bufferSize {
			c.out.put(segment{data: append([]byte(nil), p...)})
			return len(p), nil
		}
		_, due := c.in.arrived() // perhaps a reset
		c.wait(due, c.writeUntil)
	}
}

// wait releases the lock until something moves, or a time comes.
func (c *conn) wait(times ...time.Time) {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		c.moved.Wait()
		return
	}
	t := time.AfterFunc(time.Until(first), func() {
		c.network.mu.Lock()
		defer c.network.mu.Unlock()
		c.moved.Broadcast()
	})
	c.moved.Wait()
	t.Stop()
}

func passed(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

func (c *conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close closes this end; the other one reads what is under way, and then the end.
func (c *conn) Close() error {
	n := c.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.close()
	return nil
}

// close is Close with the lock held.
func (c *conn) close() {
	c.closed = true
	if c.broken == nil {
		c.out.put(segment{fin: true})
	}
	c.in.gone = true
	delete(c.network.conns, c)
	c.moved.Broadcast()
}

// LocalAddr is the address of this end.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the address of the other end.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.deadline(t, &c.readUntil, &c.writeUntil) }

// SetReadDeadline ends reads that wait then; the zero time is none.
func (c *conn) SetReadDeadline(t time.Time) error { return c.deadline(t, &c.readUntil) }

// SetWriteDeadline ends writes that wait then; the zero time is none.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.deadline(t, &c.writeUntil) }

func (c *conn) deadline(t time.Time, set ...*time.Time) error {
	n := c.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, d := range set {
		*d = t
	}
	c.moved.Broadcast()
	return nil
}
