package shape

import "github.com/writ-iam/writ/log/event"

// Evaluated is what one node decides about a question, and how fresh that is.
type Evaluated struct {
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"-"`
	// Decision is one of /v1/authorize: an allow without a lease is "indeterminate".
	Decision string `json:"decision"`
	// Freshness is "leased" where the node's lease covers the answer.
	Freshness string `json:"freshness"`
	// Reason says why, where it is not allowed.
	Reason string `json:"reason,omitempty"`
}

// Effect says whether a decision is as expected, and where. The position of the
// Propagation is the one at which the leader decided last.
type Effect struct {
	Propagation
	Expect string `json:"expect"`
	// Effect is one of those below.
	Effect   string          `json:"effect"`
	Decision string          `json:"decision"` // the leader's own
	Reason   string          `json:"reason,omitempty"`
	Warnings []string        `json:"warnings,omitempty"` // as in Decision
	Replicas []EffectReplica `json:"replicas"`
}

// Effects of a change, as they are told.
const (
	EffectPresent = "present" // decided as expected by the leader and everywhere in the scope
	EffectAbsent  = "absent"  // the leader itself decides otherwise
	EffectPending = "pending" // decided as expected by the leader, not yet everywhere
)

// Present tells whether the effect is in force at every replica in scope.
func (e *Effect) Present() bool { return e.Effect == EffectPresent }

// Absent tells whether the leader itself decides otherwise.
func (e *Effect) Absent() bool { return e.Effect == EffectAbsent }

// EffectReplica is what a replica decided, or, without a decision, why not.
type EffectReplica struct {
	Name string `json:"name"`
	Evaluated
}
