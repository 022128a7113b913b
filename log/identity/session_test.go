package identity

import (
	"errors"
	"fmt"
	"testing"
)

// sessionKey is the first session key, made before the command.
var sessionKey = &SessionKeyAdded{Number: 1, Sealed: []byte("sealed"), Created: now - hour}

func TestSessions(t *testing.T) { run(t, sessionSpecs()) }

func sessionSpecs() []spec {
	const none AccountID = "333333333333"
	second := &SessionKeyAdded{Number: 2, Sealed: []byte("two"), Created: now}
	keys := func(want ...SessionKey) func(*spying) {
		return func(s *spying) {
			if got := s.SessionKeys().List; fmt.Sprint(got) != fmt.Sprint(want) {
				s.Errorf("the keys are %+v", got)
			}
		}
	}
	many := make([]Event, 0, MaxSessionKeys)
	for n := range uint32(MaxSessionKeys) {
		many = append(many, &SessionKeyAdded{Number: n + 1, Created: now - hour})
	}
	revoked := append(many[:len(many):len(many)], &SessionKeyRevoked{Number: 3, At: now - hour})
	full := make([]Event, 0, MaxRevocations)
	for n := range MaxRevocations {
		full = append(full, &SessionsRevoked{Account: acct, Subject: fmt.Sprintf("ASIA%04d", n), Made: now - hour})
	}
	return []spec{
		{name: "first key", when: &AddSessionKey{Number: 1, Sealed: []byte("sealed")}, then: []Event{&SessionKeyAdded{Number: 1, Sealed: []byte("sealed"), Created: now}},
			check: keys(SessionKey{Number: 1, State: KeyActive, Sealed: []byte("sealed"), Created: now})},
		{name: "second key", given: []Event{sessionKey}, when: &AddSessionKey{Number: 2, Sealed: []byte("two")}, then: []Event{second},
			check: keys(SessionKey{1, KeyVerifyOnly, []byte("sealed"), now - hour, now}, SessionKey{2, KeyActive, []byte("two"), now, 0})},
		{name: "key added meanwhile", given: []Event{sessionKey}, when: &AddSessionKey{Number: 1},
			refused: "ConcurrentModification: Another session key was added meanwhile. Try again."},
		{name: "too many keys", given: many, when: &AddSessionKey{Number: MaxSessionKeys + 1},
			refused: "LimitExceeded: There are 16 session keys whose sessions may last. Revoke one, or wait until they have ended."},
		{name: "room of a revoked key", given: revoked, when: &AddSessionKey{Number: MaxSessionKeys + 1},
			then: []Event{&SessionKeyAdded{Number: MaxSessionKeys + 1, Created: now}},
			check: func(s *spying) {
				if _, there := s.SessionKey(3); there || len(s.SessionKeys().List) != MaxSessionKeys {
					s.Errorf("%d keys", len(s.SessionKeys().List))
				}
			}},
		{name: "keys whose sessions are over", given: []Event{&SessionKeyAdded{Number: 1, Created: past}, &SessionKeyAdded{Number: 2, Created: past}},
			when: &AddSessionKey{Number: 3}, then: []Event{&SessionKeyAdded{Number: 3, Created: now}},
			check: keys(SessionKey{2, KeyVerifyOnly, nil, past, now}, SessionKey{3, KeyActive, nil, now, 0})},
		{name: "revoke a key", given: []Event{sessionKey}, when: &RevokeSessionKey{Number: 1}, then: []Event{&SessionKeyRevoked{Number: 1, At: now}},
			check: func(s *spying) {
				keys(SessionKey{1, KeyRevoked, nil, now - hour, now})(s)
				if _, active := s.ActiveSessionKey(); active {
					s.Error("a revoked key seals")
				}
			}},
		{name: "revoke a key again", given: []Event{sessionKey, &SessionKeyRevoked{Number: 1, At: now}}, when: &RevokeSessionKey{Number: 1},
			refused: "NoSuchEntity: There is no session key 1 that is in force."},
		{name: "revoke no key", when: &RevokeSessionKey{Number: 1}, refused: "NoSuchEntity: There is no session key 1 that is in force."},

		{name: "revoke sessions", given: []Event{sessionKey}, when: &RevokeSessions{Account: acct, Subject: "AROA1"},
			then: []Event{&SessionsRevoked{Account: acct, Subject: "AROA1", Made: now}},
			check: func(s *spying) {
				for _, c := range []struct {
					minted Position
					owner  ID
					want   bool
				}{{1, "AROA1", true}, {s.Position() - 1, "AROA1", true}, {s.Position(), "AROA1", false}, {1, "AROA2", false}} {
					if got := s.Revoked(acct, c.owner, "ASIA1", Session{Key: 1, Minted: c.minted, Issued: now + hour}); got != c.want {
						s.Errorf("of %s, made at %d: %v", c.owner, c.minted, got)
					}
				}
				if s.Revoked(other, "AROA1", "ASIA1", Session{Key: 1, Minted: 1}) {
					s.Error("another account's")
				}
			}},
		{name: "revoke what was issued before", given: []Event{sessionKey}, when: &RevokeSessions{Account: acct, Subject: "AROA1", Before: now - hour},
			then: []Event{&SessionsRevoked{Account: acct, Subject: "AROA1", Before: now - hour, Made: now}},
			check: func(s *spying) {
				for issued, want := range map[Time]bool{now - hour: true, now - hour + 1: false} {
					if got := s.Revoked(acct, "AROA1", "ASIA1", Session{Key: 1, Minted: 1, Issued: issued}); got != want {
						s.Errorf("issued at %d: %v", issued, got)
					}
				}
			}},
		{name: "revoke what was issued later", given: []Event{sessionKey}, when: &RevokeSessions{Account: acct, Subject: "AROA1", Before: now + 1},
			refused: "InvalidInput: Sessions can be revoked that were issued until now, not later."},
		{name: "sessions of no account", when: &RevokeSessions{Account: none, Subject: "AROA1"}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},
		{name: "too many revocations", given: full, when: &RevokeSessions{Account: acct, Subject: "AROA1"},
			refused: "LimitExceeded: The account has 1000 revocations in force. Revoke the sessions of their roles or users instead, each by one."},
		{name: "the same revocation", given: full, when: &RevokeSessions{Account: acct, Subject: "ASIA0007"},
			then: []Event{&SessionsRevoked{Account: acct, Subject: "ASIA0007", Made: now}}},
		{name: "revocations that are over", given: []Event{&SessionsRevoked{Account: acct, Subject: "ASIA1", Made: past}}, when: &RevokeSessions{Account: acct, Subject: "AROA1"},
			then: []Event{&SessionsRevoked{Account: acct, Subject: "AROA1", Made: now}},
			check: func(s *spying) {
				if list := s.Revocations(acct); len(list) != 1 || list[0].Subject != "AROA1" {
					s.Errorf("%+v", list)
				}
			}},
		{name: "both kinds of one subject", given: []Event{&SessionsRevoked{Account: acct, Subject: "ASIA1", Before: past, Made: past}, &SessionsRevoked{Account: acct, Subject: "ASIA1", Made: now}},
			when: &RevokeSessions{Account: acct, Subject: "ASIA1", Before: past - 1}, then: []Event{&SessionsRevoked{Account: acct, Subject: "ASIA1", Before: past - 1, Made: now}},
			check: func(s *spying) {
				if l := s.Revocations(acct)[0]; l.All != s.Position()-1 || l.Before != past || l.Made != now {
					s.Errorf("%+v", l)
				}
			}},
	}
}

