package shape

import "github.com/writ-iam/writ/log/event"

// Decided is what one node decides about a question, and how fresh that is.
type Decided struct {
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"-"`
	// Decision is one of /v1/authorize: an allow without a lease is "indeterminate".
	Decision string `json:"decision"`
	// Freshness is "leased" where the node's lease covers the answer.
	Freshness string `json:"freshness"`
	// Reason says why, where it is not allowed.
	Reason string `json:"reason,omitempty"`
}

// Effect is the body of an answer about an effect: a propagation's, of the position at which
// the leader decided last, and who decided what.
type Effect struct {
	Propagation
	Expect   string          `json:"expect"`
	Effect   string          `json:"effect"`
	Decision string          `json:"decision"` // the leader's own
	Reason   string          `json:"reason,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Replicas []EffectReplica `json:"replicas"`
}

// EffectReplica is what a replica decided, or, without a decision, why not.
type EffectReplica struct {
	Name string `json:"name"`
	Decided
}
