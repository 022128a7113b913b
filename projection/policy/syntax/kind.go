package syntax

import "fmt"

// Kind says where a policy is used, which decides what it may contain and how
// large it may be.
type Kind byte

// The kinds of policies.
const (
	// KindManaged is a managed policy for users, groups and roles.
	KindManaged Kind = iota
	// KindUser, KindGroup and KindRole are inline identity policies.
	KindUser
	KindGroup
	KindRole
	// KindBoundary is a managed policy used as a permissions boundary.
	KindBoundary
	// KindSession is passed to AssumeRole and its relatives.
	KindSession
	// KindTrust is the AssumeRolePolicyDocument of a role.
	KindTrust
	// KindResource is a policy on any other resource.
	KindResource
	// KindSCP is a service control policy of an organization.
	KindSCP
	// KindRCP is a resource control policy of an organization.
	KindRCP
)

// The limits of one document in non-white-space characters. For the inline
// kinds they hold for all inline policies of the user, group or role together,
// which the caller must add up. (AWS: "IAM and AWS STS quotas", "Quotas for
// AWS Organizations".)
const (
	MaxManaged  = 6144
	MaxUser     = 2048
	MaxGroup    = 5120
	MaxRole     = 10240
	MaxSession  = 2048
	MaxTrust    = 2048
	MaxResource = 20480
	MaxSCP      = 5120
	MaxRCP      = 5120
)

// kinds holds the name and limit of every kind.
var kinds = [...]struct {
	name  string
	limit int
}{
	KindManaged:  {"managed", MaxManaged},
	KindUser:     {"user", MaxUser},
	KindGroup:    {"group", MaxGroup},
	KindRole:     {"role", MaxRole},
	KindBoundary: {"boundary", MaxManaged},
	KindSession:  {"session", MaxSession},
	KindTrust:    {"trust", MaxTrust},
	KindResource: {"resource", MaxResource},
	KindSCP:      {"scp", MaxSCP},
	KindRCP:      {"rcp", MaxRCP},
}

// String returns the name of the kind that KindByName takes.
func (k Kind) String() string { return kinds[k].name }

// Limit is the most non-white-space characters that a policy of this kind may
// have, counted as Size does.
func (k Kind) Limit() int { return kinds[k].limit }

// KindByName returns the kind with a name: managed, user, group, role,
// boundary, session, trust, resource, scp or rcp.
func KindByName(name string) (Kind, bool) {
	for k := range kinds {
		if kinds[k].name == name {
			return Kind(k), true
		}
	}
	return 0, false
}

// Identity tells that the policy speaks for a principal given elsewhere.
func (k Kind) Identity() bool { return k <= KindSession }

// Organization tells that the policy belongs to an organization, which has
// one message for everything that is wrong.
func (k Kind) Organization() bool { return k == KindSCP || k == KindRCP }

// Size counts the characters of a document that are not white space, as AWS
// counts for its limits.
func Size(text string) int {
	n := 0
	for _, r := range text {
		switch r {
		case ' ', '\t', '\n', '\r':
		default:
			n++
		}
	}
	return n
}

// SizeError is returned for a document over the limit of its kind.
type SizeError struct {
	Kind        Kind
	Size, Limit int
}

// Error gives AWS's message where it does not name the user, group or role;
// AWS's code is LimitExceeded.
func (e *SizeError) Error() string {
	switch e.Kind {
	case KindManaged, KindBoundary:
		return fmt.Sprintf("Cannot exceed quota for PolicySize: %d", e.Limit)
	case KindTrust:
		return fmt.Sprintf("Cannot exceed quota for ACLSizePerRole: %d", e.Limit)
	}
	return fmt.Sprintf("Maximum policy size of %d bytes exceeded", e.Limit)
}

// CheckSize returns a *SizeError for a document over the limit of its kind.
func CheckSize(text string, kind Kind) error {
	if size := Size(text); size > kind.Limit() {
		return &SizeError{Kind: kind, Size: size, Limit: kind.Limit()}
	}
	return nil
}
