package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
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
		h.Set(shape.HeaderConsistency, f.Consistency)
	}
	if f.AtLeast != "" {
		h.Set(shape.HeaderAtLeast, f.AtLeast)
	}
	if f.MaxStaleness > 0 {
		h.Set(shape.HeaderMaxStaleness, f.MaxStaleness.String())
	}
}

// Question asks whether a principal may do something, and Decision is its answer.
type (
	Question = shape.Question
	Decision = shape.Decision
)

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
		d, err := c.evaluate(ctx, body, leased, 1)
		var p *Problem
		if !errors.As(err, &p) || !p.Temporary() {
			return d, c.disown(own, err)
		}
	}
	d, err := c.evaluate(ctx, body, f, Attempts)
	return d, c.disown(own, err)
}

// evaluate asks a question of the replicas, or else of anybody.
func (c *Client) evaluate(ctx context.Context, body []byte, f Freshness, rounds int) (*Decision, error) {
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
