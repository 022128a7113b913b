package node

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/quorum"
	"github.com/writ-iam/writ/node/setup"
)

// verify tells the leader what this writer has checked.
func (p *peerServer) verify(rw http.ResponseWriter, r *http.Request) {
	if peer.Caller(r).Role != setup.RoleWriter {
		http.Error(rw, "writers alone verify each other", http.StatusForbidden)
		return
	}
	var q proof.Request
	if !p.read(rw, r, &q) {
		return
	}
	if q.Budget <= 0 || q.Budget > freshness.MaxWait {
		http.Error(rw, "the budget is out of range", http.StatusBadRequest)
		return
	}
	e, err := p.w.prover.Prove(r.Context(), q)
	if err != nil {
		p.fail(rw, err)
		return
	}
	peer.Reply(rw, e)
}

// Verify compares all nodes with what this writer's log says, as the leader.
func (w *writer) Verify(ctx context.Context, from event.Position, timeout time.Duration) (*shape.Verification, error) {
	t := w.leading.Load()
	if t == nil {
		return nil, dispatch.ErrNotLeader
	}
	begun := time.Now()
	state := w.log.Applied().State
	found, err := w.verifier.Verify(ctx, from, timeout, state.Replicas(), t.tasks)
	switch {
	case errors.Is(err, proof.ErrBusy):
		return nil, native.ErrVerifying
	case err != nil:
		return nil, err
	case w.leading.Load() != t:
		return nil, dispatch.ErrNotLeader
	}
	c := state.Cluster()
	v := &shape.Verification{Cluster: c.ID, Incarnation: c.Incarnation, Node: w.node.cfg.Name, From: from, TookMS: time.Since(begun).Milliseconds()}
	for _, f := range found {
		v.Nodes = append(v.Nodes, shape.Verified{
			Name: f.Name, Role: string(f.Role), Verdict: f.Verdict, Detail: f.Detail, Position: f.Position, Hash: f.Hash, Digest: f.Digest,
			Batches: f.Batches, Records: f.Records, First: f.First, TookMS: f.Took.Milliseconds(),
		})
	}
	return v, nil
}

// keepBackups begins to make archives by the schedule, if there is one.
func (w *writer) keepBackups() error {
	n := w.node
	keeper, err := archive.NewKeeper(n.cfg.Backups)
	if keeper == nil {
		return err
	}
	w.backups = keeper
	n.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "writ_backup_last_success_timestamp_seconds", Help: "When the newest backup of this writer's schedule was made, in seconds since 1970; 0 if there is none.",
	}, keeper.Last))
	n.wg.Go(func() { keeper.Run(n.ctx, w.live(), n.logger) })
	return nil
}

// live is what archives are made of.
func (w *writer) live() *archive.Live {
	return &archive.Live{Log: w.log, By: w.node.tls, Node: w.node.cfg.Name, Now: w.node.cfg.Machine.Now}
}

// SignHead proves that this writer leads and signs the head that it then has.
func (w *writer) SignHead(ctx context.Context) (*event.SignedHead, error) {
	h, err := w.prover.Head(ctx, w.node.tls, w.node.cfg.Name, w.node.cfg.Machine.Now)
	return h, quorum.InEdgeTerms(err)
}
