package proof

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/projection"
)

// ErrBusy is returned while another verification is under way: there is one at a time.
var ErrBusy = errors.New("another verification is under way")

// place is for one at a time.
type place struct{ mu sync.Mutex }

// Reserve takes the place until release is called, or returns ErrBusy.
func (p *place) Reserve() (release func(), err error) {
	if !p.mu.TryLock() {
		return nil, ErrBusy
	}
	return p.mu.Unlock, nil
}

// Prover shows what a writer has: what its history and its state are, and heads and
// headers of batches for others to check. It may be used by any number of goroutines.
type Prover struct {
	place // of who has this writer check itself
	log   *log.Log
}

// NewProver returns the prover of a writer's log.
func NewProver(l *log.Log) *Prover { return &Prover{log: l} }

// Prove gathers the writer's evidence, once at a time: else the error is ErrBusy.
func (p *Prover) Prove(ctx context.Context, q Request) (e Evidence, err error) {
	release, err := p.Reserve()
	if err != nil {
		return e, err
	}
	defer release()
	begun := time.Now()
	defer func() { e.Took = time.Since(begun) }()
	ctx, cancel := context.WithTimeout(ctx, q.Budget)
	defer cancel()
	e.walk(ctx, p.log.Events(), max(q.From, 1))
	if e.Broken != "" || ctx.Err() != nil {
		a := p.log.Applied()
		e.Position, e.Hash, e.Digest = a.Head.Position, a.Head.Hash, a.State.Digest()
		return e, nil
	}
	a := p.log.Applied()
	if e.recount(ctx, &projection.View{Head: a.Head, State: a.State}) != nil || e.Broken != "" {
		return e, nil
	}
	var missing *store.MissingError
	switch hash, err := p.log.Events().Hash(a.Head.Position); {
	case errors.As(err, &missing): // and said to be so above
	case err != nil:
		e.Broken = fmt.Sprintf("read the hash at position %d: %v", a.Head.Position, err)
	case hash != a.Head.Hash:
		e.Broken = fmt.Sprintf("at position %d the event store has the hash %x, the state machine %x", a.Head.Position, hash[:8], a.Head.Hash[:8])
	}
	return e, nil
}

// Batch reads the header of a batch from this writer's event store.
func (p *Prover) Batch(at event.Position) (*event.Batch, error) {
	found, err := p.log.Events().Read(at, 1, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("position %d is not in the event store yet", at)
	}
	header, err := wire.BatchHeader(found[0])
	if err != nil {
		return nil, err
	}
	return wire.DecodeHeader(header)
}
