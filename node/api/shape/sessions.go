package shape

import "time"

// SeenSessions are the sessions of the caller's account that a node saw last and that have not
// ended.
type SeenSessions struct {
	Node     string        `json:"node"`
	Max      uint32        `json:"max"`      // How many sessions a node remembers, of all accounts.
	Sessions []SeenSession `json:"sessions"` // Those that were seen last first.
}

// SeenSession is one of them.
type SeenSession struct {
	Kind        string    `json:"kind"`
	Principal   string    `json:"principal"`              // ARN of who calls by it.
	SessionName string    `json:"session_name,omitempty"` // Of a session of a role, or the name of a federated user.
	AccessKeyID string    `json:"access_key_id"`          // By which it can be revoked.
	Issued      time.Time `json:"issued"`
	Expires     time.Time `json:"expires"`
	LastSeen    time.Time `json:"last_seen"` // By the clock of the node.
}

// The kinds of sessions.
const (
	KindRoleSession   = "role"
	KindUserSession   = "user"
	KindRootSession   = "root"
	KindFederatedUser = "federated-user"
	KindTaskRoot      = "task-root" // Of an account's root, by AssumeRoot.
	KindDelegated     = "delegated" // Of a user or root, by a delegation request.
)
