package admission

import (
	"strings"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
)

// Unsigned begins the job of a request that nobody signs, on account of its address.
func (p *Pass) Unsigned() { p.Desk.Begin(&p.Job, p.Request.Context(), p.Request.Holder()) }

// Vouch admits a caller in a view for whom an identity provider vouches, which has been proved.
// The caller has no credentials. What it takes from now on it takes on account of who it is to be.
func (p *Pass) Vouch(v *projection.View, provider string, of *identity.Role, keys []session.Claim) {
	entries := make([]policy.Entry, len(keys))
	for i := range keys {
		entries[i] = providerKey(provider, &keys[i])
	}
	p.Principal, p.view = projection.Federated(provider, entries), v
	p.Caller = Caller{Kind: KindWebIdentity, ARN: provider}
	if of != nil {
		p.Caller.Account, p.Request.owner = of.Account, of.ID
	}
	p.Request.verified = []byte("vouched for by " + provider)
	Prove(p.Request.Context())
}

// providerKey is what a provider says as a condition key: under the provider's name, which is
// the last part of its ARN, whatever slashes that has.
func providerKey(provider string, k *session.Claim) policy.Entry {
	_, name, _ := strings.Cut(provider, "/")
	key := policy.NewKey(name + ":" + k.Name)
	if k.Many {
		return policy.Multi(key, k.Values)
	}
	return policy.Single(key, k.Values[0])
}
