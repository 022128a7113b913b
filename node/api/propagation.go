package api

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
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// defaultTimeout is how long wait=everywhere waits when the caller does not say.
const defaultTimeout = 30 * time.Second

// rememberedFor is identity.KeyLifetime, for people; the latest are remembered longer.
const rememberedFor = "five minutes"

// propagationAnswer is the body of an answer about a position.
type propagationAnswer struct {
	Cluster     string            `json:"cluster"`
	Incarnation string            `json:"incarnation"`
	Position    event.Position    `json:"position"`
	Token       string            `json:"token,omitempty"`
	State       propagation.State `json:"state"`
	VisibleOn   []string          `json:"visible_on"`
	Fenced      []string          `json:"fenced"`
	Pending     []string          `json:"pending"`
	// PendingLives are the processes that replicas in Pending are pending for, where one
	// has several.
	PendingLives []pendingLife `json:"pending_lives,omitempty"`
	// WorstCaseMS is how long it takes at most until nobody is pending; null when
	// there is no bound.
	WorstCaseMS *int64         `json:"worst_case_ms"`
	Roster      event.Position `json:"roster_position"`
	Floor       event.Position `json:"floor"`
}

// pendingLife is one process of a replica that has several.
type pendingLife struct {
	Replica   string         `json:"replica"`
	Life      string         `json:"life"`
	Position  event.Position `json:"position"`
	MayHoldMS int64          `json:"may_hold_lease_ms"`
	HeardMS   int64          `json:"heard_ms_ago"`
}

func livesOf(status propagation.Status) (out []pendingLife) {
	for _, l := range status.PendingLives {
		out = append(out, pendingLife{l.Replica, l.Life, l.Acked, l.MayHold.Milliseconds(), l.Heard.Milliseconds()})
	}
	return out
}

// propagation answers GET /v1/propagation: how far has a position come? It names
// the position by token, by the ARN of what was changed, or as the head. Only the
// leader knows.
func (s *Server) propagation(c *nativeCall) error {
	scope, wait, err := propagationQuery(c.Request)
	if err != nil {
		return err
	}
	if !s.cfg.Node.leads() {
		return s.toLeader(c, wait)
	}
	if err := s.verify(c, forRead); err != nil {
		return err
	}
	if err := s.may(c, actionGetPropagation, "*"); err != nil {
		return err
	}
	at, err := s.position(c)
	if err != nil {
		return err
	}
	free := func() {}
	if wait > 0 && !c.forwarded { // else the node that handed it on holds a place for it
		if free, err = s.take(&s.places.held, &c.request); err != nil {
			return err
		}
	}
	status, err := s.cfg.Node.Tracker.Everywhere(c.Context(), at, scope, wait)
	free()
	if err != nil {
		return s.propagationError(c, wait, err)
	}
	r := right{s, &c.request, c.sig, []iam.Access{{Action: actionGetPropagation, Resource: "*"}}, ""}
	if err := r.still(c.Context(), max(status.Roster, status.Floor)); err != nil {
		return err
	}
	body, err := json.Marshal(s.describe(at, status))
	if err != nil {
		return fmt.Errorf("encode the propagation of position %d: %w", at, err)
	}
	return s.answer(c, body)
}

// propagationError turns an error of Everywhere into an answer: the next leader's,
// or a problem.
func (s *Server) propagationError(c *nativeCall, hold time.Duration, err error) error {
	var unknown *sigv4.Error
	var told *fault.Fault
	switch {
	case errors.As(err, &unknown), errors.As(err, &told) && told.Code() != fault.Unavailable:
		return err // the caller's right has ended, or the question is at fault
	case errors.Is(err, ErrNotLeader):
		return s.toLeader(c, hold)
	case errors.Is(err, propagation.ErrScope):
		return fault.BadRequest("`writ status` lists the replicas and their regions.", "%v.", err)
	}
	return fault.Later("How far the position has come could not be found out.", err)
}

// describe makes the answer about a position.
func (s *Server) describe(at event.Position, status propagation.Status) propagationAnswer {
	v := s.cfg.Projection.View()
	cluster := v.Cluster()
	a := propagationAnswer{
		Cluster: cluster.ID, Incarnation: cluster.Incarnation, Position: at, State: status.State,
		VisibleOn: list(status.VisibleOn), Fenced: list(status.Fenced), Pending: list(status.Pending), PendingLives: livesOf(status),
		Roster: status.Roster, Floor: status.Floor,
	}
	if status.Bounded {
		ms := (status.WorstCase + time.Millisecond - 1).Milliseconds()
		a.WorstCaseMS = &ms
	}
	if at > 0 && at <= v.Head.Position {
		// Without it where the log no longer goes back so far.
		if found, err := s.cfg.Node.History.Changes(at, 1); err == nil && len(found) == 1 {
			a.Token = event.TokenOf(cluster.ID, cluster.Incarnation, found[0].Head).String()
		}
	}
	return a
}

