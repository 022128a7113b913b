package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

// Outcome is what became of an accepted command.
type Outcome struct {
	Batch *event.Batch // nobody changes it
	// Repeated says that a command of the same key took effect before; Batch is
	// what that one made.
	Repeated bool
	// Times are those of a command that took effect now; nil for one that is repeated.
	Times *Times
}

// Times are when a command passed the stages of the log, by this machine's clock.
type Times struct {
	Given                      time.Time // to Raft
	Committed, Decided, Stored time.Time // of the piece that the state machine applied it in: its begin, its decisions, its end
}

// Propose puts a command into the log and returns when this writer has applied
// it. Where Cluster, Incarnation and Base are empty they are taken from Applied.
//
// It fails with the *identity.Refusal of the state machine; ErrWrongCluster or
// ErrWrongIncarnation for a command of another history; *NotLeaderError,
// ErrBusy, ErrDiskFull or ErrStopped before anything happened; wire.ErrTooLarge;
// and ErrOutcomeUnknown when it cannot be known whether the command took effect,
// as when ctx ends.
func (l *Log) Propose(ctx context.Context, cmd event.Command) (Outcome, error) {
	if err := l.room.check(time.Now()); err != nil {
		return Outcome{}, err
	}
	if err := l.address(&cmd); err != nil {
		return Outcome{}, err
	}
	if err := l.level(&cmd); err != nil {
		return Outcome{}, err
	}
	entry, err := wire.EncodeCommand(&cmd)
	if err != nil {
		return Outcome{}, err
	}
	given := time.Now()
	o, err := l.apply(ctx, entry)
	switch {
	case err != nil:
		return Outcome{}, err
	case o.repeated > 0:
		b, err := l.batch(ctx, o.repeated)
		return Outcome{Batch: b, Repeated: true}, err
	}
	times := *o.times
	times.Given = given
	return Outcome{Batch: o.batch, Times: &times}, nil
}

// address says which history cmd is for, where it does not.
func (l *Log) address(cmd *event.Command) error {
	a := l.Applied()
	if cmd.Base == (event.Head{}) {
		cmd.Base = a.Head
	}
	if begins := identity.Begins(cmd.Content); begins != nil {
		if l.config.Cluster != "" && begins.Cluster != l.config.Cluster {
			return fmt.Errorf("begin cluster %s: %w", begins.Cluster, ErrWrongCluster)
		}
		return nil
	}
	c := a.State.Cluster()
	if cmd.Cluster == "" {
		cmd.Cluster = c.ID
	}
	if cmd.Incarnation == "" {
		cmd.Incarnation = c.Incarnation
	}
	return nil
}

// level puts cmd under the rules of the cluster's feature level, and refuses it where a
// build of that level could not read it.
func (l *Log) level(cmd *event.Command) error {
	if identity.Begins(cmd.Content) != nil {
		cmd.Cause.Rules = identity.CurrentRules
		return nil
	}
	has := l.Applied().State.Cluster().FeatureLevel
	cmd.Cause.Rules = identity.RulesAt(has)
	if has < 2 { // a build of that level reads nothing of where a chain began
		cmd.Cause.By.Session.Origin = identity.Origin{}
	}
	if needs := wire.Level(cmd.Content); needs > max(has, 1) && l.IsLeader() { // others do not know, and say who leads
		return &identity.Refusal{Code: identity.UnknownFeature, Message: fmt.Sprintf(
			"The cluster is at feature level %d, and the change needs level %d. It rises when every writer and every replica runs a version that supports it.", has, needs)}
	}
	return nil
}

// apply hands an entry to Raft and returns the state machine's answer to it.
func (l *Log) apply(ctx context.Context, entry []byte) (result, error) {
	if !l.enter() {
		return result{}, ErrStopped
	}
	defer l.proposals.Done()
	if err := l.fail.latched(); err != nil {
		return result{}, fmt.Errorf("%w: %w", ErrStopped, err)
	}
	if !l.IsLeader() {
		return result{}, l.notLeader()
	}
	began := time.Now()
	future := l.raft.Apply(entry, untilDeadline(ctx, enqueueTimeout))
	if err := l.wait(ctx, future); err != nil {
		return result{}, err
	}
	l.config.Meter.Committed(time.Since(began))
	o, ok := future.Response().(result)
	if !ok {
		return o, fmt.Errorf("%w: the state machine answered %T", ErrOutcomeUnknown, future.Response())
	}
	if o.stopped {
		return o, fmt.Errorf("%w: %w", ErrOutcomeUnknown, o.err)
	}
	return o, o.err
}

// enter notes that a proposal is under way, unless Close has begun.
func (l *Log) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.proposals.Add(1)
	return true
}

// wait returns when Raft is done with what it was asked, or ctx ends, and says
// what an error means for whoever asked.
func (l *Log) wait(ctx context.Context, future raft.Future) error {
	done := make(chan error, 1)
	// Raft answers in the end: it commits, loses leadership, or stops.
	go func() { done <- future.Error() }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, ctx.Err())
	case <-l.fail.done:
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, l.fail.err)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return l.notLeader()
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return ErrBusy
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

// batch returns the batch at a position, which a command of the same key made. It
// waits for the gap to be filled where the store lacks it; of what was dropped, which is an
// hour old at least, the error is a *store.DroppedError.
func (l *Log) batch(ctx context.Context, position event.Position) (*event.Batch, error) {
	for {
		l.mu.Lock()
		filled := l.filled
		l.mu.Unlock()
		found, err := l.store.Read(position, 1, 1)
		var missing *store.MissingError
		switch {
		case err == nil && len(found) == 1:
			return wire.DecodeBatch(found[0])
		case err == nil:
			return nil, fmt.Errorf("%w: batch %d is not there", store.ErrCorrupt, position)
		case !errors.As(err, &missing) || l.config.Backfill == nil:
			return nil, err
		}
		select {
		case <-filled:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-l.closing:
			return nil, ErrStopped
		}
	}
}