// TestSessionsAreContained has a session author a command after what ends it.
func TestSessionsAreContained(t *testing.T) {
	s := given(alice, deploy, sessionKey)
	at := s.Position()
	by := Authority{Account: acct, Principal: "AROA1", Credential: "ASIA1", AuthorizedAt: at,
		Session: Session{Key: 1, Minted: at, Issued: now - hour, Until: now + hour, Parent: "AKIA1"}}
	decide := func(s *State, by Authority, at Time) string {
		var refusal *Refusal
		if _, err := Decide(s, Meta{Time: at, By: by}, &CreateGroup{Account: acct, ID: "AGPA1", Name: "g", Path: "/"}); errors.As(err, &refusal) {
			return string(refusal.Code)
		}
		return ""
	}
	if got := decide(s, by, now); got != "" {
		t.Errorf("a session that is good: %s", got)
	}
	if got := decide(s, by, by.Session.Until); got != string(StaleAuthorization) {
		t.Errorf("after its end: %q", got)
	}
	for name, event := range map[string]Event{
		"session revoked":   &SessionsRevoked{Account: acct, Subject: "ASIA1", Made: now},
		"role revoked":      &SessionsRevoked{Account: acct, Subject: "AROA1", Made: now},
		"parent revoked":    &SessionsRevoked{Account: acct, Subject: "AKIA1", Made: now},
		"key revoked":       &SessionKeyRevoked{Number: 1, At: now},
		"role deleted":      &RoleDeleted{ID: "AROA1"},
		"permission change": &InlinePolicyPut{Kind: KindRole, ID: "AROA1", Name: "p", Document: "{}"},
	} {
		later := s.Snapshot()
		apply(later, event)
		if got := decide(later, by, now); got != string(StaleAuthorization) {
			t.Errorf("%s: %q", name, got)
		}
	}
	later := s.Snapshot()
	apply(later, &SessionsRevoked{Account: acct, Subject: "ASIA2", Made: now})
	if got := decide(later, by, now); got != "" {
		t.Errorf("another session revoked: %s", got)
	}
}

