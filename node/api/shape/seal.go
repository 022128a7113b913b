package shape

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Seal is what the leader tells of the keys that seal secrets, never what they are.
type Seal struct {
	Node     string         `json:"node"`     // That leads.
	Position event.Position `json:"position"` // At which secrets were counted.
	// Phase is unchosen while each node seals by the first key of its file, resealing while secrets
	// are sealed anew by a key that was chosen, and settled when no secret needs another.
	Phase    string         `json:"phase"`
	Active   string         `json:"active"`            // Id of the key that seals.
	Chosen   event.Position `json:"chosen,omitempty"`  // Position from which on it seals.
	Begun    *time.Time     `json:"begun,omitempty"`   // When that was.
	Left     uint64         `json:"left"`              // Secrets that other keys have sealed.
	Resealed uint64         `json:"resealed"`          // Secrets that were sealed anew since.
	Retired  event.Position `json:"retired,omitempty"` // Position at which no secret needed another key any more.
	Ended    *time.Time     `json:"ended,omitempty"`   // When that was.
	Keys     []SealKey      `json:"keys"`
	Nodes    []SealNode     `json:"nodes"`
}

// SealKey is one of the keys.
type SealKey struct {
	ID string `json:"id"` // A fingerprint, 16 hexadecimal digits.
	// State is active of the one that seals, needed of others that have sealed secrets of now, former
	// and retired of those that have sealed before, and new.
	State   string `json:"state"`
	Secrets uint64 `json:"secrets"` // That it has sealed, of those of now.
}

// SealNode is which keys a node has.
type SealNode struct {
	Name   string   `json:"name"`
	Role   string   `json:"role"`
	Keys   []string `json:"keys"`             // Their ids; null where the node has not said it, none at a replica without keys.
	Lacks  []string `json:"lacks,omitempty"`  // Ids of those that are needed and that it does not have.
	Detail string   `json:"detail,omitempty"` // Why it has not said it.
}

// SealRotation asks for another key to seal.
type SealRotation struct {
	Key string `json:"key,omitempty"` // Its id; the only new one if not given.
}

// SealRotated is a rotation that has begun.
type SealRotated struct {
	Key      string         `json:"key"` // That seals now.
	Position event.Position `json:"position"`
	Token    string         `json:"token"` // Of Position.
}
