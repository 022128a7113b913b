package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// InlinePolicy is a policy that lives and dies with its user, group or role.
type InlinePolicy struct {
	Name     string
	Document string
}

// MaxInlineText is how many bytes the inline policies of a user, group or role may have
// together, white space included: as many as one of them may have in a request. AWS
// names no such limit.
const MaxInlineText = 131_072

// Most characters, white space not counted, that the inline policies of one
// entity may have together ("IAM and AWS STS quotas").
const (
	MaxUserInlineSize  = 2048
	MaxGroupInlineSize = 5120
	MaxRoleInlineSize  = 10240
)

func appendInline(b []byte, policies []InlinePolicy) []byte {
	b = digest.AppendInt(b, len(policies))
	for _, p := range policies {
		b = digest.AppendString(b, p.Name)
		b = digest.AppendString(b, p.Document)
	}
	return b
}

// PolicyHolders yields the users, groups and roles that a policy is attached to
// and that come after the entity of that unique identifier, or all if it is
// empty. The order is fixed, that of handles.
func (s *State) PolicyHolders(policy, after ID, yield func(Kind, ID) bool) {
	s.eachEntity(&s.holders, policy, after, yield)
}

// Bounded yields the users and roles whose permissions boundary a policy is, as
// PolicyHolders does its holders.
func (s *State) Bounded(policy, after ID, yield func(Kind, ID) bool) {
	s.eachEntity(&s.bounded, policy, after, yield)
}

func (s *State) eachEntity(r *table.Relation, from, after ID, yield func(Kind, ID) bool) {
	r.Each(string(from), string(after), func(h table.Handle) bool {
		kind, id, ok := s.entity(h)
		return !ok || yield(kind, id)
	})
}

// AttachmentCount is how many users, groups and roles a policy is attached to.
func (s *State) AttachmentCount(policy ID) int { return s.holders.Count(table.HandleOf(policy)) }

// BoundaryUsageCount is how many users and roles have a policy as their permissions boundary.
func (s *State) BoundaryUsageCount(policy ID) int { return s.bounded.Count(table.HandleOf(policy)) }

// PutInlinePolicy adds an inline policy or replaces its document.
type PutInlinePolicy struct {
	Owner    Owner
	Name     string
	Document string
}

// InlinePolicyPut added an inline policy or replaced its document.
type InlinePolicyPut struct {
	Kind     Kind
	ID       ID
	Name     string
	Document string
}

func (c *PutInlinePolicy) decide(s *State, m Meta) ([]Event, error) {
	h, err := s.mustHold(c.Owner)
	if err != nil {
		return nil, err
	}
	size, text := inlineSize(c.Document), len(c.Document)
	for _, p := range *h.inline {
		if p.Name != c.Name {
			size, text = size+inlineSize(p.Document), text+len(p.Document)
		}
	}
	if text > MaxInlineText && m.Rules >= BoundedRules {
		return nil, refuse(LimitExceeded, "The policies of %s %s would be longer than %d bytes, white space included; store them with less of it.", h.kind.Noun(), h.name, MaxInlineText)
	}
	if limit := inlineQuota(h.kind); size > limit {
		return nil, refuse(LimitExceeded, "Maximum policy size of %d bytes exceeded for %s %s", limit, h.kind.Noun(), h.name)
	}
	return []Event{&InlinePolicyPut{Kind: h.kind, ID: h.id, Name: c.Name, Document: c.Document}}, nil
}

func (e *InlinePolicyPut) evolve(s *State) {
	s.change(e.Kind, e.ID, func(h held) bool {
		*h.changed = s.position
		if i, ok := findInline(*h.inline, e.Name); ok {
			*h.inline = slices.Clone(*h.inline)
			(*h.inline)[i].Document = e.Document
			return true
		}
		*h.inline = appended(*h.inline, InlinePolicy{Name: e.Name, Document: e.Document})
		return true
	})
}

// DeleteInlinePolicy removes an inline policy.
type DeleteInlinePolicy struct {
	Owner Owner
	Name  string
}

// InlinePolicyDeleted removed an inline policy.
type InlinePolicyDeleted struct {
	Kind Kind
	ID   ID
	Name string
}

func (c *DeleteInlinePolicy) decide(s *State, _ Meta) ([]Event, error) {
	h, err := s.mustHold(c.Owner)
	if err != nil {
		return nil, err
	}
	if _, ok := findInline(*h.inline, c.Name); !ok {
		return nil, refuse(NoSuchEntity, "The %s policy with name %s cannot be found.", h.kind.Noun(), c.Name)
	}
	return []Event{&InlinePolicyDeleted{Kind: h.kind, ID: h.id, Name: c.Name}}, nil
}

func (e *InlinePolicyDeleted) evolve(s *State) {
	s.change(e.Kind, e.ID, func(h held) bool {
		*h.changed = s.position
		*h.inline = without(*h.inline, func(p InlinePolicy) bool { return p.Name == e.Name })
		return true
	})
}

