// Package retention drops from the history what the cluster's rule drops. The leader decides in
// the log, so that all writers drop the same; each writer deletes it from its own event store,
// a little at a time, when it has a snapshot behind it.
package retention

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sort"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
)

// Limits of the work.
const (
	// Every is how often the rule is held against the history.
	Every = 30 * time.Second
	// leastDrop is how many positions are dropped at least; fewer wait for a day to pass since
	// the last drop. Each drop is a position, too.
	leastDrop = 1024
	patience  = 24 * time.Hour
	// snapshotEvery is how often a writer makes a snapshot in order to drop what is behind it.
	snapshotEvery = time.Hour
	// rest is the least pause between two deletions; it is restShare times as long as the
	// one before took, too: appended batches, and the disk, are for the others most of the time.
	rest      = 5 * time.Millisecond
	restShare = 4
)

// Keeper keeps one writer's history within the rule.
type Keeper struct {
	Log    *log.Log
	Every  time.Duration // 0: the constant
	Logger *slog.Logger

	snapshot time.Time // when Trim had the last one made
}

// Maintainer has the log take a command of the cluster's own.
type Maintainer interface {
	Maintain(context.Context, identity.Command) error
}

// Lead decides what is dropped until ctx, that of the term, ends, by the node's clock.
func (k *Keeper) Lead(ctx context.Context, m Maintainer, now func() time.Time) {
	for {
		d, err := k.due(identity.Time(now().UnixMilli()))
		if err == nil && d != nil {
			err = m.Maintain(ctx, d)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			k.Logger.Warn("nothing is dropped from the history; it will be tried again", "error", err)
		case d != nil:
			k.Logger.Info("the retention rule drops the history up to a position", "through", d.Through)
		}
		if wake.After(ctx, k.every()) != nil {
			return
		}
	}
}

func (k *Keeper) every() time.Duration {
	if k.Every > 0 {
		return k.Every
	}
	return Every
}

// due is what the rule drops now; nil for nothing, or too little.
func (k *Keeper) due(now identity.Time) (*identity.DropHistory, error) {
	a := k.Log.Applied()
	r := a.State.Retention()
	before := r.Dropped
	through, ok := allowed(r, a.Head.Position)
	if !ok || through <= before.Through {
		return nil, nil
	}
	events := k.Log.Events()
	from := max(before.Through+1, events.First())
	cutoff := now - max(identity.Time(r.Rule.Days)*identity.Time(24*time.Hour/time.Millisecond), identity.MinKeptTime)
	var failed error
	young := sort.Search(int(max(through+1, from)-from), func(i int) bool {
		b, err := batch(events, from+event.Position(i))
		if err != nil {
			failed = err
			return true
		}
		return b.Cause.Time > cutoff
	})
	if failed != nil || young == 0 {
		return nil, failed
	}
	through = from + event.Position(young) - 1
	if through-before.Through < leastDrop && now-before.At < identity.Time(patience/time.Millisecond) {
		return nil, nil
	}
	b, err := batch(events, through)
	if err != nil {
		return nil, err
	}
	return &identity.DropHistory{Through: through, Hash: b.Hash, Newest: b.Cause.Time}, nil
}

// allowed is the last position that may be dropped, whatever its age.
func allowed(r identity.Retention, head event.Position) (through event.Position, ok bool) {
	kept := event.Position(max(r.Rule.Positions, identity.MinKeptPositions))
	if r.Rule == (identity.RetentionRule{}) || head <= kept || head > math.MaxInt {
		return 0, false
	}
	through = head - kept
	if r.Floor > 0 {
		through = min(through, r.Floor-1)
	}
	return through, true
}

// batch reads the header of a batch.
func batch(events *store.Store, at event.Position) (*event.Batch, error) {
	found, err := events.Read(at, 1, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("position %d is not in the event store", at)
	}
	header, err := wire.BatchHeader(found[0])
	if err != nil {
		return nil, err
	}
	return wire.DecodeHeader(header)
}

// Trim deletes from this writer's event store what the log says is dropped, until ctx ends. An
// error is the store's, or says that this writer's history is another.
func (k *Keeper) Trim(ctx context.Context) error {
	for {
		if err := k.trim(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("drop what the retention rule drops: %w", err)
		}
		if wake.After(ctx, k.every()) != nil {
			return nil
		}
	}
}

func (k *Keeper) trim(ctx context.Context) error {
	events := k.Log.Events()
	if d := k.Log.Applied().State.Retention().Dropped; d.Through > events.Dropped().Through && k.behindSnapshot(d.Through) {
		err := events.Drop(store.Dropped{Through: d.Through, Hash: d.Hash, At: time.UnixMilli(int64(d.At))})
		if err != nil {
			return err
		}
	}
	for {
		began := time.Now()
		more, err := events.Sweep()
		if err != nil || !more {
			return err
		}
		if err := wake.After(ctx, max(rest, restShare*time.Since(began))); err != nil {
			return err
		}
	}
}

// behindSnapshot tells whether this writer has a snapshot at a position or behind it. Else it
// has one made, now and then: a quiet cluster makes none for a long time.
func (k *Keeper) behindSnapshot(at event.Position) bool {
	if k.Log.Snapshotted() < at && (k.snapshot.IsZero() || time.Since(k.snapshot) >= snapshotEvery) {
		k.snapshot = time.Now()
		if err := k.Log.Snapshot(); err != nil {
			k.Logger.Warn("no snapshot was made, so the history stays until there is one", "error", err)
		}
	}
	return k.Log.Snapshotted() >= at
}
