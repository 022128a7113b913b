package past

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
)

// Limits of one page of a search. Where one is met, the page says where the next begins.
const (
	// MaxSpan is how many positions are looked through.
	MaxSpan = 200_000
	// MaxChanges is how many changes of the decision are told.
	MaxChanges = 50
	// maxDecided is how many decisions are made.
	maxDecided = 1000
	// maxPage is about how many bytes the explanations take.
	maxPage = 1 << 20
)

// NoPrincipal is the decision where there is no principal, or none any more.
const NoPrincipal = "noSuchPrincipal"

// Range is what a search looks through: the changes behind From up to To.
type Range struct{ From, To When }

// Search is a search for the changes that turned a decision, of a caller who may ask for it.
type Search struct {
	Question decision.Question
	Range    Range
	Pass     *admission.Pass
	Who      string
	// May is asked in the views that the search begins and ends with, before anything is told.
	May func(*projection.View) error

	history *History
	views   *projection.Projection // shows the state as it is folded, to the search alone
	room    admission.Inquiry
	clock   time.Time
	decided int
	size    int
}

// Search looks through the changes between two positions for those that turned a decision. Each
// change that could is looked at, in order, so none that was turned back later is missed. The
// clock stands still at the end of the range: what time alone turned is no change. Errors are as of
// View, or those of the question.
func (h *History) Search(ctx context.Context, s *Search) (*shape.DecisionChanges, error) {
	s.history = h
	from, err := h.Find(s.Range.From)
	if err != nil {
		return nil, err
	}
	to, err := h.Find(s.Range.To)
	if err != nil {
		return nil, err
	}
	if from > to {
		return nil, fault.BadRequest(Hint, "The search would begin at position %d, behind its end at %d.", from, to)
	}
	end, err := h.header(to)
	if err != nil {
		return nil, h.told(to, err)
	}
	s.clock = time.UnixMilli(int64(end.Cause.Time)).UTC()
	leave, err := h.enter(ctx, &s.Pass.Job, s.Who)
	if err != nil {
		return nil, err
	}
	defer leave()
	m, err := h.begin(ctx, from)
	if err != nil {
		return nil, h.told(from, err)
	}
	a, err := s.through(ctx, m, to)
	if err != nil {
		return nil, h.told(from, err)
	}
	return a, nil
}

// begin makes the view that a search begins with. The caller has the place.
func (h *History) begin(ctx context.Context, from event.Position) (*made, error) {
	h.mu.Lock()
	h.expire()
	i := slices.IndexFunc(h.views, func(m *made) bool { return m.view.Head.Position == from })
	if i >= 0 {
		defer h.mu.Unlock()
		return h.views[i], nil
	}
	h.mu.Unlock()
	return h.make(ctx, from)
}

