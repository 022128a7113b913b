package authz

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Outcome Outcome
	// By are the layers that deny, when the outcome is ExplicitDeny; the layers
	// that lack the allow that the request needs, when it is ImplicitDeny. The
	// first one is that of the plain Decision.
	By []Layer
	// Free tells that the action needs no permission at all.
	Free bool
	// Layers are the layers that take part, in order.
	Layers []LayerResult
	// Statements are the statements whose Action covers the request: those
	// that apply, and those that would but for their principal, resource or
	// conditions. They come by layer, level, policy and place in the document.
	Statements []StatementResult
	// Message is AWS's text for a denial, empty when the request is allowed.
	Message string
}

// LayerResult is what one layer says. A layer of several levels has one for
// each.
type LayerResult struct {
	Layer Layer
	// Level counts the levels of an organization from 1, where there are
	// several.
	Level int
	// Policies is how many policies there are.
	Policies int
	// Needed tells that the request needs an allow of this layer.
	Needed bool
	Denies bool
	Allows bool
}

// StatementResult is a statement whose Action covers the request.
type StatementResult struct {
	Layer  Layer
	Level  int
	Policy *Policy
	Sid    string
	// Index counts the statements of the document from 0.
	Index      int
	Effect     syntax.Effect
	Start, End syntax.Position
	// Applies tells that the statement took part: its principal, resource and
	// conditions all matched.
	Applies bool
	// Principal and Resource tell whether these elements matched.
	Principal, Resource bool
	Conditions          []ConditionResult
	// Missing are the context keys that the statement reads, in conditions and
	// variables, and that the request does not have: as a condition writes
	// them, else in lower case.
	Missing []string

	lacks []policy.KeyUse // the same, in order of key
	// hangs are those of them that requests of the principal may have, if they may
	// change whether the statement applies.
	hangs []policy.KeyUse
}

// ConditionResult is how one condition of a statement came out.
type ConditionResult struct {
	// Operator and Key are as the policy writes them.
	Operator, Key string
	// Values are what the request has for the key; nil when it has none.
	Values []string
	Match  bool
}

// Decision returns the plain answer; it equals that of Evaluate.
func (x *Explanation) Decision() Decision {
	d := Decision{Outcome: x.Outcome}
	if len(x.By) > 0 {
		d.By = x.By[0]
	}
	return d
}

// Missing returns the context keys that any of the statements reads and that the
// request does not have, each once, sorted by name.
func (x *Explanation) Missing() []string {
	var uses []policy.KeyUse
	for i := range x.Statements {
		uses = append(uses, x.Statements[i].lacks...)
	}
	return KeyNames(uses)
}

// HangsOn returns the context keys that the request lacks and with which it might be
// allowed, where it is denied, or denied, where it is allowed. They are the keys of
// statements about its principal and resource that nothing which it has keeps from
// applying. Each statement is looked at by itself: a key too many may be named, but
// none too few.
func (x *Explanation) HangsOn() []string {
	var uses []policy.KeyUse
	may := false // the answer may change
	for i := range x.Statements {
		s := &x.Statements[i]
		turns := s.Applies == (s.Effect == syntax.Allow) // and the request is less allowed
		switch x.Outcome {
		case Allow:
			if !turns {
				continue
			}
			may = true
		case ExplicitDeny:
			if s.Applies && s.Effect == syntax.Deny && len(s.hangs) == 0 {
				return nil // denied whatever else is given
			}
			may = true
		case ImplicitDeny:
			may = may || s.Effect == syntax.Allow && !s.Applies && len(s.hangs) > 0
		}
		uses = append(uses, s.hangs...)
	}
	if !may {
		return nil
	}
	return KeyNames(uses)
}

// KeyNames are the names of keys, each once, sorted: as a condition writes it, where
// one does. Without keys the list is empty and not nil.
func KeyNames(uses []policy.KeyUse) []string {
	spelling := map[policy.Key]string{}
	for _, use := range uses {
		if name := spelling[use.Key]; name == "" || name == string(use.Key) {
			spelling[use.Key] = use.Name
		}
	}
	names := slices.Sorted(maps.Values(spelling))
	if names == nil {
		names = []string{} // an answer shows the list, empty
	}
	return names
}

