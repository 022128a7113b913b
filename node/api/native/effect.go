package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/effect"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
)

// awaitEffect answers POST /v1/propagation/effect: it waits until a question is decided
// as expected by the leader at the head of the log, and by every replica in the
// scope that may answer as fresh, from there or later.
type awaitEffect struct{ *API }

func (s awaitEffect) serve(c *call) error {
	ask, err := effect.Parse(c.Payload)
	if err != nil {
		return err
	}
	if !s.cfg.Dispatcher.Leads() {
		return c.HandOn(ask.Timeout)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	right := c.Right(ask.Principal, admission.Access{Action: actionGetPropagation, Resource: "*"})
	if err := right.In(c.Seen.View); err != nil {
		return err
	}
	free, err := s.cfg.Desk.Take(admission.Effects, &c.Request)
	if err != nil {
		return err
	}
	defer free()
	if ask.AtLeast != nil {
		ctx, cancel := context.WithTimeout(c.Context(), ask.Timeout)
		defer cancel()
		if err := s.cfg.Views.Showing(ctx, &c.Request, &c.Seen, *ask.AtLeast); err != nil {
			return err
		}
	}
	e := effect.New(&s.effects, &ask, c.Principal.ID, right)
	found, err := e.Run(c.Context())
	if errors.Is(err, projection.ErrNoPrincipal) {
		return s.asking(c).NoSuchPrincipal(e.View(), ask.Principal)
	}
	if err != nil {
		return s.propagationError(c, ask.Timeout, err)
	}
	if err := right.Still(c.Context(), e.Latest()); err != nil {
		return err
	}
	c.Seen.View = e.View()
	own := e.Own()
	own.Doubt(s.cfg.Engine.Known(), &ask.Question, true)
	at := c.Seen.View.Head.Position
	body, err := json.Marshal(shape.Effect{
		Propagation: s.describe(at, e.Status()), Expect: ask.Expect(), Effect: found,
		Decision: own.Decision, Reason: own.Message, Warnings: own.Warnings, Replicas: e.Replicas(),
	})
	if err != nil {
		return fmt.Errorf("encode the effect at position %d: %w", at, err)
	}
	return c.answer(body)
}
