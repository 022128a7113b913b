package api

import (
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/native"
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
	History native.History
	// Chain has the heads of all batches. A replica has none: it is nil.
	Chain native.Chain
	// Backups has what archives are made of. A replica has nothing: it is nil.
	Backups native.Backups
	// Past has the views of earlier positions. A replica has none: it is nil.
	Past native.Past
	// Notary vouches for what the cluster has. Only a node that leads is asked; a replica
	// has none: it is nil.
	Notary native.Notary
	// Voters changes who votes in the log. Only a node that leads is asked; a replica has
	// none: it is nil.
	Voters native.Voters
	// Sealing knows the keys that seal secrets. Only a node that leads is asked; a replica has
	// none: it is nil.
	Sealing native.Sealing
	// Keyholder verifies signatures where Config.Seal is nil; elsewhere it may be nil.
	Keyholder admission.Keyholder
	// Condition is how the node and the cluster fare.
	Condition Condition
}

// Condition is how a node and its cluster fare.
type Condition interface {
	native.Cluster
	// Checks are the lines of /readyz.
	Checks() []Check
	// Endpoint is the URL at which clients reach the node; empty if nobody knows.
	Endpoint() string
}
