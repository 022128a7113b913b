package quorum

import (
	"context"
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/members"
)

// errChanging is returned while another member of the log joins, moves or is removed.
var errChanging = errors.New("another change of the log's members is under way")

// change makes a change of the log's members: one at a time, for each is judged by what the one
// before left. Nobody waits in line.
func (k *Keeper) change(make func() error) error {
	if !k.changing.TryLock() {
		return errChanging
	}
	defer k.changing.Unlock()
	return make()
}

// Spares finds the member that a writer of the cluster is, by its name, and whether the others
// can do without it, while this writer leads; empty for one that is no member. Errors are
// dispatch.ErrNotLeader, members.ErrLeads or members.ErrQuorum.
func (k *Keeper) Spares(ctx context.Context, name string) (id string, err error) {
	if !k.Node.Leads() {
		return "", dispatch.ErrNotLeader
	}
	if name == k.Me.Name {
		return "", members.ErrLeads
	}
	s, err := k.survey(ctx).List.Spare(name)
	return s.ID, err
}

// RemoveWriter takes a member away from Raft's log that is no writer of the cluster, while
// this writer leads. Errors are dispatch.ErrNotLeader, those of members.List.Without or the
// log's; another while a change is under way.
func (k *Keeper) RemoveWriter(ctx context.Context, called string) error {
	if !k.Node.Leads() {
		return dispatch.ErrNotLeader
	}
	return k.change(func() error {
		gone, err := k.survey(ctx).List.Without(called)
		if err != nil {
			return err
		}
		return k.drop(ctx, gone)
	})
}

func (k *Keeper) drop(ctx context.Context, gone members.Server) error {
	if err := InEdgeTerms(k.Log.RemoveServer(ctx, gone.ID)); err != nil {
		return err
	}
	k.Logger.Info("a member was removed from the log", "id", gone.ID, "address", gone.Address)
	return nil
}

// retire takes a member away whose writer was removed from the list, and tells whether it did:
// whoever removed it may have ended before this.
func (k *Keeper) retire(ctx context.Context, found members.Survey) bool {
	listed := k.Log.Applied().State.Writers()
	if listed == nil {
		return false
	}
	for _, r := range listed.Removed {
		gone, err := found.List.Without(r.Peer)
		if err != nil || gone.ID == k.Log.ID() {
			continue
		}
		if err = k.change(func() error { return k.drop(ctx, gone) }); err == nil {
			return true
		}
	}
	return false
}

// promote makes a voter of a learner that is ready, and tells whether it did.
func (k *Keeper) promote(ctx context.Context, found members.Survey) bool {
	s, ok := found.List.Ready(found.Told, k.Log.Applied().Head.Position)
	if !ok {
		return false
	}
	if err := k.change(func() error { return k.Log.AddVoter(ctx, s.ID, s.Address) }); err != nil {
		k.Logger.Info("a learner gets no vote yet", "writer", s.Name, "reason", err)
		return false
	}
	k.Logger.Info("a learner has caught up and votes now", "writer", s.Name, "id", s.ID, "address", s.Address)
	return true
}

// TransferLeadership hands leadership to a writer; to the one furthest ahead if called is
// empty. Errors are dispatch.ErrNotLeader, members.ErrUnknown, members.ErrSilent or the log's.
func (k *Keeper) TransferLeadership(ctx context.Context, called string) error {
	if !k.Node.Leads() {
		return dispatch.ErrNotLeader
	}
	if called == "" {
		return InEdgeTerms(k.Log.TransferLeadership(ctx))
	}
	to, ok := k.survey(ctx).List.Find(called)
	switch {
	case !ok || !to.Votes:
		return fmt.Errorf("%w: none that votes is called %q", members.ErrUnknown, called)
	case to.ID == k.Log.ID():
		return nil // it leads
	case !to.Answers:
		return members.ErrSilent
	}
	return InEdgeTerms(k.Log.TransferLeadershipTo(ctx, log.Server{ID: to.ID, Address: to.Address}))
}

// InEdgeTerms is an error of the log, as the edge knows it.
func InEdgeTerms(err error) error {
	if notLeader := (*log.NotLeaderError)(nil); errors.As(err, &notLeader) || errors.Is(err, log.ErrStopped) {
		return fmt.Errorf("%w: %w", dispatch.ErrNotLeader, err)
	}
	return err
}
