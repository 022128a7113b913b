package node

import (
	"context"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/effect"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/replication/propagation"
)

// What the edge asks of a node, by role. A writer votes in a log and has all of it but
// a keyholder, since it holds the keys itself. A replica has neither log, tracker, chain
// nor notary.
var (
	_ dispatch.Log        = (*writer)(nil)
	_ freshness.Heads     = (*writer)(nil)
	_ freshness.Lease     = (*writer)(nil)
	_ effect.Tracker      = (*writer)(nil)
	_ native.History      = (*writer)(nil)
	_ native.Chain        = (*writer)(nil)
	_ native.Notary       = (*writer)(nil)
	_ part                = (*writer)(nil)
	_ freshness.Heads     = (*replica)(nil)
	_ freshness.Lease     = (*replica)(nil)
	_ native.History      = (*replica)(nil)
	_ admission.Keyholder = (*replica)(nil)
	_ part                = (*replica)(nil)
	_ dispatch.Leader     = (*leaderFinder)(nil)
)

// Forward hands a client's request to the leader.
func (f *leaderFinder) Forward(w http.ResponseWriter, r *http.Request, what api.Forwarded) error {
	return f.forward(w, r, what)
}

// Decide asks a replica for a decision, if this writer leads.
func (w *writer) Decide(ctx context.Context, replica string, at event.Position, question []byte) (api.Decided, error) {
	return w.askDecide(ctx, replica, at, question)
}

// Changes are those that watchers of this writer are told of.
func (w *writer) Changes(from event.Position, count int) ([]api.Change, error) {
	return w.changes(from, count)
}

// Headers are the heads of the batches behind a position.
func (w *writer) Headers(after event.Position, limit int) ([][]byte, error) {
	return w.chain(after, limit)
}

// SignHead proves that this writer leads and signs the head that it then has.
func (w *writer) SignHead(ctx context.Context) (*event.SignedHead, error) { return w.signHead(ctx) }

// Verify compares all nodes with this writer's log, if it leads.
func (w *writer) Verify(ctx context.Context, from event.Position, timeout time.Duration) (*api.Verification, error) {
	return w.verifyAll(ctx, from, timeout)
}

// StrictHead asks the leader for a head.
func (r *replica) StrictHead(ctx context.Context) (event.Head, error) {
	return r.renewing.strictHead(ctx)
}

// Fresh looks at the replica's lease.
func (r *replica) Fresh() propagation.Freshness { return r.renewing.fresh() }

// Changes are those that watchers of this replica are told of.
func (r *replica) Changes(from event.Position, count int) ([]api.Change, error) {
	return r.changes(from, count)
}

// Confirm asks the leader whether a signature is good.
func (r *replica) Confirm(ctx context.Context, claim sigv4.Claim) error {
	return r.confirm(ctx, claim)
}
