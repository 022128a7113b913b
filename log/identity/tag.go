package identity

import (
	"slices"
	"strings"
)

// Tag is a key and a value put on an entity. Keys are unique on an entity and
// keep the case they were last given; those of users and roles are unique
// without regard to case, those of policies with it. An entity's tags are in
// order of key.
type Tag struct {
	Key   string
	Value string
}

// MaxTags is how many tags an entity may have ("IAM and AWS STS quotas").
const MaxTags = 50

func appendTags(b []byte, tags []Tag) []byte {
	b = appendInt(b, len(tags))
	for _, t := range tags {
		b = appendString(b, t.Key)
		b = appendString(b, t.Value)
	}
	return b
}

// TagEntity adds tags to a user, role or policy, or replaces their values.
type TagEntity struct {
	Kind    Kind // KindUser, KindRole or KindPolicy
	Account AccountID
	Name    string // of a policy, its ARN
	Tags    []Tag
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
	if err := mayTag(h.kind, *h.tags, c.Tags); err != nil {
		return nil, err
	}
	return []Event{&EntityTagged{Kind: h.kind, ID: h.id, Tags: c.Tags}}, nil
}

func (e *EntityTagged) evolve(s *State) {
	s.changeTags(e.Kind, e.ID, func(tags []Tag) []Tag { return withTags(e.Kind, tags, e.Tags) })
}

// UntagEntity removes tags by key; keys that are not there are ignored.
type UntagEntity struct {
	Kind    Kind
	Account AccountID
	Name    string // of a policy, its ARN
	Keys    []string
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
	return []Event{&EntityUntagged{Kind: h.kind, ID: h.id, Keys: c.Keys}}, nil
}

func (e *EntityUntagged) evolve(s *State) {
	s.changeTags(e.Kind, e.ID, func(tags []Tag) []Tag {
		return without(tags, func(t Tag) bool {
			return slices.ContainsFunc(e.Keys, func(key string) bool { return tagKey(e.Kind, key) == tagKey(e.Kind, t.Key) })
		})
	})
}

// mustTag finds the user, role or policy that the command may tag.
func (s *State) mustTag(kind Kind, account AccountID, name string, m Meta) (held, error) {
	switch kind {
	case KindUser, KindRole:
		return s.mustHold(Owner{Kind: kind, Account: account, Name: name})
	case KindGroup:
		return held{}, refuse(InvalidInput, "A group has no tags.")
	}
	p, err := s.mustModify(name, m)
	if err != nil {
		return held{}, err
	}
	return p.held(), nil
}

// changeTags replaces the tags of an entity. Those of a user or role can change
// what it is allowed, those of a policy cannot change what its holders are.
func (s *State) changeTags(kind Kind, id ID, f func([]Tag) []Tag) {
	s.change(kind, id, func(h held) bool {
		*h.tags = f(*h.tags)
		if kind != KindPolicy {
			*h.changed = s.position
		}
		return true
	})
}

// tagKey is what must be unique among the tags of an entity.
func tagKey(kind Kind, key string) string {
	if kind == KindPolicy {
		return key
	}
	return lower(key)
}

// mayTag refuses the tags of a request that the rules do not allow on an entity that has old.
func mayTag(kind Kind, old, request []Tag) error {
	for i, t := range request {
		if findTag(kind, request[:i], t.Key) >= 0 {
			return refuse(InvalidInput, "%s", duplicateTags(kind))
		}
	}
	if len(withTags(kind, old, request)) > MaxTags {
		return refuse(LimitExceeded, "The number of tags has reached the maximum limit.")
	}
	return nil
}

func duplicateTags(kind Kind) string {
	if kind == KindPolicy {
		return "Duplicate tag keys found."
	}
	return "Duplicate tag keys found. Please note that Tag keys are case insensitive."
}

func findTag(kind Kind, tags []Tag, key string) int {
	key = tagKey(kind, key)
	return slices.IndexFunc(tags, func(t Tag) bool { return tagKey(kind, t.Key) == key })
}

// withTags is old with more, in order of key and in memory of its own; nil when
// there are none.
func withTags(kind Kind, old, more []Tag) []Tag {
	tags := slices.Clone(old)
	for _, t := range more {
		if i := findTag(kind, tags, t.Key); i >= 0 {
			tags[i] = t
		} else {
			tags = append(tags, t)
		}
	}
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return slices.Clip(tags)
}