// through looks through the changes behind a view.
func (s *Search) through(ctx context.Context, m *made, to event.Position) (*shape.DecisionChanges, error) {
	if err := s.May(m.view); err != nil {
		return nil, err
	}
	s.views = projection.Within(viewLimits)
	s.Question.Explain = true
	s.show(m.view.State, m.view.Head)
	before, err := s.decide()
	if err != nil {
		return nil, err
	}
	c := m.view.Cluster()
	a := &shape.DecisionChanges{
		Cluster: c.ID, Incarnation: c.Incarnation, From: m.view.Head.Position, To: to, Clock: s.clock, Before: before.told, Changes: []shape.DecisionChange{},
	}
	state := m.state.Snapshot()
	head, err := s.history.foldTo(ctx, state, m.view.Head, to, MaxSpan, func(b *event.Batch, state *identity.State) (bool, error) {
		s.show(state, b.Head())
		bound := s.bound()
		if bound == before.bound {
			return true, nil
		}
		if err := s.May(s.views.View()); err != nil {
			return false, err
		}
		after, err := s.decide()
		var f *fault.Fault
		if errors.As(err, &f) && f.Code() == fault.TooMuchWork && b.Position-1 > a.From {
			a.Next = b.Position - 1 // a request may do so much; the next goes on here
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if after.told.Decision != before.told.Decision {
			a.Changes = append(a.Changes, s.change(b, before.told, after.told))
		}
		before = after
		return len(a.Changes) < MaxChanges && s.decided < maxDecided && s.size < maxPage, nil
	})
	s.Pass.Job.Rest()
	if err != nil {
		return nil, err
	}
	a.After = before.told
	if a.Next == 0 && head.Position < to {
		a.Next = head.Position
		s.history.remember(state, head) // where the next page begins
	}
	return a, nil
}

// show shows a state to the search.
func (s *Search) show(state *identity.State, head event.Head) { s.views.Adopt(state, head) }

// bound is what the decision hangs on: the principal, and the policy of the resource, as of their
// latest change. What has the same gives the same decision.
type bound struct{ principal, resource *projection.Principal }

func (s *Search) bound() (b bound) {
	v := s.views.View()
	arn := s.Question.Principal
	if role := v.Issuer(arn); role != "" {
		arn = role
	}
	b.principal = found(v, arn)
	if authz.Assumes(s.Question.Action, s.Question.Resource) {
		b.resource = found(v, s.Question.Resource)
	}
	return b
}

// found is the principal of an ARN; nil without one.
func found(v *projection.View, arn string) *projection.Principal {
	p, err := v.PrincipalByARN(arn)
	if err != nil {
		return nil
	}
	return p
}

// decided is a decision and what it hung on.
type decided struct {
	told  shape.DecisionAt
	bound bound
}

// decide decides the question in the state that is shown.
func (s *Search) decide() (d decided, err error) {
	s.decided++
	v := s.views.View()
	d.bound = s.bound()
	d.told.Position = v.Head.Position
	a, err := decision.Evaluate(&s.room, v, &s.Question, s.clock, &s.Pass.Job)
	s.Pass.Job.Rest() // the fold has no shift
	switch {
	case errors.Is(err, projection.ErrNoPrincipal):
		d.told.Decision = NoPrincipal
		return d, nil
	case err != nil:
		return d, err
	}
	d.told.Decision, d.told.Reason, d.told.Explanation = a.Decision, a.Message, a.Explanation()
	s.size += len(d.told.Explanation)
	return d, nil
}

// change tells of the batch that turned the decision.
func (s *Search) change(b *event.Batch, before, after shape.DecisionAt) shape.DecisionChange {
	c := shape.DecisionChange{
		Position: b.Position, Time: time.UnixMilli(int64(b.Cause.Time)).UTC(), Action: b.Cause.Action, RequestID: b.Cause.Request,
		Before: before, After: after, Events: []string{},
	}
	for _, e := range b.Events {
		if kind := reflect.TypeOf(e).Elem().Name(); !slices.Contains(c.Events, kind) {
			c.Events = append(c.Events, kind)
		}
	}
	if id := b.Cause.By.Principal; id != "" {
		c.By = string(id)
		if p, err := s.views.View().Principal(id); err == nil { // else it deleted itself, or its account was closed
			c.By = p.ARN
		}
	}
	return c
}

// ParseSearch reads a question and the range to search, from JSON.
func ParseSearch(body []byte) (q decision.Question, r Range, err error) {
	const hint = `Send {"principal": ARN, "action": "service:Action", "resource": ARN, "from": POSITION or "TIME", "to": POSITION or "TIME"}, with the context as for /v1/authorize.`
	err = decision.Decode(body, hint, func(in *decision.Reader) error {
		return in.QuestionAnd(&q, func(name string) (bit int, err error) {
			switch name {
			case "from":
				r.From, err = ReadWhen(in)
				return decision.HasExtra, err
			case "to":
				r.To, err = ReadWhen(in)
				return decision.HasExtra << 1, err
			}
			return 0, nil
		})
	})
	switch {
	case err != nil:
		return q, r, err
	case r.From == When{} || r.To == When{}:
		return q, r, fault.BadRequest(hint, "The search needs from and to.")
	case q.Explain:
		return q, r, fault.BadRequest(hint, "A search explains by itself.")
	}
	return q, r, q.Check()
}

// Parse reads a question that may be about a moment of the past; nil: it is about now.
func Parse(body []byte) (q decision.Question, at *When, err error) {
	err = decision.Decode(body, decision.Hint, func(in *decision.Reader) error {
		return in.QuestionAnd(&q, func(name string) (bit int, err error) {
			if name != "at" {
				return 0, nil
			}
			w, err := ReadWhen(in)
			at = &w
			return decision.HasExtra, err
		})
	})
	return q, at, err
}

// Encode is the JSON of an answer, within the limit of answers.
func Encode(a *shape.DecisionChanges) ([]byte, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode changes of a decision: %w", err)
	}
	return body, admission.CheckAnswer(len(body))
}
