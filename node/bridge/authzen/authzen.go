package authzen

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
)

// headerRequestID is the header by which a caller knows its request again.
const headerRequestID = "X-Request-Id"

// The paths of the specification.
const (
	pathEvaluation     = "/access/v1/evaluation"
	pathEvaluations    = "/access/v1/evaluations"
	pathSearchSubject  = "/access/v1/search/subject"
	pathSearchResource = "/access/v1/search/resource"
	pathSearchAction   = "/access/v1/search/action"
	pathMetadata       = "/.well-known/authzen-configuration"
)

// New returns the protocol with the mapping of a file. Without one, the subject of type user or
// role with an id is arn:aws:iam::ACCOUNT:TYPE/ID, in the account of whoever asks; the resource
// arn:aws:authzen:::TYPE/ID; the action authzen:NAME, or NAME where it names a service; and a
// property the condition key authzen:PART/NAME, where PART is subject, resource, action or context.
// Errors wrap bridge.ErrConfig, or say why a file cannot be read.
func New(mapping string) (bridge.Protocol, error) {
	m, err := load(mapping)
	if err != nil {
		return nil, err
	}
	return &protocol{m}, nil
}

type protocol struct{ mapping *mapping }

// Routes adds the endpoints, and the metadata that names them.
func (p *protocol) Routes(mux bridge.Mux, d *bridge.Desk) {
	for _, o := range [...]struct{ path, action string }{
		{pathEvaluation, "authzen:Evaluation"},
		{pathEvaluations, "authzen:Evaluations"},
		{pathSearchSubject, "authzen:SearchSubject"},
		{pathSearchResource, "authzen:SearchResource"},
		{pathSearchAction, "authzen:SearchAction"},
	} {
		h := d.Handler(o.action, &endpoint{p.mapping, o.path}, bridge.OfCaller)
		mux.Handle("POST "+o.path, h)
		if under := p.mapping.under(); under != "" {
			mux.Handle("POST "+under+o.path, h)
		}
	}
	h := d.Handler("authzen:Metadata", &metadata{p.mapping}, bridge.OfCaller)
	mux.Handle("GET "+pathMetadata, h)
	if under := p.mapping.under(); under != "" {
		mux.Handle("GET "+pathMetadata+under, h)
	}
}

// endpoint answers requests of one kind.
type endpoint struct {
	mapping *mapping
	path    string // which of those of the specification
}

// Serve answers a call.
func (o *endpoint) Serve(c *bridge.Call) error {
	if err := c.Begin(freshness.ForRead); err != nil {
		return err
	}
	request, err := read(c.Request.Header, c.Payload)
	if err != nil {
		return err
	}
	body, err := (&asking{c, o.mapping}).answer(o.path, &request)
	if err != nil {
		return err
	}
	return write(c, body)
}

// write answers with JSON.
func write(c *bridge.Call, body []byte) error {
	c.Job.Rest() // the caller may read slowly
	free, err := c.Desk.HoldAnswer(&c.Request, len(body))
	if err != nil {
		return err
	}
	defer free()
	c.Tell()
	respond(c, http.StatusOK, body)
	return nil
}

// respond writes an answer, under the id that the caller gave its request, or else Writ's own.
func respond(c *bridge.Call, status int, body []byte) {
	h := c.W.Header()
	id := c.Request.Header.Get(headerRequestID)
	if id == "" {
		id = c.ID
	}
	h.Set(headerRequestID, id)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.W.WriteHeader(status)
	_, _ = c.W.Write(body) // the caller may be gone
}

// Refuse answers with a fault.
func (o *endpoint) Refuse(c *bridge.Call, f *fault.Fault) { refuse(c, f) }

// refuse answers with a fault: a status, and a message that is a string.
func refuse(c *bridge.Call, f *fault.Fault) {
	a, h := f.Native(), c.W.Header()
	h.Set(shape.HeaderRequestID, c.ID)
	switch {
	case !c.Known() && a.Status == http.StatusForbidden, unproven(f.Code()):
		a.Status = http.StatusUnauthorized
		h.Set("WWW-Authenticate", "Bearer")
	case a.Status == http.StatusNotFound:
		a.Status = http.StatusBadRequest // the specification has no other
	case f.Retry():
		h.Set("Retry-After", fault.RetryAfter)
	}
	message := strings.TrimSuffix(a.Detail, ".") + "."
	if a.Hint != "" {
		message += " " + a.Hint
	}
	respond(c, a.Status, appendText(nil, message))
}

