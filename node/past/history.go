package past

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
)

// Limits of views of the past.
const (
	// maxAsking is how many requests may have such a view made, or wait for it, and maxAskingOne
	// those of one caller. One is made at a time.
	maxAsking    = 16
	maxAskingOne = 4
	// maxFold is how many batches one request folds at most. What it came to is kept, so that the
	// next goes on from there.
	maxFold = 2_000_000
	// maxViews is how many views stay in memory that were made, for viewLife after they were
	// last asked for: there are often several questions about one position. They share nothing
	// with each other, so that each takes what a state takes.
	maxViews = 2
	viewLife = 2 * time.Minute
	// readCount and readBytes bound what is read of the event store at once.
	readCount = 1024
	readBytes = 4 << 20
)

// History makes views of a writer's past. It may be used by any number of goroutines.
type History struct {
	log    Log
	keeper *Keeper
	now    func() time.Time
	logger *slog.Logger
	shop   *admission.Workshop
	fold   int // maxFold, less in tests

	mu    sync.Mutex
	views []*made // the latest asked for last; guarded by mu
}

// made is a view that was made.
type made struct {
	view *projection.View
	// state is the same, to go on from. Only whoever has the one place in the workshop uses it.
	state *identity.State
	until time.Time
}

// NewHistory returns the past of a writer. Its kept states are read from the keeper.
func NewHistory(l Log, k *Keeper, now func() time.Time, logger *slog.Logger) *History {
	return &History{
		log: l, keeper: k, now: now, logger: logger, fold: maxFold,
		shop: admission.NewWorkshop("views of the past", maxAsking, maxAskingOne, 1),
	}
}

// View returns the view of an earlier position, for a request of a caller that is known. It takes
// as long as folding the batches takes from the nearest state that is kept. The error is a
// *fault.Fault where there is no such position, where its history is not kept, or where too many
// ask; ctx's where the caller has gone.
func (h *History) View(ctx context.Context, j *admission.Job, who string, w When) (*projection.View, error) {
	at, err := h.Find(w)
	if err != nil {
		return nil, err
	}
	if v := h.there(at); v != nil {
		return v, nil
	}
	leave, err := h.enter(ctx, j, who)
	if err != nil {
		return nil, err
	}
	defer leave()
	if v := h.there(at); v != nil { // another made it
		return v, nil
	}
	m, err := h.make(ctx, at)
	if err != nil {
		return nil, h.told(at, err)
	}
	return m.view, nil
}

// enter waits for the place of the one that folds. A fold takes no shift of those who decide:
// it is one at most.
func (h *History) enter(ctx context.Context, j *admission.Job, who string) (leave func(), err error) {
	free, err := h.shop.Reserve(j, who)
	if err != nil {
		return nil, err
	}
	j.Rest()
	end, err := h.shop.Turn(ctx)
	if err != nil {
		free()
		return nil, err
	}
	return func() { end(); free() }, nil
}

