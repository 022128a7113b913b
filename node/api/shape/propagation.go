package shape

import "github.com/writ-iam/writ/log/event"

// Propagation says how far a position has come.
type Propagation struct {
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Position    event.Position `json:"position"`
	Token       string         `json:"token,omitempty"`
	// State is "unknown", "committed", "partial" or "everywhere".
	State     string   `json:"state"`
	VisibleOn []string `json:"visible_on"`
	Fenced    []string `json:"fenced"`
	Pending   []string `json:"pending"`
	// PendingLives are the processes that replicas in Pending are pending for, where one
	// has several.
	PendingLives []PendingLife `json:"pending_lives,omitempty"`
	// WorstCaseMS is how long it takes at most until nobody is pending; null when
	// there is no bound.
	WorstCaseMS *int64         `json:"worst_case_ms"`
	Roster      event.Position `json:"roster_position"`
	Floor       event.Position `json:"floor"`
}

// Everywhere tells whether the position is in force at every replica in scope.
func (p *Propagation) Everywhere() bool { return p.State == "everywhere" }

// PendingLife is one process of a replica that has several.
type PendingLife struct {
	Replica   string         `json:"replica"`
	Life      string         `json:"life"`
	Position  event.Position `json:"position"`
	MayHoldMS int64          `json:"may_hold_lease_ms"`
	// HeardMS is how long ago the leader heard of it, or took over.
	HeardMS int64 `json:"heard_ms_ago"`
}
