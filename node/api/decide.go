package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Decided is what one node decides about a question, and how fresh that is.
type Decided struct {
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"-"`
	// Decision is one of /v1/authorize: an allow without a lease is "indeterminate".
	Decision string `json:"decision"`
	// Freshness is "leased" where the node's lease covers the answer.
	Freshness string `json:"freshness"`
	// Reason says why, where it is not allowed.
	Reason string `json:"reason,omitempty"`
}

// leaderAsks is whose shifts the leader's questions take.
const leaderAsks = "the leader"

// Decide answers the body of a POST /v1/authorize from a view at or after a
// position, with this node's engine and clock. It verifies and authorizes nobody:
// only a peer that has done so may ask, never a client.
func (s *Server) Decide(ctx context.Context, at event.Position, body []byte) (Decided, error) {
	var q question
	if err := decode(body, questionHint, func(r *reader) error { return r.question(&q) }); err != nil {
		return Decided{}, err
	}
	if err := q.check(); err != nil {
		return Decided{}, err
	}
	if _, err := s.cfg.Projection.Wait(ctx, at); err != nil {
		return Decided{}, fmt.Errorf("wait for position %d: %w", at, err)
	}
	fresh := s.cfg.Node.Lease.Fresh() // before the view is loaded, as in Server.view
	v := s.cfg.Projection.View()
	d := Decided{Position: v.Head.Position, Hash: v.Head.Hash}
	c, err := fresh.Cover(v.Head.Position, propagation.Ask{Mode: propagation.ModeAny, AtLeast: at})
	if err != nil {
		return d, fmt.Errorf("answer at position %d: %w", v.Head.Position, err)
	}
	var j job
	s.begin(&j, ctx, leaderAsks)
	defer j.end()
	a, err := new(inquiry).answer(v, &q, s.cfg.Now(), &j)
	if errors.Is(err, projection.ErrNoPrincipal) { // deleted since the leader found it
		a, err = answer{decision: decisionImplicitDeny, message: gone(q.principal, v.Head.Position)}, nil
	}
	if err != nil {
		return d, fmt.Errorf("decide at position %d: %w", v.Head.Position, err)
	}
	d.Decision, d.Freshness, d.Reason = a.told(c.DenyOnly), string(c.Freshness), a.message
	s.cfg.Metrics.decided(d.Decision, d.Freshness)
	return d, nil
}
