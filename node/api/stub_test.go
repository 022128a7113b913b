package api_test

import (
	"context"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/changes"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/past"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// config is an api.Config whose node is a stub.
type config struct {
	api.Config
	Node stub
}

// stub is a node of which a test says what it does. A writer has what Votes says; the
// fields below it are the methods of the interfaces of api.Node.
type stub struct {
	Name  string
	Votes bool

	Leads      func() bool
	Propose    func(context.Context, event.Command) (*event.Batch, error)
	StrictHead func(context.Context) (event.Head, error)
	Fresh      func() propagation.Freshness
	Forward    func(http.ResponseWriter, *http.Request, admission.Forwarded) error
	Everywhere func(context.Context, event.Position, propagation.Scope, time.Duration) (propagation.Status, error)
	Decide     func(context.Context, string, event.Position, []byte) (shape.Evaluated, error)
	Changes    func(event.Position, int) ([]changes.Change, error)
	Chain      func(event.Position, int) ([][]byte, error) // nil: no chain
	Source     func() *archive.Source                      // nil: no backups
	SignHead   func(context.Context) (*event.SignedHead, error)
	Verify     func(context.Context, event.Position, time.Duration) (*shape.Verification, error)
	Confirm    func(context.Context, sigv4.Claim) (admission.Confirmed, error)
	Status     func(context.Context) shape.Cluster
	Checks     func() []api.Check
}

// node is the stub as the edge sees it.
func (s stub) node() api.Node {
	p := parts{&s}
	n := api.Node{Name: s.Name, Heads: p, Lease: p, Leader: p, Tracker: p, History: p, Notary: p, Sealing: p, Keyholder: p, Condition: p}
	if s.Votes {
		n.Log, n.Past = p, p
	}
	if s.Chain != nil {
		n.Chain = p
	}
	if s.Source != nil {
		n.Backups = p
	}
	return n
}

// parts are all parts of a node.
type parts struct{ s *stub }

func (p parts) Leads() bool { return p.s.Leads() }

func (p parts) Propose(ctx context.Context, c event.Command) (*event.Batch, error) {
	return p.s.Propose(ctx, c)
}

func (p parts) StrictHead(ctx context.Context) (event.Head, error) { return p.s.StrictHead(ctx) }

func (p parts) Source() *archive.Source { return p.s.Source() }

func (p parts) Fresh() propagation.Freshness { return p.s.Fresh() }

func (p parts) Forward(w http.ResponseWriter, r *http.Request, f admission.Forwarded) error {
	return p.s.Forward(w, r, f)
}

func (p parts) Everywhere(ctx context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error) {
	return p.s.Everywhere(ctx, at, scope, wait)
}

func (p parts) Evaluate(ctx context.Context, replica string, at event.Position, question []byte) (shape.Evaluated, error) {
	return p.s.Decide(ctx, replica, at, question)
}

func (p parts) Changes(from event.Position, count int) ([]changes.Change, error) {
	return p.s.Changes(from, count)
}

func (p parts) Headers(after event.Position, limit int) ([][]byte, error) {
	return p.s.Chain(after, limit)
}

func (p parts) SignHead(ctx context.Context) (*event.SignedHead, error) { return p.s.SignHead(ctx) }

func (parts) SealStatus(context.Context) (*shape.Seal, error) { return &shape.Seal{}, nil }

func (parts) NextSealKey(context.Context, *identity.State, string) (identity.SealKeyID, error) {
	return identity.SealKeyID{1}, nil
}

func (p parts) Verify(ctx context.Context, from event.Position, timeout time.Duration) (*shape.Verification, error) {
	return p.s.Verify(ctx, from, timeout)
}

func (p parts) Confirm(ctx context.Context, c sigv4.Claim) (admission.Confirmed, error) {
	return p.s.Confirm(ctx, c)
}

func (p parts) Status(ctx context.Context) shape.Cluster { return p.s.Status(ctx) }

func (p parts) Checks() []api.Check { return p.s.Checks() }

func (parts) Endpoint() string { return "https://writ.example.com" }

// View shows no past: what is asked of it is answered as of an empty one.
func (p parts) View(context.Context, *admission.Job, string, past.When) (*projection.View, error) {
	return nil, fault.New(fault.NotKept, "The stub has no past.", "")
}

// Search finds nothing.
func (p parts) Search(_ context.Context, s *past.Search) (*shape.DecisionChanges, error) {
	return &shape.DecisionChanges{From: s.Range.From.Position, To: s.Range.To.Position, Before: shape.DecisionAt{Decision: "allow"}, After: shape.DecisionAt{Decision: "allow"}, Changes: []shape.DecisionChange{}}, nil
}
