package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Freshness says how fresh an answer must be.
//
// The zero value is the node's own rule (strict at a writer, leased at a replica)
// and, once this client has written, no older than its own latest write. A client
// of several endpoints asks for a lease first, and takes what a node without one
// says only if no other answers.
type Freshness struct {
	Consistency  string        // "leased", "strict" or "any"
	AtLeast      string        // token of a write; in place of the client's own latest
	MaxStaleness time.Duration // positive: refuse an answer that could be older
	// ForgetOwn takes an answer from before the client's own latest write, too.
	ForgetOwn bool
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

// Authorize asks one question. A principal that does not exist is a *Problem with
// the code NoSuchPrincipal.
func (c *Client) Authorize(ctx context.Context, q Question, f Freshness) (*Decision, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	own := ""
	if f.AtLeast == "" && !f.ForgetOwn {
		own = c.latest()
		f.AtLeast = own
	}
	// A token alone would take an answer of a replica that has lost its lease.
	if f.Consistency == "" && (own != "" || f.AtLeast == "" && !c.nodes.pinned) {
		leased := f
		leased.Consistency = "leased"
		d, err := c.decide(ctx, body, leased, 1)
		var p *Problem
		if !errors.As(err, &p) || !p.Temporary() {
			return d, c.disown(own, err)
		}
	}
	d, err := c.decide(ctx, body, f, Attempts)
	return d, c.disown(own, err)
}

// decide asks a question of the replicas, or else of anybody.
func (c *Client) decide(ctx context.Context, body []byte, f Freshness, rounds int) (*Decision, error) {
	call := newCall(http.MethodPost, "/v1/authorize", body, f)
	call.route, call.rounds, call.silence = toReplica, rounds, decisionSilence
	var d Decision
	if err := c.ask(ctx, call, &d); err != nil {
		return nil, err
	}
	return &d, nil
}

// disown forgets the client's own latest write when the cluster has another history
// than the one in which it was made. The caller is told once.
func (c *Client) disown(own string, err error) error {
	var p *Problem
	if own != "" && errors.As(err, &p) && p.Code == "WrongToken" {
		c.forget(own)
		return fmt.Errorf("the client's own latest write is of another history and is forgotten now: %w", err)
	}
	return err
}
