package api

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/replication/propagation"
)

// Limits of a question.
const (
	// MaxBatch is how many questions one request may ask.
	MaxBatch = 1000
	// maxContextKeys and maxContextValues bound the context of one question.
	maxContextKeys   = 256
	maxContextValues = 1000
	// answerSize is about what an answer takes, in bytes.
	answerSize = 512
)

const questionHint = `Send {"principal": ARN, "action": "service:Action", "resource": ARN, "context": {"prefix:key": "value" or ["value", ...]}}.`

// inquiry is a question to the engine, with its global condition keys.
type inquiry struct {
	authz.Request
	globals authz.Globals
}

// authorize answers POST /v1/authorize: may this principal do this?
func (s *Server) authorize(c *nativeCall) error {
	if err := s.verify(c, c.useOfQuestion()); err != nil {
		return err
	}
	var q question
	if err := decode(c.body, questionHint, func(r *reader) error { return r.question(&q) }); err != nil {
		return err
	}
	body, err := s.decide(c, make([]byte, 0, answerSize), &q)
	if err != nil {
		return err
	}
	return s.answer(c, body)
}

// authorizeBatch answers POST /v1/authorize/batch: many questions, one position.
func (s *Server) authorizeBatch(c *nativeCall) error {
	const hint = `Send {"questions": [...]}, each as for /v1/authorize.`
	if err := s.verify(c, c.useOfQuestion()); err != nil {
		return err
	}
	var questions []question
	if err := decode(c.body, hint, func(r *reader) (err error) { questions, err = r.batch(); return err }); err != nil {
		return err
	}
	if len(questions) == 0 {
		return fault.BadRequest(hint, "The batch has no questions.")
	}
	body := append(make([]byte, 0, answerSize*len(questions)), `{"answers":[`...)
	for i := range questions {
		if i > 0 {
			body = append(body, ',')
		}
		var err error
		if body, err = s.decide(c, body, &questions[i]); err != nil {
			return ofBatch(err, i)
		}
	}
	return s.answer(c, append(body, "]}"...))
}

// useOfQuestion is what a question wants of a view, as far as its text shows. An
// explanation shows policies, so that it is a read.
func (c *nativeCall) useOfQuestion() use {
	if bytes.Contains(c.body, []byte("explain")) {
		return forRead
	}
	return forQuestion
}

// ofBatch says which question of a batch a problem is about, counted from 1.
func ofBatch(err error, i int) error {
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code() == fault.Unavailable || f.Code() == fault.Denied {
		return err
	}
	return f.About("Question " + strconv.Itoa(i+1))
}

// decide appends the answer to one question.
func (s *Server) decide(c *nativeCall, b []byte, q *question) ([]byte, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if q.explain && !c.seen.reads {
		return nil, s.notCurrent(propagation.ErrNotLeased)
	}
	if q.principal != c.about { // the questions of a batch are often about one
		if err := s.mayAsk(&c.own, &c.job, &c.request, c.sig, c.principal, c.seen.view, q.principal); err != nil {
			return nil, err
		}
		c.about = q.principal
	}
	a, err := c.asked.answer(c.seen.view, q, c.now, &c.job)
	if errors.Is(err, projection.ErrNoPrincipal) {
		return nil, s.noSuchPrincipal(c, c.seen.view, q.principal)
	}
	if err != nil {
		return nil, err
	}
	a.doubt(s.known, q, c.seen.reads)
	b = s.appendAnswer(b, c, a)
	return b, checkAnswer(len(b))
}

// mayAsk finds out as permit does whether the caller may ask about a principal in a
// view: has the permission for it and, if it is a session, for the role whose policies
// decide.
func (s *Server) mayAsk(i *inquiry, j *job, q *request, sig *sigv4.Signature, caller *projection.Principal, v *projection.View, principal string) error {
	if err := s.permit(i, j, q, sig, caller, iam.Access{Action: actionAuthorize, Resource: principal}); err != nil {
		return err
	}
	if role := v.Issuer(principal); role != "" {
		return s.permit(i, j, q, sig, caller, iam.Access{Action: actionAuthorize, Resource: role, Named: principal})
	}
	return nil
}

