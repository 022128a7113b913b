package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// seen is the view that an answer comes from, and what can be said of its age.
type seen struct {
	view      *projection.View
	mode      string
	knownHead event.Position
	remaining time.Duration // of the lease
	staleness time.Duration
	bounded   bool // staleness is known
	flagged   bool // an allow from this view is not known to be fresh
	reads     bool // a read is admitted in this view
}

// position is the view's, for a header.
func (s *seen) position() string { return strconv.FormatUint(uint64(s.view.Head.Position), 10) }

// view returns the view that a request is to be answered from: as fresh as the
// caller asked for, and never from before the caller's own latest write through
// this node. Safe without any header: a writer reads strictly, a replica under
// its lease. The caller, too, is admitted in this view: whatever it asked for, it
// gets none that is not known to be current, unless the node admits u without that.
func (s *Server) view(q *request, sig *sigv4.Signature, u use) (seen, error) {
	ask, token, err := s.ask(q.Header, u)
	if err != nil {
		return seen{}, err
	}
	if own := s.writes.position(sig.AccessKeyID); own > ask.AtLeast {
		ask.AtLeast = own
	}
	if err := s.reach(q, sig, &ask, token); err != nil {
		return seen{}, err
	}
	// The lease is looked at first and the view loaded after that; see
	// propagation.Snapshot.Check.
	fresh := s.cfg.Node.Lease.Fresh()
	v := s.cfg.Projection.View()
	c, err := fresh.Cover(v.Head.Position, ask)
	if err == nil && !c.Current() && !s.cfg.WithoutLease.admits(u) {
		err = propagation.ErrNotLeased
	}
	if err != nil {
		return seen{}, s.notCurrent(err).About(fmt.Sprintf("At position %d", v.Head.Position))
	}
	reads := c.Current() || s.cfg.WithoutLease.admits(forRead)
	return seen{
		view: v, mode: string(c.Freshness), knownHead: c.Head, remaining: c.Remaining,
		staleness: c.Staleness, bounded: c.Bounded, reads: reads,
		// However old the caller takes an answer, its own right may have ended since.
		flagged: c.DenyOnly || !reads,
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

// single are the request headers of which a node reads one value.
var single = [...]string{HeaderConsistency, HeaderAtLeast, HeaderMaxStaleness, headerLastEvent}

// once refuses a request that gives one of those headers, or a parameter of its query,
// more than once: whichever counted, the caller may have meant the other.
func (q *request) once() error {
	for _, name := range single {
		if len(q.Header[name]) > 1 {
			return fault.BadRequest("Give it once.", "The header %s is given %d times.", name, len(q.Header[name]))
		}
	}
	if q.URL.RawQuery == "" {
		return nil
	}
	parameters, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return fault.BadRequest("Write it as ?name=value&name=value, percent-encoded.", "The query string is malformed.")
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if n := len(parameters[name]); n > 1 {
			return fault.BadRequest("Give it once.", "The query parameter %s is given %d times.", quoted(name), n)
		}
	}
	return nil
}

// ask reads what a request for some use says about freshness.
func (s *Server) ask(h http.Header, u use) (ask propagation.Ask, token *event.Token, err error) {
	switch mode := h.Get(HeaderConsistency); mode {
	case "":
		ask.Mode = s.defaultMode()
	case "leased":
		ask.Mode = propagation.ModeLeased
	case "strict":
		ask.Mode = propagation.ModeStrict
	case "any":
		ask.Mode = propagation.ModeAny
	default:
		return ask, nil, fault.BadRequest("Use leased, strict or any.", "%s is %q.", HeaderConsistency, mode)
	}
	if text := h.Get(HeaderMaxStaleness); text != "" {
		if ask.MaxStaleness, err = time.ParseDuration(text); err != nil || ask.MaxStaleness <= 0 {
			return ask, nil, fault.BadRequest("Give a duration such as 500ms.", "%s is %q.", HeaderMaxStaleness, text)
		}
	}
	if text := h.Get(HeaderAtLeast); text != "" {
		t, err := event.ParseToken(text)
		if err != nil {
			return ask, nil, tokenProblem(err)
		}
		token = &t
		if h.Get(HeaderConsistency) == "" {
			ask.Mode = propagation.ModeAtLeast
		}
	}
	// A writer has no lease and knows no bound: it reads strictly instead, and no
	// answer is fresher than that. So it proves that it is current, where it must be, or
	// a token would get no more than a flagged answer.
	if s.cfg.Node.votes() && (ask.Mode == propagation.ModeLeased || ask.MaxStaleness > 0 || !s.cfg.WithoutLease.admits(u) ||
		ask.Mode == propagation.ModeAtLeast && !s.cfg.WithoutLease.admits(forRead)) {
		ask.Mode = propagation.ModeStrict
	}
	if ask.Mode == propagation.ModeStrict {
		ask.MaxStaleness = 0
	}
	return ask, token, nil
}

func (s *Server) defaultMode() propagation.Mode {
	if s.cfg.Node.votes() {
		return propagation.ModeStrict
	}
	return propagation.ModeAny
}

// reach waits until the projection has what is asked for. Whoever makes the node
// ask or wait must have signed by a key that it knows, or takes one of few slots.
func (s *Server) reach(q *request, sig *sigv4.Signature, ask *propagation.Ask, token *event.Token) error {
	strict := ask.Mode == propagation.ModeStrict
	if !strict && token == nil && s.cfg.Projection.Head().Position >= ask.AtLeast {
		return nil
	}
	known, err := s.recognize(q, sig)
	if err != nil {
		return err
	}
	if !known {
		free, err := s.take(&s.places.strangers, q)
		if err != nil {
			return err
		}
		defer free()
	}
	if strict {
		head, err := s.strictHead(q.Context(), known)
		if err != nil {
			return fault.Later("The head of the log could not be read.", err)
		}
		ask.AtLeast = max(ask.AtLeast, head.Position)
	}
	if token != nil {
		ask.AtLeast = max(ask.AtLeast, token.Position)
	} else if s.cfg.Projection.Head().Position >= ask.AtLeast {
		return nil
	}
	free, err := s.take(&s.places.waiting, q)
	if err != nil {
		return err
	}
	defer free()
	ctx, cancel := context.WithTimeout(q.Context(), DefaultWait)
	defer cancel()
	if token != nil {
		if _, err := s.cfg.Projection.WaitToken(ctx, *token); err != nil {
			return tokenProblem(err)
		}
	}
	if _, err := s.cfg.Projection.Wait(ctx, ask.AtLeast); err != nil {
		return fault.Later(fmt.Sprintf("Position %d was not reached in time.", ask.AtLeast), err)
	}
	return nil
}

// committed returns never if a position is beyond the head of the log: then waiting
// for it would be in vain, or for another history's. A node that lags may get there.
func (s *Server) committed(ctx context.Context, in *seen, at event.Position, never *fault.Fault) error {
	if at <= max(in.view.Head.Position, in.knownHead) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	head, err := s.strictHead(ctx, true)
	switch {
	case err != nil:
		return fault.Later(fmt.Sprintf("Position %d is ahead of this node, and the head of the log could not be read.", at), err)
	case at > head.Position:
		return never
	}
	return nil
}

// neverCommitted is what is wrong with a token that is ahead of its own history.
func neverCommitted(t event.Token) *fault.Fault {
	return tokenProblem(fmt.Errorf("%w: position %d was never committed", projection.ErrTokenMismatch, t.Position))
}

// showing waits until the node shows a token's position, and compares the two, unless
// the position was never committed.
func (s *Server) showing(ctx context.Context, c *nativeCall, t event.Token) error {
	if t.Position > c.seen.view.Head.Position {
		if err := s.committed(ctx, &c.seen, t.Position, neverCommitted(t)); err != nil {
			return err
		}
		free, err := s.take(&s.places.waiting, &c.request)
		if err != nil {
			return err
		}
		defer free()
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	if _, err := s.cfg.Projection.WaitToken(ctx, t); err != nil {
		return tokenProblem(err)
	}
	return nil
}

// tokenProblem says what is wrong with a caller's token.
func tokenProblem(err error) *fault.Fault {
	switch {
	case errors.Is(err, event.ErrToken):
		return fault.BadRequest("Pass on the token exactly as an answer's "+HeaderToken+" gave it.", "%v.", err)
	case errors.Is(err, event.ErrWrongCluster), errors.Is(err, event.ErrWrongIncarnation), errors.Is(err, projection.ErrTokenMismatch):
		return fault.New(fault.WrongToken, err.Error()+".", "")
	}
	return fault.New(fault.NotReached, "The position of the token was not reached in time.", "Try again: the node is catching up.")
}
