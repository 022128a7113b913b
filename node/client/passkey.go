package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// PasskeyCreation is what a browser makes a passkey by, PasskeyToRegister a passkey that it
// made, and PasskeyRegistration one that was registered. SignInChallengeFor is who is about to
// sign in with a passkey, and SignInChallenge what a browser uses one by.
type (
	PasskeyCreation     = shape.PasskeyCreation
	PasskeyToRegister   = shape.PasskeyToRegister
	PasskeyRegistration = shape.PasskeyRegistration
	SignInChallengeFor  = shape.SignInChallengeFor
	SignInChallenge     = shape.SignInChallenge
)

// PasskeyChallenge asks by what a browser is to make a passkey for a user of the caller's
// account; for the caller itself where user is empty.
func (c *Client) PasskeyChallenge(ctx context.Context, user string) (*PasskeyCreation, error) {
	body, err := json.Marshal(shape.PasskeyOwner{User: user})
	if err != nil {
		return nil, fmt.Errorf("encode the owner of a passkey: %w", err)
	}
	var said PasskeyCreation
	return &said, c.do(ctx, http.MethodPost, "/v1/passkeys/challenge", body, Freshness{}, &said)
}

// RegisterPasskey gives somebody the passkey that a browser made for a challenge that the same
// caller asked for.
func (c *Client) RegisterPasskey(ctx context.Context, passkey PasskeyToRegister) (*PasskeyRegistration, error) {
	body, err := json.Marshal(passkey)
	if err != nil {
		return nil, fmt.Errorf("encode the passkey: %w", err)
	}
	var made PasskeyRegistration
	return &made, c.do(ctx, http.MethodPost, "/v1/passkeys", body, Freshness{}, &made)
}

// SignInChallengeAt asks the first of some endpoints that can serve for a challenge that a
// passkey answers in SignInAt. It needs no access key. hc may be nil. What a node refuses is a
// *Problem.
func SignInChallengeAt(ctx context.Context, hc *http.Client, endpoints []string, who SignInChallengeFor) (*SignInChallenge, error) {
	return openly[SignInChallenge](ctx, hc, endpoints, "/signin/challenge", who)
}
