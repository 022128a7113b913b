package lease

import (
	"context"
	"log/slog"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/replication/propagation"
)

// levelPause is how long a leader whose cluster is below this build's feature level
// waits before it asks again whether all nodes support it.
const levelPause = 5 * time.Second

// Levels is what a leader knows of feature levels, and changes.
type Levels interface {
	// Level is the one in force.
	Level() uint32
	// WriterBelow names a writer that has not said that it supports a level; empty: all have.
	WriterBelow(ctx context.Context, level uint32) string
	// RaiseLevel puts a level in force.
	RaiseLevel(ctx context.Context, level uint32) error
}

// Raise puts this build's feature level in force once every writer and every replica
// runs a build that supports it. It ends when that is so, or with ctx, which is that of
// the term.
func (t *Tracker) Raise(ctx context.Context, l Levels, logger *slog.Logger) {
	for said := ""; l.Level() < identity.FeatureLevel; {
		below := l.WriterBelow(ctx, identity.FeatureLevel)
		if below == "" {
			below = replicaBelow(t.Replicas(), identity.FeatureLevel)
		}
		if below == "" {
			if err := l.RaiseLevel(ctx, identity.FeatureLevel); err == nil {
				logger.Info("the cluster is at a new feature level", "level", identity.FeatureLevel)
				return
			}
		}
		if below != said {
			said = below
			logger.Info("the feature level stays until this node has said that it supports the next and does not hold it", "next", identity.FeatureLevel, "name", below)
		}
		if wake.After(ctx, levelPause) != nil {
			return
		}
	}
}

// replicaBelow names a replica that has not said that it supports a level: each process
// of each has to say it, and a removed one, too, as long as it may answer.
func replicaBelow(all []propagation.ReplicaStatus, level uint32) string {
	for _, r := range all {
		if r.Level < level {
			return r.Name
		}
	}
	return ""
}
