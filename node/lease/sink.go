package lease

import (
	"errors"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Sink feeds a projection, and withdraws the lease before its state is replaced.
type Sink struct {
	*projection.Projection
	Renewer *Renewer
}

// Restore replaces the state; what was promised on the strength of the old one is
// withdrawn first.
func (s Sink) Restore(state *identity.State, head event.Head) {
	s.Renewer.stepBack(state.Cluster().Incarnation, func() { s.Projection.Restore(state, head) })
}

// Apply folds batches, and quarantines the replica if they lead to another state
// than the cluster's.
func (s Sink) Apply(batches []*event.Batch) error {
	err := s.Projection.Apply(batches)
	if errors.Is(err, projection.ErrDiverged) {
		s.Renewer.Quarantine(propagation.KindDiverged)
	}
	return err
}
