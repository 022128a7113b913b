// Package log is the Raft log of a writer: commands go in, and every writer's
// state machine turns the same committed commands into the same batches.
//
// Propose puts a command into the log and returns what became of it: a batch, a
// *identity.Refusal, or an error that says whether the command may have taken
// effect. Applied is what the state machine has reached, in one atomic load.
// Leaders proves leadership by entries of the log, never by asking peers: see
// Fence and Leadership.
//
// The state machine (fsm.go) is a thin bridge: decode, decide, evolve, append to
// the event store, publish. It sends nothing, starts nothing and waits for
// nothing but the store.
//
// A Log that cannot go on as it must (the disk failed, bytes on it changed, its
// history is not the cluster's) stops applying and says so through Failed; its
// owner then exits the process with Err's message. It never repairs or skips.
package log

import (
	"errors"
	"fmt"
)

// Errors of the log.
var (
	// ErrOutcomeUnknown is returned when a command was handed to Raft and the
	// answer was lost: it may take effect or not. Proposing it again with the same
	// key is safe.
	ErrOutcomeUnknown = errors.New("the outcome of the command is unknown")
	// ErrBusy is returned when the log took no command in time. It did not take effect.
	ErrBusy = errors.New("the log is busy")
	// ErrDiskFull is returned when the disk has less room than Config.MinFree. The
	// command did not take effect.
	ErrDiskFull = errors.New("the disk is nearly full")
	// ErrStopped is returned after Close, and after a failure that Failed reports.
	// The command did not take effect.
	ErrStopped = errors.New("the log is stopped")
	// ErrDiverged is the failure of a log whose history is not the cluster's.
	ErrDiverged = errors.New("this writer's history is not the cluster's")
	// ErrTooOld is the failure of a log that a later release wrote: this build cannot read it, and
	// applies nothing from there on.
	ErrTooOld = errors.New("this build is too old for its cluster's log: start the node with the build that the other nodes run, its directory is as it was")
	// ErrWrongCluster is returned for a command of another cluster, which does not
	// take effect, and for a directory or snapshot of one.
	ErrWrongCluster = errors.New("of another cluster")
	// ErrWrongIncarnation is returned for a command that was made before the cluster
	// was restored or recovered. It does not take effect.
	ErrWrongIncarnation = errors.New("of another incarnation of the cluster")
	// ErrLocked is returned by Open when another process has the directory open.
	ErrLocked = errors.New("another process has the log open")
	// ErrBootstrapped is returned by Bootstrap when the log has begun already.
	ErrBootstrapped = errors.New("the log has begun already")
)

// NotLeaderError is returned when this writer does not lead. What was asked did
// not take effect.
type NotLeaderError struct {
	ID      string // of the leader; empty when none is known
	Address string // of the leader, host:port
}

// Error names the leader.
func (e *NotLeaderError) Error() string {
	if e.Address == "" {
		return "this writer does not lead, and none is known to"
	}
	return fmt.Sprintf("this writer does not lead; %s at %s does", e.ID, e.Address)
}
