package wire

import "github.com/writ-iam/writ/log/identity"

// Session keys and revocations.

func addSessionKey(c *coder, v *identity.AddSessionKey) {
	num(c, &v.Number)
	c.blob(&v.Sealed)
}

func revokeSessionKey(c *coder, v *identity.RevokeSessionKey) { num(c, &v.Number) }

func revokeSessions(c *coder, v *identity.RevokeSessions) {
	atom(c, &v.Account)
	str(c, &v.Subject)
	num(c, &v.Before)
}

func sessionKeyAdded(c *coder, v *identity.SessionKeyAdded) {
	num(c, &v.Number)
	c.blob(&v.Sealed)
	num(c, &v.Created)
}

func sessionKeyRevoked(c *coder, v *identity.SessionKeyRevoked) {
	num(c, &v.Number)
	num(c, &v.At)
}

func sessionsRevoked(c *coder, v *identity.SessionsRevoked) {
	atom(c, &v.Account)
	str(c, &v.Subject)
	num(c, &v.Before)
	num(c, &v.Made)
}

func sessionKeys(c *coder, v *identity.SessionKeys) {
	num(c, &v.Last)
	list(c, &v.List, func(c *coder, k *identity.SessionKey) {
		num(c, &k.Number)
		num(c, &k.State)
		c.blob(&k.Sealed)
		num(c, &k.Created)
		num(c, &k.Retired)
	})
}

func revocations(c *coder, v *identity.Revocations) {
	atom(c, &v.Account)
	list(c, &v.List, func(c *coder, r *identity.Revocation) {
		str(c, &r.Subject)
		num(c, &r.All)
		num(c, &r.Before)
		num(c, &r.Made)
	})
}

func useMFACode(c *coder, v *identity.UseMFACode) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	str(c, &v.ID)
	codes(c, &v.Codes)
}

// session codes the session that a command or a batch is by, which most are not.
func (c *coder) session(v *identity.Session) {
	num(c, &v.Key)
	num(c, &v.Minted)
	num(c, &v.Issued)
	num(c, &v.Until)
	if atom(c, &v.Parent); c.err == nil && *v == (identity.Session{}) {
		c.fail(corrupt("by a session that is none"))
	}
}

// origin codes where the chain of that session began.
func (c *coder) origin(v *identity.Origin) {
	atom(c, &v.Account)
	atom(c, &v.Principal)
	atom(c, &v.Key)
	if num(c, &v.Began); c.err == nil && *v == (identity.Origin{}) {
		c.fail(corrupt("by a chain that began nowhere"))
	}
}

func addIssuerKey(c *coder, v *identity.AddIssuerKey) {
	num(c, &v.Number)
	c.blob(&v.Sealed)
	c.blob(&v.Public)
}

func revokeIssuerKey(c *coder, v *identity.RevokeIssuerKey) { num(c, &v.Number) }

func issuerKeyAdded(c *coder, v *identity.IssuerKeyAdded) {
	num(c, &v.Number)
	c.blob(&v.Sealed)
	c.blob(&v.Public)
	num(c, &v.Created)
}

func issuerKeyRevoked(c *coder, v *identity.IssuerKeyRevoked) {
	num(c, &v.Number)
	num(c, &v.At)
}

func issuerKeys(c *coder, v *identity.IssuerKeys) {
	num(c, &v.Last)
	list(c, &v.List, func(c *coder, k *identity.IssuerKey) {
		num(c, &k.Number)
		num(c, &k.State)
		c.blob(&k.Sealed)
		c.blob(&k.Public)
		num(c, &k.Created)
		num(c, &k.Retired)
	})
}
