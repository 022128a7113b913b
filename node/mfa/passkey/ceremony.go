package passkey

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// UserVerification is what browsers are told of whether an authenticator is to find out who
// uses it. Who cannot may be used, too: the user has shown a password.
const UserVerification = "preferred"

// Made is a credential that an authenticator has made.
type Made struct {
	Challenged int64 // when the challenge was made, in milliseconds
	Credential []byte
	PublicKey  []byte // COSE
	AAGUID     [16]byte
	Transports []string
	Count      uint32
	Eligible   bool // it may be kept in more than one place
	BackedUp   bool
}

// attestation is the attestation object of a new credential.
type attestation struct {
	Format        string                             `cbor:"fmt"`
	Statement     map[string]webauthncbor.RawMessage `cbor:"attStmt"`
	Authenticator []byte                             `cbor:"authData"`
}

// Registered verifies the response of navigator.credentials.create, in JSON, to a challenge
// that was made for that ("Registering a New Credential"). Errors wrap ErrResponse or
// ErrChallenge. Attestations say nothing that is believed: there is none, or the credential's
// own key signs it.
func (p *Party) Registered(text []byte, of For, now int64) (*Made, error) {
	c, err := parseCredential(text)
	if err != nil {
		return nil, err
	}
	of.Ceremony = Create
	made, err := p.checkClient(c.Response.ClientData, of, now)
	if err != nil {
		return nil, err
	}
	var object attestation
	if err := webauthncbor.Unmarshal(c.Response.Attestation, &object); err != nil {
		return nil, wrong("its attestation object is none")
	}
	a, err := parseAuthenticator(object.Authenticator)
	if err != nil {
		return nil, err
	}
	if err := p.checkAuthenticator(a); err != nil {
		return nil, err
	}
	if a.attested == nil || !bytes.Equal(a.attested.credential, c.ID) {
		return nil, wrong("its authenticator data is not of the credential")
	}
	key, algorithm, err := parseKey(a.attested.key)
	if err != nil {
		return nil, err
	}
	if err := object.check(key, algorithm, signed(object.Authenticator, c.Response.ClientData)); err != nil {
		return nil, err
	}
	return &Made{Challenged: made, Credential: slices.Clone(a.attested.credential), PublicKey: slices.Clone(a.attested.key), AAGUID: a.attested.aaguid,
		Transports: transports(c.Response.Transports), Count: a.count, Eligible: a.flags&flagEligible != 0, BackedUp: a.flags&flagBackedUp != 0}, nil
}

// signed is what an authenticator signs.
func signed(authenticator, client []byte) []byte {
	hash := sha256.Sum256(client)
	return slices.Concat(authenticator, hash[:])
}

// check checks the statement of an attestation by none, or by the credential's own key.
func (o *attestation) check(key any, algorithm int64, data []byte) error {
	switch {
	case o.Format == "none" && len(o.Statement) == 0:
		return nil
	case o.Format != "packed":
		return wrong("its attestation is neither none nor packed")
	case len(o.Statement) != 2: // as with x5c
		return wrong("its attestation is not by its own key; ask for none")
	}
	var by int64
	var signature []byte
	if webauthncbor.Unmarshal(o.Statement["alg"], &by) != nil || webauthncbor.Unmarshal(o.Statement["sig"], &signature) != nil || by != algorithm ||
		len(signature) > MaxSignature || !verified(key, data, signature) {
		return wrong("its attestation is not by its own key")
	}
	return nil
}

// transports are those that are kept of the ones that a browser says, in order and each once.
func transports(said []string) (kept []string) {
	for _, t := range said {
		if len(kept) < MaxTransports && isTransport(t) && !slices.Contains(kept, t) {
			kept = append(kept, t)
		}
	}
	slices.Sort(kept)
	return kept
}

// isTransport tells whether a text may be the name of a transport. New ones may come.
func isTransport(t string) bool {
	for i := range len(t) {
		if c := t[i]; (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return t != "" && len(t) <= maxTransport
}

// Assertion is the response of navigator.credentials.get: an authenticator says that it has
// a credential. Nothing of it is verified yet.
type Assertion struct {
	// Credential is whose response it says it is.
	Credential []byte

	said *credential
	data *authenticator
}

// ParseAssertion reads an assertion in JSON, and checks what it alone can show. Errors wrap
// ErrResponse.
func ParseAssertion(text []byte) (*Assertion, error) {
	c, err := parseCredential(text)
	if err != nil {
		return nil, err
	}
	if len(c.Response.Signature) == 0 {
		return nil, wrong("its signature is missing")
	}
	a, err := parseAuthenticator(c.Response.Authenticator)
	if err != nil {
		return nil, err
	}
	if a.attested != nil {
		return nil, wrong("its authenticator data is of a new credential")
	}
	return &Assertion{Credential: c.ID, said: c, data: a}, nil
}

// Asserted is what an assertion says that was verified.
type Asserted struct {
	Challenged int64 // when the challenge was made, in milliseconds
	Count      uint32
	BackedUp   bool
}

// Asserted verifies an assertion by the public key of its credential, for a challenge that was
// made for that ("Verifying an Authentication Assertion"). eligible is what the authenticator
// said when it made the credential. Errors wrap ErrResponse or ErrChallenge. The signature is
// looked at whatever else is wrong, so that how long it takes says nothing of that.
func (p *Party) Asserted(a *Assertion, of For, publicKey []byte, eligible bool, now int64) (*Asserted, error) {
	key, _, err := parseKey(publicKey)
	if err != nil {
		return nil, err
	}
	good := verified(key, signed(a.said.Response.Authenticator, a.said.Response.ClientData), a.said.Response.Signature)
	of.Ceremony = Get
	made, err := p.checkClient(a.said.Response.ClientData, of, now)
	if err != nil {
		return nil, err
	}
	if err := p.checkAuthenticator(a.data); err != nil {
		return nil, err
	}
	handle := a.said.Response.UserHandle
	switch {
	case !good:
		return nil, wrong("its signature is not by the credential's key")
	case len(handle) != 0 && !bytes.Equal(handle, Handle(of.Account, of.Owner)):
		return nil, wrong("it is of another user")
	case eligible != (a.data.flags&flagEligible != 0):
		return nil, wrong("it says otherwise than before whether it may be backed up")
	}
	return &Asserted{Challenged: made, Count: a.data.count, BackedUp: a.data.flags&flagBackedUp != 0}, nil
}

// Handle is by what authenticators know a user or root. It names nobody.
func Handle(account, owner string) []byte {
	sum := sha256.Sum256([]byte("writ passkey user " + account + " " + owner))
	return sum[:]
}
