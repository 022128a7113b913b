package identity

import (
	"cmp"
	"slices"

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

// IssuerKey is what web identity tokens are signed by, for all accounts of the cluster: a
// private key for each algorithm.
type IssuerKey struct {
	Number uint32 // from 1 on, without gaps, in the order made
	// State is KeyActive for the one that signs, KeyVerifyOnly for those that are shown to
	// verifiers beside it, and KeyRevoked for those that are shown no more.
	State   SessionKeyState
	Sealed  []byte // the private keys, by the cluster's own key; nil once it is revoked
	Public  []byte // the public keys as verifiers are told them: the members of a JSON Web Key Set
	Created Time
	Retired Time // when it ceased to be active; 0 while it is
}

// over tells whether no token can be left that a key signed.
func (k *IssuerKey) over(now Time) bool {
	return k.State != KeyActive && k.Retired+MaxIssuedLife+sessionGrace <= now
}

// IssuerKeys are the issuer keys of a cluster, the oldest first.
type IssuerKeys struct {
	Last uint32 // the highest number there was
	List []IssuerKey
}

// issuerKeysKey is the key of the one record of issuer keys.
const issuerKeysKey = "issuer-keys"

// Handle makes IssuerKeys a record of a table, by its key, as do Is and AppendDigest.
func (k *IssuerKeys) Handle() table.Handle { return table.HandleOf(issuerKeysKey) }

// Is tells whether the IssuerKeys have that key.
func (k *IssuerKeys) Is(key string) bool { return key == issuerKeysKey }

// AppendDigest appends all that the IssuerKeys have.
func (k *IssuerKeys) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, issuerKeysKey)
	b = digest.AppendInt(b, int64(k.Last))
	b = digest.AppendInt(b, len(k.List))
	for i := range k.List {
		l := &k.List[i]
		b = digest.AppendInt(b, int64(l.Number))
		b = digest.AppendInt(b, uint8(l.State))
		b = digest.AppendString(b, string(l.Sealed))
		b = digest.AppendString(b, string(l.Public))
		b = digest.AppendInt(b, int64(l.Created))
		b = digest.AppendInt(b, int64(l.Retired))
	}
	return b
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
	if n := len(k.List); n > 0 && k.List[n-1].State == KeyActive {
		return k.List[n-1], true
	}
	return IssuerKey{}, false
}

// changeIssuerKeys changes the issuer keys.
func (s *State) changeIssuerKeys(f func(*IssuerKeys)) {
	k := s.IssuerKeys()
	k.List = slices.Clone(k.List)
	f(&k)
	s.issuerKeys.Put(&k)
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
	if c.Number != k.Last+1 {
		return nil, refuse(ConcurrentModification, "Another issuer key was added meanwhile. Try again.")
	}
	kept := 0
	for i := range k.List {
		if l := &k.List[i]; l.State != KeyRevoked && !l.over(m.Time) {
			kept++
		}
	}
	if kept >= MaxIssuerKeys {
		return nil, refuse(LimitExceeded, "There are %d issuer keys whose tokens may last. Revoke one, or wait until they have ended.", MaxIssuerKeys)
	}
	return []Event{&IssuerKeyAdded{Number: c.Number, Sealed: c.Sealed, Public: c.Public, Created: m.Time}}, nil
}

func (e *IssuerKeyAdded) evolve(s *State) {
	s.changeIssuerKeys(func(k *IssuerKeys) {
		for i := range k.List {
			if l := &k.List[i]; l.State == KeyActive {
				l.State, l.Retired = KeyVerifyOnly, e.Created
			}
		}
		k.List = slices.DeleteFunc(k.List, func(l IssuerKey) bool { return l.over(e.Created) })
		for len(k.List) >= MaxIssuerKeys { // those that are revoked make room
			i := slices.IndexFunc(k.List, func(l IssuerKey) bool { return l.State == KeyRevoked })
			k.List = slices.Delete(k.List, max(i, 0), max(i, 0)+1)
		}
		k.Last = e.Number
		k.List = append(k.List, IssuerKey{Number: e.Number, State: KeyActive, Sealed: e.Sealed, Public: e.Public, Created: e.Created})
	})
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
	for i := range k.List {
		if k.List[i].Number == c.Number && k.List[i].State != KeyRevoked {
			return []Event{&IssuerKeyRevoked{Number: c.Number, At: m.Time}}, nil
		}
	}
	return nil, refuse(NoSuchEntity, "There is no issuer key %d that is in force.", c.Number)
}

func (e *IssuerKeyRevoked) evolve(s *State) {
	s.changeIssuerKeys(func(k *IssuerKeys) {
		for i := range k.List {
			if l := &k.List[i]; l.Number == e.Number {
				l.State, l.Sealed, l.Retired = KeyRevoked, nil, cmp.Or(l.Retired, e.At)
			}
		}
	})
}