// list is never nil, so that JSON shows [].
func list(names []string) []string { return append([]string{}, names...) }

// toLeader hands a native request on, which the leader may hold back for a while.
func (s *Server) toLeader(c *nativeCall, hold time.Duration) error {
	if c.forwarded {
		return fault.New(fault.NotLeader, "", "")
	}
	free, err := s.handing(&c.request, c.sig, hold > 0)
	if err != nil {
		return err
	}
	defer free()
	f := c.forward()
	f.Hold = hold
	if err := s.cfg.Node.Leader.Forward(&c.w, c.Request, f); err != nil {
		return fault.Later("No node that leads was reached.", err)
	}
	return nil
}

// position finds out which position a request is about.
func (s *Server) position(c *nativeCall) (event.Position, error) {
	const hint = "Give a token in the path, or ?request_id=ID, or ?arn=ARN, or ?head."
	v := c.seen.view
	q := c.URL.Query()
	token := c.PathValue("token")
	if token == "" {
		token = q.Get("token")
	}
	switch {
	case token != "":
		t, err := event.ParseToken(token)
		if err != nil {
			return 0, tokenProblem(err)
		}
		cluster := v.Cluster()
		if err := t.Check(cluster.ID, cluster.Incarnation); err != nil {
			return 0, tokenProblem(err)
		}
		if err := s.showing(c.Context(), c, t); err != nil {
			return 0, err
		}
		return t.Position, nil
	case q.Has("request_id"):
		key, ok := identity.ParseKey(q.Get("request_id"))
		if !ok {
			return 0, fault.BadRequest("Pass on the x-amzn-RequestId of a write's answer exactly as it came.", "request_id is %q.", quoted(q.Get("request_id")))
		}
		at, ok := v.State.Attempt(key)
		if !ok {
			return 0, fault.New(fault.NoSuchRequest, "No change was made by request "+key.String()+", as far as is remembered.",
				"Reads and refused requests change nothing, and the ids of writes are remembered for "+rememberedFor+": use the write's token, ?arn=ARN, or ?head.")
		}
		return at, nil
	case q.Has("arn"):
		at, ok := changed(v, q.Get("arn"))
		if !ok {
			return 0, fault.New(fault.NoSuchEntity, "There is no "+q.Get("arn")+" at position "+strconv.FormatUint(uint64(v.Head.Position), 10)+".",
				"To wait for a deletion, use the token of the deletion's answer, or ?head.")
		}
		return at, nil
	case q.Has("head"):
		return v.Head.Position, nil
	}
	return 0, fault.BadRequest(hint, "The request names no position.")
}

// changed is the position of the latest change to an entity and to what its
// permissions depend on.
func changed(v *projection.View, arn string) (event.Position, bool) {
	if p, err := v.PrincipalByARN(arn); err == nil {
		return v.State.PermissionsChanged(identity.ID(p.ID)), true
	}
	if p, ok := v.State.Policy(arn); ok {
		return p.Changed, true
	}
	rest, ok := strings.CutPrefix(arn, "arn:aws:iam::")
	account, path, ok2 := strings.Cut(rest, ":group/")
	if !ok || !ok2 {
		return 0, false
	}
	g, ok := v.State.Group(identity.AccountID(account), path[strings.LastIndexByte(path, '/')+1:])
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
		if scope.Count, err = parseCount(text); err != nil {
			return scope, 0, err
		}
	}
	switch q.Get("wait") {
	case "":
		return scope, 0, nil
	case string(propagation.StateEverywhere):
		wait, err = parseTimeout(q.Get("timeout"))
		return scope, wait, err
	}
	return scope, 0, fault.BadRequest("Use wait=everywhere, or leave it out.", "wait is %q.", q.Get("wait"))
}

// parseCount reads a number of replicas.
func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fault.BadRequest("Give a number of replicas, at least 1.", "count is %s.", quoted(text))
	}
	return n, nil
}

// parseTimeout reads how long a request waits at most.
func parseTimeout(text string) (time.Duration, error) {
	if text == "" {
		return defaultTimeout, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > MaxWait {
		return 0, fault.BadRequest("Give a duration up to "+MaxWait.String()+", such as 30s.", "timeout is %s.", quoted(text))
	}
	return wait, nil
}
