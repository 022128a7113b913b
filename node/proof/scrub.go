package proof

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/table"
	"github.com/writ-iam/writ/projection"
)

// Limits of scrubbing: the records in memory are recounted a part at a time, all
// parts within a lease, so that a record that changed under our feet is found
// before a lease that was granted then has run out. Beyond a size that takes
// more than its share of a processor, and so takes longer.
const (
	// scrubLag is what is left of a lease for the last part, in parts.
	scrubLag = 2
	// scrubShare is the share of one processor that scrubbing takes at most: one in
	// so many.
	scrubShare = 5
)

// Scrubber recounts the state in memory, over and over.
type Scrubber struct {
	projection *projection.Projection
	logger     *slog.Logger
	latest     atomic.Pointer[pass] // nil before the first has ended
}

// NewScrubber returns the scrubber of what p shows.
func NewScrubber(p *projection.Projection, logger *slog.Logger) *Scrubber {
	return &Scrubber{projection: p, logger: logger}
}

// pass is what one pass over all parts has done.
type pass struct {
	records int
	busy    time.Duration // recounting
	took    time.Duration // from the end of the pass before
}

// Run recounts part by part until ctx ends, all parts within a lease, and calls alarm
// whenever one is not what was put there.
func (s *Scrubber) Run(ctx context.Context, lease time.Duration, alarm func()) {
	every := lease / (table.Parts + scrubLag)
	timer := time.NewTimer(every)
	defer timer.Stop()
	var now pass
	begun := time.Now()
	for part := 0; ; part = (part + 1) % table.Parts {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		started := time.Now()
		v := s.projection.View()
		records, sound := v.State.CheckPart(part)
		took := time.Since(started)
		if !sound {
			s.logger.Error("a record in memory is not what was put there; this node answers nothing from now on", "position", v.Head.Position)
			alarm()
		}
		now.records, now.busy = now.records+records, now.busy+took
		if part == table.Parts-1 {
			done := now
			done.took = time.Since(begun)
			s.latest.Store(&done)
			now, begun = pass{}, time.Now()
		}
		timer.Reset(scrubRest(every, took))
	}
}

// scrubRest is how long scrubbing rests after a part that took so long, when one part
// is due in every such time.
func scrubRest(every, took time.Duration) time.Duration {
	return max(every-took, (scrubShare-1)*took)
}

// Detail tells what is known of a state in memory: its digest, and the latest pass.
func (s *Scrubber) Detail(state *identity.State) string {
	text := state.Digest().String()
	if p := s.latest.Load(); p != nil {
		text += fmt.Sprintf(", %d records recounted in %v of %v", p.records, p.busy.Round(time.Millisecond), p.took.Round(time.Millisecond))
	}
	return text
}
