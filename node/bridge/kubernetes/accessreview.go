package kubernetes

import (
	"errors"
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

const (
	versionAccess = "authorization.k8s.io/v1"
	kindAccess    = "SubjectAccessReview"
	// maxGroups is how many of a user's groups are a condition key's values.
	maxGroups = 1000
)

// accessStatus is SubjectAccessReviewStatus of authorization.k8s.io/v1.
type accessStatus struct {
	Allowed bool   `json:"allowed"`
	Denied  bool   `json:"denied,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Error   string `json:"evaluationError,omitempty"`
}

type accessReview struct{ mapping *Mapping }

// Serve answers a call.
func (o accessReview) Serve(c *bridge.Call) error {
	if err := c.Begin(freshness.ForQuestion); err != nil {
		return err
	}
	s, err := spec(c, versionAccess, kindAccess, "authorization-webhook-version")
	if err != nil {
		return err
	}
	status, err := o.decide(c, s)
	if err != nil {
		return err
	}
	return o.tell(c, http.StatusOK, status)
}

func (o accessReview) decide(c *bridge.Call, s *bridge.Document) (accessStatus, error) {
	q, why := o.mapping.question(s)
	if err := s.Err(); err != nil {
		return accessStatus{}, err
	}
	if why != "" {
		return accessStatus{Error: why}, nil
	}
	if q.Principal == "" {
		return accessStatus{Reason: "the user is none of the mapping's"}, nil
	}
	allowed, answer, err := c.Allowed(&q)
	var f *fault.Fault
	switch {
	case errors.As(err, &f) && f.Code() == fault.NoSuchPrincipal:
		return accessStatus{Denied: true, Reason: "the user's principal does not exist"}, nil
	case err != nil:
		return accessStatus{}, err
	case allowed:
		return accessStatus{Allowed: true}, nil
	}
	switch answer.Told(c.Seen.Flagged) {
	case decision.ExplicitDeny:
		return accessStatus{Denied: true, Reason: answer.Message}, nil
	case decision.ImplicitDeny:
		return accessStatus{Reason: answer.Message}, nil
	}
	return o.unsure("the node does not know that its answer is fresh"), nil
}

// unsure is the answer where the node does not know.
func (o accessReview) unsure(why string) accessStatus {
	return accessStatus{Denied: o.mapping.Access.Unsure.Value == "deny", Error: why}
}

// Refuse answers with a fault.
func (o accessReview) Refuse(c *bridge.Call, f *fault.Fault) {
	status, told := bridge.StatusOf(f), o.unsure(f.Detail())
	switch {
	case status != http.StatusServiceUnavailable:
		told.Denied = false
	case told.Denied: // then it is an answer, and no failure policy counts
		status = http.StatusOK
	}
	_ = o.tell(c, status, told) // or who asked is gone
}

func (accessReview) tell(c *bridge.Call, status int, s accessStatus) error {
	return c.TellJSON(status, review[accessStatus]{versionAccess, kindAccess, s})
}

// question is what a review becomes, without a principal if the mapping knows none. why says that
// it becomes none; it says nothing where the document's Err does.
func (m *Mapping) question(s *bridge.Document) (q decision.Question, why string) {
	if q.Principal, why = m.asked(s); why != "" {
		return q, why
	}
	resource, path := s.Has("resourceAttributes"), s.Has("nonResourceAttributes")
	switch {
	case resource == path:
		return q, "the review is about neither a resource nor a path, or about both"
	case resource:
		why = m.aboutResource(&q, s.Object("resourceAttributes"))
	default:
		why = m.aboutPath(&q, s.Object("nonResourceAttributes"))
	}
	if why != "" {
		return q, why
	}
	if groups := s.Texts("groups"); len(groups) > maxGroups {
		return q, "the user is in too many groups"
	} else if len(groups) > 0 {
		q.Context = append(q.Context, policy.Multi(policy.NewKey(m.Access.Service.Value+":group"), groups))
	}
	return q, ""
}

// asked is the principal whose the user is. The ARN that the token's review has told counts, if it is
// the one that the user's name tells.
func (m *Mapping) asked(s *bridge.Document) (arn, why string) {
	user := s.Text("user")
	list := s.Object("extra").Texts(extraARN)
	switch {
	case len(list) == 0:
		return m.principal(user), ""
	case len(list) > 1:
		return "", "the user has more than one extra arn"
	}
	name, rule := m.user(list[0])
	if rule == nil && m.principal(user) == "" {
		return "", ""
	}
	if name != user {
		return "", "the user's name is not that of the principal in its extra arn"
	}
	return list[0], ""
}

// plainPart tells whether a text is one part of an ARN of ours: what could be read as a pattern, as
// two parts, or in two ways is none.
func plainPart(text string) bool {
	return len(text) <= 512 && utf8.ValidString(text) && !strings.ContainsFunc(text, func(c rune) bool {
		return c == '/' || c == '*' || c == '?' || c == utf8.RuneError || c == '$' || unicode.IsControl(c) || unicode.IsSpace(c)
	})
}

// aboutResource is a question about
// RESOURCE/namespace/NAMESPACE/GROUP/RESOURCE[:SUBRESOURCE]/NAME, or RESOURCE/all/GROUP/... for what is
// of no namespace or of all of them.
func (m *Mapping) aboutResource(q *decision.Question, a *bridge.Document) (why string) {
	verb, group, kind := a.Text("verb"), a.Text("group"), a.Text("resource")
	namespace, sub, name := a.Text("namespace"), a.Text("subresource"), a.Text("name")
	for _, text := range []string{verb, group, a.Text("version"), kind, namespace, sub, name} {
		if !plainPart(text) {
			return "the review is about what is no single thing: an attribute has a slash, a wildcard or what is not visible"
		}
	}
	if kind == "" || strings.ContainsAny(kind+sub+namespace+group, ":") {
		return "the review names no resource, or one with a colon"
	}
	api := group
	switch api {
	case "":
		api = "core"
	case "core":
		return "the review's group is core, which stands for none"
	}
	where := "/all/"
	if namespace != "" {
		where = "/namespace/" + namespace + "/"
	}
	of := kind
	if sub != "" {
		of += ":" + sub
	}
	q.Resource = m.Access.Resource.Value + where + api + "/" + of + "/" + name
	m.keys(q, "verb", verb, "apiGroup", api, "version", a.Text("version"), "resource", kind, "subresource", sub, "namespace", namespace, "name", name)
	return m.act(q, verb)
}

// aboutPath is a question about RESOURCE/path/..., for a path that is none of a resource.
func (m *Mapping) aboutPath(q *decision.Question, a *bridge.Document) (why string) {
	at, verb := a.Text("path"), a.Text("verb")
	clean := path.Clean(at)
	if clean != "/" && strings.HasSuffix(at, "/") {
		clean += "/"
	}
	if !strings.HasPrefix(at, "/") || at != clean || !plainPart(strings.ReplaceAll(at, "/", "")) || len(at) > 512 {
		return "the review's path is not in its simplest form, or has a wildcard"
	}
	q.Resource = m.Access.Resource.Value + "/path" + at
	m.keys(q, "verb", verb, "path", at)
	return m.act(q, verb)
}

// act sets the action of a verb.
func (m *Mapping) act(q *decision.Question, verb string) (why string) {
	if verb == "" || !plainPart(verb) || strings.Contains(verb, ":") {
		return "the review's verb is none"
	}
	if q.Action = m.Access.Actions[verb].Value; q.Action == "" {
		q.Action = m.Access.Service.Value + ":" + verb
	}
	if authz.CheckAction(q.Action) != nil || authz.CheckResource(q.Resource) != nil {
		return "the review becomes no question"
	}
	return ""
}

// keys adds condition keys with what they are of the review; what it has not it does not add.
func (m *Mapping) keys(q *decision.Question, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Context = append(q.Context, policy.Single(policy.NewKey(m.Access.Service.Value+":"+pairs[i]), pairs[i+1]))
		}
	}
}
