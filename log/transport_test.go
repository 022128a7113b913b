package log

import (
	"errors"
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
