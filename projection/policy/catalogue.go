package policy

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Catalogue knows actions and condition keys, so that Lint can find those that
// do not exist. It speaks only of services and key prefixes that it has:
// nothing follows from the absence of a service. It is immutable once built.
type Catalogue struct {
	actions map[string][]string // by service, lower case
	keys    map[Key]CatalogueKey
	// prefixes are the services, and "aws", that have keys here.
	prefixes map[string]bool
}

// KeyType is the type of a condition key's values.
type KeyType byte

// The types of keys.
const (
	KeyText KeyType = iota
	KeyNumber
	KeyDate
	KeyBool
	KeyAddress
	KeyARN
	KeyBinary
)

// Takes tells whether a text is a value of the type. Any text is one of a text, and
// of what is compared as a text.
func (t KeyType) Takes(text string) (ok bool) {
	switch t {
	case KeyNumber:
		_, ok = parseDecimal(text)
	case KeyDate:
		_, ok = parseInstant(text)
	case KeyBool:
		_, ok = parseBool(text)
	case KeyAddress:
		_, ok = parseNetwork(text)
	case KeyBinary:
		_, err := base64.StdEncoding.DecodeString(text)
		ok = err == nil
	default:
		ok = true
	}
	return ok
}

// CatalogueKey describes a condition key.
type CatalogueKey struct {
	// Name is the key in any letter case. With a final slash it stands for
	// every key that begins so, such as "aws:PrincipalTag/".
	Name        string
	Type        KeyType
	Multivalued bool
}

// NewCatalogue makes a catalogue of actions ("service:Name") and keys.
func NewCatalogue(actions []string, keys []CatalogueKey) *Catalogue {
	c := &Catalogue{actions: map[string][]string{}, keys: map[Key]CatalogueKey{}, prefixes: map[string]bool{}}
	for _, action := range actions {
		folded := string(AppendFold(nil, action))
		service, _, _ := strings.Cut(folded, ":")
		c.actions[service] = append(c.actions[service], folded)
	}
	for _, key := range keys {
		name := NewKey(key.Name)
		prefix, _, _ := strings.Cut(string(name), ":")
		c.keys[name] = key
		c.prefixes[prefix] = true
	}
	return c
}

// BuiltinCatalogue returns AWS's global condition keys and what there is of
// iam, sts and writ.
func BuiltinCatalogue() *Catalogue {
	var actions []string
	for service, names := range builtinActions {
		for _, name := range strings.Fields(names) {
			actions = append(actions, service+":"+name)
		}
	}
	var keys []CatalogueKey
	for letter, names := range builtinKeys {
		for _, name := range strings.Fields(names) {
			name, multivalued := strings.CutSuffix(name, "+")
			t := KeyType(strings.IndexByte("sndbia", letter))
			keys = append(keys, CatalogueKey{Name: name, Type: t, Multivalued: multivalued})
		}
	}
	return NewCatalogue(actions, keys)
}

// HasService tells whether the catalogue knows the actions of a service, given
// in lower case.
func (c *Catalogue) HasService(service string) bool { return len(c.actions[service]) > 0 }

// Matches tells whether a pattern matches an action that the catalogue has.
func (c *Catalogue) Matches(pattern *ActionPattern) bool {
	return slices.ContainsFunc(c.actions[pattern.Service], pattern.Match)
}

// Key describes a condition key. known is false when the catalogue should have
// the key, judging by its prefix, and does not.
func (c *Catalogue) Key(key Key) (info CatalogueKey, found, known bool) {
	name := key
	if i := strings.IndexByte(string(key), '/'); i >= 0 {
		name = key[:i+1]
	}
	info, found = c.keys[name]
	prefix, _, _ := strings.Cut(string(key), ":")
	return info, found, found || !c.prefixes[prefix]
}