// answer decides a question in a view, as a part of a job. i is room for the inquiry.
// The error wraps projection.ErrNoPrincipal where there is no such principal.
func (i *inquiry) answer(v *projection.View, q *question, now time.Time, j *job) (a answer, err error) {
	p, err := v.PrincipalByARN(q.principal)
	if err != nil {
		return answer{}, err
	}
	*i = inquiry{
		Request: authz.Request{Principal: &p.Principal, Action: q.action, Resource: q.resource, Context: q.context, Work: &j.Work},
		globals: authz.Globals{Time: now},
	}
	r := &i.Request
	r.FillGlobals(&i.globals)
	a.decision = p.Decide(r).Outcome.String()
	if q.explain || a.decision != decisionAllow {
		e := p.Explain(r)
		a.hangsOn = slices.DeleteFunc(e.HangsOn(), func(key string) bool { return authz.CheckContextKey(key) != nil })
		a.message, a.elsewhere = e.Message, q.resource == "*" && allowsElsewhere(&e)
		if q.explain && j.Err() == nil {
			if a.explanation, err = explained(&e); err != nil {
				return answer{}, err
			}
		}
	}
	return a, j.problem()
}

// explained is the JSON of an explanation.
func explained(e *authz.Explanation) ([]byte, error) {
	size := 0
	for i := range e.Statements {
		size += answerSize
		for _, c := range e.Statements[i].Conditions {
			for _, value := range c.Values {
				size += len(value)
			}
		}
	}
	if err := checkAnswer(size); err != nil {
		return nil, err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode an explanation: %w", err)
	}
	return text, nil
}

// answer is what decides a question.
type answer struct {
	decision    string
	message     string
	explanation []byte // JSON
	// elsewhere tells that a question about "*" is denied although a statement allows
	// the action for some resources.
	elsewhere bool
	// hangsOn are the condition keys that the question lacks and that could change the
	// decision. Of an allow that is not explained they are not looked for.
	hangsOn  []string
	warnings []string
}

// Decisions as they are told: indeterminate, or in the words of the engine.
const (
	decisionAllow         = "allow"
	decisionIndeterminate = "indeterminate"
	decisionImplicitDeny  = "implicitDeny"
	decisionExplicitDeny  = "explicitDeny"
)

// told is the decision as a caller gets it: an allow from a view that is not known
// to be fresh is not one.
func (a *answer) told(flagged bool) string {
	if a.decision == decisionAllow && flagged {
		return decisionIndeterminate
	}
	return a.decision
}

// appendAnswer writes an answer: the decision, where and how fresh it holds, and
// why.
func (s *Server) appendAnswer(b []byte, c *nativeCall, a answer) []byte {
	decision := a.told(c.seen.flagged)
	s.cfg.Metrics.decided(decision, c.seen.mode)
	cluster := c.seen.view.Cluster()
	head := c.seen.view.Head
	b = append(b, `{"decision":"`...)
	b = append(b, decision...)
	b = append(b, `","cluster":"`...)
	b = append(b, cluster.ID...)
	b = append(b, `","incarnation":"`...)
	b = append(b, cluster.Incarnation...)
	b = append(b, `","position":`...)
	b = strconv.AppendUint(b, uint64(head.Position), 10)
	b = append(b, `,"hash":"`...)
	b = hex.AppendEncode(b, head.Hash[:8])
	b = append(b, `","known_head":`...)
	b = strconv.AppendUint(b, uint64(max(c.seen.knownHead, head.Position)), 10)
	b = append(b, `,"freshness":"`...)
	b = append(b, c.seen.mode...)
	b = append(b, '"')
	if c.seen.remaining > 0 {
		b = append(b, `,"lease_remaining_ms":`...)
		b = strconv.AppendInt(b, c.seen.remaining.Milliseconds(), 10)
	}
	if c.seen.bounded {
		b = append(b, `,"staleness_bound_ms":`...)
		b = strconv.AppendInt(b, (c.seen.staleness + time.Millisecond - 1).Milliseconds(), 10) // up: it is a bound
	}
	b = append(b, `,"node":"`...)
	b = append(b, s.cfg.Node.Name...)
	b = append(b, `","decision_id":"`...)
	b = append(b, c.id...)
	b = append(b, '"')
	if a.message != "" {
		b = append(b, `,"reason":`...)
		b = appendJSON(b, a.message)
	}
	if len(a.warnings) > 0 {
		b = append(b, `,"warnings":`...)
		b = appendJSON(b, a.warnings)
	}
	if a.explanation != nil {
		b = append(b, `,"explanation":`...)
		b = append(b, a.explanation...)
	}
	return append(b, '}')
}

// appendJSON appends a string or a list of them.
func appendJSON[T string | []string](b []byte, v T) []byte {
	text, err := json.Marshal(v)
	if err != nil { // strings always marshal
		panic(err)
	}
	return append(b, text...)
}
