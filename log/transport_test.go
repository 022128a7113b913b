package log

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// unread is a pipeline that nobody takes answers from: there is no room in it, until
// it is closed.
type unread struct{ closed chan struct{} }

func (u unread) AppendEntries(*raft.AppendEntriesRequest, *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	<-u.closed
	return nil, raft.ErrPipelineShutdown
}

func (unread) Consumer() <-chan raft.AppendFuture { return nil }

func (u unread) Close() error {
	close(u.closed)
	return nil
}

func TestStalledPipelineEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipeline{unread{make(chan struct{})}}
		if _, err := p.AppendEntries(nil, nil); !errors.Is(err, raft.ErrPipelineShutdown) {
			t.Errorf("a message that finds no room: %v", err)
		}
	})
}

// A server at the address of another one, which lost its disk, gives it no vote,
// however new it is; under its own id it does.
func TestConnectionsAreMeantForOneServer(t *testing.T) {
	at := listen(t)
	l, err := Open(Config{Dir: t.TempDir(), Advertise: at.Addr().String(), Cluster: testCluster, Stream: at,
		MinFree: 1, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer func() { must(t, l.Close(t.Context())) }()
	candidate := (&Config{Advertise: "candidate:1", Stream: listen(t), Logger: slog.New(slog.DiscardHandler)}).transport("candidate").(transport)
	defer candidate.Close()
	for id, votes := range map[string]bool{l.ID(): true, "00000000-0000-4000-8000-000000000000": false} {
		q := raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("candidate"), Addr: []byte("candidate:1")},
			Term: 7, LastLogIndex: 9, LastLogTerm: 6}
		var a raft.RequestVoteResponse
		if err := candidate.RequestVote(raft.ServerID(id), raft.ServerAddress(l.config.Advertise), &q, &a); (err == nil) != votes || a.Granted != votes {
			t.Errorf("the vote of %s: %v, %v", id, a.Granted, err)
		}
	}
}

// silent is a stream to servers that take connections and never answer; deaf ones do
// not even prove who they are.
type silent struct {
	net.Listener
	dialled chan net.Conn // nil: deaf
	dialing chan struct{}
}

func (s silent) DialContext(ctx context.Context, _ string) (net.Conn, error) {
	if s.dialled == nil {
		s.dialing <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	s.dialled <- near
	return near, nil
}

// A writer stops although another one is silent: what is under way is hung up, and
// nothing else is begun.
func TestStopsWhileAnotherIsSilent(t *testing.T) {
	for name, stream := range map[string]silent{
		"silent": {listen(t), make(chan net.Conn, 16), nil},
		"deaf":   {listen(t), nil, make(chan struct{}, 16)},
	} {
		l, err := Open(Config{Dir: t.TempDir(), Advertise: "here:1", Cluster: testCluster, Stream: stream, MinFree: 1, Logger: slog.New(slog.DiscardHandler),
			HeartbeatTimeout: 50 * time.Millisecond, ElectionTimeout: 50 * time.Millisecond, LeaderLeaseTimeout: 50 * time.Millisecond})
		must(t, err)
		must(t, l.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{
			{ID: raft.ServerID(l.ID()), Address: "here:1"}, {ID: "00000000-0000-4000-8000-000000000000", Address: "there:1"},
		}}).Error())
		select { // to ask for a vote, which does not come
		case <-stream.dialled:
		case <-stream.dialing:
		}
		begun := time.Now()
		must(t, l.Close(t.Context()))
		if took := time.Since(begun); took > transportTimeout/2 {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

func TestRaftsFormattedValues(t *testing.T) {
	var text bytes.Buffer
	bridge(slog.New(slog.NewTextHandler(&text, nil))).Info("progress", "complete", hclog.Fmt("%d%%", 7))
	if !strings.Contains(text.String(), `complete=7%`) {
		t.Errorf("logged %s", text.String())
	}
}

// A heartbeat that Raft takes beside its own goroutine can raise the term of a
// deposed leader while that writes entries.
func TestHeartbeatsComeInTurn(t *testing.T) {
	const id = "00000000-0000-4000-8000-000000000002"
	open := func(id string) (raft.Transport, string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		c := Config{Advertise: l.Addr().String(), Stream: loopback{l}, Logger: slog.New(slog.DiscardHandler)}
		tr := c.transport(id)
		t.Cleanup(func() { must(t, (&Log{transport: tr}).release()) })
		return tr, c.Advertise
	}
	from, name := open("00000000-0000-4000-8000-000000000001")
	to, address := open(id)
	to.SetHeartbeatHandler(func(rpc raft.RPC) {
		t.Error("a heartbeat was taken out of turn")
		rpc.Respond(&raft.AppendEntriesResponse{}, nil)
	})
	go func() { // ends with the message, or with the test
		select {
		case rpc := <-to.Consumer():
			rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
		case <-t.Context().Done():
		}
	}()
	heartbeat := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, Addr: []byte(name)}, Term: 2}
	var answer raft.AppendEntriesResponse
	if err := from.AppendEntries(id, raft.ServerAddress(address), heartbeat, &answer); err != nil || !answer.Success {
		t.Errorf("%+v %v", answer, err)
	}
}
