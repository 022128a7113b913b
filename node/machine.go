package node

import (
	"context"
	"net"
	"time"

	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/replication/propagation"
)

// Machine is what a node needs of the machine that it runs on. Fields that are nil
// stand for the real thing; simulations give others.
type Machine struct {
	// Listen opens a stream listener on host:port, and Dial connects to one, for
	// clients and for the other nodes. NATS has connections of its own.
	Listen func(addr string) (net.Listener, error)
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	// Now is the wall clock by which commands are dated and signatures checked.
	Now func() time.Time
	// Clocks reads the clocks of the lease protocol, all at one instant.
	Clocks func() propagation.Clocks
	// Files is how many files the process may open; 0: what the system says.
	Files int
}

// complete returns m with the machine's own functions where m has none.
func (m Machine) complete() Machine {
	if m.Listen == nil {
		m.Listen = peer.TCP{}.Listen
	}
	if m.Dial == nil {
		m.Dial = peer.TCP{}.Dial
	}
	if m.Now == nil {
		m.Now = time.Now
	}
	if m.Clocks == nil {
		m.Clocks = lease.ReadClocks(time.Now())
	}
	return m
}

// network is the machine's network.
type network struct{ Machine }

var _ peer.Network = network{}

// Listen opens a listener.
func (n network) Listen(addr string) (net.Listener, error) { return n.Machine.Listen(addr) }

// Dial connects.
func (n network) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return n.Machine.Dial(ctx, addr)
}
