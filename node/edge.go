package node

import (
	"context"
	"net/http"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/effect"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/trace"
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
	_ native.Sealing      = (*writer)(nil)
	_ part                = (*writer)(nil)
	_ freshness.Heads     = (*replica)(nil)
	_ freshness.Lease     = (*replica)(nil)
	_ native.History      = (*replica)(nil)
	_ admission.Keyholder = (*replica)(nil)
	_ part                = (*replica)(nil)
	_ dispatch.Leader     = leader{}
)

// leader hands clients' requests on to the node that leads.
type leader struct{ *peer.Finder }

// Forward implements dispatch.Leader.
func (l leader) Forward(w http.ResponseWriter, r *http.Request, f admission.Forwarded) error {
	return l.Finder.Forward(w, r, peer.HandedOn{Body: f.Body, Hold: f.Hold, Marks: marks{&f}})
}

// marks are what the leader is told of a request that is handed on.
type marks struct{ *admission.Forwarded }

// SetHeaders puts them on the request.
func (m marks) SetHeaders(r *http.Request) {
	m.Forwarded.SetHeaders(r)
	trace.SetParent(r)
}

// Headers are the headers of the batches behind a position.
func (w *writer) Headers(after event.Position, limit int) ([][]byte, error) {
	return w.prover.Chain(after, limit)
}

// StrictHead asks the leader for a head.
func (r *replica) StrictHead(ctx context.Context) (event.Head, error) {
	return r.renewer.StrictHead(ctx)
}

// Fresh looks at the replica's lease.
func (r *replica) Fresh() propagation.Freshness { return r.renewer.Fresh() }
