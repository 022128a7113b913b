package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Freshness says how fresh an answer must be. The zero value is the node's own
// rule: strict at a writer, leased at a replica.
type Freshness struct {
	Consistency  string        // "leased", "strict" or "any"
	AtLeast      string        // token of a write
	MaxStaleness time.Duration // positive: refuse an answer that could be older
}

func (f Freshness) set(h http.Header) {
	if f.Consistency != "" {
		h.Set("X-Writ-Consistency", f.Consistency)
	}
	if f.AtLeast != "" {
		h.Set("X-Writ-At-Least", f.AtLeast)
	}
	if f.MaxStaleness > 0 {
		h.Set("X-Writ-Max-Staleness", f.MaxStaleness.String())
	}
}

// Question asks whether a principal may do something.
type Question struct {
	Principal string              `json:"principal"` // ARN
	Action    string              `json:"action"`    // such as "s3:GetObject"
	Resource  string              `json:"resource"`  // ARN, or "*"
	Context   map[string][]string `json:"-"`         // condition keys; one value is a single value
	Explain   bool                `json:"explain,omitempty"`
}

// MarshalJSON writes keys with one value as a text, others as a list.
func (q Question) MarshalJSON() ([]byte, error) {
	type plain Question
	return json.Marshal(struct {
		plain
		Context map[string]any `json:"context,omitempty"`
	}{plain(q), q.values()})
}

// values are the condition keys as they travel.
func (q *Question) values() map[string]any {
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
	Decision    string          `json:"decision"`
	Reason      string          `json:"reason,omitempty"`
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

// Authorize asks one question.
func (c *Client) Authorize(ctx context.Context, q Question, f Freshness) (*Decision, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	var d Decision
	return &d, c.do(ctx, http.MethodPost, "/v1/authorize", body, f, &d)
}
