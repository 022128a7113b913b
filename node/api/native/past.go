package native

import (
	"context"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/past"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Past has the views of earlier positions.
type Past interface {
	// View returns the view of a moment; see past.History.View.
	View(ctx context.Context, j *admission.Job, who string, w past.When) (*projection.View, error)
	// Search finds the changes that turned a decision; see past.History.Search.
	Search(context.Context, *past.Search) (*shape.DecisionChanges, error)
}

var _ Past = (*past.History)(nil)

// present refuses a request about the past that says how fresh its answer is to be: what it asks
// for is exact, and has no age.
func (c *call) present() error {
	for _, name := range [...]string{shape.HeaderConsistency, shape.HeaderAtLeast, shape.HeaderMaxStaleness} {
		if c.Header.Get(name) != "" {
			return fault.BadRequest("Leave the header out: the answer is about the moment that the question names.", "%s does not go with a question about the past.", name)
		}
	}
	return nil
}

// then finds the view of a moment of the past, for a caller that was admitted and asks about
// some principals. A node without history hands the call on instead, which is answered then: there is no view.
func (s *API) then(c *call, w past.When, about ...string) (*projection.View, error) {
	if err := c.present(); err != nil {
		return nil, err
	}
	if s.cfg.Past == nil {
		return nil, c.HandOn(0)
	}
	if !c.Seen.Reads {
		return nil, s.cfg.Views.NotCurrent(propagation.ErrNotLeased)
	}
	for _, principal := range about { // before any work is done for the caller
		if err := c.mayAskOfPast(principal, actionAuthorizeAt); err != nil {
			return nil, err
		}
	}
	return s.cfg.Past.View(c.Context(), &c.Job, c.Principal.ID, w)
}

// answerOf answers with the head of the past that the answer is about.
func (c *call) answerOf(head event.Head, body []byte) error {
	c.Seen.View, c.Seen.Mode = &projection.View{Head: head}, decision.FreshnessPast
	return c.answer(body)
}

// mayAskOfPast finds out whether the caller may ask about a principal, by the ARN.
func (c *call) mayAskOfPast(principal string, actions ...string) error {
	if err := c.MayAsk(c.Seen.View, principal); err != nil {
		return err
	}
	return decision.MayAskOfPast(&c.Pass, c.Seen.View, principal, actions...)
}

// searchChanges answers POST /v1/authorize/changes: which changes turned a decision?
type searchChanges struct{ *API }

func (s searchChanges) serve(c *call) error {
	if s.cfg.Past == nil {
		return c.HandOn(0)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.present(); err != nil {
		return err
	}
	q, span, err := past.ParseSearch(c.Payload)
	if err != nil {
		return err
	}
	if err := c.mayAskOfPast(q.Principal, actionAuthorizeAt, actionGetDecisionChanges); err != nil {
		return err
	}
	a, err := s.cfg.Past.Search(c.Context(), &past.Search{
		Question: q, Range: span, Pass: &c.Pass, Who: c.Principal.ID,
		May: func(v *projection.View) error {
			return decision.MayAskOfPast(&c.Pass, v, q.Principal, actionAuthorizeAt, actionGetDecisionChanges)
		},
	})
	if err != nil {
		return err
	}
	body, err := past.Encode(a)
	if err != nil {
		return err
	}
	return c.answerOf(event.Head{Position: a.To}, body)
}
