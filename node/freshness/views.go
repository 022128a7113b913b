package freshness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Seen is the view that an answer comes from, and what can be said of its age.
type Seen struct {
	View      *projection.View
	Mode      string         // how fresh it is, in a word
	KnownHead event.Position // of the cluster, as far as the node knows
	Remaining time.Duration  // of the lease
	Staleness time.Duration
	Bounded   bool // Staleness is known
	Flagged   bool // an allow from this view is not known to be fresh
	Reads     bool // a read is admitted in this view
}

// Position is the view's, for a header.
func (s *Seen) Position() string { return strconv.FormatUint(uint64(s.View.Head.Position), 10) }

// View returns the view that a request is to be answered from: as fresh as the
// caller asked for, and never from before the caller's own latest write through
// this node. Safe without any header: a writer reads strictly, a replica under
// its lease. The caller, too, is admitted in this view: whatever it asked for, it
// gets none that is not known to be current, unless the node admits u without that.
func (f *Views) View(q *admission.Request, sig *sigv4.Signature, u Use) (Seen, error) {
	ask, token, err := f.Ask(q.Header, u)
	if err != nil {
		return Seen{}, err
	}
	if own := f.writes.position(sig.AccessKeyID); own > ask.AtLeast {
		ask.AtLeast = own
	}
	newer := false // it is by a session whose key the node may yet have to hear of
	if sig.SessionToken != "" {
		known, err := f.cfg.Desk.Recognize(q, sig)
		if err != nil {
			return Seen{}, err
		}
		newer, ask.AtLeast = !known, max(ask.AtLeast, q.MintedAt())
	}
	if err := f.reach(q, sig, &ask, token, newer); err != nil {
		return Seen{}, err
	}
	// The lease is looked at first and the view loaded after that; see
	// propagation.Snapshot.Check.
	fresh := f.cfg.Lease.Fresh()
	v := f.cfg.Projection.View()
	c, err := fresh.Cover(v.Head.Position, ask)
	if err == nil && !c.Current() && !f.cfg.WithoutLease.Admits(u) {
		err = propagation.ErrNotLeased
	}
	if err != nil {
		return Seen{}, f.NotCurrent(err).About(fmt.Sprintf("At position %d", v.Head.Position))
	}
	reads := c.Current() || f.cfg.WithoutLease.Admits(ForRead)
	return Seen{
		View: v, Mode: string(c.Freshness), KnownHead: c.Head, Remaining: c.Remaining,
		Staleness: c.Staleness, Bounded: c.Bounded, Reads: reads,
		// However old the caller takes an answer, its own right may have ended since.
		Flagged: c.DenyOnly || !reads,
	}, nil
}

func notFresh(err error) fault.Code {
	switch {
	case errors.Is(err, propagation.ErrQuarantined):
		return fault.Quarantined
	case errors.Is(err, propagation.ErrNotReached):
		return fault.NotReached
	case errors.Is(err, propagation.ErrTooStale):
		return fault.TooStale
	}
	return fault.NotLeased
}