// TestChainsAreContained has sessions of any depth author a command after what ends the
// beginning of their chain. Those of older tokens do not say it, and go on.
func TestChainsAreContained(t *testing.T) {
	s := given(alice, deploy, sessionKey)
	at := s.Position()
	origin := Origin{Account: acct, Principal: alice.ID, Key: "AKIA1", Began: now - hour}
	by := Authority{Account: acct, Principal: "AROA1", Credential: "ASIA3", AuthorizedAt: at,
		Session: Session{Key: 1, Minted: at, Issued: now, Until: now + hour, Parent: "ASIA2", Origin: origin}}
	ended := func(s *State, by Authority) bool {
		_, err := Decide(s, Meta{Time: now, By: by}, &CreateGroup{Account: acct, ID: "AGPA1", Name: "g", Path: "/"})
		var refusal *Refusal
		return errors.As(err, &refusal) && refusal.Code == StaleAuthorization
	}
	if ended(s, by) {
		t.Error("a chain that is good has ended")
	}
	silent := by
	silent.Session.Origin = Origin{}
	for name, c := range map[string]struct {
		event Event
		want  bool
	}{
		"key revoked":                         {&SessionsRevoked{Account: acct, Subject: "AKIA1", Made: now}, true},
		"user revoked":                        {&SessionsRevoked{Account: acct, Subject: string(alice.ID), Made: now}, true},
		"key revoked when the chain began":    {&SessionsRevoked{Account: acct, Subject: "AKIA1", Before: now - hour, Made: now}, true},
		"key revoked before the chain began":  {&SessionsRevoked{Account: acct, Subject: "AKIA1", Before: now - hour - 1, Made: now}, false},
		"user deleted":                        {&UserDeleted{ID: alice.ID}, false},
		"another key revoked":                 {&SessionsRevoked{Account: acct, Subject: "AKIA2", Made: now}, false},
		"the key revoked, in another account": {&SessionsRevoked{Account: other, Subject: "AKIA1", Made: now}, false},
	} {
		later := s.Snapshot()
		apply(later, c.event)
		if got := ended(later, by); got != c.want {
			t.Errorf("%s: ended is %v", name, got)
		}
		if ended(later, silent) {
			t.Errorf("%s: a session that does not say where its chain began has ended", name)
		}
		fresh := by
		fresh.Session.Minted, fresh.Session.Origin.Began = later.Position(), now
		if ended(later, fresh) {
			t.Errorf("%s: a chain that began later has ended", name)
		}
	}
}
