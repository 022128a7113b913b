package identity

import (
	"bytes"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Passkeys are the WebAuthn credentials of a user or of an account's root. Each is an MFA
// device; with the virtual ones there are up to MaxMFADevices of them.
type Passkeys struct {
	Owner   ID // the user, or the account's number for its root
	Account AccountID
	Used    Time      // when the latest challenge was made that was answered: no earlier one is good any more
	List    []Passkey // in order of registration
}

// Passkey is one WebAuthn credential.
type Passkey struct {
	ID         ID // its serial number: arn:PARTITION:iam::ACCOUNT:u2f/user/NAME/DEVICE-SUFFIX
	Name       string
	Credential []byte   // by which its authenticator knows it
	PublicKey  []byte   // in the form of COSE
	AAGUID     [16]byte // the model of its authenticator, as that says
	Transports []string // how browsers reach the authenticator, as they said
	Count      uint32   // of signatures, as the authenticator said last; zero where it counts none
	Eligible   bool     // it may be kept in more than one place
	BackedUp   bool     // it was, as the authenticator said last
	Enabled    Time
}

// PasskeySerial is the serial number of a passkey: that of a user of that name, or of the
// root where the name is empty. A user who is called otherwise later keeps it.
func (p Partition) PasskeySerial(account AccountID, user, name, suffix string) ID {
	whose := "root/"
	if user != "" {
		whose = "user/" + user + "/"
	}
	return ID(p.IAM() + string(account) + ":u2f/" + whose + name + "-" + suffix)
}

// Handle makes Passkeys a record of a table, by their owner, as do Is and AppendDigest.
func (p *Passkeys) Handle() table.Handle { return table.HandleOf(p.Owner) }

// Is tells whether the Passkeys are of that owner.
func (p *Passkeys) Is(key string) bool { return string(p.Owner) == key }

// AppendDigest appends all that the Passkeys have.
func (p *Passkeys) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "passkeys")
	b = digest.AppendString(b, p.Owner)
	b = digest.AppendString(b, p.Account)
	b = digest.AppendInt(b, int64(p.Used))
	b = digest.AppendInt(b, len(p.List))
	for i := range p.List {
		k := &p.List[i]
		b = digest.AppendString(b, k.ID)
		b = digest.AppendString(b, k.Name)
		b = digest.AppendString(b, k.Credential)
		b = digest.AppendString(b, k.PublicKey)
		b = digest.AppendString(b, k.AAGUID[:])
		b = digest.AppendInt(b, len(k.Transports))
		for _, t := range k.Transports {
			b = digest.AppendString(b, t)
		}
		b = digest.AppendInt(b, k.Count)
		b = digest.AppendBool(b, k.Eligible)
		b = digest.AppendBool(b, k.BackedUp)
		b = digest.AppendInt(b, int64(k.Enabled))
	}
	return b
}

// Passkeys returns those of a user, or of a root by its account's number. Who had some has
// a record of none, which says which challenges were used.
func (s *State) Passkeys(owner ID) (*Passkeys, bool) { return s.passkeys.Get(owner) }

// PasskeysOf returns the list of an owner's passkeys.
func (s *State) PasskeysOf(owner ID) []Passkey {
	if p, ok := s.passkeys.Get(owner); ok {
		return p.List
	}
	return nil
}

// CountPasskeys is how many passkeys the users and the root of an account have.
func (s *State) CountPasskeys(account AccountID) int { return s.registered.of(account) }

// CountMFA is how many MFA devices a user, or a root by its account's number, has: virtual
// ones and passkeys.
func (s *State) CountMFA(owner ID) int {
	return s.devices.Count(table.HandleOf(owner)) + len(s.PasskeysOf(owner))
}

// has tells whether a credential is the owner's already. What others have does not count:
// whoever signs in says who that is, and a passkey is looked for among that one's alone. Were
// the credential of another refused, anybody could tell it from those that nobody has, by
// which strangers are not to learn who has passkeys.
func (p *Passkeys) has(credential []byte) bool {
	return slices.ContainsFunc(p.List, func(k Passkey) bool { return bytes.Equal(k.Credential, credential) })
}

// find finds a passkey by its serial number; -1 for none.
func (p *Passkeys) find(id ID) int {
	return slices.IndexFunc(p.List, func(k Passkey) bool { return k.ID == id })
}

// RegisterPasskey gives a user, or the root where User is empty, a passkey. The proposer has
// verified what its authenticator said.
type RegisterPasskey struct {
	Account    AccountID
	User       string
	Owner      ID     // for whom the challenge was made
	Challenged Time   // when that was
	Name       string // as the caller names it
	Suffix     string // that tells its serial number from all others
	Credential []byte
	PublicKey  []byte
	AAGUID     [16]byte
	Transports []string
	Count      uint32
	Eligible   bool
	BackedUp   bool
}

// PasskeyRegistered gave an owner a passkey.
type PasskeyRegistered struct {
	Account    AccountID
	Owner      ID
	Challenged Time
	Passkey    Passkey
}

