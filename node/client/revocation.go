package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// SessionsToRevoke names sessions of the caller's account to end, and Revocation is one that
// was committed.
type (
	SessionsToRevoke = shape.SessionsToRevoke
	Revocation       = shape.Revocation
)

// RevokeSessions ends sessions. Once the position of the Revocation is everywhere, no node
// accepts any of them.
func (c *Client) RevokeSessions(ctx context.Context, which SessionsToRevoke) (*Revocation, error) {
	body, err := json.Marshal(which)
	if err != nil {
		return nil, fmt.Errorf("encode the revocation: %w", err)
	}
	var done Revocation
	return &done, c.do(ctx, http.MethodPost, "/v1/revocations", body, Freshness{}, &done)
}
