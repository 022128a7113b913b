package projection

import (
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Session is what a session says of itself, besides what the view knows of the role or
// user whose it is. It is not changed once it was given to View.Session.
type Session struct {
	// Type is authz.RoleSession, authz.FederatedUser, or authz.User and authz.Root for
	// sessions by GetSessionToken.
	Type authz.PrincipalType
	// Of is the unique identifier of the role or user; of a root's the account's number.
	Of identity.ID
	// Name is the name of the session or of the federated user; empty for others.
	Name string
	// Policy and Managed are the session policies: one as it stands, and ARNs.
	Policy  string
	Managed []string
	Tags    []authz.Tag
	Issued  time.Time
	MFA     time.Time // zero without a second factor

	SourceIdentity, Provider string
	// Keys are what the provider says.
	Keys []policy.Entry

	// made is the principal that it was last, which stays as long as its role or user does.
	made atomic.Pointer[sessionPrincipal]
}

// Federated returns somebody whom an identity provider vouches for, by its ARN, and of whom it
// says so much. Nobody has policies there.
func Federated(provider string, keys []policy.Entry) *Principal {
	return &Principal{Principal: authz.Principal{Type: authz.FederatedIdentity, ARN: provider, Keys: keys}, Prepared: authz.Prepare(authz.Layers{})}
}

// sessionPrincipal is a session as a principal, and that of its role or user.
type sessionPrincipal struct{ of, is *Principal }

// Session returns the principal that a session is: what its role or user may at the view,
// within the policies of the session. A managed session policy that is gone allows nothing.
// The error is ErrNoPrincipal where the role or user is gone.
func (v *View) Session(s *Session) (*Principal, error) {
	of, err := v.Principal(s.Of)
	if err != nil {
		return nil, err
	}
	if kept := s.made.Load(); kept != nil && kept.of == of {
		return kept.is, nil
	}
	p := &Principal{Principal: of.Principal, Prepared: of.Prepared}
	p.Type, p.TokenIssued, p.MFA = s.Type, s.Issued, s.MFA
	p.SourceIdentity, p.FederatedProvider, p.Keys = s.SourceIdentity, s.Provider, s.Keys
	switch s.Type {
	case authz.RoleSession:
		p.ARN, p.Issuer, p.Name = v.State.Partition().SessionARN(identity.AccountID(of.Account), of.Name, s.Name), of.ARN, s.Name
	case authz.FederatedUser:
		p.ARN, p.Issuer, p.Name = v.State.Partition().FederatedARN(identity.AccountID(of.Account), s.Name), of.ARN, s.Name
		p.Tags = nil // those of the user do not pass on
	}
	if len(s.Tags) > 0 {
		p.Tags = append(append(make([]authz.Tag, 0, len(s.Tags)+len(p.Tags)), s.Tags...), p.Tags...)
	}
	if s.Policy != "" || len(s.Managed) > 0 {
		p.Prepared = of.Within(v.sessionPolicies(s))
	}
	if len(s.Managed) == 0 { // which change by themselves
		s.made.Store(&sessionPrincipal{of, p})
	}
	return p, nil
}

// sessionPolicies are the policies of a session.
func (v *View) sessionPolicies(s *Session) *authz.Set {
	list := make([]authz.Policy, 0, 1+len(s.Managed))
	for _, arn := range s.Managed {
		if m, ok := v.State.Policy(arn); ok {
			list = append(list, v.managed(m, s.Name))
		}
	}
	if s.Policy != "" {
		list = append(list, authz.Policy{Name: "session policy", Source: authz.SourceNone, Holder: s.Name, Document: v.engine.compile(s.Policy)})
	}
	return authz.NewSet(list...)
}
