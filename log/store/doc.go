// Package store keeps every batch of a history, as the exact bytes that travel,
// in a bbolt file by position. Each batch carries its predecessor's hash, and
// every batch that is read is checked against its own.
//
// The Raft log is what makes a command durable; the store follows it. Append
// takes batches into memory and returns, and a goroutine of the store writes them
// to the file with one sync for many, at most half a second later. Readers see
// them at once. Sync waits until everything appended is on disk: it is called
// before a Raft snapshot counts, so whatever a crash takes from the store, Raft
// still has and derives again. The file itself is sound after any crash.
//
// A store can have gaps: a writer that was sent a snapshot lacks the batches
// before it (SkipTo). They are filled from another writer's store, from the
// newest backwards, so that each one is proved by the hash its successor names
// before it is kept (Backfill).
//
// A store can have a beginning: the cluster's rule drops the oldest batches (Drop), and
// they are deleted a little at a time (Sweep). The hash of the last of them stays, which the
// first batch that is left names. Deleting leaves pages free for what is appended, so the
// file stays as large as it was; Compact makes a stopped writer's smaller.
package store

import (
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/event"
)

// Errors of the store.
var (
	// ErrCorrupt is returned when the file does not hold what was written to it.
	// Nothing is repaired: the operator moves the file away, and the node fills a
	// new one from the others.
	ErrCorrupt = errors.New("the event store is corrupt")
	// ErrChain is returned when a batch does not belong where it is put: it, or
	// what the store holds, comes from another history.
	ErrChain = errors.New("the batch is of another history")
	// ErrLocked is returned when another process has the store open.
	ErrLocked = errors.New("another process has the event store open")
	// ErrClosed is returned after Close, and for writes to a store opened read-only.
	ErrClosed = errors.New("the event store is closed for writing")
)

// MissingError is returned when a position is asked for that lies in a gap.
type MissingError struct {
	From, To event.Position // first and last missing
}

// Error names the gap.
func (e *MissingError) Error() string {
	return fmt.Sprintf("the event store lacks the batches %d to %d", e.From, e.To)
}