// Work that a part of an explanation takes, for the memory that it takes.
const (
	resultCost    = 128
	conditionCost = 192
	nameCost      = 16
)

// Explain answers a request as Evaluate does, and says why. It looks at every
// statement and is meant for people, not for every request. When the request's Work
// ends, so does it: with a denial that says nothing.
func (p *Prepared) Explain(r *Request) Explanation {
	if free(r) {
		return Explanation{Outcome: Allow, Free: true}
	}
	var e evaluation
	e.begin(p, r)
	var x Explanation
	best := grantNone
	for l := Layer(1); l < layerCount; l++ {
		best = e.explainLayer(l, &x) // the last layer is that of the resource
	}
	if r.Work.Err() != nil {
		return Explanation{}
	}
	need := needed(r.Principal.Type, r.account() == r.Principal.Account, strict(r), best)
	var denied, missing []Layer
	for i := range x.Layers {
		l := &x.Layers[i]
		l.Needed = need.has(l.Layer)
		if l.Denies && !slices.Contains(denied, l.Layer) {
			denied = append(denied, l.Layer)
		}
		allows := l.Allows || r.Granted && l.Layer == LayerIdentity
		if l.Needed && !allows && !slices.Contains(missing, l.Layer) {
			missing = append(missing, l.Layer)
		}
	}
	switch {
	case len(denied) > 0:
		x.Outcome, x.By = ExplicitDeny, denied
	case len(missing) > 0:
		x.Outcome, x.By = ImplicitDeny, missing
	default:
		x.Outcome = Allow
	}
	x.Message = Message(r, x.Decision())
	return x
}

// explainLayer adds what a layer says and returns how its strongest Allow names
// the principal.
func (e *evaluation) explainLayer(l Layer, x *Explanation) grant {
	sets, one, guard := e.binding(l)
	if one != nil {
		sets = []*Set{one}
	}
	if guard {
		for i, s := range sets {
			res := LayerResult{Layer: l}
			if len(sets) > 1 {
				res.Level = i + 1
			}
			e.explainSet(s, &res, x)
			x.Layers = append(x.Layers, res)
		}
		return grantNone
	}
	res := LayerResult{Layer: l, Allows: e.initial(l, guard) != grantNone}
	best := grantNone
	for _, s := range sets {
		best = max(best, e.explainSet(s, &res, x))
	}
	x.Layers = append(x.Layers, res)
	return best
}

// explainSet adds the statements of a set and returns how its strongest Allow
// names the principal.
func (e *evaluation) explainSet(s *Set, res *LayerResult, x *Explanation) grant {
	best := grantNone
	res.Policies += len(s.policies)
	for i := range s.policies {
		p := &s.policies[i]
		for j := range p.Document.Statements {
			st := &p.Document.Statements[j]
			if !e.context.Work.Spend(1) {
				return best
			}
			if !st.MatchActionWithin(e.request.Action, e.context.Work) {
				continue
			}
			g, out := e.explainStatement(s, st)
			out.Layer, out.Level, out.Policy = res.Layer, res.Level, p
			x.Statements = append(x.Statements, out)
			switch {
			case !out.Applies:
			case st.Effect == syntax.Deny:
				res.Denies = true
			case st.Effect == syntax.Allow:
				res.Allows = true
				best = max(best, g)
			}
		}
	}
	return best
}

func (e *evaluation) explainStatement(s *Set, st *policy.Statement) (grant, StatementResult) {
	e.context.Work.Spend(resultCost + conditionCost*len(st.Conditions))
	var n *names
	if s.principals && e.context.Work.Spend(nameCost*len(st.Principals)) {
		n = compileNames(st)
	}
	g := n.match(e.request.Principal, st.Effect == syntax.Deny, e.bounded)
	out := StatementResult{
		Sid: st.Sid, Index: st.Index, Effect: st.Effect, Start: st.Start, End: st.End,
		Principal: g != grantNone,
		Resource:  st.MatchResource(e.request.Resource, &e.context),
		lacks:     e.missing(st),
	}
	for _, use := range out.lacks {
		out.Missing = append(out.Missing, use.Name)
	}
	out.Applies = out.Principal && out.Resource
	for i := range st.Conditions {
		c := &st.Conditions[i]
		res := ConditionResult{Operator: c.Operator, Key: c.Name, Match: c.Match(&e.context), Values: e.values(c.Key)}
		out.Conditions = append(out.Conditions, res)
		out.Applies = out.Applies && res.Match
	}
	out.hangs = e.hangs(st, &out)
	return g, out
}

