package peer

import (
	"context"
	"net"
	"time"
)

// Network is how a node listens on stream addresses, host:port, and connects to them.
// Its methods may be called by any number of goroutines.
type Network interface {
	Listen(addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// TCP is the network of the machine.
type TCP struct{}

var _ Network = TCP{}

// dialTimeout bounds a connection attempt between nodes.
const dialTimeout = 2 * time.Second

// Listen opens a listener.
func (TCP) Listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

// Dial connects, within two seconds or not at all.
func (TCP) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, "tcp", addr)
}
