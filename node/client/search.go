package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// PrincipalsWanted asks which principals may do something, and Principals is a page of them.
type (
	PrincipalsWanted = shape.PrincipalsWanted
	Principals       = shape.Principals
)

// SearchPrincipals finds a page of the principals that may do something, of those that the
// caller may ask about.
func (c *Client) SearchPrincipals(ctx context.Context, w PrincipalsWanted, f Freshness) (*Principals, error) {
	body, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode the search: %w", err)
	}
	call := newCall(http.MethodPost, "/v1/search/principals", body, f)
	call.route, call.rounds = toReplica, Attempts
	var found Principals
	if err := c.ask(ctx, call, &found); err != nil {
		return nil, err
	}
	return &found, nil
}
