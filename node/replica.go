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
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/changes"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/measure"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/replication/tail"
)

// replica is the part of a node that follows the log and answers.
type replica struct {
	node      *Node
	link      *replication.Link // nil where there is no NATS
	follower  *replication.Follower
	renewer   *lease.Renewer
	responder *ask.Responder // answers what the leader asks
	recent    *changes.Recent
	edge      *api.Server           // decides what the leader asks
	ended     atomic.Pointer[error] // why the follower ended, if it did
}

// sink feeds a replica, and keeps the latest changes for watchers.
type sink struct {
	lease.Sink
	recent *changes.Recent
	node   *Node
}

// Restore replaces the state, unless it is of another partition than the node's.
func (s sink) Restore(state *identity.State, head event.Head) {
	if s.node.admits(state) != nil {
		return
	}
	s.recent.Forget()
	s.Sink.Restore(state, head)
	s.node.learnWriters(state)
	s.node.expel(state)
}

// Apply folds batches.
func (s sink) Apply(batches []*event.Batch) error {
	for _, b := range batches[max(0, len(batches)-changes.Kept):] { // before watchers are woken
		s.recent.Add(changes.Of(b))
	}
	err := s.Sink.Apply(batches)
	state := s.Projection.View().State
	s.node.learnWriters(state)
	s.node.expel(state)
	return errors.Join(err, s.node.admits(state))
}

var _ replication.Sink = sink{}

func (n *Node) startReplica() (*replica, error) {
	me, _ := n.cfg.Cluster.Replica(n.cfg.Name)
	process := lease.NewNonce()
	r := &replica{node: n, recent: &changes.Recent{}}
	n.tls.RevokedBy(r)
	r.renewer = lease.NewRenewer(lease.Config{
		Replica: me, Cluster: n.cfg.Cluster.ID, Process: process, LifeFile: lease.NewLifeFile(n.cfg.Data, n.lock), Clocks: n.clocks,
		Finder: n.finder, Projection: n.projection, Node: r, Build: &n.build, Embedded: n.cfg.Embedded, Logger: n.logger,
	})
	link, err := n.dialNATS(replication.LinkConfig{})
	if err != nil {
		return nil, err
	}
	r.link = link
	r.follower = replication.NewFollower(replication.FollowerConfig{
		Cluster: n.cfg.Cluster.ID, Sink: sink{lease.Sink{Projection: n.projection, Renewer: r.renewer}, r.recent, n}, Source: n.source(), Link: link, Membership: r.renewer,
		Voucher: proof.NewVouchers(n.tls, n.cfg.Machine.Now), Tracer: n.tracer, Dir: filepath.Join(n.cfg.Data, "checkpoints"), Logger: n.logger,
	})
	measure.Replica(n.registry, r.renewer, r.follower, n.clocks, n.projection)
	if link != nil {
		measure.NATS(n.registry, link)
	}
	r.edge = n.buildEdge(api.Node{Heads: r, Lease: r, History: r, Keyholder: r, Condition: r})
	r.responder = ask.NewResponder(n.finder, n.projection, process, map[string]ask.Answerer{ask.KindEvaluate: evaluator{r}, proof.KindRecount: proof.Recounter{Projection: n.projection}}, n.logger)
	n.wg.Go(func() {
		if err := r.follower.Run(n.ctx); n.ctx.Err() == nil {
			r.ended.Store(&err)
			if errors.Is(err, replication.ErrOtherCluster) {
				n.fail(err)
			}
			n.logger.Error("the replica follows no more", "position", n.projection.Head().Position, "error", err)
		}
	})
	n.wg.Go(func() { r.renewer.Run(n.ctx) })
	n.wg.Go(func() { r.responder.Run(n.ctx) })
	n.wg.Go(func() { n.teller(nil).Run(n.ctx) })
	n.wg.Go(func() {
		n.scrubber.Run(n.ctx, propagation.DefaultParams().Lease(me.Class), func() {
			if r.renewer.Snapshot().Quarantined() == "" {
				r.renewer.Quarantine(propagation.KindDiverged)
			}
		})
	})
	return r, nil
}

// Renewer keeps the lease of a node that is a replica, for those who run one in their own process.
func (n *Node) Renewer() *lease.Renewer { return n.part.(*replica).renewer }

