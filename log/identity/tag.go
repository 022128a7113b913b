package identity

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
