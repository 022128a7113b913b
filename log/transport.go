package log

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transport is Raft's own over the network, with three things mended.
//
// Raft sends to an address, whoever is there. A writer that lost its disk comes back
// at its old address as another server, which has promised nothing and remembers
// nothing: if it voted in place of the one that was lost, a candidate without the
// latest entries could win, and what was acknowledged would be gone though a majority
// kept its disks. So every connection begins with the id of the server that it is
// meant for, and another server does not listen to it.
//
// Raft takes heartbeats on the goroutine of their connection, beside its own. There
// one of a newer term raises the term under a deposed leader, say one that was
// stopped for a while, which then gives its own entries that term: two logs hold
// different entries of one index and term, and nobody notices (hashicorp/raft issue
// 695). So heartbeats come in turn with all else.
//
// The third is in pipeline.
type transport struct {
	*raft.NetworkTransport
	lines *lines
}

// to is the address of a server, as stream.Dial takes it apart.
func to(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "@" + address
}

// SetHeartbeatHandler leaves heartbeats where everything else arrives.
func (t transport) SetHeartbeatHandler(func(raft.RPC)) {}

// AppendEntriesPipeline opens a pipeline that ends when it stalls.
func (t transport) AppendEntriesPipeline(id raft.ServerID, at raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, to(id, at))
	if err != nil {
		return nil, err // as it is: Raft compares it
	}
	return pipeline{p}, nil
}

// AppendEntries sends entries to the server of that id.
func (t transport) AppendEntries(id raft.ServerID, at raft.ServerAddress, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, to(id, at), q, a)
}

// RequestVote asks the server of that id for its vote.
func (t transport) RequestVote(id raft.ServerID, at raft.ServerAddress, q *raft.RequestVoteRequest, a *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, to(id, at), q, a)
}

// RequestPreVote asks the server of that id whether it would vote.
func (t transport) RequestPreVote(id raft.ServerID, at raft.ServerAddress, q *raft.RequestPreVoteRequest, a *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, to(id, at), q, a)
}

// InstallSnapshot sends a snapshot to the server of that id.
func (t transport) InstallSnapshot(id raft.ServerID, at raft.ServerAddress, q *raft.InstallSnapshotRequest, a *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, to(id, at), q, a, data)
}

// TimeoutNow asks the server of that id to stand for election.
func (t transport) TimeoutNow(id raft.ServerID, at raft.ServerAddress, q *raft.TimeoutNowRequest, a *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, to(id, at), q, a)
}

// Stream makes connections between servers.
type Stream interface {
	net.Listener
	// DialContext connects to the server at host:port, unless ctx ends first.
	DialContext(ctx context.Context, address string) (net.Conn, error)
}

// identified connects to servers by id, under the name by which others reach this one.
type identified struct {
	Stream
	id    string // of this server, a uuid
	name  address
	lines *lines
}

// Addr is the address that others dial.
func (s identified) Addr() net.Addr { return s.name }

// Dial connects to a server and says whom it means.
func (s identified) Dial(at raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, address, _ := strings.Cut(string(at), "@")
	begun := time.Now()
	ctx, cancel := context.WithTimeout(s.lines.ctx, timeout)
	defer cancel()
	c, err := s.DialContext(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect to server %s: %w", id, err)
	}
	err = c.SetWriteDeadline(begun.Add(timeout))
	if err == nil {
		_, err = io.WriteString(c, id)
	}
	if err == nil {
		err = c.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin to talk to server %s: %w", id, err), c.Close())
	}
	return s.lines.add(c)
}

// lines are all connections of a server, to and from others. When they are hung up,
// Raft's messages under way fail, those for which it is still connecting among them,
// and so does a snapshot that is being received: it shuts down without waiting for a
// server that is silent.
type lines struct {
	ctx    context.Context // of connecting
	cancel context.CancelFunc

	mu   sync.Mutex
	open map[*line]struct{} // guarded by mu; nil: hung up, and there will be no others
}

type line struct {
	net.Conn
	among *lines
}

func newLines() *lines {
	ctx, cancel := context.WithCancel(context.Background())
	return &lines{ctx: ctx, cancel: cancel, open: make(map[*line]struct{})}
}

func (l *lines) add(c net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return nil, errors.Join(ErrStopped, c.Close())
	}
	one := &line{c, l}
	l.open[one] = struct{}{}
	return one, nil
}

func (l *lines) hangUp() {
	l.cancel()
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for one := range open {
		one.Conn.Close() // an error says that it is closed
	}
}

// Close closes the connection.
func (l *line) Close() error {
	l.among.mu.Lock()
	delete(l.among.open, l)
	l.among.mu.Unlock()
	return l.Conn.Close()
}

// Accept returns the next connection; its first Read finds out whom it is meant for.
func (s identified) Accept() (net.Conn, error) {
	c, err := s.Stream.Accept()
	if err != nil {
		return nil, err
	}
	if c, err = s.lines.add(c); err != nil {
		return nil, err
	}
	return &addressed{Conn: c, id: s.id}, nil
}

// errNotMeant is what reading gives when a connection is meant for another server.
var errNotMeant = errors.New("the connection is meant for another server, which had this address")

// addressed is a connection that begins with the id of a server, read by one goroutine.
type addressed struct {
	net.Conn
	id    string
	known bool // that it is this server
}

// Read reads what follows the id.
func (c *addressed) Read(p []byte) (int, error) {
	if !c.known {
		meant := make([]byte, len(c.id))
		if _, err := io.ReadFull(c.Conn, meant); err != nil {
			return 0, err
		}
		if string(meant) != c.id {
			return 0, fmt.Errorf("%w: %.36q, not %s", errNotMeant, meant, c.id)
		}
		c.known = true
	}
	return c.Conn.Read(p)
}

// pipelineStall is how long a message may wait for a place in a pipeline.
const pipelineStall = 2 * time.Second

// pipeline is closed when a message waits too long. When a follower refuses a
// message, or knows of a later term, Raft stops taking answers out of the pipeline,
// and may yet try to put another message in. It would wait for ever: the follower got
// no more entries while this writer leads, though it got heartbeats, and Raft would
// not shut down (hashicorp/raft issue 612). When this ends, Raft sends message by
// message, and opens another pipeline once that works.
type pipeline struct{ raft.AppendPipeline }

// AppendEntries puts a message into the pipeline.
func (p pipeline) AppendEntries(q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	stalled := time.AfterFunc(pipelineStall, func() { p.Close() })
	f, err := p.AppendPipeline.AppendEntries(q, a)
	if !stalled.Stop() && err != nil {
		return nil, fmt.Errorf("no answer makes room for another message within %v: %w", pipelineStall, err)
	}
	return f, err
}
