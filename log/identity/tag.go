package identity

import (
	"slices"
	"strings"
)

// Tag is a key and a value put on an entity. Keys are unique on an entity
// without regard to case and keep the case they were last given.
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
	Name    string
	Tags    []Tag
}

// EntityTagged gave an entity the tags; others it had stay.
type EntityTagged struct {
	Kind Kind
	ID   ID
	Tags []Tag
}

// UntagEntity removes tags by key; keys that are not there are ignored.
type UntagEntity struct {
	Kind    Kind
	Account AccountID
	Name    string
	Keys    []string
}

// EntityUntagged took tags off an entity.
type EntityUntagged struct {
	Kind Kind
	ID   ID
	Keys []string
}

func (c *TagEntity) decide(s *State, m Meta) ([]Event, error) {
	h, err := s.mustHold(c.Kind, c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	if err := mayModify(h.account, m); err != nil {
		return nil, err
	}
	if _, err := mergeTags(*h.tags, c.Tags); err != nil {
		return nil, err
	}
	return []Event{&EntityTagged{Kind: h.kind, ID: h.id, Tags: c.Tags}}, nil
}

func (e *EntityTagged) evolve(s *State) {
	s.change(e.Kind, e.ID, func(h held) {
		touch(s, h)
		*h.tags = withTags(*h.tags, e.Tags)
	})
}

func (c *UntagEntity) decide(s *State, m Meta) ([]Event, error) {
	h, err := s.mustHold(c.Kind, c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	if err := mayModify(h.account, m); err != nil {
		return nil, err
	}
	return []Event{&EntityUntagged{Kind: h.kind, ID: h.id, Keys: c.Keys}}, nil
}

func (e *EntityUntagged) evolve(s *State) {
	s.change(e.Kind, e.ID, func(h held) {
		touch(s, h)
		*h.tags = without(*h.tags, func(t Tag) bool {
			return slices.ContainsFunc(e.Keys, func(key string) bool { return strings.EqualFold(key, t.Key) })
		})
	})
}

// touch notes a change of tags. Those of a principal can change what it is
// allowed, those of a policy cannot change what its holders are.
func touch(s *State, h held) {
	if h.kind != KindPolicy {
		*h.changed = s.position
	}
}

// mergeTags is old with the tags of one request, if the rules allow them.
func mergeTags(old, request []Tag) ([]Tag, error) {
	for i, t := range request {
		if slices.ContainsFunc(request[:i], func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }) {
			return nil, refuse(InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
	}
	tags := withTags(old, request)
	if len(tags) > MaxTags {
		return nil, refuse(LimitExceeded, "The number of tags has reached the maximum limit.")
	}
	return tags, nil
}

// withTags is old with more in memory of its own: known keys keep their place
// and take the new case and value, others follow. Nil when there are none.
func withTags(old, more []Tag) []Tag {
	tags := slices.Clone(old)
	for _, t := range more {
		if i := slices.IndexFunc(tags, func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }); i >= 0 {
			tags[i] = t
		} else {
			tags = append(tags, t)
		}
	}
	return tags
}