// hangs returns what StatementResult.hangs tells.
func (e *evaluation) hangs(st *policy.Statement, out *StatementResult) []policy.KeyUse {
	if !out.Principal {
		return nil
	}
	uses := slices.DeleteFunc(slices.Clone(out.lacks), func(use policy.KeyUse) bool { return e.request.Principal.settles(use.Key) })
	if len(uses) == 0 {
		return nil
	}
	lacks := func(key policy.Key) bool {
		_, found := slices.BinarySearchFunc(uses, key, func(use policy.KeyUse, key policy.Key) int { return cmp.Compare(use.Key, key) })
		return found
	}
	if !out.Resource && !st.ResourceReads(lacks) {
		return nil
	}
	for i := range st.Conditions {
		if !out.Conditions[i].Match && !st.Conditions[i].Reads(lacks) {
			return nil // by what the request has
		}
	}
	return uses
}

// values are those that the request has of a key, of all its spellings.
func (e *evaluation) values(key policy.Key) (list []string) {
	for n := 0; ; n++ {
		entry, ok := e.context.Lookup(key, n)
		switch {
		case !ok:
			return list
		case !entry.Multivalued:
			list = append(list, entry.Value)
		case n == 0:
			list = slices.Clip(entry.Values)
		default:
			list = append(list, entry.Values...)
		}
	}
}

// missing returns what StatementResult.Missing tells.
func (e *evaluation) missing(s *policy.Statement) (list []policy.KeyUse) {
	for _, use := range s.Uses() {
		if len(e.values(use.Key)) == 0 {
			list = append(list, use)
		}
	}
	return list
}

// because says in AWS's words why a layer denies (IAM User Guide: "Troubleshoot
// access denied error messages").
var because = [layerCount]struct{ implicit, explicit string }{
	LayerRCP:      {"no resource control policy", "a resource control policy"},
	LayerSCP:      {"no service control policy", "a service control policy"},
	LayerIdentity: {"no identity-based policy", "an identity-based policy"},
	LayerBoundary: {"no permissions boundary", "a permissions boundary"},
	LayerSession:  {"no session policy", "a session policy"},
	LayerResource: {"no resource-based policy", "a resource-based policy"},
}

// Because returns the end of AWS's access denied message, such as "because no
// identity-based policy allows the s3:GetObject action" or "with an explicit
// deny in a permissions boundary". It is empty for an allowed request.
func Because(r *Request, d Decision) string {
	if d.Outcome == Allow {
		return ""
	}
	b := because[d.By]
	if d.By == LayerResource && strict(r) && isRole(r.Resource) {
		b.implicit, b.explicit = "no role trust policy", "the role trust policy"
	}
	if d.Outcome == ExplicitDeny {
		return "with an explicit deny in " + b.explicit
	}
	return "because " + b.implicit + " allows the " + r.Action + " action"
}

// Message returns AWS's access denied message for a decision, empty for an
// allowed request.
func Message(r *Request, d Decision) string {
	if d.Outcome == Allow {
		return ""
	}
	who := r.Principal.ARN
	switch {
	case r.Principal.Type == Service:
		who = r.Principal.Service
	case r.Principal.Type == Anonymous || who == "":
		who = "anonymous"
	}
	var b strings.Builder
	b.WriteString("User: " + who + " is not authorized to perform: " + r.Action)
	if named := cmp.Or(r.Named, r.Resource); named != "" {
		b.WriteString(" on resource: " + named)
	}
	b.WriteString(" " + Because(r, d))
	return b.String()
}
