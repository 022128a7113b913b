package identity

import (
	"cmp"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Limits of sessions.
const (
	// MaxSessionLife is the longest that a session lasts, in milliseconds: 36 hours
	// ("GetSessionToken" in the STS API Reference).
	MaxSessionLife Time = 36 * 60 * 60 * 1000
	// sessionGrace is how much longer is kept what sessions are judged by: clocks differ.
	sessionGrace Time = 60 * 60 * 1000
	// MaxSessionKeys is how many keys there are that sealed sessions which may last.
	MaxSessionKeys = 16
	// MaxRevocations is how many revocations an account has in force: they are one record,
	// which each of them writes anew. One of a role or user stands for all its sessions.
	MaxRevocations = 1000
)

var sessionKeyKind = keyKind{name: "session", made: "sessions", most: MaxSessionKeys, life: MaxSessionLife}

// SessionKey is a key that seals the tokens of sessions, for all accounts of the cluster.
type SessionKey struct {
	Number  uint32 // from 1 on, without gaps, in the order made
	State   KeyState
	Sealed  []byte // by the cluster's own key; nil once it is revoked
	Created Time
	Retired Time // when it ceased to be active; 0 while it is
}

func (k *SessionKey) life() keyLife {
	return keyLife{k.Number, &k.State, &k.Sealed, k.Created, &k.Retired}
}

// publicDigest appends nothing: all of a session key is secret.
func (k *SessionKey) publicDigest(b []byte) []byte { return b }

// SessionKeys are the session keys of a cluster.
type SessionKeys struct {
	ClusterKeys[SessionKey, *SessionKey]
}

// sessionKeysKey is the key of the one record of session keys.
const sessionKeysKey = "session-keys"

// Handle makes SessionKeys a record of a table, by its key, as do Is and AppendDigest.
func (k *SessionKeys) Handle() table.Handle { return table.HandleOf(sessionKeysKey) }

// Is tells whether the SessionKeys have that key.
func (k *SessionKeys) Is(key string) bool { return key == sessionKeysKey }

// AppendDigest appends all that the SessionKeys have.
func (k *SessionKeys) AppendDigest(b []byte) []byte {
	return k.digest(digest.AppendString(b, sessionKeysKey))
}

// SessionKeys are those of the cluster, none where no sessions were ever made.
func (s *State) SessionKeys() SessionKeys {
	if k, ok := s.sessionKeys.Get(sessionKeysKey); ok {
		return *k
	}
	return SessionKeys{}
}

// SessionKey returns the key of that number, whatever it is good for.
func (s *State) SessionKey(number uint32) (SessionKey, bool) {
	k := s.SessionKeys()
	return k.find(number)
}

// ActiveSessionKey returns the key that seals sessions now.
func (s *State) ActiveSessionKey() (SessionKey, bool) {
	k := s.SessionKeys()
	return k.active()
}

// AddSessionKey adds a session key, which seals from now on; the one before it opens what
// it sealed.
type AddSessionKey struct {
	Number uint32 // one more than the last
	Sealed []byte
}

// SessionKeyAdded added a session key.
type SessionKeyAdded struct {
	Number  uint32
	Sealed  []byte
	Created Time
}

func (c *AddSessionKey) decide(s *State, m Meta) ([]Event, error) {
	k := s.SessionKeys()
	if err := k.mayAdd(&sessionKeyKind, c.Number, m.Time); err != nil {
		return nil, err
	}
	return []Event{&SessionKeyAdded{Number: c.Number, Sealed: c.Sealed, Created: m.Time}}, nil
}

func (e *SessionKeyAdded) evolve(s *State) {
	k := s.SessionKeys()
	s.sessionKeys.Put(&SessionKeys{k.with(&sessionKeyKind, SessionKey{Number: e.Number, Sealed: e.Sealed, Created: e.Created})})
}

// RevokeSessionKey ends every session that a key sealed.
type RevokeSessionKey struct{ Number uint32 }

// SessionKeyRevoked ended every session that a key sealed.
type SessionKeyRevoked struct {
	Number uint32
	At     Time
}

func (c *RevokeSessionKey) decide(s *State, m Meta) ([]Event, error) {
	k := s.SessionKeys()
	if err := k.mayRevoke(&sessionKeyKind, c.Number); err != nil {
		return nil, err
	}
	return []Event{&SessionKeyRevoked{Number: c.Number, At: m.Time}}, nil
}

func (e *SessionKeyRevoked) evolve(s *State) {
	k := s.SessionKeys()
	s.sessionKeys.Put(&SessionKeys{k.without(e.Number, e.At)})
}

// Session is what a command's authority says of the session that it is by. The zero Session
// is none.
type Session struct {
	Key    uint32   // number of the session key that sealed it
	Minted Position // of the view in which it was made
	Issued Time
	Until  Time   // when it ends
	Parent string // access key id that asked for it; empty for none
	Origin Origin
}

// Origin is where the chain of a session began, whose links each asked for the next. The zero
// Origin is that of a session which is the first of its chain and was asked for by no access
// key, as those of web identities and of sign-ins, or whose token does not say it.
type Origin struct {
	Account   AccountID // of the principal
	Principal ID        // whose the access key is that asked for the first session, or whose that session is; of a root the account's number
	Key       string    // that access key's id; empty for none
	Began     Time      // when the first session was issued
}

// Revocation ends sessions: those that were made before a position, and those that were
// issued at a time or earlier.
type Revocation struct {
	// Subject is a session's access key id, the access key id that asked for sessions, or
	// the identifier of the role or user whose they are; of a root's it is the account's
	// number. Of a chain that began with it every session is meant, whoever it is of.
	Subject string
	All     Position // sessions made before it are revoked; 0 for none
	Before  Time     // sessions issued then or earlier are, too; 0 for none
	Made    Time     // of the latest
}

// Revocations are those of an account that are in force, in order of subject.
type Revocations struct {
	Account AccountID
	List    []Revocation
}

// Handle makes Revocations a record of a table, by its key, as do Is and AppendDigest.
func (r *Revocations) Handle() table.Handle { return table.HandleOf(r.Account) }

// Is tells whether the Revocations have that key.
func (r *Revocations) Is(key string) bool { return string(r.Account) == key }

// AppendDigest appends all that the Revocations have.
func (r *Revocations) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "revocations")
	b = digest.AppendString(b, r.Account)
	b = digest.AppendInt(b, len(r.List))
	for i := range r.List {
		l := &r.List[i]
		b = digest.AppendString(b, l.Subject)
		b = digest.AppendInt(b, uint64(l.All))
		b = digest.AppendInt(b, int64(l.Before))
		b = digest.AppendInt(b, int64(l.Made))
	}
	return b
}