// Heard is told what the leader's answers to renewals say.
func (r *replica) Heard(term uint64, head event.Position) {
	r.follower.Expect(head)
	r.responder.Heard(term)
}

// Endpoint is where clients reach the replica.
func (r *replica) Endpoint() string { return r.node.advertises() }

// Certificates are those that the node uses.
func (r *replica) Certificates() []shape.Certificate { return r.node.certs.Shown() }

// SealKeys are the ids of the replica's keys.
func (r *replica) SealKeys() []string { return r.node.keys.IDs() }

// source reads batches and snapshots from the writers.
func (n *Node) source() *tail.Source {
	me, _ := n.cfg.Cluster.Writer(n.cfg.Name)
	return tail.NewSource(n.finder.Client(), func() (bases []string) {
		for _, addr := range n.tls.Writers().Peers() {
			if addr != me.Peer {
				bases = append(bases, "https://"+addr)
			}
		}
		return bases
	})
}

// evaluator answers tasks of ask.KindEvaluate.
type evaluator struct{ *replica }

// Answer decides. The leader has found that its caller may ask.
func (r evaluator) Answer(ctx context.Context, q ask.Task) (event.Head, any, error) {
	d, err := r.edge.Evaluate(ctx, q.At, q.Body)
	return event.Head{Position: d.Position, Hash: d.Hash}, d, err
}

// Status is what the replica knows by itself.
func (r *replica) Status(context.Context) shape.Cluster {
	v := r.node.projection.View()
	c := v.Cluster()
	return shape.Cluster{
		ID: c.ID, Partition: v.State.Partition().String(), Incarnation: c.Incarnation, Node: r.node.cfg.Name,
		Position: v.Head.Position, Hash: fmt.Sprintf("%x", v.Head.Hash), Digest: v.State.Digest().String(),
	}
}

// Checks are the lines of /readyz.
func (r *replica) Checks() []api.Check {
	v := r.node.projection.View()
	status := r.follower.Status()
	following := api.Check{Name: "follower", Detail: fmt.Sprintf("%s at position %d", status.Mode, v.Head.Position)}
	if err := r.ended.Load(); err != nil {
		following.Err = *err
	} else if v.Head.Position == 0 {
		following.Err = fmt.Errorf("%s, no state yet: %s", status.Mode, status.Problem)
	}
	snapshot, now := r.renewer.Snapshot(), r.node.clocks()
	lease := api.Check{Name: "lease", Detail: fmt.Sprintf("%v left", snapshot.Remaining(now).Round(time.Millisecond))}
	if !snapshot.Valid(now) {
		admits := r.node.cfg.WithoutLease
		reason := "the leader does not answer, or the replica is behind"
		out := r.renewer.Removed() || r.renewer.Draining()
		switch refused := r.renewer.Refused(); {
		case r.renewer.Removed():
			reason = "the replica was removed from the roster"
		case r.renewer.Draining():
			reason = "the replica is draining"
		case refused != "":
			reason = refused
		}
		err := fmt.Errorf("no lease is in force: %s; %s", reason, admits.Describe())
		if lease.Detail = err.Error(); out || admits == freshness.AdmitNothing || !r.renewer.Held() {
			lease.Err = err
		}
	}
	roster := api.Check{Name: "roster"}
	switch {
	case r.renewer.Removed():
		roster.Err = fmt.Errorf("removed from the roster by command: `writ replica admit %s` at a writer lets it in again", r.node.cfg.Name)
	case r.renewer.Draining() && !snapshot.Valid(now):
		roster.Err = errors.New("draining by command, and the last lease has run out; `writ replica resume` ends that")
	case r.renewer.Draining():
		roster.Detail = "draining: no new leases"
	}
	staleness := api.Check{Name: "staleness", Detail: "no bound is known"}
	if bound, ok := snapshot.StalenessBound(now, v.Head.Position); ok {
		staleness.Detail = fmt.Sprintf("at most %v", bound.Round(time.Millisecond))
	}
	digest := api.Check{Name: "digest", Detail: r.node.scrubber.Detail(v.State)}
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
	r.renewer.Stop()
	if r.link != nil {
		r.link.Close()
	}
	return nil
}
