package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/replication/tail"
)

// replica is the part of a node that follows the log and answers.
type replica struct {
	node     *Node
	link     *replication.Link // nil where there is no NATS
	follower *replication.Follower
	renewing *renewing
	recent   *changes
	api      atomic.Pointer[api.Server] // decides what the leader asks; nil until it serves
	ended    atomic.Pointer[error]      // why the follower ended, if it did
}

// sink feeds a projection, and withdraws the lease before its state is replaced.
type sink struct {
	*projection.Projection
	renewing *renewing
	recent   *changes
}

// Restore replaces the state; what was promised on the strength of the old one is
// withdrawn first.
func (s sink) Restore(state *identity.State, head event.Head) {
	s.recent.forget()
	s.renewing.stepBack(state.Cluster().Incarnation, func() { s.Projection.Restore(state, head) })
}

// Apply folds batches, and quarantines the reader if they lead to another state
// than the cluster's.
func (s sink) Apply(batches []*event.Batch) error {
	for _, b := range batches[max(0, len(batches)-keptChanges):] { // before watchers are woken
		s.recent.add(api.ChangeOf(b))
	}
	err := s.Projection.Apply(batches)
	if errors.Is(err, projection.ErrDiverged) {
		s.renewing.quarantine(propagation.KindDiverged)
	}
	return err
}

var _ replication.Sink = sink{}

func (n *Node) startReplica() (*replica, error) {
	me, _ := n.cfg.Cluster.Replica(n.cfg.Name)
	params := propagation.DefaultParams()
	process := nonce()
	record := newLifeRecord(n.cfg.Data, n.lock)
	over, err := record.over()
	if err != nil {
		n.logger.Warn("the leader will wait for the lease of the process before this one", "error", err)
	}
	lease := propagation.NewLease(params, propagation.Reader{Replica: me.Name, Class: me.Class, Cluster: n.cfg.Cluster.ID}, process, over...)
	r := &replica{node: n, recent: &changes{}, renewing: &renewing{
		clocks: n.clocks, finder: n.finder, projection: n.projection, logger: n.logger, lease: lease, news: make(chan struct{}, 1), endpoint: n.advertises, record: record,
		register: func(ctx context.Context) error {
			return n.finder.post(ctx, registerPath, registration{Replica: me, Attempt: nonce()}, nil)
		},
		misplaced: func() bool {
			entry, ok := n.projection.View().State.Replica(me.Name)
			return ok && (entry.Region != me.Region || entry.Class != me.Class)
		},
	}}
	r.renewing.snapshot.Store(lease.Snapshot())
	r.renewing.verdict.Store(&verdict{next: make(chan struct{})})
	link, err := n.dialNATS(replication.LinkConfig{})
	if err != nil {
		return nil, err
	}
	r.link = link
	r.follower = replication.NewFollower(replication.FollowerConfig{
		Cluster: n.cfg.Cluster.ID, Sink: sink{n.projection, r.renewing, r.recent}, Source: n.source(), Link: link, MayReplace: r.renewing.mayReplace, Enter: r.renewing.join,
		Vouched: newVouchers(n.tls, n.cfg.Machine.Now).vouched, Dir: filepath.Join(n.cfg.Data, "checkpoints"), Logger: n.logger,
	})
	answering := &answering{
		finder: n.finder, projection: n.projection, logger: n.logger, process: process,
		kinds: map[string]answerer{kindDecide: r.decide, kindRecount: r.recount},
	}
	r.renewing.expect, r.renewing.heard = r.follower.Expect, answering.heard
	n.wg.Go(func() {
		if err := r.follower.Run(n.ctx); n.ctx.Err() == nil {
			r.ended.Store(&err)
			if errors.Is(err, replication.ErrOtherCluster) {
				n.fail(err)
			}
			n.logger.Error("the replica follows no more", "position", n.projection.Head().Position, "error", err)
		}
	})
	n.wg.Go(func() { r.renewing.run(n.ctx) })
	n.wg.Go(func() { answering.run(n.ctx) })
	n.wg.Go(func() {
		n.scrub(params.Lease(me.Class), func() {
			if r.renewing.snapshot.Load().Quarantined() == "" {
				r.renewing.quarantine(propagation.KindDiverged)
			}
		})
	})
	return r, nil
}

// source reads batches and snapshots from the writers.
func (n *Node) source() *tail.Source {
	var bases []string
	for _, w := range n.cfg.Cluster.Writers {
		if w.Name != n.cfg.Name {
			bases = append(bases, "https://"+w.Peer)
		}
	}
	return tail.NewSource(n.finder.client, func() []string { return bases })
}

