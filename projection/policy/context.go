package policy

import "strings"

// Key is the name of a condition context key in lower case, such as
// "aws:principaltag/team". AWS ignores the letter case of keys, so a Key is
// compared byte by byte. Make one with NewKey; a constant conversion is right
// only for text that is lower case already.
type Key string

// NewKey returns the Key for a name in any letter case. It allocates only when
// the name holds upper-case letters.
func NewKey(name string) Key { return Key(strings.ToLower(name)) }

// Entry is one key of a request's context with its values.
type Entry struct {
	Key Key
	// Value is the value when the key is not multivalued.
	Value string
	// Values are the values when the key is multivalued. None at all means
	// that the key counts as missing.
	Values []string
	// Multivalued tells that the key is a set by its type, however many values
	// this request has.
	Multivalued bool
}

// Single returns the entry of a key with exactly one value.
func Single(key Key, value string) Entry { return Entry{Key: key, Value: value} }

// Multi returns the entry of a multivalued key. The slice is borrowed.
func Multi(key Key, values []string) Entry {
	return Entry{Key: key, Values: values, Multivalued: true}
}

// count is the number of values.
func (e *Entry) count() int {
	if e.Multivalued {
		return len(e.Values)
	}
	return 1
}

// at returns value i, 0 <= i < count.
func (e *Entry) at(i int) string {
	if e.Multivalued {
		return e.Values[i]
	}
	return e.Value
}

// MaxContextSets is how many slices of entries one Context can hold.
const MaxContextSets = 6

// Context holds the condition keys of one request. The zero value is an empty
// context; a nil *Context is one too. It borrows the slices it is given: they
// must not change while the context is in use.
type Context struct {
	sets [MaxContextSets][]Entry
	n    int
	// Lazy, when set, is asked for keys that no set holds. It lets the owner
	// compute costly keys only when a policy reads them. It is called again
	// for every read.
	Lazy func(Key) (Entry, bool)
}

// Add appends a set of entries; sets added earlier take precedence. It panics
// when MaxContextSets are there already.
func (c *Context) Add(entries []Entry) {
	c.sets[c.n] = entries
	c.n++
}

// Reset empties the context for another request and drops Lazy.
func (c *Context) Reset() { *c = Context{} }

// Lookup returns the entry of a key. It reports false when the request does
// not have the key.
func (c *Context) Lookup(key Key) (Entry, bool) {
	if c == nil {
		return Entry{}, false
	}
	for _, set := range c.sets[:c.n] {
		for i := range set {
			if set[i].Key == key {
				return set[i], true
			}
		}
	}
	if c.Lazy != nil {
		return c.Lazy(key)
	}
	return Entry{}, false
}

// variable returns the text that a policy variable stands for: the value of a
// key that has exactly one by its type. resolved is false for a multivalued
// key; present tells whether the request has the key at all, in which case a
// default does not apply.
func (c *Context) variable(key Key) (value string, resolved, present bool) {
	e, ok := c.Lookup(key)
	if !ok || e.count() == 0 {
		return "", false, false
	}
	if e.Multivalued {
		return "", false, true
	}
	return e.Value, true, true
}
