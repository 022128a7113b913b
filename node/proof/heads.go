package proof

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

// errNoHead is returned before a cluster has begun.
var errNoHead = errors.New("the cluster has not begun")

// Head is this writer's head, signed, and current after the call: it has proved that it
// leads. Errors are those of log.Log.Fence, or say why there is none.
func (p *Prover) Head(ctx context.Context, by Signer, node string, now func() time.Time) (*event.SignedHead, error) {
	if len(p.log.Servers()) > 1 { // else nobody else can have committed anything
		if _, err := p.log.StrictHead(ctx); err != nil {
			return nil, err
		}
	}
	a := p.log.Applied()
	if a.Head.Position == 0 {
		return nil, errNoHead
	}
	c := a.State.Cluster()
	h := &event.SignedHead{
		Cluster: c.ID, Incarnation: c.Incarnation, Position: a.Head.Position, Hash: a.Head.Hash, Digest: a.State.Digest(),
		Time: identity.Time(now().UnixMilli()), Node: node,
	}
	return h, SignHead(by, h)
}

// SignHead puts a node's signature and certificate on a head.
func SignHead(by Signer, h *event.SignedHead) (err error) {
	h.Signature, h.Certificate, err = by.Sign(h.Statement())
	return err
}

// maxChainBytes bounds a stretch of the chain, counted in the batches that it is
// taken from.
const maxChainBytes = 4 << 20

// Chain returns the headers of the batches behind a position, in order: at most limit,
// and no more than an answer may hold.
func (p *Prover) Chain(after event.Position, limit int) (headers [][]byte, err error) {
	batches, err := p.log.Events().Read(after+1, limit, maxChainBytes)
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
