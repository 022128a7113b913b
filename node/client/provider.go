package client

import (
	"context"
	"encoding/json"
	"errors"
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
// Web Key Set, in the place of those that it publishes; with nil Keys, those count again. Keys that
// are no JSON are refused, and so are empty ones, such as of an empty file: they mean something else.
func (c *Client) SetProviderKeys(ctx context.Context, set ProviderKeys) (*ProviderKeysChange, error) {
	if set.Keys != nil && !json.Valid(set.Keys) {
		return nil, fmt.Errorf("the keys are no JSON Web Key Set: %w", notJSON(set.Keys))
	}
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode the keys: %w", err)
	}
	var done ProviderKeysChange
	return &done, c.do(ctx, http.MethodPost, "/v1/providers/keys", body, Freshness{}, &done)
}

// notJSON says why a text is no JSON.
func notJSON(text []byte) error {
	if len(text) == 0 {
		return errors.New("they are empty")
	}
	var any json.RawMessage
	return json.Unmarshal(text, &any)
}