// Ask reads what a request for some use says about freshness.
func (f *Views) Ask(h http.Header, u Use) (ask propagation.Ask, token *event.Token, err error) {
	switch mode := h.Get(shape.HeaderConsistency); mode {
	case "":
		ask.Mode = f.defaultMode()
	case "leased":
		ask.Mode = propagation.ModeLeased
	case "strict":
		ask.Mode = propagation.ModeStrict
	case "any":
		ask.Mode = propagation.ModeAny
	default:
		return ask, nil, fault.BadRequest("Use leased, strict or any.", "%s is %q.", shape.HeaderConsistency, mode)
	}
	if text := h.Get(shape.HeaderMaxStaleness); text != "" {
		if ask.MaxStaleness, err = time.ParseDuration(text); err != nil || ask.MaxStaleness <= 0 {
			return ask, nil, fault.BadRequest("Give a duration such as 500ms.", "%s is %q.", shape.HeaderMaxStaleness, text)
		}
	}
	if text := h.Get(shape.HeaderAtLeast); text != "" {
		t, err := event.ParseToken(text)
		if err != nil {
			return ask, nil, TokenFault(err)
		}
		token = &t
		if h.Get(shape.HeaderConsistency) == "" {
			ask.Mode = propagation.ModeAtLeast
		}
	}
	// A writer has no lease and knows no bound: it reads strictly instead, and no
	// answer is fresher than that. So it proves that it is current, where it must be, or
	// a token would get no more than a flagged answer.
	if f.votes() && (ask.Mode == propagation.ModeLeased || ask.MaxStaleness > 0 || !f.cfg.WithoutLease.Admits(u) ||
		ask.Mode == propagation.ModeAtLeast && !f.cfg.WithoutLease.Admits(ForRead)) {
		ask.Mode = propagation.ModeStrict
	}
	if ask.Mode == propagation.ModeStrict {
		ask.MaxStaleness = 0
	}
	return ask, token, nil
}

func (f *Views) defaultMode() propagation.Mode {
	if f.votes() {
		return propagation.ModeStrict
	}
	return propagation.ModeAny
}

// reach waits until the projection has what is asked for. Whoever makes the node
// ask or wait must have signed by a key that it knows, or takes one of few slots. newer has
// it read the head, before it says of a session key that there is none.
func (f *Views) reach(q *admission.Request, sig *sigv4.Signature, ask *propagation.Ask, token *event.Token, newer bool) error {
	strict := newer || ask.Mode == propagation.ModeStrict
	if !strict && token == nil && f.cfg.Projection.Head().Position >= ask.AtLeast {
		return nil
	}
	known, err := f.cfg.Desk.Recognize(q, sig)
	if err != nil {
		return err
	}
	if !known {
		free, err := f.cfg.Desk.Take(admission.Strangers, q)
		if err != nil {
			return err
		}
		defer free()
	}
	if strict {
		head, err := f.StrictHead(q.Context(), known)
		if err != nil {
			return fault.Later("The head of the log could not be read.", err)
		}
		ask.AtLeast = max(ask.AtLeast, head.Position)
	}
	if token != nil {
		ask.AtLeast = max(ask.AtLeast, token.Position)
	} else if f.cfg.Projection.Head().Position >= ask.AtLeast {
		return nil
	}
	free, err := f.cfg.Desk.Take(admission.Waiting, q)
	if err != nil {
		return err
	}
	defer free()
	ctx, cancel := context.WithTimeout(q.Context(), admission.DefaultWait)
	defer cancel()
	if token != nil {
		if _, err := f.cfg.Projection.WaitToken(ctx, *token); err != nil {
			return f.TokenFault(err)
		}
	}
	if _, err := f.cfg.Projection.Wait(ctx, ask.AtLeast); err != nil {
		return fault.Later(fmt.Sprintf("Position %d was not reached in time.", ask.AtLeast), err)
	}
	return nil
}

// Strangers is the newest view, for a request that nobody has signed and whose answer outlasts
// the view. This node must lead.
func (f *Views) Strangers(q *admission.Request) (*projection.View, error) {
	free, err := f.cfg.Desk.Take(admission.Strangers, q)
	if err != nil {
		return nil, err
	}
	defer free()
	ctx, cancel := context.WithTimeout(q.Context(), admission.DefaultWait)
	defer cancel()
	head, err := f.StrictHead(ctx, false)
	if err != nil {
		return nil, fault.Later("The head of the log could not be read.", err)
	}
	v, err := f.cfg.Projection.Wait(ctx, head.Position)
	if err != nil {
		return nil, fault.Later("The node is behind.", err)
	}
	return v, nil
}

