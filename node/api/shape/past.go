package shape

import (
	"encoding/json"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// ChangeSearch asks which changes between two moments turned a decision.
type ChangeSearch struct {
	Principal string  `json:"principal"`          // ARN of a user, role, role session or root.
	Action    string  `json:"action"`             // One action, such as "s3:GetObject", in any letter case; no wildcards.
	Resource  string  `json:"resource,omitempty"` // An ARN, or "*" for an action without resources.
	Context   Context `json:"context,omitempty"`
	From      Moment  `json:"from"` // The changes behind this position are looked through.
	To        Moment  `json:"to"`   // Up to this one.
}

// Moment is a position, or a time as RFC 3339 has it, which stands for the last position that
// is not later. A position may be given as a text, too.
type Moment string

// MarshalJSON writes it as a text.
func (m Moment) MarshalJSON() ([]byte, error) { return json.Marshal(string(m)) }

// DecisionChanges are the changes that turned a decision, in their order.
type DecisionChanges struct {
	Cluster     string           `json:"cluster"`
	Incarnation string           `json:"incarnation"`
	From        event.Position   `json:"from"`
	To          event.Position   `json:"to"`
	Clock       time.Time        `json:"clock"`          // The time at which all is decided: that of the change at To.
	Before      DecisionAt       `json:"before"`         // The decision at From.
	After       DecisionAt       `json:"after"`          // The latest that was made: that at To, or at Next.
	Changes     []DecisionChange `json:"changes"`        // Each that turned it.
	Next        event.Position   `json:"next,omitempty"` // The limits of one answer were met here: ask again from this position.
}

// DecisionAt is a decision at a position of the past.
type DecisionAt struct {
	Position    event.Position  `json:"position"`              // Where it was made; it holds up to the next change.
	Decision    string          `json:"decision"`              // "allow", "explicitDeny", "implicitDeny", or "noSuchPrincipal" where there is no such principal.
	Reason      string          `json:"reason,omitempty"`      // Why it is denied.
	Explanation json.RawMessage `json:"explanation,omitempty"` // Each statement that decided.
}

// DecisionChange is a change that turned a decision.
type DecisionChange struct {
	Position  event.Position `json:"position"`
	Time      time.Time      `json:"time"`                 // By the clock of the writer that led.
	By        string         `json:"by,omitempty"`         // ARN of who made it, or the identifier of one that it deleted; none: the cluster itself did.
	Action    string         `json:"action,omitempty"`     // Such as "iam:DetachUserPolicy".
	RequestID string         `json:"request_id,omitempty"` // Which the caller was given.
	Events    []string       `json:"events"`               // The kinds of what changed.
	Before    DecisionAt     `json:"before"`
	After     DecisionAt     `json:"after"`
}
