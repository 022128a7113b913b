package node

import (
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/table"
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

// scrubbed is what one pass over all parts has done.
type scrubbed struct {
	records int
	busy    time.Duration // recounting
	took    time.Duration // from the end of the pass before
}

// scrub recounts the state in memory, part by part, and calls alarm whenever one is
// not what was put there. It ends with the node.
func (n *Node) scrub(lease time.Duration, alarm func()) {
	every := lease / (table.Parts + scrubLag)
	timer := time.NewTimer(every)
	defer timer.Stop()
	var pass scrubbed
	begun := time.Now()
	for part := 0; ; part = (part + 1) % table.Parts {
		select {
		case <-timer.C:
		case <-n.ctx.Done():
			return
		}
		now := time.Now()
		v := n.projection.View()
		records, sound := v.State.CheckPart(part)
		took := time.Since(now)
		if !sound {
			n.logger.Error("a record in memory is not what was put there; this node answers nothing from now on", "position", v.Head.Position)
			alarm()
		}
		pass.records, pass.busy = pass.records+records, pass.busy+took
		if part == table.Parts-1 {
			done := pass
			done.took = time.Since(begun)
			n.scrubbed.Store(&done)
			pass, begun = scrubbed{}, time.Now()
		}
		timer.Reset(scrubRest(every, took))
	}
}

// scrubRest is how long scrubbing rests after a part that took so long, when one part
// is due in every such time.
func scrubRest(every, took time.Duration) time.Duration {
	return max(every-took, (scrubShare-1)*took)
}

// digestDetail tells what is known of the state in memory.
func (n *Node) digestDetail(s *identity.State) string {
	text := s.Digest().String()
	if pass := n.scrubbed.Load(); pass != nil {
		text += fmt.Sprintf(", %d records recounted in %v of %v", pass.records, pass.busy.Round(time.Millisecond), pass.took.Round(time.Millisecond))
	}
	return text
}
