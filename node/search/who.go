package search

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Limits of a search.
const (
	// MaxPage is how many principals one answer tells, and defaultPage how many if nobody says.
	MaxPage     = 1000
	defaultPage = 100
	// maxCursor is the length of a cursor, in bytes.
	maxCursor = 1024
	// maxStatements and maxKeys are how many statements and keys are told of one principal.
	maxStatements = 20
	maxKeys       = 50
	// pageWork is the work after which a page ends, though it is not full, in units of
	// policy.Work: well below that of a request, so that a search always gets on.
	pageWork = 50_000_000
	// principalSize is about what a principal takes in an answer, and statementSize what a
	// statement does, in bytes.
	principalSize, statementSize = 300, 300
)

const whoHint = `Send {"action": "service:Action", "resource": ARN, "context": {...}, "limit": 100, "cursor": "..."}.`

// Who asks which principals may do something.
type Who struct {
	question decision.Question
	limit    int
	from     cursor
}

// cursor is where the next page begins.
type cursor struct {
	At    event.Position   `json:"at"`
	Place projection.Place `json:"place"`
}

// Members of the body of a search.
const (
	hasLimit = decision.HasExtra << iota
	hasCursor
)

// ParseWho reads the body of a search.
func ParseWho(body []byte) (*Who, error) {
	w := &Who{limit: defaultPage}
	after := ""
	err := decision.Decode(body, whoHint, func(r *decision.Reader) error {
		return r.QuestionAnd(&w.question, func(name string) (member int, err error) {
			switch name {
			case "limit":
				w.limit, err = strconv.Atoi(r.Digits())
				if err != nil {
					w.limit = 0 // refused below
				}
				return hasLimit, nil
			case "cursor":
				after, err = r.String()
				return hasCursor, err
			}
			return 0, nil
		})
	})
	if err != nil {
		return nil, err
	}
	q := &w.question
	if q.Principal != "" || q.Explain {
		return nil, fault.BadRequest(whoHint, "A search for principals names no principal, and explains all.")
	}
	for _, err := range [...]error{authz.CheckAction(q.Action), authz.CheckResource(q.Resource)} {
		if err != nil {
			return nil, fault.BadRequest(whoHint, "The search cannot be answered: %v.", err)
		}
	}
	if w.limit < 1 || w.limit > MaxPage {
		return nil, fault.BadRequest(whoHint, "A page has between 1 and %d principals.", MaxPage)
	}
	if after == "" {
		return w, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after)
	if err == nil && len(after) <= maxCursor {
		err = json.Unmarshal(text, &w.from)
	}
	if err != nil || len(after) > maxCursor || w.from.At == 0 || w.from.Place.Stage < projection.StageRoot || w.from.Place.Stage > projection.StageRoles {
		return nil, fault.BadRequest("Give the cursor of the page before, as it was told.", "The cursor is none of a search.")
	}
	return w, nil
}

// In answers in a view, of the principals alone that the caller may ask about: writ:Authorize on
// the ARN of each. Of others nothing is told, not even that there are some.
func (w *Who) In(v *projection.View, p *admission.Pass) (*shape.Principals, error) {
	if err := p.May(admission.Access{Action: policy.ActionSearchPrincipals, Resource: "*"}); err != nil {
		return nil, err
	}
	f := finder{who: w, view: v, pass: p, said: &shape.Principals{
		Position: v.Head.Position, Moved: w.from.At != 0 && w.from.At != v.Head.Position, Principals: []shape.FoundPrincipal{},
	}}
	every := authz.Assumes(w.question.Action, w.question.Resource) || authz.NeedsNoPolicy(w.question.Action)
	if every && v.TrustOf(w.question.Resource) != nil {
		f.target = v.TrustOf(w.question.Resource)
		f.trustShown = p.May(admission.Access{Action: "iam:GetRole", Resource: w.question.Resource}) == nil
	}
	v.Candidates(w.question.Action, every, w.from.Place, &p.Job.Work, &f)
	if err := p.Job.Fault(); err != nil {
		return nil, err
	}
	if f.more {
		text, err := json.Marshal(cursor{v.Head.Position, f.last})
		if err != nil {
			return nil, err
		}
		f.said.Cursor = base64.RawURLEncoding.EncodeToString(text)
	}
	return f.said, admission.CheckAnswer(f.size)
}

