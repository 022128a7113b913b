package shape

import (
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

// SessionKeyChange is a change of session keys that was committed.
type SessionKeyChange struct {
	Number   uint32         `json:"number"` // Of the key that was added or revoked.
	State    string         `json:"state"`  // Its state now.
	Position event.Position `json:"position"`
	Token    string         `json:"token"` // Of Position.
}

// SessionKeysOf tells of the session keys of a state.
func SessionKeysOf(s *identity.State) *SessionKeys {
	said := &SessionKeys{Max: identity.MaxSessionKeys, Keys: []SessionKey{}}
	for _, k := range s.SessionKeys().List {
		one := SessionKey{Number: k.Number, State: k.State.String(), Created: time.UnixMilli(int64(k.Created)).UTC()}
		if k.Retired != 0 {
			at := time.UnixMilli(int64(k.Retired)).UTC()
			one.Retired = &at
		}
		said.Keys = append(said.Keys, one)
	}
	return said
}
