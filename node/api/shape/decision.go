package shape

import (
	"encoding/json"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Question asks whether a principal may do something.
type Question struct {
	Principal string  `json:"principal"`          // ARN of a user, role, role session or root.
	Action    string  `json:"action"`             // One action, such as "s3:GetObject", in any letter case; no wildcards.
	Resource  string  `json:"resource,omitempty"` // An ARN, or "*" for an action without resources.
	Explain   bool    `json:"explain,omitempty"`  // Tell the statements that decided, too.
	Context   Context `json:"context,omitempty"`
	At        Moment  `json:"at,omitempty"` // Ask about this moment of the past, instead of now.
}

// Context has the values of condition keys. A key with one value is a single value, which
// travels as a text; the others travel as lists.
type Context map[string][]string

// MarshalJSON writes keys with one value as a text, others as a list.
func (c Context) MarshalJSON() ([]byte, error) {
	values := make(map[string]any, len(c))
	for key, list := range c {
		if len(list) == 1 {
			values[key] = list[0]
		} else {
			values[key] = list
		}
	}
	return json.Marshal(values)
}

// Decision is the answer to a question.
type Decision struct {
	// Decision is "allow", "explicitDeny", "implicitDeny", or "indeterminate" for an
	// allow that is not known to be fresh.
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitempty"` // Why it is decided so; not told of an allow that is not explained.
	// What could make one misread the answer, such as an action that no catalogue
	// knows, or condition keys that the question lacks and that could turn it. An allow
	// that is not explained is about the context given: those keys are not looked for.
	Warnings    []string        `json:"warnings,omitempty"`
	Cluster     string          `json:"cluster"`
	Incarnation string          `json:"incarnation"`
	Position    event.Position  `json:"position"`                     // Where the decision holds.
	Hash        string          `json:"hash"`                         // The first eight bytes of that of the batch at Position, hexadecimal.
	KnownHead   event.Position  `json:"known_head"`                   // The head of the history, as the node knows it.
	Freshness   string          `json:"freshness"`                    // What is known of the answer's age.
	At          *time.Time      `json:"at,omitempty"`                 // Of an answer about the past: the time of the change at Position, by which it is decided.
	LeaseMS     int64           `json:"lease_remaining_ms,omitempty"` // For how long the node may still answer under its lease.
	StalenessMS *int64          `json:"staleness_bound_ms,omitempty"` // The answer is no older than this.
	Node        string          `json:"node"`                         // Who answers.
	ID          string          `json:"decision_id"`                  // The id of the request, as in the node's log.
	Explanation json.RawMessage `json:"explanation,omitempty"`        // Each statement that decided, where the question asked for that.
	Problem     *Problem        `json:"problem,omitempty"`            // Of a batch whose errors are told each: why the question has no decision, which is then "indeterminate".
}

// Questions are asked together, and answered from one position.
type Questions struct {
	// Defaults are the members that a question lacks. A context of a question replaces that
	// of the defaults, and is not merged with it.
	Defaults  *BatchQuestion  `json:"defaults,omitempty"`
	Questions []BatchQuestion `json:"questions"`
	// Semantics says when the answers end: with the last question, or behind the first
	// that is not an allow, or that is one.
	Semantics string `json:"semantics,omitempty"`
	// Errors says what a question does that is wrong, or that may not be asked: refuse the
	// whole batch, or have its own problem as its answer.
	Errors string `json:"errors,omitempty"`
}

// Semantics of a batch, and what it does with errors.
const (
	SemanticsAll         = "execute_all"
	SemanticsFirstDeny   = "deny_on_first_deny"
	SemanticsFirstPermit = "permit_on_first_permit"
	ErrorsWhole          = "whole"
	ErrorsEach           = "each"
)

// BatchQuestion is one question of a batch: what it lacks it has of the defaults.
type BatchQuestion struct {
	Principal string  `json:"principal,omitempty"` // ARN of a user, role, role session or root.
	Action    string  `json:"action,omitempty"`    // One action, such as "s3:GetObject", in any letter case; no wildcards.
	Resource  string  `json:"resource,omitempty"`  // An ARN, or "*" for an action without resources.
	Explain   *bool   `json:"explain,omitempty"`   // Tell the statements that decided, too.
	Context   Context `json:"context,omitzero"`    // An empty one is a context, too: one without keys.
}

// Decisions are the answers to Questions, in their order; fewer where the semantics end them.
type Decisions struct {
	Answers []Decision `json:"answers"`
}

// Allowed tells whether the answer is a plain yes.
func (d *Decision) Allowed() bool { return d.Decision == "allow" }
