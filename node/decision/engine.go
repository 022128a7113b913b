package decision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy/catalogue"
	"github.com/writ-iam/writ/replication/propagation"
)

// Meter counts decisions.
type Meter interface {
	// Evaluated counts an answered decision. Both values are our own names.
	Evaluated(decision, freshness string)
}

// Config is what an Engine is made of. All fields are required.
type Config struct {
	Name       string // of the node
	Desk       *admission.Desk
	Views      *freshness.Views
	Projection *projection.Projection
	Lease      freshness.Lease
	Now        func() time.Time
	Meter      Meter
}

// Engine decides questions at a node. Safe for concurrent use.
type Engine struct {
	cfg   Config
	known *catalogue.Names
}

// New returns an engine.
func New(cfg Config) *Engine { return &Engine{cfg: cfg, known: catalogue.BuiltinNames()} }

// Known are the names of actions that some catalogue has.
func (e *Engine) Known() *catalogue.Names { return e.known }

// leaderAsks is whose shifts the leader's questions take.
const leaderAsks = "the leader"

// Evaluate answers the body of a POST /v1/authorize from a view at or after a
// position, with this node's engine and clock. It verifies and authorizes nobody:
// only a peer that has done so may ask, never a client.
func (e *Engine) Evaluate(ctx context.Context, at event.Position, body []byte) (shape.Evaluated, error) {
	q, err := Parse(body)
	if err != nil {
		return shape.Evaluated{}, err
	}
	if err := q.Check(); err != nil {
		return shape.Evaluated{}, err
	}
	if _, err := e.cfg.Projection.Wait(ctx, at); err != nil {
		return shape.Evaluated{}, fmt.Errorf("wait for position %d: %w", at, err)
	}
	fresh := e.cfg.Lease.Fresh() // before the view is loaded, as in freshness.Views.View
	v := e.cfg.Projection.View()
	d := shape.Evaluated{Position: v.Head.Position, Hash: v.Head.Hash}
	c, err := fresh.Cover(v.Head.Position, propagation.Ask{Mode: propagation.ModeAny, AtLeast: at})
	if err != nil {
		return d, fmt.Errorf("answer at position %d: %w", v.Head.Position, err)
	}
	var j admission.Job
	e.cfg.Desk.Begin(&j, ctx, leaderAsks)
	defer j.End()
	a, err := Evaluate(new(admission.Inquiry), v, &q, e.cfg.Now(), &j)
	if errors.Is(err, projection.ErrNoPrincipal) { // deleted since the leader found it
		a, err = Answer{Decision: ImplicitDeny, Message: gone(q.Principal, v.Head.Position)}, nil
	}
	if err != nil {
		return d, fmt.Errorf("decide at position %d: %w", v.Head.Position, err)
	}
	d.Decision, d.Freshness, d.Reason = a.Told(c.DenyOnly), string(c.Freshness), a.Message
	e.cfg.Meter.Evaluated(d.Decision, d.Freshness)
	return d, nil
}
