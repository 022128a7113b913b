package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
)

// Expectation says what to wait for: the decision about a question.
type Expectation struct {
	Question Question // Explain is not used
	Expect   string   // "allow" or "deny", which stands for explicit and implicit denials
	AtLeast  string   // token of a write that no decision may be older than; may be empty
}

// Effect says whether a decision is as expected, and where.
type Effect = shape.Effect

// Effect waits for at most wait until a decision is as expected, at the leader and
// at every replica in scope that may answer as fresh, each by its own engine.
// Coming back too early is not an error: see Effect.Effect.
func (c *Client) Effect(ctx context.Context, e Expectation, s Scope, wait time.Duration) (*Effect, error) {
	q := &e.Question
	body, err := json.Marshal(shape.Expectation{
		Principal: q.Principal, Action: q.Action, Resource: q.Resource, Context: q.Context,
		Expect: e.Expect, Replicas: s.Replicas, Region: s.Region, Count: s.Count, Timeout: wait.String(), AtLeast: e.AtLeast,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	var answer Effect
	return &answer, c.hold(ctx, wait, http.MethodPost, "/v1/propagation/effect", body, &answer)
}
