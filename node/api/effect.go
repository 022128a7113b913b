package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// maxEffectBody bounds the body of a request, in bytes: it goes on to replicas.
const maxEffectBody = 24 << 10

const effectHint = `Send {"principal": ARN, "action": "service:Action", "resource": ARN, "context": {...}, "expect": "allow" or "deny", "timeout": "30s"}, ` +
	`and "replicas": [NAME, ...], "region": NAME or "count": N to narrow it down.`

// Effects of a change, as they are told.
const (
	effectPresent = "present" // decided as expected by the leader and everywhere in the scope
	effectAbsent  = "absent"  // the leader itself decides otherwise
	effectPending = "pending" // decided as expected by the leader, not yet everywhere
)

// effectAsk is what a request waits for.
type effectAsk struct {
	question
	allow   bool // what is expected
	scope   propagation.Scope
	timeout time.Duration
	atLeast *event.Token
}

// effectAnswer is the body of an answer: a propagation's, of the position at which
// the leader decided last, and who decided what.
type effectAnswer struct {
	propagationAnswer
	Expect   string          `json:"expect"`
	Effect   string          `json:"effect"`
	Decision string          `json:"decision"` // the leader's own
	Reason   string          `json:"reason,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Replicas []effectReplica `json:"replicas"`
}

// effectReplica is what a replica decided, or, without a decision, why not.
type effectReplica struct {
	Name string `json:"name"`
	Decided
}

// effect answers POST /v1/propagation/effect: it waits until a question is decided
// as expected by the leader at the head of the log, and by every replica in the
// scope that may answer as fresh, from there or later.
func (s *Server) effect(c *nativeCall) error {
	ask, err := parseEffect(c.body)
	if err != nil {
		return err
	}
	if !s.cfg.Node.leads() {
		return s.toLeader(c, ask.timeout)
	}
	if err := s.verify(c, forRead); err != nil {
		return err
	}
	right := right{s, &c.request, c.sig, []iam.Access{{Action: actionGetPropagation, Resource: "*"}}, ask.principal}
	if err := right.in(c.seen.view); err != nil {
		return err
	}
	free, err := s.take(&s.places.effects, &c.request)
	if err != nil {
		return err
	}
	defer free()
	if ask.atLeast != nil {
		ctx, cancel := context.WithTimeout(c.Context(), ask.timeout)
		defer cancel()
		if err := s.showing(ctx, c, *ask.atLeast); err != nil {
			return err
		}
	}
	e := &effectWait{s: s, ask: ask, who: c.principal.ID, body: ask.body(), right: right}
	effect, err := e.run(c.Context())
	if errors.Is(err, projection.ErrNoPrincipal) {
		return s.noSuchPrincipal(c, e.view, ask.principal)
	}
	if err != nil {
		return s.propagationError(c, ask.timeout, err)
	}
	if err := e.right.still(c.Context(), e.latest()); err != nil {
		return err
	}
	c.seen.view = e.view
	e.own.doubt(s.known, &ask.question, true)
	body, err := json.Marshal(effectAnswer{
		propagationAnswer: s.describe(e.view.Head.Position, e.status), Expect: word(ask.allow), Effect: effect,
		Decision: e.own.decision, Reason: e.own.message, Warnings: e.own.warnings, Replicas: e.replicas,
	})
	if err != nil {
		return fmt.Errorf("encode the effect at position %d: %w", e.view.Head.Position, err)
	}
	return s.answer(c, body)
}

// Words for what is expected of a decision.
const (
	expectAllow = "allow"
	expectDeny  = "deny"
)

func word(allow bool) string {
	if allow {
		return expectAllow
	}
	return expectDeny
}

// body is the question as replicas are asked it.
func (a *effectAsk) body() []byte {
	given := a.given
	if given == "" {
		given = "{}"
	}
	b := append(make([]byte, 0, answerSize), `{"principal":`...)
	b = append(appendJSON(b, a.principal), `,"action":`...)
	b = append(appendJSON(b, a.action), `,"resource":`...)
	b = append(appendJSON(b, a.resource), `,"context":`...)
	return append(append(b, given...), '}')
}

// parseEffect reads what a request waits for.
func parseEffect(body []byte) (a effectAsk, err error) {
	if len(body) > maxEffectBody {
		return a, fault.New(fault.QuestionTooLarge, fmt.Sprintf("The question is longer than %d bytes.", maxEffectBody), "")
	}
	var more effectMembers
	if err := decode(body, effectHint, func(r *reader) error {
		return r.questionAnd(&a.question, func(name string) (int, error) { return r.effectMember(&more, name) })
	}); err != nil {
		return a, err
	}
	if a.allow = more.expect == expectAllow; !a.allow && more.expect != expectDeny {
		return a, fault.BadRequest(effectHint, "expect is %s.", quoted(more.expect))
	}
	if a.explain {
		return a, fault.BadRequest("Ask POST /v1/authorize to explain a decision.", "An effect is not explained.")
	}
	if a.timeout, err = parseTimeout(more.timeout); err != nil {
		return a, err
	}
	a.scope = propagation.Scope{Replicas: more.replicas, Region: more.region}
	if more.count != "" {
		if a.scope.Count, err = parseCount(more.count); err != nil {
			return a, err
		}
	}
	if more.atLeast != "" {
		t, err := event.ParseToken(more.atLeast)
		if err != nil {
			return a, tokenProblem(err)
		}
		a.atLeast = &t
	}
	return a, a.check()
}

// effectMembers are what a request has besides the question.
type effectMembers struct {
	expect, region, count, timeout, atLeast string
	replicas                                []string
}

// effectMember reads one of them, for questionAnd.
func (r *reader) effectMember(m *effectMembers, name string) (bit int, err error) {
	switch name {
	case "expect":
		m.expect, err = r.string()
		return hasExtra, err
	case "region":
		m.region, err = r.string()
		return hasExtra << 1, err
	case "count":
		m.count = r.digits()
		return hasExtra << 2, nil
	case "timeout":
		m.timeout, err = r.string()
		return hasExtra << 3, err
	case "at_least":
		m.atLeast, err = r.string()
		return hasExtra << 4, err
	case "replicas":
		return hasExtra << 5, r.array(func() error {
			name, err := r.string()
			m.replicas = append(m.replicas, name)
			return err
		})
	}
	return 0, nil
}
