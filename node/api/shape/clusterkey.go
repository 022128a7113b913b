package shape

import (
	"encoding/json"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// SessionKeys are the keys that seal the tokens of sessions, without what they are.
type SessionKeys struct {
	Max  uint32       `json:"max"`  // How many there are at most whose sessions may last.
	Keys []SessionKey `json:"keys"` // The oldest first.
}

// SessionKey is one of them.
type SessionKey struct {
	Number  uint32     `json:"number"`
	State   string     `json:"state"`
	Created time.Time  `json:"created"`
	Retired *time.Time `json:"retired,omitempty"` // When it ceased to seal sessions.
}

// IssuerKeys are the keys that sign web identity tokens, without what they are.
type IssuerKeys struct {
	Max  uint32      `json:"max"`  // How many there are at most whose tokens may last.
	Keys []IssuerKey `json:"keys"` // The oldest first.
}

// IssuerKey is one of them: a private key for each algorithm.
type IssuerKey struct {
	Number  uint32     `json:"number"`
	State   string     `json:"state"`
	KeyIDs  []string   `json:"key_ids"` // What the headers of its tokens say (kid), one for each algorithm.
	Created time.Time  `json:"created"`
	Retired *time.Time `json:"retired,omitempty"` // When it ceased to sign tokens.
}

// KeyChange is a change of session keys or issuer keys that was committed.
type KeyChange struct {
	Number   uint32         `json:"number"` // Of the key that was added or revoked.
	State    string         `json:"state"`  // Its state now.
	Position event.Position `json:"position"`
	Token    string         `json:"token"` // Of Position.
}

// SessionKeysOf tells of the session keys of a state.
func SessionKeysOf(s *identity.State) *SessionKeys {
	said := &SessionKeys{Max: identity.MaxSessionKeys, Keys: []SessionKey{}}
	for _, k := range s.SessionKeys().List {
		said.Keys = append(said.Keys, SessionKey{Number: k.Number, State: k.State.String(), Created: timeOf(k.Created), Retired: retired(k.Retired)})
	}
	return said
}

// IssuerKeysOf tells of the issuer keys of a state.
func IssuerKeysOf(s *identity.State) *IssuerKeys {
	said := &IssuerKeys{Max: identity.MaxIssuerKeys, Keys: []IssuerKey{}}
	for _, k := range s.IssuerKeys().List {
		one := IssuerKey{Number: k.Number, State: k.State.String(), KeyIDs: []string{}, Created: timeOf(k.Created), Retired: retired(k.Retired)}
		var public []struct {
			ID string `json:"kid"`
		}
		if json.Unmarshal([]byte("["+string(k.Public)+"]"), &public) == nil { // it is what a node made
			for _, p := range public {
				one.KeyIDs = append(one.KeyIDs, p.ID)
			}
		}
		said.Keys = append(said.Keys, one)
	}
	return said
}

func timeOf(t identity.Time) time.Time { return time.UnixMilli(int64(t)).UTC() }

// retired is when a key ceased to make anything; nil while it has not.
func retired(t identity.Time) *time.Time {
	if t == 0 {
		return nil
	}
	at := timeOf(t)
	return &at
}
