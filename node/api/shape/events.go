package shape

import (
	"github.com/writ-iam/writ/log/event"
)

// What a stream of events tells: of one position, of how far a node is, of positions that
// are not there, and of its end.
type (
	PositionEvent struct {
		Position event.Position `json:"position"`
		Token    string         `json:"token"`
		Time     string         `json:"time"`
		Action   string         `json:"action"`
		Events   []string       `json:"events"`
	}
	HeartbeatEvent struct {
		Node     string          `json:"node"`
		Position event.Position  `json:"position"`
		Head     *event.Position `json:"head"` // null: not known
		Lag      *event.Position `json:"lag"`
		// Freshness is "leased" or "unleased" at a replica; "leading" at a leader, whose
		// own word the head is; "strict" at another writer that asked the leader less
		// than a second ago, else "unleased".
		Freshness   string `json:"freshness"`
		StalenessMS *int64 `json:"staleness_bound_ms"` // null: there is no bound
	}
	GapEvent struct {
		From event.Position `json:"from"`
		To   event.Position `json:"to"`
		Hint string         `json:"hint"`
	}
	EndEvent struct {
		Status int    `json:"status"` // as of an answer that is refused so
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Hint   string `json:"hint,omitempty"`
	}
)
