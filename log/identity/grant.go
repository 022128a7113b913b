package identity

// InlinePolicy is a policy that lives and dies with its user, group or role.
type InlinePolicy struct {
	Name     string
	Document string
}

// Most characters, white space not counted, that the inline policies of one
// entity may have together ("IAM and AWS STS quotas").
const (
	MaxUserInlineSize  = 2048
	MaxGroupInlineSize = 5120
	MaxRoleInlineSize  = 10240
)

func appendInline(b []byte, policies []InlinePolicy) []byte {
	b = appendInt(b, len(policies))
	for _, p := range policies {
		b = appendString(b, p.Name)
		b = appendString(b, p.Document)
	}
	return b
}

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
