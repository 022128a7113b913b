package shape

import (
	"encoding/json"

	"github.com/writ-iam/writ/log/event"
)

// Question asks whether a principal may do something.
type Question struct {
	Principal string              `json:"principal"`          // ARN
	Action    string              `json:"action"`             // such as "s3:GetObject"
	Resource  string              `json:"resource,omitempty"` // ARN, or "*", which is meant without one
	Context   map[string][]string `json:"-"`                  // condition keys; one value is a single value
	Explain   bool                `json:"explain,omitempty"`
}

// MarshalJSON writes keys with one value as a text, others as a list.
func (q Question) MarshalJSON() ([]byte, error) {
	type plain Question
	return json.Marshal(struct {
		plain
		Context map[string]any `json:"context,omitempty"`
	}{plain(q), q.Values()})
}

// Values are the condition keys as they travel.
func (q *Question) Values() map[string]any {
	context := make(map[string]any, len(q.Context))
	for key, values := range q.Context {
		if len(values) == 1 {
			context[key] = values[0]
		} else {
			context[key] = values
		}
	}
	return context
}

// Decision is the answer to a question.
type Decision struct {
	// Decision is "allow", "explicitDeny", "implicitDeny", or "indeterminate" for an
	// allow that is not known to be fresh.
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitempty"`
	// Warnings are what could make one misread the answer, such as an action that no
	// catalogue knows.
	Warnings    []string        `json:"warnings,omitempty"`
	Cluster     string          `json:"cluster"`
	Incarnation string          `json:"incarnation"`
	Position    event.Position  `json:"position"`
	Hash        string          `json:"hash"`
	KnownHead   event.Position  `json:"known_head"`
	Freshness   string          `json:"freshness"`
	LeaseMS     int64           `json:"lease_remaining_ms,omitempty"`
	StalenessMS *int64          `json:"staleness_bound_ms,omitempty"`
	Node        string          `json:"node"`
	ID          string          `json:"decision_id"`
	Explanation json.RawMessage `json:"explanation,omitempty"`
}

// Allowed tells whether the answer is a plain yes.
func (d *Decision) Allowed() bool { return d.Decision == "allow" }
