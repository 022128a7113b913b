package identity

import (
	"slices"
	"strconv"

	"github.com/writ-iam/writ/log/table"
)

// Where the records have sealed texts, in one place: what is not found from here is not sealed
// anew when the key that seals is rotated. A test looks for bytes in records that are not.

// SecretKind says what a sealed text is the secret of.
type SecretKind uint8

// The kinds of secrets.
const (
	SecretOfAccessKey SecretKind = iota + 1
	SecretOfRootPassword
	SecretOfPassword
	SecretOfMFADevice
	SecretOfService
	SecretOfServerCertificate
	SecretOfSAMLProvider
	SecretOfSessions
	SecretOfIssuer
)

// SecretsOf says in which table a record with secrets is. Numbers are stored: append, never
// reorder or reuse.
type SecretsOf uint8

// The tables.
const (
	SecretsOfAccounts SecretsOf = iota + 1
	SecretsOfUsers
	SecretsOfLoginProfiles
	SecretsOfMFADevices
	SecretsOfKeyrings
	SecretsOfServerCertificates
	SecretsOfSAMLProviders
	SecretsOfSessionKeys
	SecretsOfIssuerKeys
	lastSecrets = SecretsOfIssuerKeys
)

// Secret is a sealed text of a record. What it was sealed for can be made of Kind, Account,
// Holder and Name.
type Secret struct {
	Resealed // with the text as it is
	Kind     SecretKind
	Account  AccountID // empty for keys of the cluster
	Name     string    // of the access key, the user, the device, ...
}

// SecretPlace is a place in the order of State.Secrets; the zero value is before all.
type SecretPlace struct {
	in    SecretsOf
	after table.Handle
}

// Secrets yields the sealed texts of the records after a place, record by record, with the
// place of each, until yield returns false. The list is good until yield returns. What changes
// between two calls keeps no other record from being found.
func (s *State) Secrets(from SecretPlace, yield func(at SecretPlace, of []Secret) bool) {
	var of []Secret
	for in := max(from.in, 1); in <= lastSecrets; in++ {
		start := table.Handle(0)
		if in == from.in {
			start = from.after + 1
		}
		more := s.vault(in).each(start, func(h table.Handle, account AccountID, holder string, r secretive) bool {
			of = of[:0]
			i := uint32(0)
			r.secrets(func(kind SecretKind, name string, text *[]byte) {
				if len(*text) > 0 {
					of = append(of, Secret{Resealed{in, holder, i, *text}, kind, account, name})
				}
				i++
			})
			return len(of) == 0 || yield(SecretPlace{in, h}, of)
		})
		if !more {
			return
		}
	}
}

// visit is told of a sealed text of a record, empty ones among them, with the secret's name.
type visit func(kind SecretKind, name string, text *[]byte)

// secretive is a record that has sealed texts.
type secretive interface {
	// secrets visits them, in the order of the record.
	secrets(visit)
	// unshare gives a copy of the record its own lists of what has them.
	unshare()
	// holder is the account, and the key of the record.
	holder() (AccountID, string)
}

// vault is a table of records that have sealed texts.
type vault interface {
	each(from table.Handle, yield func(table.Handle, AccountID, string, secretive) bool) (more bool)
	look(key string, v visit)
	change(key string, v visit)
}

type vaultOf[K ~string, R any, P interface {
	*R
	table.Row
	secretive
}] struct{ *table.Table[K, P] }

func (t vaultOf[K, R, P]) each(from table.Handle, yield func(table.Handle, AccountID, string, secretive) bool) (more bool) {
	more = true
	t.Rows.Ascend(from, func(h table.Handle, r P) bool {
		account, key := r.holder()
		more = yield(h, account, key, r)
		return more
	})
	return more
}

func (t vaultOf[K, R, P]) look(key string, v visit) {
	if r, ok := t.Get(K(key)); ok {
		r.secrets(v)
	}
}

func (t vaultOf[K, R, P]) change(key string, v visit) {
	changeRecord(t.Table, K(key), func(r P) bool {
		r.unshare()
		r.secrets(v)
		return true
	})
}

