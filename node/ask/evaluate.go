package ask

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
)

// KindEvaluate is the kind of task that a decision answers: its body is that of
// POST /v1/authorize, that of the answer a shape.Evaluated. Nodes of earlier versions
// know it by this name.
const KindEvaluate = "decide"

// Evaluate asks a replica for a decision at a position. Errors are those of Ask.
func (all *Tasks) Evaluate(ctx context.Context, replica string, at event.Position, body []byte) (d shape.Evaluated, err error) {
	r, err := all.Ask(ctx, replica, KindEvaluate, at, json.RawMessage(body))
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(r.Body, &d); err != nil {
		return d, fmt.Errorf("decode the decision of %s: %w", replica, err)
	}
	return d, nil
}
