package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/api"
)

// errNoHead is returned before a cluster has begun.
var errNoHead = errors.New("the cluster has not begun")

// signHead proves that this writer leads and signs the head that it then has.
func (w *writer) signHead(ctx context.Context) (*event.SignedHead, error) {
	if len(w.log.Servers()) > 1 { // else nobody else can have committed anything
		_, err := w.log.Fence(ctx)
		var notLeader *log.NotLeaderError
		switch {
		case errors.As(err, &notLeader), errors.Is(err, log.ErrStopped):
			return nil, fmt.Errorf("%w: %w", api.ErrNotLeader, err)
		case err != nil:
			return nil, err
		}
	}
	a := w.log.Applied()
	if a.Head.Position == 0 {
		return nil, errNoHead
	}
	c := a.State.Cluster()
	h := &event.SignedHead{
		Cluster: c.ID, Incarnation: c.Incarnation, Position: a.Head.Position, Hash: a.Head.Hash, Digest: a.State.Digest(),
		Time: identity.Time(w.node.cfg.Machine.Now().UnixMilli()), Node: w.node.cfg.Name,
	}
	return h, signHead(w.node.tls, h)
}

// signHead puts a node's signature and certificate on a head.
func signHead(by signer, h *event.SignedHead) (err error) {
	h.Signature, h.Certificate, err = by.Sign(h.Statement())
	return err
}

// maxChainBytes bounds a stretch of the chain, counted in the batches that it is
// taken from.
const maxChainBytes = 4 << 20

// chain returns the heads of the batches behind a position.
func (w *writer) chain(after event.Position, limit int) (headers [][]byte, err error) {
	batches, err := w.log.Events().Read(after+1, limit, maxChainBytes)
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		h, err := wire.BatchHeader(b)
		if err != nil {
			return nil, fmt.Errorf("behind position %d: %w", after+event.Position(len(headers)), err)
		}
		headers = append(headers, h)
	}
	return headers, nil
}
