package node

import (
	"context"

	"github.com/writ-iam/writ/log/identity"
)

// Level is the feature level in force.
func (w *writer) Level() uint32 { return w.log.Applied().State.Cluster().FeatureLevel }

// WriterBelow names a writer that has not said that it supports a feature level; empty: all have.
func (w *writer) WriterBelow(ctx context.Context, level uint32) string {
	return w.quorum.WriterBelow(ctx, level)
}

// RaiseLevel puts a feature level in force, and into the log what had to wait for it.
func (w *writer) RaiseLevel(ctx context.Context, level uint32) error {
	if err := w.propose(ctx, randomKey(), &identity.RaiseFeatureLevel{Level: level}); err != nil {
		return err
	}
	return w.beginAs(ctx)
}
