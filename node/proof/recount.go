package proof

import (
	"context"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/projection"
)

// KindRecount is the kind of task that the evidence of a replica answers; it has no
// body.
const KindRecount = "recount"

// Recounter answers tasks of KindRecount from what a projection shows.
type Recounter struct{ Projection *projection.Projection }

var _ ask.Answerer = Recounter{}

// Answer recounts the replica's records.
func (r Recounter) Answer(ctx context.Context, _ ask.Task) (event.Head, any, error) {
	begun := time.Now()
	var e Evidence
	v := r.Projection.View()
	_ = e.recount(ctx, v) // the evidence says what is missing
	e.Took = time.Since(begun)
	return v.Head, e, nil
}
