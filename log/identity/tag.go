package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/digest"
)

// Tag is a key and a value put on an entity. Keys are unique on an entity and
// keep the case they were last given; those of users and roles are unique
// without regard to case, as package casefold has it, those of other kinds with it.
// An entity's tags are in order of key.
type Tag struct {
	Key   string
	Value string
}

// MaxTags is how many tags an entity may have ("IAM and AWS STS quotas").
const MaxTags = 50

func appendTags(b []byte, tags []Tag) []byte {
	b = digest.AppendInt(b, len(tags))
	for _, t := range tags {
		b = digest.AppendString(b, t.Key)
		b = digest.AppendString(b, t.Value)
	}
	return b
}

// TagEntity adds tags to an entity, or replaces their values.
type TagEntity struct {
	Kind    Kind // any but KindGroup
	Account AccountID
	Name    string // of a policy or provider, its ARN
	Tags    []Tag
	// AnyCase tells that the case of letters outside ASCII does not count either. It
	// is false in commands of old logs, which are decided as they were then.
	AnyCase bool
}

// EntityTagged gave an entity the tags; others it had stay.
type EntityTagged struct {
	Kind Kind
	ID   ID
	Tags []Tag
}

func (c *TagEntity) decide(s *State, m Meta) ([]Event, error) {
	h, err := s.mustTag(c.Kind, c.Account, c.Name, m)
	if err != nil {
		return nil, err
	}
	tags, same := *h.tags, oldTag
	var events []Event
	if c.AnyCase {
		var keys []string
		for _, t := range c.Tags {
			keys = append(keys, t.Key)
		}
		if keys = otherSpellings(h.kind, tags, keys); keys != nil {
			gone := &EntityUntagged{Kind: h.kind, ID: h.id, Keys: keys}
			events, tags = append(events, gone), gone.from(tags)
		}
		same = sameTag
	}
	if err := mayTag(h.kind, tags, c.Tags, same); err != nil {
		return nil, err
	}
	return append(events, &EntityTagged{Kind: h.kind, ID: h.id, Tags: c.Tags}), nil
}

func (e *EntityTagged) evolve(s *State) {
	s.changeTags(e.Kind, e.ID, func(tags []Tag) []Tag { return withTags(e.Kind, tags, e.Tags) })
}

// UntagEntity removes tags by key; keys that are not there are ignored.
type UntagEntity struct {
	Kind    Kind
	Account AccountID
	Name    string // as in TagEntity
	Keys    []string
	AnyCase bool // as in TagEntity
}

// EntityUntagged took tags off an entity.
type EntityUntagged struct {
	Kind Kind
	ID   ID
	Keys []string
}

func (c *UntagEntity) decide(s *State, m Meta) ([]Event, error) {
	h, err := s.mustTag(c.Kind, c.Account, c.Name, m)
	if err != nil {
		return nil, err
	}
	keys := c.Keys
	if c.AnyCase {
		keys = append(slices.Clip(keys), otherSpellings(h.kind, *h.tags, keys)...)
	}
	return []Event{&EntityUntagged{Kind: h.kind, ID: h.id, Keys: keys}}, nil
}

func (e *EntityUntagged) evolve(s *State) { s.changeTags(e.Kind, e.ID, e.from) }

// from is tags without those that e took off.
func (e *EntityUntagged) from(tags []Tag) []Tag {
	return without(tags, func(t Tag) bool {
		return slices.ContainsFunc(e.Keys, func(key string) bool { return oldTag(e.Kind, key, t.Key) })
	})
}

// mustTag finds the entity that the command may tag.
func (s *State) mustTag(kind Kind, account AccountID, name string, m Meta) (held, error) {
	switch kind {
	case KindGroup:
		return held{}, refuse(InvalidInput, "A group has no tags.")
	case KindPolicy:
		p, err := s.mustModify(name, m)
		if err != nil {
			return held{}, err
		}
		return p.held(), nil
	}
	h, ok := s.heldByName(kind, account, name)
	if !ok || h.account != account {
		return held{}, noSuch(kind, name)
	}
	return h, nil
}

// changeTags replaces the tags of an entity. Those of a user or role can change
// what it is allowed, those of others cannot change what anybody is.
func (s *State) changeTags(kind Kind, id ID, f func([]Tag) []Tag) {
	s.change(kind, id, func(h held) bool {
		*h.tags = f(*h.tags)
		if kind == KindUser || kind == KindRole {
			*h.changed = s.position
		}
		return true
	})
}

// TagsFold tells that the keys of tags of that kind of entity are unique without regard
// to the case of letters ("Tags for AWS Identity and Access Management resources").
func TagsFold(kind Kind) bool { return kind == KindUser || kind == KindRole }

// sameTag tells that two keys are one among the tags of an entity.
func sameTag(kind Kind, a, b string) bool {
	if !TagsFold(kind) {
		return a == b
	}
	return casefold.Equal(a, b)
}

// oldTag is sameTag as events have it, which only know the letters of ASCII in either
// case: what else is one tag, Decide puts into events of its own. So events of all
// releases change the state in one way.
func oldTag(kind Kind, a, b string) bool {
	if !TagsFold(kind) {
		return a == b
	}
	return lower(a) == lower(b)
}

// otherSpellings are the keys among tags that are the same as one of keys and that an
// event about these would not find.
func otherSpellings(kind Kind, tags []Tag, keys []string) (list []string) {
	for _, t := range tags {
		is := func(same func(Kind, string, string) bool) bool {
			return slices.ContainsFunc(keys, func(key string) bool { return same(kind, key, t.Key) })
		}
		if is(sameTag) && !is(oldTag) {
			list = append(list, t.Key)
		}
	}
	return list
}

// mayTag refuses the tags of a request that the rules do not allow on an entity that has old.
func mayTag(kind Kind, old, request []Tag, same func(kind Kind, a, b string) bool) error {
	for i, t := range request {
		if slices.ContainsFunc(request[:i], func(other Tag) bool { return same(kind, other.Key, t.Key) }) {
			return refuse(InvalidInput, "%s", DuplicateTags(kind))
		}
	}
	if len(withTags(kind, old, request)) > MaxTags {
		return refuse(LimitExceeded, "The number of tags has reached the maximum limit.")
	}
	return nil
}

// DuplicateTags is AWS's answer to tags of which two are one.
func DuplicateTags(kind Kind) string {
	if !TagsFold(kind) {
		return "Duplicate tag keys found."
	}
	return "Duplicate tag keys found. Please note that Tag keys are case insensitive."
}

// withTags is old with more, in order of key and in memory of its own; nil when
// there are none.
func withTags(kind Kind, old, more []Tag) []Tag {
	tags := slices.Clone(old)
	for _, t := range more {
		if i := slices.IndexFunc(tags, func(old Tag) bool { return oldTag(kind, old.Key, t.Key) }); i >= 0 {
			tags[i] = t
		} else {
			tags = append(tags, t)
		}
	}
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return slices.Clip(tags)
}