func (c *RegisterPasskey) decide(s *State, m Meta) ([]Event, error) {
	owner, _, err := s.keyOwner(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	name := c.User
	if u, ok := s.User(c.Account, c.User); ok && c.User != "" {
		name = u.Name
	}
	p, had := s.passkeys.Get(owner)
	switch {
	case owner != c.Owner:
		return nil, refuse(StaleAuthorization, "The challenge was not made for the user %s of now.", name)
	case had && c.Challenged <= p.Used:
		return nil, refuse(InvalidAuthenticationCode, "The challenge was used, or another that was made later. Ask for another one.")
	case had && p.has(c.Credential):
		return nil, refuse(EntityAlreadyExists, "The passkey is registered already.")
	case s.CountMFA(owner) >= MaxMFADevices:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for MfaDevicesPerUser: %d", MaxMFADevices)
	}
	k := Passkey{ID: s.partition.PasskeySerial(c.Account, name, c.Name, c.Suffix), Name: c.Name, Credential: c.Credential, PublicKey: c.PublicKey,
		AAGUID: c.AAGUID, Transports: c.Transports, Count: c.Count, Eligible: c.Eligible, BackedUp: c.BackedUp, Enabled: m.Time}
	if had && p.find(k.ID) >= 0 {
		return nil, refuse(EntityAlreadyExists, "MFA device already exists.")
	}
	return []Event{&PasskeyRegistered{Account: c.Account, Owner: owner, Challenged: c.Challenged, Passkey: k}}, nil
}

func (e *PasskeyRegistered) evolve(s *State) {
	if _, ok := s.passkeys.Get(e.Owner); !ok {
		s.passkeys.Put(&Passkeys{Owner: e.Owner, Account: e.Account})
	}
	s.changePasskeys(e.Owner, func(p *Passkeys) {
		p.Used = max(p.Used, e.Challenged)
		p.List = append(p.List, e.Passkey)
	})
}

// UsePasskey notes that a passkey answered a challenge, so that no such one is good again.
type UsePasskey struct {
	Account    AccountID
	Owner      ID // whose it is: a user's identifier, or the account's number for its root
	ID         ID
	Challenged Time // when the challenge was made
	Count      uint32
	BackedUp   bool
}

// PasskeyUsed notes that a passkey answered a challenge.
type PasskeyUsed struct {
	Owner      ID
	ID         ID
	Challenged Time
	Count      uint32
	BackedUp   bool
}

// decide refuses alike whatever is wrong, as that of UseMFACode.
func (c *UsePasskey) decide(s *State, _ Meta) ([]Event, error) {
	p, ok := s.passkeys.Get(c.Owner)
	if !ok || p.Account != c.Account || c.Challenged <= p.Used {
		return nil, refuse(AccessDenied, "%s", PasskeyFailed)
	}
	if at := p.find(c.ID); at < 0 || !p.List[at].MayCount(c.Count) {
		return nil, refuse(AccessDenied, "%s", PasskeyFailed)
	}
	return []Event{&PasskeyUsed{Owner: c.Owner, ID: c.ID, Challenged: c.Challenged, Count: c.Count, BackedUp: c.BackedUp}}, nil
}

// PasskeyFailed is what whoever shows a passkey that is no good is told.
const PasskeyFailed = "MultiFactorAuthentication failed with invalid passkey. "

// MayCount tells whether an authenticator may say that it has signed so often. One that counts
// counts on: when it does not, it may be a copy.
func (k *Passkey) MayCount(count uint32) bool { return count > k.Count || count == 0 && k.Count == 0 }

func (e *PasskeyUsed) evolve(s *State) {
	s.changePasskeys(e.Owner, func(p *Passkeys) {
		p.Used = max(p.Used, e.Challenged)
		if at := p.find(e.ID); at >= 0 {
			p.List[at].Count, p.List[at].BackedUp = e.Count, e.BackedUp
		}
	})
}

// PasskeyRemoved took a passkey from its owner.
type PasskeyRemoved struct {
	Owner ID
	ID    ID
}

// removePasskey decides a DeactivateMFADevice of a passkey. It reports whether the owner has
// one of that serial number.
func (s *State) removePasskey(owner, id ID) ([]Event, bool) {
	if p, ok := s.passkeys.Get(owner); ok && p.find(id) >= 0 {
		return []Event{&PasskeyRemoved{Owner: owner, ID: id}}, true
	}
	return nil, false
}

func (e *PasskeyRemoved) evolve(s *State) {
	s.changePasskeys(e.Owner, func(p *Passkeys) {
		p.List = slices.DeleteFunc(p.List, func(k Passkey) bool { return k.ID == e.ID })
	})
}

// changePasskeys changes an owner's passkeys, and keeps what is derived from them. What f
// changes is a copy.
func (s *State) changePasskeys(owner ID, f func(*Passkeys)) {
	changeRecord(&s.passkeys, owner, func(p *Passkeys) bool {
		s.registered.add(p.Account, -len(p.List))
		p.List = slices.Clone(p.List)
		f(p)
		p.List = slices.Clip(p.List)
		s.registered.add(p.Account, len(p.List))
		return true
	})
}

// forgetPasskeys takes a user's record out with the user, who has none any more.
func (s *State) forgetPasskeys(owner ID) {
	if p, ok := s.passkeys.Get(owner); ok {
		s.registered.add(p.Account, -len(p.List))
		s.passkeys.Delete(p)
	}
}

func (l *Loader) addPasskeys(p *Passkeys) {
	table.AddRow(&l.state.passkeys, &l.passkeys, p)
	l.state.registered.add(p.Account, len(p.List))
}
