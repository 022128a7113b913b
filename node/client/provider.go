package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// ProviderKeys are the keys of an OpenID Connect provider that are to count, and
// ProviderKeysChange a change of them that was committed.
type (
	ProviderKeys       = shape.ProviderKeys
	ProviderKeysChange = shape.ProviderKeysChange
)

// SetProviderKeys gives the keys of an OpenID Connect provider of the caller's account, a JSON
// Web Key Set, in the place of those that it publishes; without keys, those count again.
func (c *Client) SetProviderKeys(ctx context.Context, set ProviderKeys) (*ProviderKeysChange, error) {
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode the keys: %w", err)
	}
	var done ProviderKeysChange
	return &done, c.do(ctx, http.MethodPost, "/v1/providers/keys", body, Freshness{}, &done)
}
