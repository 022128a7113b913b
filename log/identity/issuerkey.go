package identity

import (
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Limits of web identity tokens.
const (
	// MaxIssuedLife is the longest that a web identity token lasts, in milliseconds: an hour
	// ("GetWebIdentityToken" in the STS API Reference).
	MaxIssuedLife Time = 60 * 60 * 1000
	// MaxIssuerKeys is how many keys there are that signed tokens which may last.
	MaxIssuerKeys = 8
)

var issuerKeyKind = keyKind{name: "issuer", made: "tokens", most: MaxIssuerKeys, life: MaxIssuedLife}

// IssuerKey is what web identity tokens are signed by, for all accounts of the cluster: a
// private key for each algorithm.
type IssuerKey struct {
	Number uint32 // from 1 on, without gaps, in the order made
	// State is KeyActive for the one that signs, KeyVerifyOnly for those that are shown to
	// verifiers beside it, and KeyRevoked for those that are shown no more.
	State   KeyState
	Sealed  []byte // the private keys, by the cluster's own key; nil once it is revoked
	Public  []byte // the public keys as verifiers are told them: the members of a JSON Web Key Set
	Created Time
	Retired Time // when it ceased to be active; 0 while it is
}

func (k *IssuerKey) life() keyLife {
	return keyLife{k.Number, &k.State, &k.Sealed, k.Created, &k.Retired}
}

// publicDigest appends the public keys.
func (k *IssuerKey) publicDigest(b []byte) []byte { return digest.AppendString(b, string(k.Public)) }

// IssuerKeys are the issuer keys of a cluster.
type IssuerKeys struct {
	ClusterKeys[IssuerKey, *IssuerKey]
}

// issuerKeysKey is the key of the one record of issuer keys.
const issuerKeysKey = "issuer-keys"

// Handle makes IssuerKeys a record of a table, by its key, as do Is and AppendDigest.
func (k *IssuerKeys) Handle() table.Handle { return table.HandleOf(issuerKeysKey) }

// Is tells whether the IssuerKeys have that key.
func (k *IssuerKeys) Is(key string) bool { return key == issuerKeysKey }

// AppendDigest appends all that the IssuerKeys have.
func (k *IssuerKeys) AppendDigest(b []byte) []byte {
	return k.digest(digest.AppendString(b, issuerKeysKey))
}

// Shown are the keys that verifiers are told at a time: the one that signs, and those before it
// by which a token may still be good. A key that is revoked is not among them.
func (k *IssuerKeys) Shown(now Time) (shown []IssuerKey) {
	for i := range k.List {
		if one := &k.List[i]; one.State != KeyRevoked && !issuerKeyKind.over(one.life(), now) {
			shown = append(shown, *one)
		}
	}
	return shown
}

// IssuerKeys are those of the cluster, none where no token was ever signed.
func (s *State) IssuerKeys() IssuerKeys {
	if k, ok := s.issuerKeys.Get(issuerKeysKey); ok {
		return *k
	}
	return IssuerKeys{}
}

// ActiveIssuerKey returns the key that signs web identity tokens now.
func (s *State) ActiveIssuerKey() (IssuerKey, bool) {
	k := s.IssuerKeys()
	return k.active()
}

// AddIssuerKey adds an issuer key, which signs from now on; verifiers are still shown the
// one before it.
type AddIssuerKey struct {
	Number uint32 // one more than the last
	Sealed []byte
	Public []byte
}

// IssuerKeyAdded added an issuer key.
type IssuerKeyAdded struct {
	Number  uint32
	Sealed  []byte
	Public  []byte
	Created Time
}

func (c *AddIssuerKey) decide(s *State, m Meta) ([]Event, error) {
	k := s.IssuerKeys()
	if err := k.mayAdd(&issuerKeyKind, c.Number, m.Time); err != nil {
		return nil, err
	}
	return []Event{&IssuerKeyAdded{Number: c.Number, Sealed: c.Sealed, Public: c.Public, Created: m.Time}}, nil
}

func (e *IssuerKeyAdded) evolve(s *State) {
	k := s.IssuerKeys()
	s.issuerKeys.Put(&IssuerKeys{k.with(&issuerKeyKind, IssuerKey{Number: e.Number, Sealed: e.Sealed, Public: e.Public, Created: e.Created})})
}

// RevokeIssuerKey takes an issuer key from what verifiers are shown: tokens that it signed
// are worth nothing to those who look.
type RevokeIssuerKey struct{ Number uint32 }

// IssuerKeyRevoked took an issuer key from what verifiers are shown.
type IssuerKeyRevoked struct {
	Number uint32
	At     Time
}

func (c *RevokeIssuerKey) decide(s *State, m Meta) ([]Event, error) {
	k := s.IssuerKeys()
	if err := k.mayRevoke(&issuerKeyKind, c.Number); err != nil {
		return nil, err
	}
	return []Event{&IssuerKeyRevoked{Number: c.Number, At: m.Time}}, nil
}

func (e *IssuerKeyRevoked) evolve(s *State) {
	k := s.IssuerKeys()
	s.issuerKeys.Put(&IssuerKeys{k.without(e.Number, e.At)})
}
