package identity

import (
	"fmt"
	"testing"
)

// issuerKey is the first issuer key, made before the command.
var issuerKey = &IssuerKeyAdded{Number: 1, Sealed: []byte("sealed"), Public: []byte("public"), Created: now - hour}

func TestIssuerKeys(t *testing.T) { run(t, issuerKeySpecs()) }

func issuerKeySpecs() []spec {
	second := &IssuerKeyAdded{Number: 2, Sealed: []byte("two"), Public: []byte("deux"), Created: now}
	keys := func(want ...IssuerKey) func(*spying) {
		return func(s *spying) {
			if got := s.IssuerKeys().List; fmt.Sprint(got) != fmt.Sprint(want) {
				s.Errorf("the keys are %+v", got)
			}
		}
	}
	many := make([]Event, 0, MaxIssuerKeys)
	for n := range uint32(MaxIssuerKeys) {
		many = append(many, &IssuerKeyAdded{Number: n + 1, Created: now - hour})
	}
	revoked := append(many[:len(many):len(many)], &IssuerKeyRevoked{Number: 3, At: now - hour})
	return []spec{
		{name: "first key", when: &AddIssuerKey{Number: 1, Sealed: []byte("sealed"), Public: []byte("public")},
			then:  []Event{&IssuerKeyAdded{Number: 1, Sealed: []byte("sealed"), Public: []byte("public"), Created: now}},
			check: keys(IssuerKey{Number: 1, State: KeyActive, Sealed: []byte("sealed"), Public: []byte("public"), Created: now})},
		{name: "second key", given: []Event{issuerKey}, when: &AddIssuerKey{Number: 2, Sealed: []byte("two"), Public: []byte("deux")}, then: []Event{second},
			check: keys(IssuerKey{1, KeyVerifyOnly, []byte("sealed"), []byte("public"), now - hour, now}, IssuerKey{2, KeyActive, []byte("two"), []byte("deux"), now, 0})},
		{name: "key added meanwhile", given: []Event{issuerKey}, when: &AddIssuerKey{Number: 1},
			refused: "ConcurrentModification: Another issuer key was added meanwhile. Try again."},
		{name: "too many keys", given: many, when: &AddIssuerKey{Number: MaxIssuerKeys + 1},
			refused: "LimitExceeded: There are 8 issuer keys whose tokens may last. Revoke one, or wait until they have ended."},
		{name: "room of a revoked key", given: revoked, when: &AddIssuerKey{Number: MaxIssuerKeys + 1},
			then: []Event{&IssuerKeyAdded{Number: MaxIssuerKeys + 1, Created: now}},
			check: func(s *spying) {
				if n := len(s.IssuerKeys().List); n != MaxIssuerKeys {
					s.Errorf("%d keys", n)
				}
			}},
		{name: "keys whose tokens are over", given: []Event{&IssuerKeyAdded{Number: 1, Created: past}, &IssuerKeyAdded{Number: 2, Created: past}},
			when: &AddIssuerKey{Number: 3}, then: []Event{&IssuerKeyAdded{Number: 3, Created: now}},
			check: keys(IssuerKey{2, KeyVerifyOnly, nil, nil, past, now}, IssuerKey{3, KeyActive, nil, nil, now, 0})},
		{name: "revoke a key", given: []Event{issuerKey}, when: &RevokeIssuerKey{Number: 1}, then: []Event{&IssuerKeyRevoked{Number: 1, At: now}},
			check: func(s *spying) {
				keys(IssuerKey{1, KeyRevoked, nil, []byte("public"), now - hour, now})(s)
				if _, active := s.ActiveIssuerKey(); active {
					s.Error("a revoked key signs")
				}
			}},
		{name: "revoke a key again", given: []Event{issuerKey, &IssuerKeyRevoked{Number: 1, At: now}}, when: &RevokeIssuerKey{Number: 1},
			refused: "NoSuchEntity: There is no issuer key 1 that is in force."},
		{name: "revoke no key", when: &RevokeIssuerKey{Number: 1}, refused: "NoSuchEntity: There is no issuer key 1 that is in force."},
	}
}
