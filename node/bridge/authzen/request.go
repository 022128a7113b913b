package authzen

import (
	"mime"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
)

// entity is a subject, a resource or, with its name as the id, an action.
type entity struct {
	Type       string
	ID         string
	properties value
}

// tuple is what one evaluation is about.
type tuple struct {
	subject, action, resource entity
	context                   value
}

// Names of a request's members, and of their members.
const (
	inSubject     = "subject"
	inAction      = "action"
	inResource    = "resource"
	inContext     = "context"
	inType        = "type"
	inID          = "id"
	inName        = "name"
	inProperties  = "properties"
	inEvaluations = "evaluations"
	inOptions     = "options"
	inSemantic    = "evaluations_semantic"
	inPage        = "page"
	inToken       = "token"
	inLimit       = "limit"
)

// read checks that a request has the content type that the specification asks for, and parses its
// body.
func read(h http.Header, body []byte) (value, error) {
	const hint = "Send Content-Type: application/json."
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || t != "application/json" {
		return value{}, fault.BadRequest(hint, "The body's content type is not application/json.")
	}
	if len(h["Content-Type"]) > 1 {
		return value{}, fault.BadRequest(hint, "The header Content-Type is given twice.")
	}
	return parse(body)
}

// wrong is a fault of a request's member.
func wrong(path, why string) error {
	return fault.BadRequest("Send what the Authorization API 1.0 of AuthZEN describes.", "The member %s %s.", path, why)
}

// part reads a subject, action or resource as far as it is there. over are its defaults, of which
// those of the identifiers count that it lacks, and, where it is absent, all.
func part(of *value, name string, over entity) (entity, error) {
	v := of.get(name)
	if v.kind == absent {
		return over, nil
	}
	if v.kind != object {
		return entity{}, wrong(name, "is not an object")
	}
	e := entity{Type: over.Type, ID: over.ID}
	id := inID
	if name == inAction {
		id = inName
	} else if err := word(v, name, inType, &e.Type); err != nil {
		return entity{}, err
	}
	if err := word(v, name, id, &e.ID); err != nil {
		return entity{}, err
	}
	e.properties = *v.get(inProperties)
	if k := e.properties.kind; k != object && k != absent {
		return entity{}, wrong(name+"."+inProperties, "is not an object")
	}
	return e, nil
}

// word reads a member that is a string, if it is there.
func word(of *value, path, name string, into *string) error {
	v := of.get(name)
	switch {
	case v.kind == absent:
		return nil
	case v.kind != text:
		return wrong(path+"."+name, "is not a string")
	}
	*into = v.text
	return nil
}

// tupleOf reads the members of an evaluation as far as they are there; over has their defaults.
func tupleOf(of *value, over *tuple) (t tuple, err error) {
	if t.subject, err = part(of, inSubject, over.subject); err != nil {
		return t, err
	}
	if t.action, err = part(of, inAction, over.action); err != nil {
		return t, err
	}
	if t.resource, err = part(of, inResource, over.resource); err != nil {
		return t, err
	}
	if t.context = *of.get(inContext); t.context.kind == absent {
		t.context = over.context
	}
	if k := t.context.kind; k != object && k != absent {
		return t, wrong(inContext, "is not an object")
	}
	return t, nil
}

// wants says which of the identifiers that a request needs is missing.
func (t *tuple) wants(needs ...string) error {
	for _, path := range needs {
		have := ""
		switch path {
		case inSubject + "." + inType:
			have = t.subject.Type
		case inSubject + "." + inID:
			have = t.subject.ID
		case inAction + "." + inName:
			have = t.action.ID
		case inResource + "." + inType:
			have = t.resource.Type
		case inResource + "." + inID:
			have = t.resource.ID
		}
		if have == "" {
			return wrong(path, "is missing or empty")
		}
	}
	return nil
}

// complete says what an evaluation lacks.
func (t *tuple) complete() error {
	return t.wants(inSubject+"."+inType, inSubject+"."+inID, inAction+"."+inName, inResource+"."+inType, inResource+"."+inID)
}

// Semantics of evaluations.
const (
	executeAll          = "execute_all"
	denyOnFirstDeny     = "deny_on_first_deny"
	permitOnFirstPermit = "permit_on_first_permit"
)

// batch is a request for evaluations. Without items it is one evaluation, of the defaults.
type batch struct {
	defaults tuple
	items    []value
	semantic string
}

// batchOf reads one. What is wrong with an item alone is not looked for.
func batchOf(v *value) (b batch, err error) {
	if b.defaults, err = tupleOf(v, &tuple{}); err != nil {
		return b, err
	}
	items, options := v.get(inEvaluations), v.get(inOptions)
	switch {
	case items.kind != list && items.kind != absent:
		return b, wrong(inEvaluations, "is not a list")
	case len(items.list) > decision.MaxBatch:
		return b, wrong(inEvaluations, "has more than "+strconv.Itoa(decision.MaxBatch)+" items")
	case options.kind != object && options.kind != absent:
		return b, wrong(inOptions, "is not an object")
	}
	b.items, b.semantic = items.list, executeAll
	if err := word(options, inOptions, inSemantic, &b.semantic); err != nil {
		return b, err
	}
	switch b.semantic {
	case executeAll, denyOnFirstDeny, permitOnFirstPermit:
		return b, nil
	}
	return b, wrong(inOptions+"."+inSemantic, "is none of "+executeAll+", "+denyOnFirstDeny+" and "+permitOnFirstPermit)
}

// item reads one of the items.
func (b *batch) item(i int) (t tuple, err error) {
	if b.items[i].kind != object {
		return t, wrong(inEvaluations+"["+strconv.Itoa(i)+"]", "is not an object")
	}
	if t, err = tupleOf(&b.items[i], &b.defaults); err != nil {
		return t, err
	}
	return t, t.complete()
}
