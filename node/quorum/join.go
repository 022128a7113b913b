package quorum

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/peer"
)

// How a log begins. The first writer of the configuration makes itself the
// only member of a new log, once all other writers have said that they have none
// either: so a first writer that lost its disk never begins the cluster a second
// time. The others join through whoever leads.

// Waits of joining.
const (
	joinPause   = 250 * time.Millisecond
	memberPause = 2 * time.Second  // between looks of a member at whether it still is one
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
	// Incarnation is that of the log that the writer has; empty where it has none.
	Incarnation string `json:"incarnation,omitempty"`
}

// ErrNotListed is returned when the cluster has no such writer, or has it elsewhere. The text
// says what to do.
var ErrNotListed = errors.New("this writer cannot join")

// Join makes this writer a voter in the cluster's log, and again when it has lost its place,
// until ctx ends. The error is an ErrNotListed, by the leader's word: the node cannot go on.
func (k *Keeper) Join(ctx context.Context) error {
	first := k.Cluster.Writers[0].Name == k.Me.Name
	told := ""
	for {
		pause := memberPause
		if !k.Belongs() || k.outcast() {
			pause = joinPause
			err := k.tryJoin(ctx, first)
			if errors.Is(err, ErrNotListed) {
				return err
			}
			if err != nil && err.Error() != told {
				told = err.Error()
				k.Logger.Info("not a member of the log yet", "reason", err)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// outcast tells whether this writer may have lost its place: by its own log it was removed, or
// it hears of no leader, as one does whose place another has taken. The leader alone knows.
func (k *Keeper) outcast() bool {
	_, leader := k.Log.Leader()
	return leader == "" || k.Log.Applied().State.Writers().Gone(k.Me.Name)
}

// others are the addresses at which other writers may be.
func (k *Keeper) others() []string {
	return slices.DeleteFunc(k.Finder.Writers().Peers(), func(addr string) bool { return addr == k.Me.Peer })
}

// Belongs tells whether this writer votes by its own log's list of members, at its address: one
// that has moved joins again, so that the others find it, and one that learns goes on asking.
func (k *Keeper) Belongs() bool {
	return slices.ContainsFunc(k.Log.Servers(), func(s log.Server) bool { return s.ID == k.Log.ID() && s.Address == k.Me.Peer && s.Voter })
}

// tryJoin joins a log that exists, at this writer's address, or begins one.
func (k *Keeper) tryJoin(ctx context.Context, first bool) error {
	if k.Node.Leads() { // and has moved
		return k.moveSelf(ctx)
	}
	exists, silent := false, 0
	for _, addr := range k.others() {
		s, err := k.ask(ctx, addr)
		switch {
		case errors.Is(err, peer.ErrUnlisted), err == nil && s.Member:
			exists = true
		case err != nil:
			silent++
		}
		if err == nil { // who leads may be none of the configuration
			k.Finder.Writers().Hear(s.Writers)
		}
	}
	switch {
	case exists || !first:
		ctx, cancel := context.WithTimeout(ctx, joinTimeout)
		defer cancel()
		err := k.Finder.Post(ctx, JoinPath, Request{ID: k.Log.ID(), Peer: k.Me.Peer, Seal: k.Keys.Key().Fingerprint(), Marks: k.Keys.Key().Marks(), Incarnation: k.Log.Incarnation()}, nil)
		if said := (*peer.StatusError)(nil); errors.As(err, &said) && said.Status == statusNotListed {
			return fmt.Errorf("%w: %s", ErrNotListed, said.Text)
		}
		return err
	case silent > 0:
		return fmt.Errorf("%d other writers do not answer; the log begins when all say that they have none", silent)
	}
	if err := k.Log.Bootstrap(); err != nil && !errors.Is(err, log.ErrBootstrapped) {
		return err
	}
	return nil
}

// moveSelf gives the leader, which is this writer, its address in its own log. An only writer
// has nobody else to tell the log of it first.
func (k *Keeper) moveSelf(ctx context.Context) error {
	if err := k.lists(k.Me.Name, k.Me.Peer); err != nil {
		w, ok := k.Log.Applied().State.Writers().Find(k.Me.Name)
		if !ok || len(k.writers()) > 1 {
			return fmt.Errorf("%w: %w", ErrNotListed, err)
		}
		w.Peer, w.Broker, w.Routes = k.Me.Peer, k.Me.Broker, k.Me.Routes
		if err := k.Node.Maintain(ctx, &identity.ChangeWriter{Writer: w}); err != nil {
			return err
		}
	}
	return k.change(func() error { return k.Log.AddLearner(ctx, k.Log.ID(), k.Me.Peer) })
}

// NotAdmitted is why a writer does not join, and as which status it is told that.
type NotAdmitted struct {
	Status int
	Reason string
}

// Error is the reason.
func (e *NotAdmitted) Error() string { return e.Reason }

// statusNotListed is the status of an answer to a writer that the cluster does not have, or
// has elsewhere. Earlier builds, which go by their configuration, answer 403: that changes when
// they are started again.
const statusNotListed = http.StatusGone

// lists refuses, as a NotAdmitted, a writer that the cluster does not have at an address.
func (k *Keeper) lists(name, address string) error {
	listed := k.Log.Applied().State.Writers()
	w, ok := listed.Find(name)
	switch {
	case listed == nil:
		if w, ok := k.Cluster.Writer(name); !ok || w.Peer != address {
			return &NotAdmitted{http.StatusForbidden, "the leader's configuration has no writer " + name + " at " + address +
				": change cluster.yaml at every writer, and start them again one after the other"}
		}
	case listed.Gone(name):
		return &NotAdmitted{statusNotListed, "writer " + name + " was removed from the cluster; to have it back, run `writ writer add " + name +
			" --peer " + address + "`, and start it again"}
	case !ok:
		return &NotAdmitted{statusNotListed, "the cluster has no writer " + name + ": run `writ writer add " + name + " --peer " + address +
			"`, and start it again"}
	case w.Peer != address:
		return &NotAdmitted{statusNotListed, "the cluster has writer " + name + " at " + w.Peer + ", and its cluster.yaml at " + address +
			": put " + w.Peer + " there, or run `writ writer move " + name + " --peer " + address + "`; then start it again"}
	}
	return nil
}

// Admit makes a writer of the cluster, of the name that its certificate has, a member of the
// log while this writer leads: it learns, and gets a vote when it has caught up. Errors are
// a NotAdmitted, or the log's: it asks again.
func (k *Keeper) Admit(ctx context.Context, name string, q Request) error {
	if err := k.lists(name, q.Peer); err != nil {
		return err
	}
	if own := k.Log.Incarnation(); q.Incarnation != "" && q.Incarnation != own {
		// As a member it would lose what it has: Raft gives it this log in place of its own.
		return &NotAdmitted{http.StatusConflict, "writer " + name + " has the log of incarnation " + q.Incarnation + ", and the leader that of " + own +
			": one of them was restored or recovered, and the other begins again with an empty directory"}
	}
	if q.Seal != k.Keys.Key().Fingerprint() && !k.Keys.Shown(k.Log.Applied().State, q.Marks) {
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
