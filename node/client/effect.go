package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Expectation says what to wait for: the decision about a question.
type Expectation struct {
	Question Question // Explain is not used
	Expect   string   // "allow" or "deny", which stands for explicit and implicit denials
	AtLeast  string   // token of a write that no decision may be older than; may be empty
}

// Effect says whether a decision is as expected, and where. The position of the
// Propagation is the one at which the leader decided last.
type Effect struct {
	Propagation
	Expect string `json:"expect"`
	// Effect is "present" if the leader and all replicas in the scope decide as
	// expected, "absent" if the leader does not, and else "pending".
	Effect   string            `json:"effect"`
	Decision string            `json:"decision"` // the leader's, as in Decision
	Reason   string            `json:"reason,omitempty"`
	Warnings []string          `json:"warnings,omitempty"` // as in Decision
	Replicas []ReplicaDecision `json:"replicas"`
}

// ReplicaDecision is what one replica decides.
type ReplicaDecision struct {
	Name     string         `json:"name"`
	Position event.Position `json:"position"`
	// Decision is empty where the replica did not decide; Reason then says why.
	Decision  string `json:"decision"`
	Freshness string `json:"freshness"`
	Reason    string `json:"reason,omitempty"`
}

// Present tells whether the effect is in force at every replica in scope.
func (e *Effect) Present() bool { return e.Effect == "present" }

// Absent tells whether the leader itself decides otherwise.
func (e *Effect) Absent() bool { return e.Effect == "absent" }

// Effect waits for at most wait until a decision is as expected, at the leader and
// at every replica in scope that may answer as fresh, each by its own engine.
// Coming back too early is not an error: see Effect.Effect.
func (c *Client) Effect(ctx context.Context, e Expectation, s Scope, wait time.Duration) (*Effect, error) {
	body, err := json.Marshal(struct {
		Principal string         `json:"principal"`
		Action    string         `json:"action"`
		Resource  string         `json:"resource,omitempty"`
		Context   map[string]any `json:"context,omitempty"`
		Expect    string         `json:"expect"`
		Replicas  []string       `json:"replicas,omitempty"`
		Region    string         `json:"region,omitempty"`
		Count     int            `json:"count,omitempty"`
		Timeout   string         `json:"timeout"`
		AtLeast   string         `json:"at_least,omitempty"`
	}{
		e.Question.Principal, e.Question.Action, e.Question.Resource, e.Question.values(),
		e.Expect, s.Replicas, s.Region, s.Count, wait.String(), e.AtLeast,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	var answer Effect
	return &answer, c.hold(ctx, wait, http.MethodPost, "/v1/propagation/effect", body, &answer)
}
