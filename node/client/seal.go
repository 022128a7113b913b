package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// Seal is how the keys fare that seal secrets, SealKey one of them, and SealNode which of them a
// node has. SealRotated is a rotation that has begun.
type (
	Seal        = shape.Seal
	SealKey     = shape.SealKey
	SealNode    = shape.SealNode
	SealRotated = shape.SealRotated
)

// Seal asks the leader which keys seal secrets, which node has which, and how far a rotation is.
func (c *Client) Seal(ctx context.Context) (*Seal, error) {
	var found Seal
	return &found, c.do(ctx, http.MethodGet, "/v1/seal", nil, Freshness{}, &found)
}

// RotateSealKey has another key seal from now on, by its id; the only new one where it is empty.
// A Problem with the code DeleteConflict names the nodes that do not have it, InvalidInput says
// that there is no new key, or which there are.
func (c *Client) RotateSealKey(ctx context.Context, key string) (*SealRotated, error) {
	body, err := json.Marshal(shape.SealRotation{Key: key})
	if err != nil {
		return nil, fmt.Errorf("encode the rotation: %w", err)
	}
	var done SealRotated
	return &done, c.do(ctx, http.MethodPost, "/v1/seal/rotate", body, Freshness{}, &done)
}