// vault is the table of that number; nil for none.
func (s *State) vault(in SecretsOf) vault {
	switch in {
	case SecretsOfAccounts:
		return vaultOf[AccountID, Account, *Account]{&s.accounts}
	case SecretsOfUsers:
		return vaultOf[ID, User, *User]{&s.users}
	case SecretsOfLoginProfiles:
		return vaultOf[ID, LoginProfile, *LoginProfile]{&s.loginProfiles}
	case SecretsOfMFADevices:
		return vaultOf[ID, MFADevice, *MFADevice]{&s.mfaDevices}
	case SecretsOfKeyrings:
		return vaultOf[ID, Keyring, *Keyring]{&s.keyrings}
	case SecretsOfServerCertificates:
		return vaultOf[ID, ServerCertificate, *ServerCertificate]{&s.certificates}
	case SecretsOfSAMLProviders:
		return vaultOf[ID, SAMLProvider, *SAMLProvider]{&s.samlProviders}
	case SecretsOfSessionKeys:
		return vaultOf[string, SessionKeys, *SessionKeys]{&s.sessionKeys}
	case SecretsOfIssuerKeys:
		return vaultOf[string, IssuerKeys, *IssuerKeys]{&s.issuerKeys}
	}
	return nil
}

func (a *Account) holder() (AccountID, string)           { return a.ID, string(a.ID) }
func (u *User) holder() (AccountID, string)              { return u.Account, string(u.ID) }
func (p *LoginProfile) holder() (AccountID, string)      { return p.Account, string(p.User) }
func (d *MFADevice) holder() (AccountID, string)         { return d.Account, string(d.ID) }
func (k *Keyring) holder() (AccountID, string)           { return k.Account, string(k.Owner) }
func (c *ServerCertificate) holder() (AccountID, string) { return c.Account, string(c.ID) }
func (p *SAMLProvider) holder() (AccountID, string)      { return p.Account, p.ARN() }
func (k *SessionKeys) holder() (AccountID, string)       { return "", sessionKeysKey }
func (k *IssuerKeys) holder() (AccountID, string)        { return "", issuerKeysKey }

func (a *Account) unshare()           { a.Keys = slices.Clone(a.Keys) }
func (u *User) unshare()              { u.Keys = slices.Clone(u.Keys) }
func (p *LoginProfile) unshare()      { p.Passwords = slices.Clone(p.Passwords) }
func (d *MFADevice) unshare()         {}
func (k *Keyring) unshare()           { k.Services = slices.Clone(k.Services) }
func (c *ServerCertificate) unshare() {}
func (p *SAMLProvider) unshare()      { p.Keys = slices.Clone(p.Keys) }
func (k *SessionKeys) unshare()       { k.List = slices.Clone(k.List) }
func (k *IssuerKeys) unshare()        { k.List = slices.Clone(k.List) }

func (a *Account) secrets(v visit) {
	visitKeys(a.Keys, v)
	v(SecretOfRootPassword, string(a.ID), &a.Password.Sealed)
}

func (u *User) secrets(v visit) { visitKeys(u.Keys, v) }

func visitKeys(keys []AccessKey, v visit) {
	for i := range keys {
		v(SecretOfAccessKey, keys[i].ID, &keys[i].Sealed)
	}
}

func (p *LoginProfile) secrets(v visit) {
	for i := range p.Passwords {
		v(SecretOfPassword, string(p.User), &p.Passwords[i])
	}
}

func (d *MFADevice) secrets(v visit) { v(SecretOfMFADevice, string(d.ID), &d.Sealed) }

func (k *Keyring) secrets(v visit) {
	for i := range k.Services {
		v(SecretOfService, k.Services[i].ID, &k.Services[i].Sealed)
	}
}

func (c *ServerCertificate) secrets(v visit) {
	v(SecretOfServerCertificate, string(c.ID), &c.Sealed)
}

func (p *SAMLProvider) secrets(v visit) {
	for i := range p.Keys {
		v(SecretOfSAMLProvider, p.Keys[i].ID, &p.Keys[i].Sealed)
	}
}

func (k *SessionKeys) secrets(v visit) { k.visit(SecretOfSessions, v) }
func (k *IssuerKeys) secrets(v visit)  { k.visit(SecretOfIssuer, v) }

func (k *ClusterKeys[K, P]) visit(kind SecretKind, v visit) {
	for i := range k.List {
		l := P(&k.List[i]).life()
		v(kind, strconv.FormatUint(uint64(l.number), 10), l.sealed)
	}
}
