package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/api/shape"
)

// SessionKeys are the keys that seal sessions, and IssuerKeys those that sign web identity
// tokens, without what they are; SessionKey and IssuerKey are one of them. KeyChange is a
// change of either that was committed.
type (
	SessionKeys = shape.SessionKeys
	SessionKey  = shape.SessionKey
	IssuerKeys  = shape.IssuerKeys
	IssuerKey   = shape.IssuerKey
	KeyChange   = shape.KeyChange
)

// Paths of the keys of the cluster.
const (
	pathSessionKeys = "/v1/session-keys"
	pathIssuerKeys  = "/v1/issuer-keys"
)

// SessionKeys asks for the session keys.
func (c *Client) SessionKeys(ctx context.Context, f Freshness) (*SessionKeys, error) {
	var found SessionKeys
	return &found, c.do(ctx, http.MethodGet, pathSessionKeys, nil, f, &found)
}

// RotateSessionKey adds a session key, which seals from now on. The one before it still opens
// what it sealed.
func (c *Client) RotateSessionKey(ctx context.Context) (*KeyChange, error) {
	return c.changeKey(ctx, pathSessionKeys)
}

// RevokeSessionKey ends every session that a key sealed. Once the position of the change is
// everywhere, no node accepts any of them.
func (c *Client) RevokeSessionKey(ctx context.Context, number uint32) (*KeyChange, error) {
	return c.changeKey(ctx, pathOfKey(pathSessionKeys, number))
}

// IssuerKeys asks for the issuer keys.
func (c *Client) IssuerKeys(ctx context.Context, f Freshness) (*IssuerKeys, error) {
	var found IssuerKeys
	return &found, c.do(ctx, http.MethodGet, pathIssuerKeys, nil, f, &found)
}

// RotateIssuerKey adds an issuer key, which signs from now on. Verifiers are still told of the
// one before it, until no token can be good that it signed.
func (c *Client) RotateIssuerKey(ctx context.Context) (*KeyChange, error) {
	return c.changeKey(ctx, pathIssuerKeys)
}

// RevokeIssuerKey takes an issuer key from what verifiers are told. Once the position of the
// change is everywhere, no node tells of it, nor takes a token that it signed.
func (c *Client) RevokeIssuerKey(ctx context.Context, number uint32) (*KeyChange, error) {
	return c.changeKey(ctx, pathOfKey(pathIssuerKeys, number))
}

func pathOfKey(path string, number uint32) string {
	return path + "/" + strconv.FormatUint(uint64(number), 10) + "/revoke"
}

func (c *Client) changeKey(ctx context.Context, path string) (*KeyChange, error) {
	var done KeyChange
	return &done, c.do(ctx, http.MethodPost, path, nil, Freshness{}, &done)
}
