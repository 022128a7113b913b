package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/effect"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// rememberedFor is identity.KeyLifetime, for people; the latest are remembered longer.
const rememberedFor = "five minutes"

func livesOf(status propagation.Status) (out []shape.PendingLife) {
	for _, l := range status.PendingLives {
		out = append(out, shape.PendingLife{
			Replica: l.Replica, Life: l.Life, Position: l.Acked, MayHoldMS: l.MayHold.Milliseconds(), HeardMS: l.Heard.Milliseconds(),
		})
	}
	return out
}

// getPropagation answers GET /v1/propagation: how far has a position come? It names
// the position by token, by the ARN of what was changed, or as the head. Only the
// leader knows.
type getPropagation struct{ *API }

func (s getPropagation) serve(c *call) error {
	scope, wait, err := propagationQuery(c.Request.Request)
	if err != nil {
		return err
	}
	if !s.cfg.Dispatcher.Leads() {
		return c.HandOn(wait)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(admission.Access{Action: actionGetPropagation, Resource: "*"}); err != nil {
		return err
	}
	at, err := s.position(c)
	if err != nil {
		return err
	}
	free := func() {}
	if wait > 0 && !c.Forwarded { // else the node that handed it on holds a place for it
		if free, err = s.cfg.Desk.Take(admission.Held, &c.Request); err != nil {
			return err
		}
	}
	status, err := s.cfg.Tracker.Everywhere(c.Context(), at, scope, wait)
	free()
	if err != nil {
		return s.propagationError(c, wait, err)
	}
	r := c.Right("", admission.Access{Action: actionGetPropagation, Resource: "*"})
	if err := r.Still(c.Context(), max(status.Roster, status.Floor)); err != nil {
		return err
	}
	body, err := json.Marshal(s.describe(at, status))
	if err != nil {
		return fmt.Errorf("encode the propagation of position %d: %w", at, err)
	}
	return c.answer(body)
}

// propagationError turns an error of Everywhere into an answer: the next leader's,
// or a problem.
func (s *API) propagationError(c *call, hold time.Duration, err error) error {
	var unknown *sigv4.Error
	var told *fault.Fault
	switch {
	case errors.As(err, &unknown), errors.As(err, &told) && told.Code() != fault.Unavailable:
		return err // the caller's right has ended, or the question is at fault
	case errors.Is(err, dispatch.ErrNotLeader):
		return c.HandOn(hold)
	case errors.Is(err, propagation.ErrScope):
		return fault.BadRequest("`writ status` lists the replicas and their regions.", "%v.", err)
	}
	return fault.Later("How far the position has come could not be found out.", err)
}

// describe makes the answer about a position.
func (s *API) describe(at event.Position, status propagation.Status) shape.Propagation {
	v := s.cfg.Projection.View()
	cluster := v.Cluster()
	a := shape.Propagation{
		Cluster: cluster.ID, Incarnation: cluster.Incarnation, Position: at, State: string(status.State),
		VisibleOn: list(status.VisibleOn), Fenced: list(status.Fenced), Pending: list(status.Pending), PendingLives: livesOf(status),
		Roster: status.Roster, Floor: status.Floor,
	}
	if status.Bounded {
		ms := (status.WorstCase + time.Millisecond - 1).Milliseconds()
		a.WorstCaseMS = &ms
	}
	if at > 0 && at <= v.Head.Position {
		// Without it where the log no longer goes back so far.
		if found, err := s.cfg.History.Changes(at, 1); err == nil && len(found) == 1 {
			a.Token = event.TokenOf(cluster.ID, cluster.Incarnation, found[0].Head).String()
		}
	}
	return a
}

// list is never nil, so that JSON shows [].
func list(names []string) []string { return append([]string{}, names...) }

// position finds out which position a request is about.
func (s *API) position(c *call) (event.Position, error) {
	const hint = "Give a token in the path, or ?request_id=ID, or ?arn=ARN, or ?head."
	v := c.Seen.View
	q := c.URL.Query()
	token := c.PathValue("token")
	if token == "" {
		token = q.Get("token")
	}
	switch {
	case token != "":
		t, err := event.ParseToken(token)
		if err != nil {
			return 0, freshness.TokenFault(err)
		}
		cluster := v.Cluster()
		if err := t.Check(cluster.ID, cluster.Incarnation); err != nil {
			return 0, s.cfg.Views.TokenFault(err)
		}
		if err := s.cfg.Views.Showing(c.Context(), &c.Request, &c.Seen, t); err != nil {
			return 0, err
		}
		return t.Position, nil
	case q.Has("request_id"):
		key, ok := identity.ParseKey(q.Get("request_id"))
		if !ok {
			return 0, fault.BadRequest("Pass on the x-amzn-RequestId of a write's answer exactly as it came.", "request_id is %q.", fault.Quote(q.Get("request_id")))
		}
		at, ok := v.State.Attempt(key)
		if !ok {
			return 0, fault.New(fault.NoSuchRequest, "No change was made by request "+key.String()+", as far as is remembered.",
				"Reads and refused requests change nothing, and the ids of writes are remembered for "+rememberedFor+": use the write's token, an ARN, or the head.")
		}
		return at, nil
	case q.Has("arn"):
		at, ok := changed(v, c.Caller.Account, q.Get("arn"))
		if !ok {
			return 0, fault.New(fault.NoSuchEntity, "There is no "+q.Get("arn")+" at position "+strconv.FormatUint(uint64(v.Head.Position), 10)+".",
				"To wait for a deletion, use the token of the deletion's answer, or the head.")
		}
		return at, nil
	case q.Has("head"):
		return v.Head.Position, nil
	}
	return 0, fault.BadRequest(hint, "The request names no position.")
}

// changed is the position of the latest change to an entity and to what its
// permissions depend on. Of another account's entities nobody is told anything.
func changed(v *projection.View, caller identity.AccountID, arn string) (event.Position, bool) {
	if p, err := v.PrincipalByARN(arn); err == nil {
		return v.State.PermissionsChanged(identity.ID(p.ID)), p.Account == string(caller)
	}
	if p, ok := v.State.Policy(arn); ok {
		return p.Changed, p.Account == caller || p.Account == identity.AWSAccount
	}
	rest, ok := strings.CutPrefix(arn, v.State.Partition().IAM())
	account, path, ok2 := strings.Cut(rest, ":group/")
	if !ok || !ok2 || account != string(caller) {
		return 0, false
	}
	g, ok := v.State.Group(caller, path[strings.LastIndexByte(path, '/')+1:])
	if !ok || g.ARN() != arn {
		return 0, false
	}
	at := g.Changed
	for _, id := range g.Attached {
		if p, ok := v.State.PolicyByID(id); ok {
			at = max(at, p.Changed)
		}
	}
	return at, true
}

// propagationQuery reads whom a request is about and how long it waits.
func propagationQuery(r *http.Request) (scope propagation.Scope, wait time.Duration, err error) {
	q := r.URL.Query()
	if names := q.Get("replicas"); names != "" {
		scope.Replicas = strings.Split(names, ",")
	}
	scope.Region = q.Get("region")
	if text := q.Get("count"); text != "" {
		if scope.Count, err = effect.ParseCount(text); err != nil {
			return scope, 0, err
		}
	}
	switch q.Get("wait") {
	case "":
		return scope, 0, nil
	case string(propagation.StateEverywhere):
		wait, err = freshness.ParseTimeout(q.Get("timeout"))
		return scope, wait, err
	}
	return scope, 0, fault.BadRequest("Use wait=everywhere, or leave it out.", "wait is %q.", q.Get("wait"))
}
