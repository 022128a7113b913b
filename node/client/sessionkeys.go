package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/api/shape"
)

// SessionKeys are the keys that seal sessions, without what they are, SessionKey one of them,
// and SessionKeyChange a change of them that was committed.
type (
	SessionKeys      = shape.SessionKeys
	SessionKey       = shape.SessionKey
	SessionKeyChange = shape.SessionKeyChange
)

// SessionKeys asks for the session keys.
func (c *Client) SessionKeys(ctx context.Context, f Freshness) (*SessionKeys, error) {
	var found SessionKeys
	return &found, c.do(ctx, http.MethodGet, "/v1/session-keys", nil, f, &found)
}

// RotateSessionKey adds a session key, which seals from now on. The one before it still opens
// what it sealed.
func (c *Client) RotateSessionKey(ctx context.Context) (*SessionKeyChange, error) {
	var done SessionKeyChange
	return &done, c.do(ctx, http.MethodPost, "/v1/session-keys", nil, Freshness{}, &done)
}

// RevokeSessionKey ends every session that a key sealed. Once the position of the change is
// everywhere, no node accepts any of them.
func (c *Client) RevokeSessionKey(ctx context.Context, number uint32) (*SessionKeyChange, error) {
	var done SessionKeyChange
	return &done, c.do(ctx, http.MethodPost, "/v1/session-keys/"+strconv.FormatUint(uint64(number), 10)+"/revoke", nil, Freshness{}, &done)
}
