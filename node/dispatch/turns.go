package dispatch

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"

	"golang.org/x/sync/semaphore"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
)

// Writes that change what others are authorized against make those stale. Whoever
// may tag a user could so keep everybody else from writing to it, also from taking
// its keys away. So writes go in lanes, by their targets, any number side by side
// where nobody was refused as stale; who was has the lane alone for the next try,
// and nothing that it relies on changes meanwhile.

// Limits of lanes.
const (
	// lanes is how many there are; targets that share one wait for each other's turns.
	lanes = 256
	// laneWidth is more than the writes that a node has under way.
	laneWidth = 1 << 30
	// turnWait is how long a write waits for its turn.
	turnWait = admission.DefaultWait
)

// turns are the lanes. Those who wait for one are served in order.
type turns struct {
	seed  maphash.Seed // nobody can choose names that share a lane with another's
	lanes [lanes]*semaphore.Weighted
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.lanes {
		t.lanes[i] = semaphore.NewWeighted(laneWidth)
	}
	return t
}

// take enters the lanes of the targets, side by side with others or alone, and
// returns how to leave them.
func (t *turns) take(ctx context.Context, on []identity.Reliance, alone bool) (leave func(), err error) {
	if len(on) == 0 {
		return func() {}, nil
	}
	var list []int
	for i := range on {
		list = append(list, t.lane(on[i].Lookup))
	}
	slices.Sort(list) // all take lanes in one order, so that none waits for another in a circle
	list = slices.Compact(list)
	width := int64(1)
	if alone {
		width = laneWidth
	}
	ctx, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	taken := 0
	leave = func() {
		for _, lane := range list[:taken] {
			t.lanes[lane].Release(width)
		}
	}
	for _, lane := range list {
		if err := t.lanes[lane].Acquire(ctx, width); err != nil {
			leave()
			return nil, fault.Later("Other writes to the same user, group, role or policy come first.", err)
		}
		taken++
	}
	return leave, nil
}

// lane is the same for one name in whatever letters.
func (t *turns) lane(l identity.Lookup) int {
	l.Text = strings.ToLower(l.Text)
	return int(maphash.Comparable(t.seed, l) % lanes)
}