func (r *replica) setAPI(s *api.Server) { r.api.Store(s) }

// decide answers a question of kindDecide. The leader has found that its caller
// may ask.
func (r *replica) decide(ctx context.Context, q question) (event.Head, any, error) {
	edge := r.api.Load()
	if edge == nil {
		return event.Head{}, nil, errors.New("the replica is starting")
	}
	d, err := edge.Decide(ctx, q.At, q.Body)
	return event.Head{Position: d.Position, Hash: d.Hash}, d, err
}

func (r *replica) edge() api.Node {
	return api.Node{
		Leads:      func() bool { return false },
		StrictHead: r.renewing.strictHead,
		Fresh:      r.renewing.fresh,
		Confirm:    r.confirm,
		Changes:    r.changes,
		Status:     r.status,
		Checks:     r.checks,
	}
}

// status is what the replica knows by itself.
func (r *replica) status(context.Context) api.Status {
	v := r.node.projection.View()
	c := v.Cluster()
	return api.Status{
		Cluster: c.ID, Incarnation: c.Incarnation, Node: r.node.cfg.Name,
		Position: v.Head.Position, Hash: fmt.Sprintf("%x", v.Head.Hash), Digest: v.State.Digest().String(),
	}
}

// checks are the lines of /readyz.
func (r *replica) checks() []api.Check {
	v := r.node.projection.View()
	status := r.follower.Status()
	following := api.Check{Name: "follower", Detail: fmt.Sprintf("%s at position %d", status.Mode, v.Head.Position)}
	if err := r.ended.Load(); err != nil {
		following.Err = *err
	} else if v.Head.Position == 0 {
		following.Err = fmt.Errorf("%s, no state yet: %s", status.Mode, status.Problem)
	}
	snapshot, now := r.renewing.snapshot.Load(), r.renewing.clocks()
	lease := api.Check{Name: "lease", Detail: fmt.Sprintf("%v left", snapshot.Remaining(now).Round(time.Millisecond))}
	if !snapshot.Valid(now) {
		admits := r.node.cfg.WithoutLease
		reason := "the leader does not answer, or the replica is behind"
		out := r.renewing.removed() || r.renewing.draining()
		switch refused := r.renewing.refused.Load(); {
		case r.renewing.removed():
			reason = "the replica was removed from the roster"
		case r.renewing.draining():
			reason = "the replica is draining"
		case refused != nil:
			reason = *refused
		}
		err := fmt.Errorf("no lease is in force: %s; %s", reason, admits.Describe())
		if lease.Detail = err.Error(); out || admits == AdmitNothing || !r.renewing.held.Load() {
			lease.Err = err
		}
	}
	roster := api.Check{Name: "roster"}
	switch {
	case r.renewing.removed():
		roster.Err = fmt.Errorf("removed from the roster by command: `writ replica admit %s` at a writer lets it in again", r.node.cfg.Name)
	case r.renewing.draining() && !snapshot.Valid(now):
		roster.Err = errors.New("draining by command, and the last lease has run out; `writ replica resume` ends that")
	case r.renewing.draining():
		roster.Detail = "draining: no new leases"
	}
	staleness := api.Check{Name: "staleness", Detail: "no bound is known"}
	if bound, ok := snapshot.StalenessBound(now, v.Head.Position); ok {
		staleness.Detail = fmt.Sprintf("at most %v", bound.Round(time.Millisecond))
	}
	digest := api.Check{Name: "digest", Detail: r.node.digestDetail(v.State)}
	if why := snapshot.Quarantined(); why != "" {
		if digest.Err = fmt.Errorf("quarantined: %s", why); why == propagation.KindFork {
			digest.Err = fmt.Errorf("%w: its history is not the cluster's; to adopt that one, stop this node, remove its data directory and start it again", digest.Err)
		}
	} else if err := r.node.projection.Err(); err != nil {
		digest.Err = err
	}
	if r.node.seal == nil {
		roster.Detail = strings.TrimPrefix(roster.Detail+"; without keys: the leader verifies signatures", "; ")
	}
	return []api.Check{following, roster, lease, staleness, digest}
}

func (r *replica) retire(context.Context) {}

// stop gives up the lease and ends the follower's link; the node's context has ended
// already, and nobody is answered any more.
func (r *replica) stop() error {
	r.node.wg.Wait()
	r.renewing.stop()
	if r.link != nil {
		r.link.Close()
	}
	return nil
}
