package api

import (
	"context"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/replication/propagation"
)

// Node is what the edge needs of the node around it. All methods may be called by any
// number of goroutines.
type Node struct {
	Name string
	// Log is the one in which the node votes. A replica votes in none: it is nil.
	Log Log
	// Heads tells where the cluster's history is.
	Heads Heads
	// Lease tells how fresh the node's view is.
	Lease Lease
	// Leader takes what this node cannot do itself.
	Leader Leader
	// Tracker knows what replicas have reached. Only a node that leads is asked; a
	// replica has none: it is nil.
	Tracker Tracker
	// History has the changes that watchers are told of.
	History History
	// Chain has the heads of all batches. A replica has none: it is nil.
	Chain Chain
	// Notary vouches for what the cluster has. Only a node that leads is asked; a replica
	// has none: it is nil.
	Notary Notary
	// Keyholder verifies signatures where Config.Seal is nil; elsewhere it may be nil.
	Keyholder Keyholder
	// Condition is how the node and the cluster fare.
	Condition Condition
}

// votes tells a writer from a replica.
func (n *Node) votes() bool { return n.Log != nil }

// leads tells whether a command is likely to be taken here.
func (n *Node) leads() bool { return n.Log != nil && n.Log.Leads() }

// Log takes commands.
type Log interface {
	// Leads tells whether Propose is likely to be accepted here.
	Leads() bool
	// Propose commits a command and returns its batch: that of the first time,
	// when the command's key took effect before. Errors are *identity.Refusal,
	// ErrNotLeader, ErrOutcomeUnknown, ErrOverloaded, ErrTooLarge or the context's.
	Propose(context.Context, event.Command) (*event.Batch, error)
}

// Heads tells where the cluster's history is.
type Heads interface {
	// StrictHead returns a head that was the cluster's at some time after the call.
	StrictHead(context.Context) (event.Head, error)
}

// Lease tells how fresh a node's view is.
type Lease interface {
	// Fresh looks at the node's lease, for an answer from a view loaded later.
	Fresh() propagation.Freshness
}

// Leader is the way to the node that leads.
type Leader interface {
	// Forward hands a request to the leader and copies the answer. It retries
	// while no leader is known, within a bound, and returns an error only if it
	// has not written anything.
	Forward(http.ResponseWriter, *http.Request, Forwarded) error
}

// Tracker knows what replicas have reached, at the leader.
type Tracker interface {
	// Everywhere says how far a position has come: at once, or when it is settled or the
	// time is up. Errors are ErrNotLeader, propagation.ErrScope or the context's.
	Everywhere(ctx context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error)
	// Decide asks a replica for its decision about the body of a POST /v1/authorize,
	// once it has reached a position; see Server.Decide. It waits until ctx ends for a
	// replica that cannot be reached. An error other than ErrNotLeader and the context's
	// says why the replica does not decide now.
	Decide(ctx context.Context, replica string, at event.Position, question []byte) (Decided, error)
}

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
	Verify(ctx context.Context, from event.Position, timeout time.Duration) (*Verification, error)
}

// Keyholder has the keys that open secrets.
type Keyholder interface {
	// Confirm says whether a signature is good: nil, or an error of type *sigv4.Error.
	// Another error says why nobody answered.
	Confirm(context.Context, sigv4.Claim) error
}

// Condition is how a node and its cluster fare.
type Condition interface {
	// Status describes the cluster as this node knows it; the leader knows most.
	Status(context.Context) Status
	// Checks are the lines of /readyz.
	Checks() []Check
}
