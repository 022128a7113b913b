package authzen

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Limits of the condition keys of one question: those of POST /v1/authorize.
const (
	maxKeys      = 256
	maxKeyValues = 1000
)

var errKeyTwice = errors.New("two properties are this condition key")

// entries are the condition keys of a question.
type entries struct{ list []policy.Entry }

func (e *entries) has(key policy.Key) bool {
	for i := range e.list {
		if e.list[i].Key == key {
			return true
		}
	}
	return false
}

// add adds a key that is not there.
func (e *entries) add(key policy.Key, of []string, many bool) error {
	switch {
	case authz.CheckContextKey(string(key)) != nil:
		return fmt.Errorf("a property cannot be a condition key: %w", authz.CheckContextKey(string(key)))
	case e.has(key):
		return fmt.Errorf("%w: %s", errKeyTwice, fault.Quote(string(key)))
	case len(e.list) == maxKeys:
		return errors.New("there are more than " + strconv.Itoa(maxKeys) + " properties")
	case len(of) > maxKeyValues:
		return errors.New("a property has more than " + strconv.Itoa(maxKeyValues) + " values")
	}
	if many {
		e.list = append(e.list, policy.Multi(key, of))
	} else {
		e.list = append(e.list, policy.Single(key, of[0]))
	}
	return nil
}

// missing adds those of others whose keys are not there.
func (e *entries) missing(others []policy.Entry) {
	n := len(e.list)
	for i := range others {
		given := entries{e.list[:n]}
		if !given.has(others[i].Key) { // tags of one key in several spellings all count
			e.list = append(e.list, others[i])
		}
	}
}

// properties adds the condition keys of a part's properties. A property of a property is one, with
// a dot between their names.
func (m *mapping) properties(e *entries, part string, named keys, of *value) error {
	return m.nested(e, part, named, "", of)
}

func (m *mapping) nested(e *entries, part string, named keys, prefix string, of *value) error {
	for i := range of.members {
		v := &of.members[i].value
		name := prefix + of.members[i].name
		switch {
		case v.kind == absent:
			continue
		case v.kind == object && len(v.members) > 0:
			if err := m.nested(e, part, named, name+".", v); err != nil {
				return err
			}
			continue
		}
		list, many := v.strings()
		if err := e.add(m.key(part, named, name), list, many); err != nil {
			return fault.BadRequest("Name each property once, in visible letters.", "The %s's properties cannot be condition keys: %v.", part, err)
		}
	}
	return nil
}

// strings are the values of a property: of a list of plain values each; else one, which is JSON
// where it is no plain value.
func (v *value) strings() (of []string, many bool) {
	switch {
	case v.kind == list && v.plain():
		for i := range v.list {
			of = append(of, v.list[i].text)
		}
		return of, true
	case v.kind == list || v.kind == object:
		return []string{string(v.append(nil))}, false
	}
	return []string{v.text}, false
}

// plain tells whether a list has texts, numbers and truths alone.
func (v *value) plain() bool {
	for i := range v.list {
		if k := v.list[i].kind; k != text && k != number && k != truth {
			return false
		}
	}
	return true
}

// principalTag begins the condition keys of tags, which principals have by themselves.
const principalTag = "aws:principaltag/"

func tagKey(key policy.Key) bool { return strings.HasPrefix(string(key), principalTag) }

func single(key policy.Key, of string) policy.Entry { return policy.Single(key, of) }
