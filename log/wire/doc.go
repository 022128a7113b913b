// Package wire is the one place that makes bytes: of commands and fences on their
// way into the Raft log, of batches on their way to the event store, the stream
// and the replicas, and of snapshots.
//
// Everything is a sequence of msgpack values without field names; what stands
// where is fixed by a format number, and for the fields of a command, event or
// record by its kind number and version. One visitor per type both writes and
// reads it, so the two directions cannot drift apart.
//
// Whatever is read is checked before it is used. A hash that does not match, a
// length that leads nowhere or a value out of range gives ErrCorrupt; a kind or
// version of a later release gives an *UnknownError. Nothing is ever skipped.
// Memory taken while reading is bounded by the input's size, which is bounded by
// MaxCommandSize, MaxBatchSize and MaxRecordSize.
//
// Equal values give equal bytes: state machines and projections on different
// nodes make the same batch. A new version of a kind is therefore written only
// from the feature level on that brings it.
//
// All functions may be called from any number of goroutines.
package wire

import (
	"errors"
	"fmt"
)

// Limits; sizes are in bytes. Larger values are neither written nor read.
const (
	// MaxCommandSize bounds the envelope of a command.
	MaxCommandSize = 256 << 10
	// MaxBatchSize bounds an encoded batch. It leaves room below the 1 MiB that a
	// message broker takes by default.
	MaxBatchSize = 768 << 10
	// MaxEvents is how many events a batch may have.
	MaxEvents = 1 << 14
	// MaxRecordSize bounds one record of a snapshot.
	MaxRecordSize = 4 << 20
)

// Errors of reading and writing.
var (
	// ErrCorrupt is returned when bytes are not what was once written: a hash
	// differs, they are cut short, or a field cannot be.
	ErrCorrupt = errors.New("corrupt")
	// ErrTooLarge is returned when a value would exceed its limit.
	ErrTooLarge = errors.New("too large")
	// ErrShredded is returned when the payload of an event was erased. The batch
	// still proves its place in the chain; see PeekBatch.
	ErrShredded = errors.New("the event's payload was erased")
)

// UnknownError is returned for a kind, version or format that this build does
// not know: the bytes are sound, but a later release wrote them.
type UnknownError struct {
	What    string // "command", "reliance", "event", "record", "quota" and so on, or "... format"
	Number  uint64 // of the kind, way or format
	Version uint64 // of the kind; 0 for a format
}

// Error says what is not known.
func (e *UnknownError) Error() string {
	if e.Version == 0 {
		return fmt.Sprintf("unknown %s %d: a later release is needed to read it", e.What, e.Number)
	}
	return fmt.Sprintf("unknown %s %d version %d: a later release is needed to read it", e.What, e.Number, e.Version)
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
