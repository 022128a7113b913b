package node

import (
	"context"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/sealing"
)

// SealStatus is how the keys fare that seal secrets. The error is dispatch.ErrNotLeader.
func (w *writer) SealStatus(ctx context.Context) (*shape.Seal, error) {
	nodes, err := w.keysOfNodes(ctx)
	if err != nil {
		return nil, err
	}
	s := sealing.Status(w.counter.Of(w.log.Applied().State), w.node.seal, nodes)
	s.Node = w.node.cfg.Name
	return s, nil
}

// NextSealKey is the key that is to seal after those of a state, which every node has. Errors are
// dispatch.ErrNotLeader and those of sealing.Next.
func (w *writer) NextSealKey(ctx context.Context, s *identity.State, asked string) (identity.SealKeyID, error) {
	nodes, err := w.keysOfNodes(ctx)
	if err != nil {
		return identity.SealKeyID{}, err
	}
	return sealing.Next(asked, sealing.CountOf(s), w.node.seal, nodes)
}

// keysOfNodes is what every writer, as the log and cluster.yaml have them, and every process of a
// replica that may answer has said of its keys.
func (w *writer) keysOfNodes(ctx context.Context) (nodes []sealing.Node, err error) {
	t := w.leading.Load()
	if t == nil {
		return nil, dispatch.ErrNotLeader
	}
	for _, h := range w.quorum.Heard(w.node.ctx) {
		nodes = append(nodes, sealing.WriterOf(h.Name, h.Address, h.SealKeys, h.Err))
	}
	for _, m := range t.Replicas() {
		if m.Removed {
			continue
		}
		nodes = append(nodes, sealing.ReplicaOf(m, t.Told(m.Name, m.Life).SealKeys))
	}
	return nodes, ctx.Err()
}
