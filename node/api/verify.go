package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/iam"
)

// defaultVerify is how long a verification may take when the caller does not say.
const defaultVerify = time.Minute

// ErrVerifying is returned while another verification is under way: there is one at
// a time.
var ErrVerifying = errors.New("another verification is under way")

// Verdict is what a verification has found about one node.
type Verdict string

// Verdicts. The names travel; never reuse one.
const (
	// VerdictOK is for a node that has what the leader's log says.
	VerdictOK Verdict = "ok"
	// VerdictDiffers is for a node whose history or state is another one.
	VerdictDiffers Verdict = "differs"
	// VerdictBroken is for a node whose own chain of batches, or memory, does not hold.
	VerdictBroken Verdict = "broken"
	// VerdictUnfinished is for a node of which nothing wrong was found, but not all
	// could be looked at.
	VerdictUnfinished Verdict = "unfinished"
	// VerdictUnreachable is for a node that did not answer in time.
	VerdictUnreachable Verdict = "unreachable"
)

// Verified is what a verification has found about one node.
type Verified struct {
	Name     string         `json:"name"`
	Role     string         `json:"role"` // "writer" or "replica"
	Verdict  Verdict        `json:"verdict"`
	Detail   string         `json:"detail,omitempty"`
	Position event.Position `json:"position"` // of the node's state
	Hash     event.Hash     `json:"hash"`     // of the batch there, as the node has it
	Digest   digest.Sum     `json:"digest"`   // of the state there, recounted from its records
	// Batches and Records are how many were checked: of the event store, which only
	// writers have, and of the state.
	Batches int   `json:"batches"`
	Records int   `json:"records"`
	TookMS  int64 `json:"took_ms"`
}

// Verification is a comparison of all nodes with the leader's log.
type Verification struct {
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"` // the leader
	From        event.Position `json:"from"` // where the chain was walked from
	Nodes       []Verified     `json:"nodes"`
	TookMS      int64          `json:"took_ms"`
}

// verification answers POST /v1/verify: have all nodes the same history and the
// same state, and does the chain hold?
func (s *Server) verification(c *nativeCall) error {
	from, timeout, err := verifyQuery(c.Request)
	if err != nil {
		return err
	}
	if !s.cfg.Node.Leads() {
		return s.toLeader(c, timeout)
	}
	if err := s.verify(c, forRead); err != nil {
		return err
	}
	if err := s.permit(&c.own, &c.job, &c.request, c.sig, c.principal, s.ofCluster(actionVerify)); err != nil {
		return err
	}
	if head := c.seen.view.Head.Position; from > head {
		return badRequest("Give a position, from 1 on.", "from is %d, beyond the head %d.", from, head)
	}
	v, err := s.cfg.Node.Verify(c.Context(), from, timeout)
	switch {
	case errors.Is(err, ErrNotLeader):
		return s.toLeader(c, timeout)
	case errors.Is(err, ErrVerifying):
		return problem{http.StatusServiceUnavailable, "Verifying", "Another verification is under way; there is one at a time.", "Try again when it has ended."}
	case err != nil:
		return &unavailable{"The nodes could not be compared.", err}
	}
	r := right{s, &c.request, c.sig, []iam.Access{s.ofCluster(actionVerify)}, ""}
	head, err := s.strictHead(c.Context(), true) // no sound node was beyond it
	if err != nil {
		return &unavailable{"The head of the log could not be read.", err}
	}
	if err := r.still(c.Context(), head.Position); err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the verification: %w", err)
	}
	return s.answer(c, body)
}

// verifyQuery reads from where the chain is to be walked, and how long that may take.
func verifyQuery(r *http.Request) (from event.Position, timeout time.Duration, err error) {
	q := r.URL.Query()
	from, timeout = 1, defaultVerify
	if text := q.Get("from"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 {
			return 0, 0, badRequest("Give a position, from 1 on.", "from is %q.", text)
		}
		from = event.Position(n)
	}
	if text := q.Get("timeout"); text != "" {
		if timeout, err = time.ParseDuration(text); err != nil || timeout <= 0 || timeout > MaxWait {
			return 0, 0, badRequest("Give a duration up to "+MaxWait.String()+", such as 60s.", "timeout is %q.", text)
		}
	}
	return from, timeout, nil
}
