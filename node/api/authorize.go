package api

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Limits of a question.
const (
	// MaxBatch is how many questions one request may ask.
	MaxBatch = 1000
	// maxContextKeys and maxContextValues bound the context of one question.
	maxContextKeys   = 256
	maxContextValues = 1000
	maxARN           = 2048
)

// question is the body of POST /v1/authorize.
type question struct {
	Principal string            `json:"principal"`
	Action    string            `json:"action"`
	Resource  string            `json:"resource"`
	Context   map[string]values `json:"context"`
	// Explain asks for the statements that decided.
	Explain bool `json:"explain"`
}

// values are the values of a condition key: a text, or a list for a key that is
// multivalued by its type.
type values struct {
	list []string
	many bool
}

// UnmarshalJSON takes "text" or ["text", ...].
func (v *values) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		v.many = true
		return json.Unmarshal(b, &v.list)
	}
	v.list = make([]string, 1)
	return json.Unmarshal(b, &v.list[0])
}

const questionHint = `Send {"principal": ARN, "action": "service:Action", "resource": ARN, "context": {"key": "value" or ["value", ...]}}.`

// authorize answers POST /v1/authorize: may this principal do this?
func (s *Server) authorize(c *nativeCall) error {
	if err := s.verify(c); err != nil {
		return err
	}
	var q question
	if err := decodeJSON(c.body, &q, questionHint); err != nil {
		return err
	}
	body, err := s.decide(c, nil, &q)
	if err != nil {
		return err
	}
	return c.answer(body)
}

// authorizeBatch answers POST /v1/authorize/batch: many questions, one position.
func (s *Server) authorizeBatch(c *nativeCall) error {
	const hint = `Send {"questions": [...]}, each as for /v1/authorize.`
	if err := s.verify(c); err != nil {
		return err
	}
	var batch struct {
		Questions []question `json:"questions"`
	}
	if err := decodeJSON(c.body, &batch, hint); err != nil {
		return err
	}
	if len(batch.Questions) == 0 || len(batch.Questions) > MaxBatch {
		return badRequest(hint, "A batch has 1 to %d questions, not %d.", MaxBatch, len(batch.Questions))
	}
	body := []byte(`{"answers":[`)
	for i := range batch.Questions {
		if i > 0 {
			body = append(body, ',')
		}
		var err error
		if body, err = s.decide(c, body, &batch.Questions[i]); err != nil {
			return err
		}
	}
	return c.answer(append(body, "]}"...))
}

// decodeJSON reads a body that is one JSON object without unknown members.
func decodeJSON(body []byte, into any, hint string) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badRequest(hint, "The body is not the JSON that is expected: %v.", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest(hint, "The body goes on after its JSON object.")
	}
	return nil
}

func (q *question) check() error {
	switch {
	case q.Principal == "" || q.Action == "":
		return badRequest(questionHint, "The question names no principal or no action.")
	case len(q.Principal) > maxARN || len(q.Resource) > maxARN || len(q.Action) > maxARN:
		return badRequest(questionHint, "A name in the question is longer than %d characters.", maxARN)
	case len(q.Context) > maxContextKeys:
		return badRequest(questionHint, "The context has more than %d keys.", maxContextKeys)
	}
	for _, v := range q.Context {
		if len(v.list) > maxContextValues {
			return badRequest(questionHint, "A key of the context has more than %d values.", maxContextValues)
		}
	}
	if q.Resource == "" {
		q.Resource = "*"
	}
	return nil
}

// decide appends the answer to one question.
func (s *Server) decide(c *nativeCall, b []byte, q *question) ([]byte, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := s.may(c, actionAuthorize, q.Principal); err != nil {
		return nil, err
	}
	p, err := c.seen.view.PrincipalByARN(q.Principal)
	if errors.Is(err, projection.ErrNoPrincipal) {
		return s.appendAnswer(b, c, answer{decision: "implicitDeny", message: "The principal " + q.Principal + " does not exist at this position."}), nil
	}
	if err != nil {
		return nil, err
	}
	r := authz.Request{Principal: &p.Principal, Action: q.Action, Resource: q.Resource}
	if len(q.Context) > 0 {
		r.Context = make([]policy.Entry, 0, len(q.Context))
		for name, v := range q.Context {
			e := policy.Entry{Key: policy.NewKey(name), Values: v.list, Multivalued: v.many}
			if !v.many {
				e.Value, e.Values = v.list[0], nil
			}
			r.Context = append(r.Context, e)
		}
	}
	globals := authz.Globals{Time: c.now}
	r.FillGlobals(&globals)
	a := answer{decision: p.Decide(&r).Outcome.String()}
	if q.Explain || a.decision != "allow" {
		e := p.Explain(&r)
		a.message = e.Message
		if q.Explain {
			if a.explanation, err = json.Marshal(e); err != nil {
				return nil, err
			}
		}
	}
	return s.appendAnswer(b, c, a), nil
}

// answer is what decides a question.
type answer struct {
	decision    string
	message     string
	explanation []byte // JSON
}

// appendAnswer writes an answer: the decision, where and how fresh it holds, and
// why. An allow that is not known to be fresh is told as indeterminate.
func (s *Server) appendAnswer(b []byte, c *nativeCall, a answer) []byte {
	decision := a.decision
	if decision == "allow" && c.seen.flagged {
		decision = "indeterminate"
	}
	s.cfg.Metrics.decisions.WithLabelValues(decision, c.seen.mode).Inc()
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
		b = strconv.AppendInt(b, c.seen.staleness.Milliseconds(), 10)
	}
	b = append(b, `,"node":"`...)
	b = append(b, s.cfg.Node.Name...)
	b = append(b, `","decision_id":"`...)
	b = append(b, c.id...)
	b = append(b, '"')
	if a.message != "" {
		b = append(b, `,"reason":`...)
		b = appendJSONString(b, a.message)
	}
	if a.explanation != nil {
		b = append(b, `,"explanation":`...)
		b = append(b, a.explanation...)
	}
	return append(b, '}')
}

// appendJSONString appends s quoted.
func appendJSONString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // strings always marshal
		panic(err)
	}
	return append(b, text...)
}
