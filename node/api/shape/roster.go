package shape

import (
	"github.com/writ-iam/writ/log/event"
)

// RosterChange is a change of the roster that was committed.
type RosterChange struct {
	Replica  string         `json:"replica"`
	Position event.Position `json:"position"`
	Token    string         `json:"token"` // of Position
}
