package api

import (
	"context"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/effect"
	"github.com/writ-iam/writ/node/freshness"
)

// Node is what the edge needs of the node around it. All methods may be called by any
// number of goroutines.
type Node struct {
	Name string
	// Log is the one in which the node votes. A replica votes in none: it is nil.
	Log dispatch.Log
	// Heads tells where the cluster's history is.
	Heads freshness.Heads
	// Lease tells how fresh the node's view is.
	Lease freshness.Lease
	// Leader takes what this node cannot do itself.
	Leader dispatch.Leader
	// Tracker knows what replicas have reached. Only a node that leads is asked; a
	// replica has none: it is nil.
	Tracker effect.Tracker
	// History has the changes that watchers are told of.
	History History
	// Chain has the heads of all batches. A replica has none: it is nil.
	Chain Chain
	// Notary vouches for what the cluster has. Only a node that leads is asked; a replica
	// has none: it is nil.
	Notary Notary
	// Keyholder verifies signatures where Config.Seal is nil; elsewhere it may be nil.
	Keyholder admission.Keyholder
	// Condition is how the node and the cluster fare.
	Condition Condition
}

// votes tells a writer from a replica.
func (n *Node) votes() bool { return n.Log != nil }

// History has changes, as watchers are told of them.
type History interface {
	// Changes returns the changes from a position on, in order, at most count of them;
	// they exist. A *GapError says that the first ones are not kept here.
	Changes(from event.Position, count int) ([]Change, error)
}

// Chain has the heads of batches.
type Chain interface {
	// Headers returns the heads of the batches behind a position, in order: at most
	// limit, and no more than an answer may hold.
	Headers(after event.Position, limit int) ([][]byte, error)
}

// Notary vouches for what the cluster has, at the leader.
type Notary interface {
	// SignHead returns a head that is current after the call, under the leader's
	// signature. Errors are ErrNotLeader or the context's, or say why it cannot.
	SignHead(context.Context) (*event.SignedHead, error)
	// Verify compares all nodes with the leader's log, the chain from a position on,
	// in about the given time. Errors are ErrNotLeader, ErrVerifying or the context's.
	Verify(ctx context.Context, from event.Position, timeout time.Duration) (*shape.Verification, error)
}

// Condition is how a node and its cluster fare.
type Condition interface {
	// Status describes the cluster as this node knows it; the leader knows most.
	Status(context.Context) shape.Cluster
	// Checks are the lines of /readyz.
	Checks() []Check
}