// Committed returns never if a position is beyond the head of the log: then waiting
// for it would be in vain, or for another history's. A node that lags may get there.
func (f *Views) Committed(ctx context.Context, in *Seen, at event.Position, never *fault.Fault) error {
	if at <= max(in.View.Head.Position, in.KnownHead) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, admission.DefaultWait)
	defer cancel()
	head, err := f.StrictHead(ctx, true)
	switch {
	case err != nil:
		return fault.Later(fmt.Sprintf("Position %d is ahead of this node, and the head of the log could not be read.", at), err)
	case at > head.Position:
		return never
	}
	return nil
}

// NeverCommitted is what is wrong with a token that is ahead of its own history.
func NeverCommitted(t event.Token) *fault.Fault {
	return TokenFault(fmt.Errorf("%w: position %d was never committed", projection.ErrTokenMismatch, t.Position))
}

// Showing waits until the node shows a token's position, and compares the two, unless
// the position was never committed.
func (f *Views) Showing(ctx context.Context, q *admission.Request, in *Seen, t event.Token) error {
	if t.Position > in.View.Head.Position {
		if err := f.Committed(ctx, in, t.Position, NeverCommitted(t)); err != nil {
			return err
		}
		free, err := f.cfg.Desk.Take(admission.Waiting, q)
		if err != nil {
			return err
		}
		defer free()
	}
	ctx, cancel := context.WithTimeout(ctx, admission.DefaultWait)
	defer cancel()
	if _, err := f.cfg.Projection.WaitToken(ctx, t); err != nil {
		return f.TokenFault(err)
	}
	return nil
}

// TokenFault says what is wrong with a token that this node compared with its state. A replica
// that nothing proves to be current may itself be of the incarnation that ended, and says so:
// a client that forgot its token for that would lose sight of its own writes.
func (f *Views) TokenFault(err error) *fault.Fault {
	if errors.Is(err, event.ErrWrongIncarnation) && !f.votes() {
		c, stale := f.cfg.Lease.Fresh().Cover(f.cfg.Projection.Head().Position, propagation.Ask{Mode: propagation.ModeAny})
		if stale != nil || !c.Current() {
			return fault.New(fault.NotReached, "The token is of another incarnation of the cluster than this node's state, and nothing proves that the node is current.",
				"Try again, or ask another node: this one may have to hear of a restore.").Because(err)
		}
	}
	return TokenFault(err)
}

// TokenFault says what is wrong with a caller's token.
func TokenFault(err error) *fault.Fault {
	switch {
	case errors.Is(err, event.ErrToken):
		return fault.BadRequest("Pass on the token exactly as an answer's "+shape.HeaderToken+" gave it.", "%v.", err)
	case errors.Is(err, event.ErrWrongCluster), errors.Is(err, event.ErrWrongIncarnation), errors.Is(err, projection.ErrTokenMismatch):
		return fault.New(fault.WrongToken, err.Error()+".", "")
	}
	return fault.New(fault.NotReached, "The position of the token was not reached in time.", "Try again: the node is catching up.")
}

// WaitPast waits for a view later than a position.
func (f *Views) WaitPast(ctx context.Context, at event.Position) error {
	ctx, cancel := context.WithTimeout(ctx, admission.DefaultWait)
	defer cancel()
	if _, err := f.cfg.Projection.Wait(ctx, at+1); err != nil {
		return fault.Later("The node is behind.", err)
	}
	return nil
}

// ReachHead reads the head of the log, and waits until the projection has it. A view of
// that position or a later one shows whatever was committed before the call.
func (f *Views) ReachHead(ctx context.Context) (event.Position, error) {
	head, err := f.StrictHead(ctx, true)
	if err != nil {
		return 0, fault.Later("The head of the log could not be read.", err)
	}
	ctx, cancel := context.WithTimeout(ctx, admission.DefaultWait)
	defer cancel()
	if _, err := f.cfg.Projection.Wait(ctx, head.Position); err != nil {
		return 0, fault.Later("The node is behind.", err)
	}
	return head.Position, nil
}
