package shape

import "github.com/writ-iam/writ/log/event"

// Expectation is a question, and the decision that is waited for.
type Expectation struct {
	Principal string   `json:"principal"`          // ARN of a user, role, role session or root.
	Action    string   `json:"action"`             // One action, such as "s3:GetObject", in any letter case; no wildcards.
	Resource  string   `json:"resource,omitempty"` // An ARN, or "*" for an action without resources.
	Context   Context  `json:"context,omitempty"`
	Expect    string   `json:"expect"`             // "deny" stands for explicit and implicit denials.
	Replicas  []string `json:"replicas,omitempty"` // Only these; all of them if not given.
	Region    string   `json:"region,omitempty"`   // Only the replicas of this region.
	Count     int      `json:"count,omitempty"`    // So many of them are enough.
	Timeout   string   `json:"timeout,omitempty"`  // How long the answer is held back at most, up to 10m.
	AtLeast   string   `json:"at_least,omitempty"` // Token of a write that no decision may be older than.
}

// Evaluated is what one node decides about a question, and how fresh that is.
type Evaluated struct {
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"-"`
	// Empty where the replica did not decide; reason says why. "indeterminate": it would
	// allow, but has no lease.
	Decision string `json:"decision"`
	// Freshness is "leased" where the lease of the node covers the answer.
	Freshness string `json:"freshness"`
	// Why it is not allowed, or was not decided.
	Reason string `json:"reason,omitempty"`
}

// Effect says whether a decision is as expected, and where. The position of the
// Propagation is the one at which the leader decided last.
type Effect struct {
	Propagation
	Expect string `json:"expect"` // As it was asked.
	// "absent": the leader itself decides otherwise. "pending": the leader decides as
	// expected, and not yet everybody in the scope.
	Effect   string          `json:"effect"`
	Decision string          `json:"decision"`           // The leader's own.
	Reason   string          `json:"reason,omitempty"`   // Why the leader does not allow it.
	Warnings []string        `json:"warnings,omitempty"` // As those of an answer of /v1/authorize.
	Replicas []EffectReplica `json:"replicas"`           // Those in the scope, and what each decided.
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