func (r *Revocations) find(subject string) (int, bool) {
	return slices.BinarySearchFunc(r.List, subject, func(l Revocation, subject string) int { return cmp.Compare(l.Subject, subject) })
}

// Revocations are those of an account.
func (s *State) Revocations(account AccountID) []Revocation {
	if r, ok := s.revocations.Get(account); ok {
		return r.List
	}
	return nil
}

// Revoked tells whether a session is revoked: its own, those of its principal, those that
// its parent asked for, those of its session key, all of an account that is closed, or its whole
// chain. credential is its access key id.
func (s *State) Revoked(account AccountID, principal ID, credential string, on Session) bool {
	if k, ok := s.SessionKey(on.Key); !ok || k.State == KeyRevoked || s.Closed(account) {
		return true
	}
	for _, subject := range [...]string{credential, string(principal), on.Parent} {
		if s.RevokedSince(account, ID(subject), on.Minted, on.Issued) {
			return true
		}
	}
	return s.chainEnded(&on)
}

// chainEnded tells whether the chain of a session has ended where it began: by a revocation of
// what was asked for by its first access key, or of its first principal, or with that
// principal's account. When the principal is deleted alone, the roles that it assumed go on, as
// at AWS.
func (s *State) chainEnded(on *Session) bool {
	o := &on.Origin
	if o.Account == "" {
		return false
	}
	return s.Closed(o.Account) || s.RevokedSince(o.Account, o.Principal, on.Minted, o.Began) || s.RevokedSince(o.Account, ID(o.Key), on.Minted, o.Began)
}