// unproven tells whether a fault is of a signature.
func unproven(c fault.Code) bool {
	switch c {
	case fault.MissingAuthenticationToken, fault.IncompleteSignature, fault.InvalidClientTokenID, fault.SignatureDoesNotMatch, fault.ExpiredToken:
		return true
	}
	return false
}

// asking is one request at an endpoint.
type asking struct {
	*bridge.Call
	mapping *mapping
}

// answer is that of a request at an endpoint.
func (k *asking) answer(path string, request *value) ([]byte, error) {
	switch path {
	case pathEvaluation:
		return k.evaluation(request)
	case pathEvaluations:
		return k.evaluations(request)
	case pathSearchSubject:
		return k.searchSubject(request)
	case pathSearchResource:
		return k.searchResource(request)
	case pathSearchAction:
		return k.searchAction(request)
	}
	panic("authzen: no endpoint is at " + path)
}

// outcome is what is told of one evaluation.
type outcome struct {
	allowed bool
	code    string // why not
	reason  string // why not, for administrators
	status  int    // of HTTP, where the evaluation itself is wrong; 0 else
}

// Codes of denials beyond those of decisions.
const (
	notMapped = "notMapped"
	noSubject = "noSuchSubject"
)

// decide evaluates a tuple that is complete.
func (k *asking) decide(t *tuple) (outcome, error) {
	q, o, err := k.question(t)
	if err != nil || q == nil {
		return o, err
	}
	allowed, a, err := k.Allowed(q)
	var f *fault.Fault
	switch {
	case errors.As(err, &f) && f.Code() == fault.NoSuchPrincipal:
		return outcome{code: noSubject, reason: f.Detail()}, nil
	case errors.As(err, &f) && f.Code() == fault.InvalidRequest: // an id or a name of which no ARN or action can be made
		return outcome{code: notMapped, reason: f.Detail()}, nil
	case err != nil:
		return outcome{}, err
	case allowed:
		return outcome{allowed: true}, nil
	}
	o = outcome{code: a.Told(k.Seen.Flagged), reason: a.Message}
	if o.code == decision.Indeterminate {
		o.reason = "The node does not know whether its view is fresh enough to allow it."
	}
	return o, nil
}

// question makes of a tuple what Writ decides; nil, and the outcome, where a part is not mapped.
func (k *asking) question(t *tuple) (*decision.Question, outcome, error) {
	m := k.mapping
	subject, resource := m.subjectKind(t.subject.Type), m.resourceKind(t.resource.Type)
	none := func(part, name string) (*decision.Question, outcome, error) {
		return nil, outcome{code: notMapped, reason: "No mapping has the " + part + " " + fault.Quote(name) + "."}, nil
	}
	switch {
	case subject == nil:
		return none("subject type", t.subject.Type)
	case resource == nil:
		return none("resource type", t.resource.Type)
	}
	verb := m.verb(t.action.ID, resource.name)
	if verb == nil {
		return none("action", t.action.ID)
	}
	q := &decision.Question{Principal: k.arn(subject).of(t.subject.ID), Action: verb.action, Resource: k.arn(resource).of(t.resource.ID)}
	e := entries{}
	for _, p := range [...]struct {
		part  string
		named keys
		of    *value
	}{{inSubject, subject.keys, &t.subject.properties}, {inAction, verb.keys, &t.action.properties}, {inResource, resource.keys, &t.resource.properties}, {inContext, m.context, &t.context}} {
		if err := m.properties(&e, p.part, p.named, p.of); err != nil {
			return nil, outcome{}, err
		}
	}
	k.known(&e, q, subject, resource, t.resource.ID)
	q.Context = e.list
	return q, outcome{}, nil
}

// known adds the properties that the request does not give: those of a principal are its tags, and
// those of a resource are listed.
func (k *asking) known(e *entries, q *decision.Question, subject, resource *kindOf, id string) {
	if is, err := k.Seen.View.PrincipalByARN(q.Principal); err == nil {
		tags := entries{}
		for _, t := range is.Tags {
			if key := k.mapping.key(inSubject, subject.keys, t.Key); !tagKey(key) {
				tags.list = append(tags.list, single(key, t.Value))
			}
		}
		e.missing(tags.list)
	}
	if l := resource.listed(id); l != nil {
		e.missing(l.entries)
	}
}

// arn is the pattern of a type's ARNs.
func (k *asking) arn(of *kindOf) pattern {
	account := k.mapping.account
	if account == "" {
		account = string(k.Caller.Account)
	}
	return of.arn.in(k.Seen.View.State.Partition().String(), account)
}
