package quorum

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/writ-iam/writ/log"
)

// How a log begins. The first writer of the configuration makes itself the
// only member of a new log, once all other writers have said that they have none
// either: so a first writer that lost its disk never begins the cluster a second
// time. The others join through whoever leads.

// Waits of joining.
const (
	joinPause   = 250 * time.Millisecond
	joinTimeout = 20 * time.Second // of one request to join
)

// Request asks the leader to make a server a member, which votes when it has caught up.
type Request struct {
	ID   string `json:"id"`
	Peer string `json:"peer"`
	// Seal is the fingerprint of the keys that seal secrets: a writer with others
	// could open nothing.
	Seal string `json:"seal"`
	// Marks show which of them it has; none from a build that does not say it.
	Marks map[string]string `json:"marks,omitempty"`
}

// Join makes this writer a voter in the cluster's log, until it is one or ctx ends.
func (k *Keeper) Join(ctx context.Context) {
	first := k.Cluster.Writers[0].Name == k.Me.Name
	told := ""
	for {
		if k.Belongs() {
			return
		}
		if err := k.tryJoin(ctx, first); err != nil && err.Error() != told {
			told = err.Error()
			k.Logger.Info("not a member of the log yet", "reason", err)
		}
		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return
		}
	}
}

// Belongs tells whether this writer votes by its own log's list of members, at its address: one
// that has moved joins again, so that the others find it, and one that learns goes on asking.
func (k *Keeper) Belongs() bool {
	return slices.ContainsFunc(k.Log.Servers(), func(s log.Server) bool { return s.ID == k.Log.ID() && s.Address == k.Me.Peer && s.Voter })
}

// tryJoin joins a log that exists, at this writer's address, or begins one.
func (k *Keeper) tryJoin(ctx context.Context, first bool) error {
	if k.Node.Leads() { // and has moved
		return k.change(func() error { return k.Log.AddLearner(ctx, k.Log.ID(), k.Me.Peer) })
	}
	exists, silent := false, 0
	for _, other := range k.Cluster.Writers {
		if other.Name == k.Me.Name {
			continue
		}
		s, err := k.ask(ctx, other.Peer)
		switch {
		case err != nil:
			silent++
		case s.Member:
			exists = true
		}
	}
	switch {
	case exists || !first:
		ctx, cancel := context.WithTimeout(ctx, joinTimeout)
		defer cancel()
		return k.Finder.Post(ctx, JoinPath, Request{ID: k.Log.ID(), Peer: k.Me.Peer, Seal: k.Keys.Key().Fingerprint(), Marks: k.Keys.Key().Marks()}, nil)
	case silent > 0:
		return fmt.Errorf("%d other writers do not answer; the log begins when all say that they have none", silent)
	}
	if err := k.Log.Bootstrap(); err != nil && !errors.Is(err, log.ErrBootstrapped) {
		return err
	}
	return nil
}

// NotAdmitted is why a writer does not join, and as which status it is told that.
type NotAdmitted struct {
	Status int
	Reason string
}

// Error is the reason.
func (e *NotAdmitted) Error() string { return e.Reason }

// Admit makes a writer of the configuration, of the name that its certificate has, a member of
// the log while this writer leads: it learns, and gets a vote when it has caught up. Errors are
// a NotAdmitted, or the log's: it asks again.
func (k *Keeper) Admit(ctx context.Context, name string, q Request) error {
	w, ok := k.Cluster.Writer(name)
	switch {
	case !ok || w.Peer != q.Peer:
		return &NotAdmitted{http.StatusForbidden, "the leader's configuration has no writer " + name + " at " + q.Peer +
			": change cluster.yaml at every writer, and start them again one after the other"}
	case q.Seal != k.Keys.Key().Fingerprint() && !k.Keys.Shown(k.Log.Applied().State, q.Marks):
		return &NotAdmitted{http.StatusConflict, "writer " + name + " lacks keys to open secrets that the leader has: copy its seal.key"}
	}
	if slices.ContainsFunc(k.Log.Servers(), func(s log.Server) bool { return s.ID == q.ID && s.Address == q.Peer }) {
		return nil // Watch gives it its vote
	}
	if err := k.change(func() error { return k.add(ctx, name, q) }); err != nil {
		return err
	}
	select {
	case k.added <- struct{}{}:
	default: // Watch has not come to it yet
	}
	return nil
}

// add makes a writer a learner, in place of the one that had its address; or moves it.
func (k *Keeper) add(ctx context.Context, name string, q Request) error {
	found := k.survey(ctx)
	if other := found.Holder(q.ID, name); other != "" {
		return &NotAdmitted{http.StatusConflict, "writer " + other + " runs with the directory of id " + q.ID + ": writer " + name +
			" has a copy of it, and has to begin with an empty one"}
	}
	if err := found.Replaces(q.ID, q.Peer); err != nil {
		return err
	}
	return k.Log.AddLearner(ctx, q.ID, q.Peer)
}
