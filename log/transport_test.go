package log

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

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
