package freshness

import (
	"context"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

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

// Log is the one in which a writer votes.
type Log interface {
	// Leads tells whether the node leads.
	Leads() bool
}

// Config is what Views are made of. All fields are required but Log and WithoutLease.
type Config struct {
	Desk       *admission.Desk
	Projection *projection.Projection
	Heads      Heads
	Lease      Lease
	// Log is nil at a replica, which has a lease instead of a vote.
	Log Log
	Now func() time.Time
	// WithoutLease is what the node admits while nothing proves that it is current.
	WithoutLease WithoutLease
}

// Views are those that a node answers from. Safe for concurrent use.
type Views struct {
	cfg    Config
	writes *lastWrites
	shared sharedHead
	// Heads of the log, read for those that are known and for strangers.
	heads, strangersHeads headReader
}

// New returns a node's views.
func New(cfg Config) *Views {
	return &Views{
		cfg: cfg, writes: newLastWrites(), shared: sharedHead{turn: make(chan struct{}, 1)},
		heads:          headReader{heads: cfg.Heads, turn: make(chan struct{}, 1)},
		strangersHeads: headReader{heads: cfg.Heads, turn: make(chan struct{}, 1), every: strangersFence},
	}
}

// votes tells a writer from a replica.
func (f *Views) votes() bool { return f.cfg.Log != nil }

func (f *Views) leads() bool { return f.cfg.Log != nil && f.cfg.Log.Leads() }

// Wrote notes that a write by an access key took effect at a position: the caller's next
// read here is to see it.
func (f *Views) Wrote(accessKey string, at event.Position) { f.writes.note(accessKey, at) }