// there is a view that need not be made; nil without one.
func (h *History) there(at event.Position) *projection.View {
	if a := h.log.Applied(); a.Head.Position == at {
		return viewOf(a.State, a.Head)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	for i, m := range h.views {
		if m.view.Head.Position == at {
			m.until = h.now().Add(viewLife)
			h.views = append(slices.Delete(h.views, i, i+1), m)
			return m.view
		}
	}
	return nil
}

// expire forgets views that nobody asked for lately. mu is held.
func (h *History) expire() {
	now := h.now()
	h.views = slices.DeleteFunc(h.views, func(m *made) bool { return now.After(m.until) })
}

// Sweep forgets views that nobody asked for lately, until ctx ends.
func (h *History) Sweep(ctx context.Context) {
	t := time.NewTicker(viewLife)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.mu.Lock()
			h.expire()
			h.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// remember keeps a view that was made of a state, in place of the one that was asked for longest ago.
func (h *History) remember(state *identity.State, head event.Head) *made {
	m := &made{view: viewOf(state.Snapshot(), head), state: state}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.until = h.now().Add(viewLife)
	h.views = slices.DeleteFunc(h.views, func(old *made) bool { return old.view.Head == head })
	if len(h.views) == maxViews {
		h.views = slices.Delete(h.views, 0, 1)
	}
	h.views = append(h.views, m)
	return m
}

// viewLimits bound what a view keeps compiled. Each has its own, which few questions use, so that the
// room of a node's projection would be more work than they are.
var viewLimits = projection.Limits{Principals: 1 << 10, Groups: 1 << 10, Documents: 32 << 20}

func viewOf(state *identity.State, head event.Head) *projection.View {
	p := projection.Within(viewLimits)
	p.Adopt(state, head)
	return p.View()
}

// errDamaged is returned where a batch does not make the state that it names.
var errDamaged = errors.New("the batch does not make the state that it names")

// make makes the view of a position from the nearest state before it. The caller has the place.
func (h *History) make(ctx context.Context, at event.Position) (*made, error) {
	state, head := h.nearest(at)
	if state == nil {
		state, head = identity.NewState(), event.Head{}
		if states := h.keeper.before(at); len(states) > 0 {
			found, reached, err := h.load(states)
			if err != nil {
				return nil, err
			}
			if found != nil {
				state, head = found, reached
			}
		}
	}
	head, err := h.foldTo(ctx, state, head, at, h.fold, nil)
	if err != nil {
		return nil, err
	}
	if head.Position < at {
		h.remember(state, head)
		if err := h.keeper.keep(state.Snapshot(), head); err != nil {
			h.logger.Warn("a state of the past could not be kept", "position", head.Position, "error", err)
		}
		return nil, fault.Later(fmt.Sprintf("The state of position %d is far from one that is kept: the state of position %d is reached.", at, head.Position), nil)
	}
	return h.remember(state, head), nil
}

// nearest is a state in memory from which a position can be folded, if none that is kept is nearer.
func (h *History) nearest(at event.Position) (*identity.State, event.Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var best *made
	for _, m := range h.views {
		if p := m.view.Head.Position; p <= at && (best == nil || p > best.view.Head.Position) {
			best = m
		}
	}
	if best == nil {
		return nil, event.Head{}
	}
	if states := h.keeper.before(at); len(states) > 0 && states[0] > best.view.Head.Position {
		return nil, event.Head{}
	}
	return best.state.Snapshot(), best.view.Head
}

// load reads the first state that is good. nil: none is. States that the history no longer
// reaches back to, or does not yet, are passed over: nothing could be folded from them.
func (h *History) load(states []event.Position) (*identity.State, event.Head, error) {
	for _, at := range states {
		hash, err := h.log.Events().Hash(at)
		var missing *store.MissingError
		var dropped *store.DroppedError
		if errors.As(err, &missing) || errors.As(err, &dropped) {
			continue
		}
		if err != nil {
			return nil, event.Head{}, err
		}
		if state, head, err := h.keeper.load(at, hash); err == nil {
			return state, head, nil
		}
	}
	return nil, event.Head{}, nil
}

// seen is told of each batch that was folded, and of the state behind it, which it must not keep. It
// ends the fold by false.
type seen func(b *event.Batch, state *identity.State) (on bool, err error)

// foldTo folds the batches behind head into a state up to a position, at most limit of them, and
// returns the head that it came to.
func (h *History) foldTo(ctx context.Context, state *identity.State, head event.Head, to event.Position, limit int, each seen) (event.Head, error) {
	ctx, cancel := context.WithCancel(ctx)
	last := min(to, head.Position+event.Position(limit))
	read := make(chan []*event.Batch, 1)
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(read)
		failed = h.read(ctx, head.Position+1, last, read)
	})
	defer wg.Wait()
	defer cancel()
	for list := range read {
		for _, b := range list {
			if b.Position != head.Position+1 || b.Prev != head.Hash {
				return head, fmt.Errorf("fold position %d: %w", b.Position, store.ErrChain)
			}
			identity.Evolve(state, b.Position, b.Cause.Meta, b.Events)
			if state.Digest() != b.State {
				return head, fmt.Errorf("fold position %d: %w", b.Position, errDamaged)
			}
			head = b.Head()
			if each == nil {
				continue
			}
			if on, err := each(b, state); err != nil || !on {
				return head, err
			}
		}
	}
	if err := ctx.Err(); err != nil { // of the caller
		return head, err
	}
	return head, failed
}

// read reads the batches of positions and decodes them, ahead of the one that folds them.
func (h *History) read(ctx context.Context, from, to event.Position, out chan<- []*event.Batch) error {
	for from <= to {
		found, err := h.log.Events().Read(from, int(min(to-from+1, readCount)), readBytes)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &store.MissingError{From: from, To: to}
		}
		list := make([]*event.Batch, len(found))
		for i, bytes := range found {
			if list[i], err = wire.DecodeBatch(bytes); err != nil {
				return err
			}
		}
		select {
		case out <- list:
		case <-ctx.Done():
			return ctx.Err()
		}
		from += event.Position(len(list))
	}
	return nil
}

// told is what a caller is told of why there is no view.
func (h *History) told(at event.Position, err error) error {
	var missing *store.MissingError
	var dropped *store.DroppedError
	switch {
	case errors.As(err, &dropped):
		return h.notKept(at)
	case errors.As(err, &missing):
		return fault.Later(fmt.Sprintf("This writer lacks the history of the positions %d to %d, which it gets from the others.", missing.From, missing.To), err)
	}
	return err
}

// notKept refuses a position whose history was dropped, and says which are there.
func (h *History) notKept(at event.Position) error {
	first := h.log.Applied().Head.Position
	if states := h.keeper.before(first); len(states) > 0 {
		through := h.log.Events().Dropped().Through
		for _, s := range states {
			if s >= through {
				first = s
			}
		}
	}
	return fault.New(fault.NotKept, fmt.Sprintf("The state of position %d cannot be made any more: the retention rule dropped what it was made of.", at),
		fmt.Sprintf("This writer can go back to position %d; archives from before may have the rest.", first))
}
