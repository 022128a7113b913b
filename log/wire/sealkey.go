package wire

import "github.com/writ-iam/writ/log/identity"

// The forms of seal keys: of their commands, of their events, of their record.

func chooseSealKey(c *coder, v *identity.ChooseSealKey) { c.fixed(v.Key[:]) }

func resealSecrets(c *coder, v *identity.ResealSecrets) {
	c.fixed(v.Key[:])
	list(c, &v.Texts, func(c *coder, t *identity.NewSealed) {
		resealedText(c, &t.Resealed)
		c.fixed(t.Was[:])
	})
}

func retireSealKeys(c *coder, v *identity.RetireSealKeys) { c.fixed(v.Key[:]) }

func sealKeyChosen(c *coder, v *identity.SealKeyChosen) {
	c.fixed(v.Key[:])
	list(c, &v.Former, sealKeyID)
	num(c, &v.Begun)
}

func secretsResealed(c *coder, v *identity.SecretsResealed) { list(c, &v.Texts, resealedText) }

func sealKeysRetired(c *coder, v *identity.SealKeysRetired) { num(c, &v.Ended) }

func sealKeys(c *coder, v *identity.SealKeys) {
	c.fixed(v.Active[:])
	num(c, &v.Chosen)
	num(c, &v.Begun)
	num(c, &v.Retired)
	num(c, &v.Ended)
	num(c, &v.Resealed)
	list(c, &v.Former, sealKeyID)
}

func sealKeyID(c *coder, v *identity.SealKeyID) { c.fixed(v[:]) }

func resealedText(c *coder, v *identity.Resealed) {
	num(c, &v.In)
	str(c, &v.Holder)
	num(c, &v.Index)
	c.blob(&v.Sealed)
}