// inlineQuota is the most characters that the inline policies of an entity may have together.
func inlineQuota(kind Kind) int {
	switch kind {
	case KindUser:
		return MaxUserInlineSize
	case KindGroup:
		return MaxGroupInlineSize
	}
	return MaxRoleInlineSize
}

// inlineSize counts the characters of a document as the quota does: without white space.
func inlineSize(document string) (n int) {
	for _, r := range document {
		if r != ' ' && r != '\t' && r != '\n' && r != '\r' {
			n++
		}
	}
	return n
}

func findInline(policies []InlinePolicy, name string) (int, bool) {
	i := slices.IndexFunc(policies, func(p InlinePolicy) bool { return p.Name == name })
	return i, i >= 0
}

// AttachPolicy attaches a managed policy; one attached already is left as it is.
type AttachPolicy struct {
	Owner  Owner
	Policy string // ARN
}

// PolicyAttached attached a managed policy.
type PolicyAttached struct {
	Kind   Kind
	ID     ID
	Policy ID
}

func (c *AttachPolicy) decide(s *State, _ Meta) ([]Event, error) {
	h, err := s.mustHold(c.Owner)
	if err != nil {
		return nil, err
	}
	p, ok := s.visiblePolicy(h.account, c.Policy)
	if !ok {
		return nil, refuse(NoSuchEntity, "Policy %s does not exist or is not attachable.", c.Policy)
	}
	if !slices.Contains(*h.attached, p.ID) {
		if err := s.mayAttach(h, len(*h.attached)); err != nil {
			return nil, err
		}
	}
	return []Event{&PolicyAttached{Kind: h.kind, ID: h.id, Policy: p.ID}}, nil
}

func (e *PolicyAttached) evolve(s *State) {
	s.change(e.Kind, e.ID, func(h held) bool {
		if slices.Contains(*h.attached, e.Policy) {
			return false
		}
		*h.attached, *h.changed = appended(*h.attached, e.Policy), s.position
		s.holders.Add(table.HandleOf(e.Policy), table.HandleOf(h.id))
		return true
	})
}

// DetachPolicy ends an attachment.
type DetachPolicy struct {
	Owner  Owner
	Policy string // ARN
}

// PolicyDetached ended an attachment.
type PolicyDetached struct {
	Kind   Kind
	ID     ID
	Policy ID
}

func (c *DetachPolicy) decide(s *State, _ Meta) ([]Event, error) {
	h, err := s.mustHold(c.Owner)
	if err != nil {
		return nil, err
	}
	p, ok := s.Policy(c.Policy)
	if !ok || !slices.Contains(*h.attached, p.ID) {
		return nil, refuse(NoSuchEntity, "Policy %s was not found.", c.Policy)
	}
	return []Event{&PolicyDetached{Kind: h.kind, ID: h.id, Policy: p.ID}}, nil
}

func (e *PolicyDetached) evolve(s *State) {
	s.change(e.Kind, e.ID, func(h held) bool {
		*h.attached, *h.changed = without(*h.attached, func(id ID) bool { return id == e.Policy }), s.position
		s.holders.Remove(table.HandleOf(e.Policy), table.HandleOf(h.id))
		return true
	})
}

// SetBoundary sets the permissions boundary of a user or role, or takes it away
// where Policy is empty.
type SetBoundary struct {
	Owner  Owner
	Policy string // ARN
}

// BoundarySet set the permissions boundary, or took it away where Policy is empty.
type BoundarySet struct {
	Kind   Kind
	ID     ID
	Policy ID
}

func (c *SetBoundary) decide(s *State, _ Meta) ([]Event, error) {
	h, err := s.mustHold(c.Owner)
	if err != nil {
		return nil, err
	}
	if h.boundary == nil {
		return nil, refuse(InvalidInput, "A %s has no permissions boundary.", h.kind.Noun())
	}
	boundary, err := s.boundary(h.account, c.Policy)
	if err != nil {
		return nil, err
	}
	return []Event{&BoundarySet{Kind: h.kind, ID: h.id, Policy: boundary}}, nil
}

func (e *BoundarySet) evolve(s *State) {
	s.change(e.Kind, e.ID, func(h held) bool {
		s.rebound(table.HandleOf(h.id), *h.boundary, e.Policy)
		*h.boundary, *h.changed = e.Policy, s.position
		return true
	})
}

// boundary resolves the ARN of a permissions boundary; empty stays empty.
func (s *State) boundary(account AccountID, arn string) (ID, error) {
	if arn == "" {
		return "", nil
	}
	p, ok := s.visiblePolicy(account, arn)
	if !ok {
		return "", refuse(NoSuchEntity, "Scope ARN: %s does not exist or is not attachable.", arn)
	}
	return p.ID, nil
}

// rebound notes that another policy bounds an entity; empty for none.
func (s *State) rebound(entity table.Handle, from, to ID) {
	if from != "" {
		s.bounded.Remove(table.HandleOf(from), entity)
	}
	if to != "" {
		s.bounded.Add(table.HandleOf(to), entity)
	}
}
