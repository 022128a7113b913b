package shape

import (
	"encoding/json"

	"github.com/writ-iam/writ/log/event"
)

// ProviderKeys are the keys by which the tokens of an OpenID Connect provider are, in the place
// of those that it publishes.
type ProviderKeys struct {
	Provider string          `json:"provider"`       // ARN of a provider of the caller's account.
	Keys     json.RawMessage `json:"keys,omitempty"` // A JSON Web Key Set (RFC 7517) of public keys. Without it, the keys are those that the provider publishes.
}

// ProviderKeysChange is a change of a provider's keys that was committed.
type ProviderKeysChange struct {
	Provider string         `json:"provider"`
	Keys     int            `json:"keys"` // How many were given by which tokens can be; 0: those that the provider publishes count.
	Position event.Position `json:"position"`
	Token    string         `json:"token"` // Of Position.
}
