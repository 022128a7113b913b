package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// Moment is a position or a time of the past, ChangeSearch asks which changes turned a decision,
// and DecisionChanges is a page of the answer.
type (
	Moment          = shape.Moment
	ChangeSearch    = shape.ChangeSearch
	DecisionChanges = shape.DecisionChanges
)

// AuthorizeAt asks a question about the moment of the past that its At names. The answer is exact
// there, and says nothing of now.
func (c *Client) AuthorizeAt(ctx context.Context, q Question) (*Decision, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	call := newCall(http.MethodPost, "/v1/authorize", body, Freshness{ForgetOwn: true})
	call.rounds = Attempts
	var d Decision
	if err := c.ask(ctx, call, &d); err != nil {
		return nil, err
	}
	return &d, nil
}

// WhyChanged returns a page of the changes that turned a decision. Where it has a Next, the search
// goes on from there.
func (c *Client) WhyChanged(ctx context.Context, s ChangeSearch) (*DecisionChanges, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the search: %w", err)
	}
	call := newCall(http.MethodPost, "/v1/authorize/changes", body, Freshness{ForgetOwn: true})
	call.rounds = Attempts
	var a DecisionChanges
	if err := c.ask(ctx, call, &a); err != nil {
		return nil, err
	}
	return &a, nil
}