// finder is one search under way.
type finder struct {
	who        *Who
	view       *projection.View
	pass       *admission.Pass
	said       *shape.Principals
	target     *authz.Target
	trustShown bool
	size       int
	last       projection.Place // that was looked at
	more       bool             // the page ended before the walk
}

// Take looks at one candidate, and tells whether there is room for another.
func (f *finder) Take(at projection.Place, p *projection.Principal) bool {
	if !f.mayAsk(p.ARN) { // no cursor names it either
		return f.pass.Job.Err() == nil
	}
	if found, ok := f.decide(p); ok {
		f.said.Principals = append(f.said.Principals, found)
		f.size += principalSize + statementSize*len(found.Statements)
	}
	f.last = at
	f.more = len(f.said.Principals) == f.who.limit || f.pass.Job.Spent() > pageWork
	return !f.more && f.pass.Job.Err() == nil
}

// mayAsk tells whether the caller may ask about a principal. It is Pass.MayAsk without a
// refusal, which nobody is told.
func (f *finder) mayAsk(arn string) bool {
	p, q := f.pass, f.pass.Request
	i := admission.Inquiry{
		Request: authz.Request{Principal: &p.Principal.Principal, Action: policy.ActionAuthorize, Resource: arn, Work: &p.Job.Work},
		Globals: authz.Globals{Time: q.Now, SourceIP: q.Source, Region: p.Sig.Scope.Region, UserAgent: q.UserAgent(), Transport: authz.TransportOf(q.Secure)},
	}
	i.FillGlobals(&i.Globals)
	return p.Principal.Evaluate(&i.Request).Allowed()
}

// decide decides about one principal; ok is false for one that may not, whatever else is given.
func (f *finder) decide(p *projection.Principal) (found shape.FoundPrincipal, ok bool) {
	q := &f.who.question
	i := admission.Inquiry{
		Request: authz.Request{Principal: &p.Principal, Action: q.Action, Resource: q.Resource, Context: q.Context, Target: f.target, Work: &f.pass.Job.Work},
		Globals: authz.Globals{Time: f.pass.Request.Now},
	}
	i.FillGlobals(&i.Globals)
	x := p.Explain(&i.Request)
	if !f.trustShown { // nor the keys that the trust policy reads
		x.Statements = slices.DeleteFunc(x.Statements, func(s authz.StatementResult) bool { return s.Layer == authz.LayerResource })
	}
	keys := slices.DeleteFunc(x.HangsOn(), func(key string) bool { return authz.CheckContextKey(key) != nil })
	if f.pass.Job.Err() != nil || x.Outcome != authz.Allow && len(keys) == 0 {
		return found, false
	}
	found = shape.FoundPrincipal{ARN: p.ARN, Decision: x.Outcome.String(), DependsOn: keys[:min(len(keys), maxKeys)], Free: x.Free}
	for n := range x.Statements {
		s := &x.Statements[n]
		deny := s.Effect == syntax.Deny
		if len(found.Statements) == maxStatements || deny && len(s.Missing) == 0 || !s.Principal || !s.Applies && len(s.Missing) == 0 {
			continue
		}
		found.Statements = append(found.Statements, shape.FoundStatement{
			Effect: s.Effect.String(), Layer: s.Layer.String(), Policy: s.Policy.Name, ARN: s.Policy.ARN, Source: string(s.Policy.Source), Holder: s.Policy.Holder,
			Sid: s.Sid, Index: s.Index, Applies: s.Applies, Missing: s.Missing,
		})
	}
	return found, true
}
