package shape

import (
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// Retention is how much of the history the cluster keeps, at the position of the answer.
type Retention struct {
	KeepDays      uint32         `json:"keep_days"`      // Whatever is younger stays; 0: not the rule.
	KeepPositions uint64         `json:"keep_positions"` // The last so many stay; 0: not the rule.
	Floor         event.Position `json:"floor"`          // It and all behind it stay; 0: none is set.
	// First is the position with which the history begins. A writer deletes what is before within
	// minutes, when it has a snapshot.
	First event.Position `json:"first"`
	// Newest is the time of the last change that was dropped, and Dropped when that was decided;
	// left out where nothing was dropped.
	Newest  *time.Time `json:"newest_dropped,omitempty"`
	Dropped *time.Time `json:"dropped,omitempty"`
}

// RetentionToSet changes how much of the history stays. One of keep_days and keep_positions replaces
// the rule, and 0 keeps everything; what is left out stays as it is.
type RetentionToSet struct {
	KeepDays      *uint32         `json:"keep_days,omitempty"`
	KeepPositions *uint64         `json:"keep_positions,omitempty"` // At least 1,000, or 0.
	Floor         *event.Position `json:"floor,omitempty"`          // 0: none.
}

// RetentionChange answers a change of how much of the history stays.
type RetentionChange struct {
	KeepDays      uint32         `json:"keep_days"`
	KeepPositions uint64         `json:"keep_positions"`
	Floor         event.Position `json:"floor"`
	Position      event.Position `json:"position"`
	Token         string         `json:"token"`
}

// StoredHistory is what a writer has of the history, and how much of its disk that takes.
type StoredHistory struct {
	First  event.Position `json:"first"`            // From it on none is missing.
	Oldest *time.Time     `json:"oldest,omitempty"` // Time of the change there.
	File   int64          `json:"file_bytes"`       // Of the event store; it does not shrink while the writer runs.
	Used   int64          `json:"used_bytes"`       // Of that; the rest is room for what comes.
}

// RetentionOf tells what a state has.
func RetentionOf(r identity.Retention) Retention {
	s := Retention{KeepDays: r.Rule.Days, KeepPositions: r.Rule.Positions, Floor: r.Floor, First: r.Dropped.Through + 1}
	if r.Dropped.Through > 0 {
		newest, at := time.UnixMilli(int64(r.Dropped.Newest)).UTC(), time.UnixMilli(int64(r.Dropped.At)).UTC()
		s.Newest, s.Dropped = &newest, &at
	}
	return s
}

// Gone says that what comes behind a position is no longer in the history; empty if it is.
func (r *Retention) Gone(after event.Position) string {
	if after+1 >= r.First || r.Dropped == nil {
		return ""
	}
	return fmt.Sprintf("The history begins at position %d: what was before was dropped by the retention rule on %s.", r.First, r.Dropped.Format(time.RFC3339))
}
