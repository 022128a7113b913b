package shape

import (
	"github.com/writ-iam/writ/log/event"
)

// What a stream of events tells.
type (
	// PositionEvent tells of one position.
	PositionEvent struct {
		Position event.Position `json:"position"`
		Token    string         `json:"token"`
		Time     string         `json:"time"`
		Action   string         `json:"action"` // The API action, such as iam:CreateUser; empty for the cluster's own commands.
		Events   []string       `json:"events"` // Kinds of the events at the position, each once.
	}
	// HeartbeatEvent tells how far a node is.
	HeartbeatEvent struct {
		Node     string          `json:"node"`
		Position event.Position  `json:"position"` // Of this node.
		Head     *event.Position `json:"head"`     // Known head of the cluster; null if it is not known.
		Lag      *event.Position `json:"lag"`      // How many positions the node is behind it.
		// Freshness is "leased" or "unleased" at a replica; "leading" at a leader, whose
		// own word the head is; "strict" at another writer that asked the leader less
		// than a second ago, else "unleased".
		Freshness   string `json:"freshness"`
		StalenessMS *int64 `json:"staleness_bound_ms"` // The view is no older than this; null where there is no bound.
	}
	// GapEvent tells of positions that the node does not have.
	GapEvent struct {
		From event.Position `json:"from"`
		To   event.Position `json:"to"`
		Hint string         `json:"hint"`
	}
	// EndEvent tells why a stream ends.
	EndEvent struct {
		Status int    `json:"status"` // As of an answer that is refused for this reason.
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Hint   string `json:"hint,omitempty"`
	}
)
