// Package event holds what travels: a Command on its way into the log, the Batch
// of events that one accepted command made, and the Position and Token that say
// how far a replica has come.
//
// Pure, like the domain it carries: no I/O, no clock, no randomness. Bytes are
// made in log/wire alone.
package event

import (
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/identity"
)

// Position numbers batches; see identity.Position.
type Position = identity.Position

// Hash is a SHA-256. That of a batch covers every field of the batch and the
// hash of the batch before, so equal hashes mean equal histories.
type Hash [32]byte

// Head is the end of a history: a position and the hash of the batch there.
type Head struct {
	Position Position
	Hash     Hash
}

// Cause says who changed what, when, and by which request.
type Cause struct {
	identity.Meta
	// Request is the request id that the caller was given.
	Request string
	// Action is the API action, such as "iam:CreateUser"; empty for the cluster's own commands.
	Action string
	// Source is the caller's network address.
	Source string
	// Via is the node that handed the request on to the leader, and whose word Source
	// and the like are. Empty: the caller came to the leader itself.
	Via string
}

// Command is the envelope of a command on its way into the log.
type Command struct {
	Cluster     string
	Incarnation string // empty only for the command that bootstraps
	Cause       Cause
	// Base is the head that the proposer saw. A state machine with another hash
	// at that position has another history and halts.
	Base Head
	// Relies is what the proposer authorized the command against. It serves the
	// decision and is in no batch.
	Relies  []identity.Reliance
	Content identity.Command
}

// Batch is all events of one accepted command, at one position.
type Batch struct {
	Cluster     string
	Incarnation string
	Position    Position
	Index       uint64 // of the raft entry
	Term        uint64 // of the raft entry
	Cause       Cause
	Events      []identity.Event
	// State is the digest of the state after these events. Whoever folds them and
	// finds another has diverged.
	State digest.Sum
	Prev  Hash
	Hash  Hash
}

// Head is the end of the history whose last batch is b.
func (b *Batch) Head() Head { return Head{Position: b.Position, Hash: b.Hash} }
