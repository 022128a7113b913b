package log

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// pipelineStall is how long a message may wait for a place in a pipeline.
const pipelineStall = 2 * time.Second

// transport is Raft's own, without a trap in its pipelines: when a follower refuses
// a message, or knows of a later term, Raft stops taking answers out of the pipeline,
// and may yet try to put another message in. It then waits for ever: the follower
// gets no more entries while this writer leads, though it gets heartbeats, and Raft
// does not shut down (hashicorp/raft issue 612).
type transport struct{ *raft.NetworkTransport }

// AppendEntriesPipeline opens a pipeline that ends when it stalls.
func (t transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err // as it is: Raft compares it
	}
	return pipeline{p}, nil
}

// pipeline is closed when a message waits too long. Raft then sends what follows
// message by message, and opens another once that works.
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
