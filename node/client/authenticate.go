package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// Received is a request that a service received and hands on, and Authentication who signed it.
// SigningKeyOf asks for a key by which the service verifies such requests itself.
type (
	Received       = shape.Received
	Authentication = shape.Authentication
	SigningKeyOf   = shape.SigningKeyOf
	SigningKey     = shape.SigningKey
)

// Authenticate finds out who signed a request that this service received. A request that is not
// well signed is an answer, with an error to pass on; errors are about the question itself.
func (c *Client) Authenticate(ctx context.Context, r *Received, f Freshness) (*Authentication, error) {
	var found Authentication
	return &found, c.askNear(ctx, "/v1/authenticate", r, f, &found)
}

// SigningKey asks for the signing key of an access key. A Problem with the code NoSuchEntity says
// that there are no such credentials, or none in force. Whoever goes by the answer counts its time
// from before the call.
func (c *Client) SigningKey(ctx context.Context, of SigningKeyOf, f Freshness) (*SigningKey, error) {
	var found SigningKey
	return &found, c.askNear(ctx, "/v1/signing-key", of, f, &found)
}

// askNear asks what any node answers that can prove to be current, of the replicas first.
func (c *Client) askNear(ctx context.Context, target string, question any, f Freshness, into any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode the question: %w", err)
	}
	q := newCall(http.MethodPost, target, body, f)
	q.route, q.silence = toReplica, decisionSilence
	return c.ask(ctx, q, into)
}
