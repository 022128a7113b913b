package proof

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/table"
	"github.com/writ-iam/writ/projection"
)

// verifyShare is the share of one processor that a verification takes on each node at
// most: one in so many. The rest is the service's.
const verifyShare = 2

// Evidence is what a node found out about itself. What it means, the leader says.
type Evidence struct {
	// Chain is the head to which a writer's event store was walked, First the position from
	// which, and Batches how far.
	Chain   event.Head     `json:"chain"`
	First   event.Position `json:"first"`
	Batches int            `json:"batches"`
	// Position and Hash are those of the state, Digest what its records give.
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"hash"`
	Digest   digest.Sum     `json:"digest"`
	Records  int            `json:"records"`
	// Broken is what is wrong with the chain or the memory, Unfinished what was not
	// looked at.
	Broken     string        `json:"broken,omitempty"`
	Unfinished string        `json:"unfinished,omitempty"`
	Took       time.Duration `json:"took_ns"`
}

// Request is the leader's request to a writer for evidence, at Path.
type Request struct {
	From   event.Position `json:"from"`
	Budget time.Duration  `json:"budget_ns"`
}

// pacer makes work take its share of a processor.
type pacer struct{ begun time.Time }

// rest lets others have the processor, in proportion to what was worked since.
func (p *pacer) rest(ctx context.Context) error {
	timer := time.NewTimer((verifyShare - 1) * time.Since(p.begun))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	p.begun = time.Now()
	return ctx.Err()
}

// recount fills in what the records of a state give.
func (e *Evidence) recount(ctx context.Context, v *projection.View) error {
	e.Position, e.Hash, e.Digest = v.Head.Position, v.Head.Hash, v.State.Digest()
	p := pacer{time.Now()}
	for part := range table.Parts {
		records, sound := v.State.CheckPart(part)
		e.Records += records
		if !sound {
			e.Digest = v.State.Recount()
			e.Broken = fmt.Sprintf("a record in memory was altered: the records give the digest %s, %s was kept", e.Digest, v.State.Digest())
			return nil
		}
		if err := p.rest(ctx); err != nil {
			e.Unfinished = fmt.Sprintf("%d of %d parts of the state were not recounted in time", table.Parts-1-part, table.Parts)
			return err
		}
	}
	return nil
}

// walk fills in what the event store gives from a position on.
func (e *Evidence) walk(ctx context.Context, events *store.Store, from event.Position) {
	p := pacer{time.Now()}
	from = max(from, events.Dropped().Through+1)
	e.First = from
	head, err := events.VerifyFrom(ctx, from, func(event.Position) { _ = p.rest(ctx) }) // VerifyFrom looks at ctx
	if head.Position >= from {
		e.Chain, e.Batches = head, int(head.Position-from+1)
	}
	var missing *store.MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing):
		e.Unfinished = fmt.Sprintf("the chain was walked up to position %d: %v", head.Position, err)
	case ctx.Err() != nil:
		e.Unfinished = fmt.Sprintf("the chain was walked up to position %d of %d in time", head.Position, events.Last().Position)
	default:
		e.Broken = fmt.Sprintf("behind position %d: %v", head.Position, err)
	}
}
