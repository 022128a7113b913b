package lease

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/replication/propagation"
)

// register enters this replica into the roster, if it is not barred.
func (r *Renewer) register(ctx context.Context) error {
	return r.finder.Post(ctx, RegisterPath, Registration{Replica: r.replica, Attempt: NewNonce()}, nil)
}

// misplaced tells whether the roster, as this replica shows it, has it in another
// region or class.
func (r *Renewer) misplaced() bool {
	entry, ok := r.projection.View().State.Replica(r.replica.Name)
	return ok && (entry.Region != r.replica.Region || entry.Class != r.replica.Class)
}

// registerPause is how long a replica at least waits that could not be registered.
const registerPause = 250 * time.Millisecond

// Enter brings a replica into the roster that has no state yet: writers give theirs to
// members alone. It returns when that is done, or ctx ends.
func (r *Renewer) Enter(ctx context.Context) error {
	for {
		err := r.register(ctx)
		if err == nil {
			return nil
		}
		wait := registerPause + mathrand.N(registerPause)
		if r.barred(err) {
			wait = peer.Rest()
		} else if ctx.Err() == nil {
			r.logger.Warn("the replica could not be registered", "error", err)
		}
		if err := wake.After(ctx, wait); err != nil {
			return err
		}
	}
}

// rejoin registers a replica that the roster lacks.
func (r *Renewer) rejoin(ctx context.Context) {
	if err := r.register(ctx); err != nil {
		if !r.barred(err) {
			r.logger.Warn("the replica could not be registered", "error", err)
		}
		return
	}
	r.placed, r.again = "", !r.entering // a leader that goes on saying so is not asked at once again
	r.entering = true
}

// barred tells whether an error is a writer's word that an operator removed this
// replica. Then it has no lease any more, and stays out until it is admitted again.
func (r *Renewer) barred(err error) bool {
	if !errors.Is(err, peer.ErrBarred) {
		return false
	}
	r.change((*propagation.Lease).Withdraw)
	if !r.Removed() {
		out := propagation.KindUnregistered
		r.standing.Store(&out)
		r.logger.Warn("this replica was removed from the roster by command: it answers without a lease until `writ replica admit` with its name, at a writer, lets it in again")
	}
	return true
}

// move registers a replica anew that the roster has in another region or class than
// its configuration, which was changed before it was started.
func (r *Renewer) move(ctx context.Context, incarnation string) {
	if r.placed == incarnation {
		return
	}
	if r.misplaced() {
		if err := r.register(ctx); err != nil {
			r.logger.Warn("the replica's region and class could not be registered", "error", err)
			return
		}
	}
	r.placed = incarnation
}

// Removed tells whether this replica was taken off the roster by command.
func (r *Renewer) Removed() bool { return r.stands(propagation.KindUnregistered) }

// Draining tells whether this replica is in the roster, but gets no new leases.
func (r *Renewer) Draining() bool { return r.stands(propagation.KindDraining) }

func (r *Renewer) stands(kind propagation.Kind) bool {
	k := r.standing.Load()
	return k != nil && *k == kind
}

// RosterOf makes the tracker's roster from a state; it returns last when nothing
// changed since that was made.
func RosterOf(s *identity.State, last *propagation.Roster) *propagation.Roster {
	c := s.Cluster()
	if last != nil && last.At == c.RosterChanged {
		return last
	}
	r := &propagation.Roster{At: c.RosterChanged}
	for _, m := range s.Replicas() {
		r.Registered = append(r.Registered, propagation.Registration{
			Name: m.Name, Region: m.Region, Class: m.Class, Draining: m.Draining, Registered: m.Registered,
		})
	}
	return r
}
