package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
)

// DefaultHeaders is how many headers a stretch of the chain has when the caller does not
// say. Whoever may read it sees of every change who made it, when, from where and by
// which action: the hashes cover that, so it cannot be left out.
const DefaultHeaders = 100

// getHead answers GET /v1/head: where is the history now, under a signature that
// others can check later?
type getHead struct{ *API }

func (s getHead) serve(c *call) error {
	if !s.cfg.Dispatcher.Leads() {
		return c.HandOn(0)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(admission.Access{Action: actionGetHead, Resource: "*"}); err != nil {
		return err
	}
	h, err := s.cfg.Notary.SignHead(c.Context())
	switch {
	case errors.Is(err, dispatch.ErrNotLeader):
		return c.HandOn(0)
	case err != nil:
		return fault.Later("The head of the history could not be signed.", err)
	}
	r := c.Right("", admission.Access{Action: actionGetHead, Resource: "*"})
	if err := r.Still(c.Context(), h.Position); err != nil {
		return err
	}
	body, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode the signed head of position %d: %w", h.Position, err)
	}
	return c.answer(body)
}

// getChain answers GET /v1/chain?after=P&limit=N: what the hashes of batches cover,
// so that the caller can compute them.
type getChain struct{ *API }

func (s getChain) serve(c *call) error {
	const hint = "Give ?after=POSITION, and limit=NUMBER up to 1000 if you like."
	if s.cfg.Chain == nil {
		return c.HandOn(0)
	}
	q := c.URL.Query()
	after, err := strconv.ParseUint(q.Get("after"), 10, 63)
	if err != nil {
		return fault.BadRequest(hint, "after is %q.", q.Get("after"))
	}
	limit := DefaultHeaders
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > shape.MaxHeaders {
			return fault.BadRequest(hint, "limit is %q.", text)
		}
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionGetChain)); err != nil {
		return err
	}
	headers, err := s.cfg.Chain.Headers(event.Position(after), limit)
	if r := shape.RetentionOf(c.Seen.View.State.Retention()); err != nil && r.Gone(event.Position(after)) != "" {
		return fault.New(fault.NoSuchEntity, r.Gone(event.Position(after)), "A head of before cannot be checked against it any more; a backup of before may have the batches.").Because(err)
	}
	if err != nil {
		return fault.Later("This part of the history could not be read here.", err)
	}
	// No more than the view has in which the caller was admitted.
	known := max(c.Seen.View.Head.Position, event.Position(after)) - event.Position(after)
	headers = headers[:min(len(headers), int(known))]
	cluster := c.Seen.View.Cluster()
	a := shape.Chain{Cluster: cluster.ID, Incarnation: cluster.Incarnation, Headers: headers}
	if headers == nil {
		a.Headers = [][]byte{} // [] rather than null
	}
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode the chain behind position %d: %w", after, err)
	}
	return c.answer(body)
}
