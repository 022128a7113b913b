package projection

import (
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/authz"
)

// Trust is the trust policy of a role, as what guards the role; nil for no role.
func (v *View) Trust(role identity.ID) *authz.Target {
	r, ok := v.State.RoleByID(role)
	if !ok || v.State.Closed(r.Account) {
		return nil
	}
	return &authz.Target{Policy: authz.NewResourceSet(authz.Policy{
		Name: "trust policy", Source: authz.SourceResource, Holder: r.Name, Document: v.engine.compile(r.Trust),
	})}
}

// TrustOf is Trust for the role that an ARN names, to the letter.
func (v *View) TrustOf(arn string) *authz.Target {
	p, err := v.PrincipalByARN(arn)
	if err != nil || p.Type != authz.Role {
		return nil
	}
	return v.Trust(identity.ID(p.ID))
}
