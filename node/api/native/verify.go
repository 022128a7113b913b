package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
)

// defaultVerify is how long a verification may take when the caller does not say.
const defaultVerify = time.Minute

// ErrVerifying is returned while another verification is under way: there is one at
// a time.
var ErrVerifying = errors.New("another verification is under way")

// verifyNodes answers POST /v1/verify: have all nodes the same history and the
// same state, and does the chain hold?
type verifyNodes struct{ *API }

func (s verifyNodes) serve(c *call) error {
	from, timeout, err := verifyQuery(c.Request.Request)
	if err != nil {
		return err
	}
	if !s.cfg.Dispatcher.Leads() {
		return c.HandOn(timeout)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionVerify)); err != nil {
		return err
	}
	if head := c.Seen.View.Head.Position; from > head {
		return fault.BadRequest("Give a position, from 1 on.", "from is %d, beyond the head %d.", from, head)
	}
	v, err := s.cfg.Notary.Verify(c.Context(), from, timeout)
	switch {
	case errors.Is(err, dispatch.ErrNotLeader):
		return c.HandOn(timeout)
	case errors.Is(err, ErrVerifying):
		return fault.New(fault.Verifying, "", "")
	case err != nil:
		return fault.Later("The nodes could not be compared.", err)
	}
	r := c.Right("", s.ofCluster(actionVerify))
	head, err := s.cfg.Views.StrictHead(c.Context(), true) // no sound node was beyond it
	if err != nil {
		return fault.Later("The head of the log could not be read.", err)
	}
	if err := r.Still(c.Context(), head.Position); err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the verification: %w", err)
	}
	return c.answer(body)
}

// verifyQuery reads from where the chain is to be walked, and how long that may take.
func verifyQuery(r *http.Request) (from event.Position, timeout time.Duration, err error) {
	q := r.URL.Query()
	from, timeout = 1, defaultVerify
	if text := q.Get("from"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 {
			return 0, 0, fault.BadRequest("Give a position, from 1 on.", "from is %q.", text)
		}
		from = event.Position(n)
	}
	if text := q.Get("timeout"); text != "" {
		if timeout, err = time.ParseDuration(text); err != nil || timeout <= 0 || timeout > freshness.MaxWait {
			return 0, 0, fault.BadRequest("Give a duration up to "+freshness.MaxWait.String()+", such as 60s.", "timeout is %q.", text)
		}
	}
	return from, timeout, nil
}
