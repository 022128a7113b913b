package admission

import (
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
)

// Unsigned begins the job of a request that nobody signs, on account of its address.
func (p *Pass) Unsigned() { p.Desk.Begin(&p.Job, p.Request.Context(), p.Request.Holder()) }

// Vouch admits a caller in a view for whom an identity provider vouches, which has been proved.
// The caller has no credentials, and is a stranger until Trusted: providers vouch for many whom
// no role lets in.
func (p *Pass) Vouch(v *projection.View, provider string, of *identity.Role, keys []session.Claim) {
	entries := make([]policy.Entry, len(keys))
	for i := range keys {
		entries[i] = opened.ProviderKey(provider, &keys[i])
	}
	p.Principal, p.view, p.role = projection.Federated(provider, entries), v, of
	p.Caller = Caller{Kind: KindWebIdentity, ARN: provider}
	if of != nil {
		p.Caller.Account = of.Account
	}
}

// Trusted notes that the role lets the caller in for whom a provider vouches. What the caller
// takes from now on it takes on account of who it is to be.
func (p *Pass) Trusted() {
	if p.role != nil {
		p.Request.owner, p.Request.verified = p.role.ID, []byte("vouched for by "+p.Caller.ARN)
		gate.Prove(p.Request.Context())
	}
}
