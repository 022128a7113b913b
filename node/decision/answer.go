package decision

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Evaluate finds the decision of a question in a view, as a part of a job. i is room for the inquiry.
// The error wraps projection.ErrNoPrincipal where there is no such principal.
func Evaluate(i *admission.Inquiry, v *projection.View, q *Question, now time.Time, j *admission.Job) (a Answer, err error) {
	p, err := Pose(i, v, q, now, &j.Work)
	if err != nil {
		return Answer{}, err
	}
	return evaluate(i, p, q, j)
}

// evaluate finds the decision of a question that was posed, about a principal.
func evaluate(i *admission.Inquiry, p *projection.Principal, q *Question, j *admission.Job) (a Answer, err error) {
	r := &i.Request
	a.Decision = p.Evaluate(r).Outcome.String()
	if q.Explain || a.Decision != Allow {
		e := p.Explain(r)
		if !q.trustShown {
			hideTrust(&e)
		}
		a.hangsOn = slices.DeleteFunc(e.HangsOn(), func(key string) bool { return authz.CheckContextKey(key) != nil })
		a.Message, a.elsewhere = e.Message, q.Resource == "*" && allowsElsewhere(&e)
		if q.Explain && j.Err() == nil {
			if a.explanation, err = explained(&e); err != nil {
				return Answer{}, err
			}
		}
	}
	return a, j.Fault()
}

// Pose makes the inquiry of a question in a view, as a part of some work, and finds whom it is about.
// The error wraps projection.ErrNoPrincipal where there is no such principal.
func Pose(i *admission.Inquiry, v *projection.View, q *Question, now time.Time, w *policy.Work) (*projection.Principal, error) {
	p, err := v.PrincipalByARN(q.Principal)
	if err != nil {
		return nil, err
	}
	pose(i, v, p, q, authz.Globals{Time: now}, w)
	return p, nil
}

// pose is Pose about a principal of the view, with what is known of its request.
func pose(i *admission.Inquiry, v *projection.View, p *projection.Principal, q *Question, known authz.Globals, w *policy.Work) {
	*i = admission.Inquiry{
		Request: authz.Request{Principal: &p.Principal, Action: q.Action, Resource: q.Resource, Context: q.Context, Work: w},
		Globals: known,
	}
	if authz.Assumes(q.Action, q.Resource) { // whatever account the role is of
		i.Target = v.TrustOf(q.Resource)
	}
	i.FillGlobals(&i.Globals)
}

// hideTrust leaves of the policy of a resource what the decision says of it.
func hideTrust(e *authz.Explanation) {
	e.Statements = slices.DeleteFunc(e.Statements, func(s authz.StatementResult) bool { return s.Layer == authz.LayerResource })
	for i := range e.Layers {
		if e.Layers[i].Layer == authz.LayerResource {
			e.Layers[i].Policies = 0
		}
	}
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
	if err := admission.CheckAnswer(size); err != nil {
		return nil, err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode an explanation: %w", err)
	}
	return text, nil
}

// Answer is a decision and why it is so.
type Answer struct {
	Decision    string
	Message     string
	explanation []byte // JSON
	// elsewhere tells that a question about "*" is denied although a statement allows
	// the action for some resources.
	elsewhere bool
	// hangsOn are the condition keys that the question lacks and that could change the
	// decision. Of an allow that is not explained they are not looked for.
	hangsOn  []string
	Warnings []string
	problem  []byte // JSON: why there is no decision
}

// Explanation is the JSON of each statement that decided, where the question asked for that.
func (a *Answer) Explanation() json.RawMessage { return a.explanation }

// Decisions as they are told: indeterminate, or in the words of the engine.
const (
	Allow         = "allow"
	Indeterminate = "indeterminate"
	ImplicitDeny  = "implicitDeny"
	ExplicitDeny  = "explicitDeny"
)

// Told is the decision as a caller gets it: an allow from a view that is not known
// to be fresh is not one.
func (a *Answer) Told(flagged bool) string {
	if a.Decision == Allow && flagged {
		return Indeterminate
	}
	return a.Decision
}

// appendAnswer writes an answer: the decision, where and how fresh it holds, and
// why.
func (k *Asker) appendAnswer(b []byte, a Answer) []byte {
	decision := a.Told(k.flagged())
	view := k.Seen.View
	if k.Past != nil {
		view = k.Past
	}
	cluster, head := view.Cluster(), view.Head
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
	b = strconv.AppendUint(b, uint64(max(k.Seen.KnownHead, k.Seen.View.Head.Position)), 10)
	b = append(b, `,"freshness":"`...)
	b = append(b, k.mode()...)
	b = append(b, '"')
	if k.Past != nil {
		b = append(b, `,"at":"`...)
		b = TimeOf(k.Past).AppendFormat(b, time.RFC3339Nano)
		b = append(b, '"')
	}
	if k.Past == nil && k.Seen.Remaining > 0 {
		b = append(b, `,"lease_remaining_ms":`...)
		b = strconv.AppendInt(b, k.Seen.Remaining.Milliseconds(), 10)
	}
	if k.Past == nil && k.Seen.Bounded {
		b = append(b, `,"staleness_bound_ms":`...)
		b = strconv.AppendInt(b, (k.Seen.Staleness + time.Millisecond - 1).Milliseconds(), 10) // up: it is a bound
	}
	b = append(b, `,"node":"`...)
	b = append(b, k.Engine.cfg.Name...)
	b = append(b, `","decision_id":"`...)
	b = append(b, k.Pass.Request.ID...)
	b = append(b, '"')
	if a.Message != "" {
		b = append(b, `,"reason":`...)
		b = appendJSON(b, a.Message)
	}
	if len(a.Warnings) > 0 {
		b = append(b, `,"warnings":`...)
		b = appendJSON(b, a.Warnings)
	}
	if a.explanation != nil {
		b = append(b, `,"explanation":`...)
		b = append(b, a.explanation...)
	}
	if a.problem != nil {
		b = append(b, `,"problem":`...)
		b = append(b, a.problem...)
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
