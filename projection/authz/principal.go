package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/projection/policy"
)

// ErrPrincipal is returned when an ARN is not that of a principal.
var ErrPrincipal = errors.New("not the ARN of a user, role, session or root")

// PrincipalType is the kind of a principal.
type PrincipalType uint8

// The kinds of principals. The zero value is an IAM user.
const (
	// User is an IAM user with its long-term or session-token credentials.
	User PrincipalType = iota
	// RoleSession is a session of a role, by any of the AssumeRole actions.
	RoleSession
	// FederatedUser is a session by GetFederationToken.
	FederatedUser
	// Role is a role named by its own ARN, without a session.
	Role
	// Root is the root user of an account.
	Root
	// Service is an AWS service that acts for itself.
	Service
	// Anonymous is nobody: a request without credentials.
	Anonymous
	// FederatedIdentity is somebody whom an identity provider vouches for, at
	// AssumeRoleWithSAML and AssumeRoleWithWebIdentity.
	FederatedIdentity
	principalTypes
)

var principalTypeNames = [principalTypes]string{
	"user", "role_session", "federated_user", "role", "root", "service", "anonymous", "federated_idp",
}

// String returns the name of the kind in the format of policy cases, such as
// "role_session".
func (t PrincipalType) String() string { return principalTypeNames[t] }

// PrincipalTypeByName returns the type with a name, as String has it.
func PrincipalTypeByName(name string) (PrincipalType, bool) {
	i := slices.Index(principalTypeNames[:], name)
	return PrincipalType(max(i, 0)), i >= 0
}

// Foreign tells the kinds that belong to no account.
func (t PrincipalType) Foreign() bool {
	return t == Service || t == Anonymous || t == FederatedIdentity
}

// entity tells the kinds behind which stands an IAM user or role, with
// policies of its own.
func (t PrincipalType) entity() bool { return !t.Foreign() && t != Root }

// Tag is a tag of a principal. Of tags whose keys are equal without regard to letter
// case each counts; whoever puts the tags of a session before those of its role leaves
// out what the session replaces.
type Tag struct{ Key, Value string }

// Principal is who asks. It is immutable while requests use it.
type Principal struct {
	Type PrincipalType
	// ARN is the principal's own: of the user, the session, the role, the
	// root. Of a FederatedIdentity it is the provider as a Principal element
	// writes it. Empty for Service and Anonymous.
	ARN string
	// Issuer is the ARN of the role of a RoleSession, with its path, and of
	// the user (or root) of a FederatedUser.
	Issuer string
	// Account is the principal's account of 12 digits, empty without one.
	Account string
	// Service is the service principal of a Service, such as
	// "ec2.amazonaws.com".
	Service string
	// ID is the unique id of the user or role, such as "AIDA...".
	ID string
	// Name is the user name, the session name or the name of the federated user.
	Name string
	Tags []Tag
	// OrgID and OrgPaths are the organization of the account and the path of
	// the account in it, empty without one.
	OrgID    string
	OrgPaths []string
	// TokenIssued is when temporary credentials were issued; zero with
	// long-term credentials.
	TokenIssued time.Time
	// MFA is when the caller proved a second factor; zero when it did not.
	MFA time.Time
	// SourceIdentity is the source identity of a session, empty without one.
	SourceIdentity string
	// FederatedProvider is the identity provider of a role session, empty
	// without one.
	FederatedProvider string
	// Keys are what an identity provider says of who asks, or of whom a session is, as condition
	// keys under its name.
	Keys []policy.Entry
}

// ParsePrincipal returns the principal of an ARN: a user, a role, a session of a
// role, a federated user, or root. Only Type, ARN, Account, Name and, for a
// session, Issuer (see SessionIssuer) are set. The error wraps ErrPrincipal.
func ParsePrincipal(arn string) (Principal, error) {
	a, _ := splitARN(arn)
	p := Principal{ARN: arn, Account: a.account}
	kind, rest, _ := strings.Cut(a.resource, "/")
	switch {
	case a.service == "iam" && a.resource == "root":
		p.Type = Root
	case a.service == "iam" && kind == "user" && rest != "":
		p.Type = User
	case a.service == "iam" && kind == "role" && rest != "":
		p.Type = Role
	case a.service == "sts" && kind == "assumed-role" && SessionIssuer(arn) != "":
		p.Type, p.Issuer = RoleSession, SessionIssuer(arn)
	case a.service == "sts" && kind == "federated-user" && rest != "":
		p.Type = FederatedUser
	default:
		return Principal{}, fmt.Errorf("principal %q: %w", arn, ErrPrincipal)
	}
	if p.Type != Root {
		p.Name = rest[strings.LastIndexByte(rest, '/')+1:]
	}
	return p, nil
}

// SessionIssuer returns the ARN of the role behind the ARN of a role session.
// A session's ARN does not show the path of its role, so the result is right
// only for roles in "/". It is empty for other ARNs.
func SessionIssuer(session string) string {
	a, ok := splitARN(session)
	role, assumed := strings.CutPrefix(a.resource, "assumed-role/")
	role, _, named := strings.Cut(role, "/")
	if !ok || a.service != "sts" || !assumed || !named {
		return ""
	}
	return "arn:" + a.partition + ":iam::" + a.account + ":role/" + role
}

// serviceLinked tells the ARN of a service-linked role. Neither service nor
// resource control policies bind one (Organizations User Guide: "Service
// control policies", "Resource control policies").
func serviceLinked(arn string) bool {
	a, ok := splitARN(arn)
	return ok && a.service == "iam" && strings.HasPrefix(a.resource, "role/aws-service-role/")
}

func (p *Principal) serviceLinked() bool {
	switch p.Type {
	case RoleSession:
		return serviceLinked(p.Issuer)
	case Role:
		return serviceLinked(p.ARN)
	}
	return false
}
