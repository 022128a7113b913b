package policy

import "github.com/writ-iam/writ/log/casefold"

// Key is the name of a condition context key in the form of casefold.Key, such as
// "aws:principaltag/team". AWS ignores the letter case of keys, so a Key is
// compared byte by byte. Make one with NewKey; a constant conversion is right
// only for text that has that form already.
type Key string

// NewKey returns the Key for a name in any letter case. It allocates only when
// the name holds others than lower-case letters of ASCII.
func NewKey(name string) Key { return Key(casefold.Key(name)) }

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

// Lazy computes keys that are costly only when a policy reads them.
type Lazy interface {
	// Entry returns entry n of a key, counted from 0, or false when there is none. It is
	// called again for every read.
	Entry(key Key, n int) (Entry, bool)
}

// Context holds the condition keys of one request. The zero value is an empty
// context; a nil *Context is one too. It borrows the slices it is given: they
// must not change while the context is in use.
//
// A set may hold several entries of one key: of tags whose keys differ in letter
// case alone. See the package's "Keys in several spellings".
type Context struct {
	sets [MaxContextSets][]Entry
	n    int
	// Lazy, when set, is asked for keys that no set holds.
	Lazy Lazy
	// Work, when set, bounds what evaluations with this context take together.
	Work *Work

	// choices are the keys of several entries that the reading under way has met,
	// in their order, each with the entry that it reads.
	choices []pick
}

// pick is one of the entries of a key that has several.
type pick struct {
	key Key
	n   int
}

// maxReadings is how many readings of a context one condition or resource is
// tried with.
const maxReadings = 64

// Add appends a set of entries; sets added earlier take precedence: a key that
// one of them has is not looked for in later ones. It panics when MaxContextSets
// are there already.
func (c *Context) Add(entries []Entry) {
	c.sets[c.n] = entries
	c.n++
}

// counted tells that work is counted.
func (c *Context) counted() bool { return c != nil && c.Work != nil }

// lazyCost is how much work it is to ask Lazy.
const lazyCost = 64

// findCost is how much work it is to find an entry.
func (c *Context) findCost() int {
	n := 1 + len(c.choices)
	for _, set := range c.sets[:c.n] {
		n += len(set)
	}
	if c.Lazy != nil {
		n += lazyCost
	}
	return n
}

// Lookup returns entry n of a key, counted from 0; a key has more than one only
// when the request has it in several spellings. It reports false when there are
// no more, for n = 0 that the request does not have the key.
func (c *Context) Lookup(key Key, n int) (Entry, bool) {
	if c == nil || c.Work != nil && !c.Work.Spend(c.findCost()) {
		return Entry{}, false
	}
	for _, set := range c.sets[:c.n] {
		there := false
		for i := range set {
			switch {
			case set[i].Key != key:
			case n == 0:
				return set[i], true
			default:
				n, there = n-1, true
			}
		}
		if there {
			return Entry{}, false
		}
	}
	if c.Lazy != nil {
		return c.Lazy.Entry(key, n)
	}
	return Entry{}, false
}

// read returns the entry of a key in the reading under way, nil without one. room
// is where to put one that is in no set. The first reading has the first entry of
// every key; it notes those that have others.
func (c *Context) read(key Key, room *Entry) *Entry {
	if c == nil || c.Work != nil && !c.Work.Spend(c.findCost()) {
		return nil
	}
	if n, ok := c.chosen(key); ok {
		*room, _ = c.Lookup(key, n)
		return room
	}
	for _, set := range c.sets[:c.n] {
		for i := range set {
			if set[i].Key == key {
				if has(set[i+1:], key) {
					c.choices = append(c.choices, pick{key: key})
				}
				return &set[i]
			}
		}
	}
	if c.Lazy == nil {
		return nil
	}
	var ok bool
	if *room, ok = c.Lazy.Entry(key, 0); !ok {
		return nil
	}
	if _, more := c.Lazy.Entry(key, 1); more {
		c.choices = append(c.choices, pick{key: key})
	}
	return room
}

// chosen tells which entry of a key the reading under way has, if it has met
// several.
func (c *Context) chosen(key Key) (n int, ok bool) {
	for i := range c.choices {
		if c.choices[i].key == key {
			return c.choices[i].n, true
		}
	}
	return 0, false
}

func has(set []Entry, key Key) bool {
	for i := range set {
		if set[i].Key == key {
			return true
		}
	}
	return false
}

// next turns to the next reading, and reports false after the last one. A reading
// is a choice of one entry for each key that it meets; which keys it meets can
// depend on those it met before.
func (c *Context) next() bool {
	for len(c.choices) > 0 {
		last := &c.choices[len(c.choices)-1]
		last.n++
		if _, ok := c.Lookup(last.key, last.n); ok {
			return true
		}
		c.choices = c.choices[:len(c.choices)-1]
	}
	return false
}

// again answers what holds tells of a context whose first reading gave first: for
// an Allow whether it is so in every reading, for a Deny whether in any. Where
// there are more than maxReadings, the Allow does not hold and the Deny does.
func (c *Context) again(first, deny bool, holds func() bool) bool {
	result := first
	for n := 1; result != deny && c.next(); n++ {
		if n == maxReadings {
			result = deny
			break
		}
		result = holds()
	}
	c.choices = nil
	return result
}

// several tells that the reading under way has met a key with several entries.
func (c *Context) several() bool { return c != nil && len(c.choices) > 0 }

// variable returns the text that a policy variable stands for: the value of a
// key that has exactly one by its type. resolved is false for a multivalued
// key; present tells whether the request has the key at all, in which case a
// default does not apply.
func (c *Context) variable(key Key) (value string, resolved, present bool) {
	var room Entry
	e := c.read(key, &room)
	if e == nil || e.count() == 0 {
		return "", false, false
	}
	if e.Multivalued {
		return "", false, true
	}
	return e.Value, true, true
}
