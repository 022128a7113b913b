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
	kept, there := v.engine.trusts.get(role)
	if there && kept.text == r.Trust && kept.holder == r.Name {
		return kept.target
	}
	target := &authz.Target{Policy: authz.NewResourceSet(authz.Policy{
		Name: "trust policy", Source: authz.SourceResource, Holder: r.Name, Document: v.engine.compile(r.Trust),
	})}
	v.engine.trusts.put(role, trust{r.Trust, r.Name, target}, 1)
	return target
}

// trust is a trust policy that is kept compiled: that of a text, for the role of a name.
type trust struct {
	text, holder string
	target       *authz.Target
}

// TrustOf is Trust for the role that an ARN names, to the letter.
func (v *View) TrustOf(arn string) *authz.Target {
	p, err := v.PrincipalByARN(arn)
	if err != nil || p.Type != authz.Role {
		return nil
	}
	return v.Trust(identity.ID(p.ID))
}
