package shape

import (
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// SessionsToRevoke names sessions of the caller's account to end: one of Session, Principal
// and Key.
type SessionsToRevoke struct {
	Session   string `json:"session,omitempty"`   // Access key id of one session; those that it asked for in the account end with it.
	Principal string `json:"principal,omitempty"` // ARN of the role, user or root whose sessions they are, or with which their chain began.
	Key       string `json:"key,omitempty"`       // Access key id of the credentials that asked for them, or with which their chain began.
	// End those alone that were issued, or whose chain began, then or earlier. Without it, end all that were made before the change.
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
}

// Revocation is a revocation of sessions that was committed.
type Revocation struct {
	Account  identity.AccountID `json:"account"`
	Subject  string             `json:"subject"` // Access key id, or unique identifier of the principal.
	Position event.Position     `json:"position"`
	Token    string             `json:"token"` // Of Position.
}
