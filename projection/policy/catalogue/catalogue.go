// Package catalogue knows which actions, condition keys and services there are, as far
// as anybody here does, and which name somebody meant who wrote one that is not among
// them. Decisions never ask it: an action that it lacks is decided like any other. It is
// pure.
package catalogue

import (
	"maps"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/scalar"
)

// Catalogue knows actions and condition keys, so that package lint can find those that
// do not exist. It speaks only of services and key prefixes that it has:
// nothing follows from the absence of a service. It is immutable once built.
type Catalogue struct {
	actions map[string][]string // by service, lower case
	keys    map[policy.Key]Key
	// prefixes are the services, and "aws", that have keys here.
	prefixes map[string]bool
}

// Key describes a condition key.
type Key struct {
	// Name is the key in any letter case. With a final slash it stands for
	// every key that begins so, such as "aws:PrincipalTag/".
	Name        string
	Type        scalar.Type
	Multivalued bool
}

// New makes a catalogue of actions ("service:Name") and keys.
func New(actions []string, keys []Key) *Catalogue {
	c := &Catalogue{actions: map[string][]string{}, keys: map[policy.Key]Key{}, prefixes: map[string]bool{}}
	for _, action := range actions {
		folded := string(policy.AppendFold(nil, action))
		service, _, _ := strings.Cut(folded, ":")
		c.actions[service] = append(c.actions[service], folded)
	}
	for _, key := range keys {
		name := policy.NewKey(key.Name)
		prefix, _, _ := strings.Cut(string(name), ":")
		c.keys[name] = key
		c.prefixes[prefix] = true
	}
	return c
}

// Builtin returns AWS's global condition keys and what there is of
// iam, sts and writ.
func Builtin() *Catalogue {
	var actions []string
	for service, names := range builtinActions {
		for _, name := range strings.Fields(names) {
			actions = append(actions, service+":"+name)
		}
	}
	return New(actions, BuiltinKeys())
}

// BuiltinKeys returns the condition keys of Builtin, in order of their types.
func BuiltinKeys() (keys []Key) {
	for _, letter := range slices.Sorted(maps.Keys(builtinKeys)) {
		for _, name := range strings.Fields(builtinKeys[letter]) {
			name, multivalued := strings.CutSuffix(name, "+")
			t := scalar.Type(strings.IndexByte("sndbia", letter))
			keys = append(keys, Key{Name: name, Type: t, Multivalued: multivalued})
		}
	}
	return keys
}

// HasService tells whether the catalogue knows the actions of a service, given
// in lower case.
func (c *Catalogue) HasService(service string) bool { return len(c.actions[service]) > 0 }

// Matches tells whether a pattern matches an action that the catalogue has.
func (c *Catalogue) Matches(pattern *policy.ActionPattern) bool {
	return slices.ContainsFunc(c.actions[pattern.Service], pattern.Match)
}

// Key describes a condition key. known is false when the catalogue should have
// the key, judging by its prefix, and does not.
func (c *Catalogue) Key(key policy.Key) (info Key, found, known bool) {
	name := key
	if i := strings.IndexByte(string(key), '/'); i >= 0 {
		name = key[:i+1]
	}
	info, found = c.keys[name]
	prefix, _, _ := strings.Cut(string(key), ":")
	return info, found, found || !c.prefixes[prefix]
}
