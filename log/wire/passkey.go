package wire

import "github.com/writ-iam/writ/log/identity"

// The forms of passkeys: of their commands, of their events, of their record.

func registerPasskey(c *coder, v *identity.RegisterPasskey) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.Owner)
	num(c, &v.Challenged)
	str(c, &v.Name)
	str(c, &v.Suffix)
	c.blob(&v.Credential)
	c.blob(&v.PublicKey)
	c.fixed(v.AAGUID[:])
	list(c, &v.Transports, atom)
	num(c, &v.Count)
	c.flag(&v.Eligible)
	c.flag(&v.BackedUp)
}

func usePasskey(c *coder, v *identity.UsePasskey) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	str(c, &v.ID)
	num(c, &v.Challenged)
	num(c, &v.Count)
	c.flag(&v.BackedUp)
}

func passkeyRegistered(c *coder, v *identity.PasskeyRegistered) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	num(c, &v.Challenged)
	passkey(c, &v.Passkey)
}

func passkeyUsed(c *coder, v *identity.PasskeyUsed) {
	str(c, &v.Owner)
	str(c, &v.ID)
	num(c, &v.Challenged)
	num(c, &v.Count)
	c.flag(&v.BackedUp)
}

func passkeyRemoved(c *coder, v *identity.PasskeyRemoved) {
	str(c, &v.Owner)
	str(c, &v.ID)
}

func passkeys(c *coder, v *identity.Passkeys) {
	str(c, &v.Owner)
	atom(c, &v.Account)
	num(c, &v.Used)
	list(c, &v.List, passkey)
}

func passkey(c *coder, v *identity.Passkey) {
	str(c, &v.ID)
	str(c, &v.Name)
	c.blob(&v.Credential)
	c.blob(&v.PublicKey)
	c.fixed(v.AAGUID[:])
	list(c, &v.Transports, atom)
	num(c, &v.Count)
	c.flag(&v.Eligible)
	c.flag(&v.BackedUp)
	num(c, &v.Enabled)
}