// RevokedSince tells whether what was made of a subject at a position and time is revoked.
func (s *State) RevokedSince(account AccountID, subject ID, minted Position, issued Time) bool {
	r, ok := s.revocations.Get(account)
	if !ok {
		return false
	}
	i, there := r.find(string(subject))
	return there && (minted < r.List[i].All || issued <= r.List[i].Before)
}

// RevokeSessions ends the sessions of a subject: all that were made before the command, or
// those alone that were issued at a time or earlier.
type RevokeSessions struct {
	Account AccountID
	Subject string // as in Revocation
	Before  Time   // 0: all until now
}

// SessionsRevoked ended the sessions of a subject.
type SessionsRevoked struct {
	Account AccountID
	Subject string
	Before  Time // 0: all until then
	Made    Time
}

func (c *RevokeSessions) decide(s *State, m Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	if c.Before > m.Time {
		return nil, refuse(InvalidInput, "Sessions can be revoked that were issued until now, not later.")
	}
	if r, ok := s.revocations.Get(c.Account); ok {
		_, there := r.find(c.Subject)
		kept := 0
		for i := range r.List {
			if !r.List[i].over(m.Time) {
				kept++
			}
		}
		if !there && kept >= MaxRevocations {
			return nil, refuse(LimitExceeded, "The account has %d revocations in force. Revoke the sessions of their roles or users instead, each by one.", MaxRevocations)
		}
	}
	return []Event{&SessionsRevoked{Account: c.Account, Subject: c.Subject, Before: c.Before, Made: m.Time}}, nil
}

// over tells whether every session that a revocation ends has ended by itself.
func (r *Revocation) over(now Time) bool { return r.Made+MaxSessionLife+sessionGrace <= now }

func (e *SessionsRevoked) evolve(s *State) {
	r := Revocations{Account: e.Account}
	for _, l := range s.Revocations(e.Account) {
		if l.Subject == e.Subject || !l.over(e.Made) {
			r.List = append(r.List, l)
		}
	}
	i, there := r.find(e.Subject)
	if !there {
		r.List = slices.Insert(r.List, i, Revocation{Subject: e.Subject})
	}
	l := &r.List[i]
	l.Made = max(l.Made, e.Made)
	if e.Before == 0 {
		l.All = s.position
	} else {
		l.Before = max(l.Before, e.Before)
	}
	s.revocations.Put(&r)
}

// SessionEnded tells whether a session has ended by a time: by itself, by a revocation, or
// with whoever it is of. credential is its access key id.
func (s *State) SessionEnded(account AccountID, principal ID, credential string, on Session, at Time) bool {
	return s.containSession(&Authority{Account: account, Principal: principal, Credential: credential, Session: on}, at) != nil
}

// containSession refuses what a session authored that has ended, was revoked, or whose
// principal was deleted since.
func (s *State) containSession(by *Authority, at Time) *Refusal {
	_, there := s.KindOf(by.Principal)
	if _, root := s.accounts.Get(AccountID(by.Principal)); !there && !root {
		return refuse(StaleAuthorization, "Whoever the session %s is of no longer exists.", by.Credential)
	}
	switch {
	case s.Revoked(by.Account, by.Principal, by.Credential, by.Session):
		return refuse(StaleAuthorization, "The session %s is revoked.", by.Credential)
	case at >= by.Session.Until:
		return refuse(StaleAuthorization, "The session %s has ended.", by.Credential)
	}
	return nil
}
