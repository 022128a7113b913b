package admission

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"github.com/writ-iam/writ/node/fault"
)

// Workshop is where a node does work of callers' own making that cannot be cut into slices, such as
// the hash of a password. Few requests are in it or wait to be, and of each caller fewer still;
// whoever works has a shift. It is safe for concurrent use.
type Workshop struct {
	name     string // in metrics, and for callers: what keeps it busy
	quiet    bool   // whoever asks counts refusals
	requests *Slots
	places   *semaphore.Weighted // of those that work at once, which bounds their memory
}

// NewWorkshop returns a workshop for some kind of work. all requests may be in it or wait
// to be, one of each caller's, and atOnce of them work.
func NewWorkshop(name string, all, one, atOnce int) *Workshop {
	return &Workshop{name: name, requests: NewShares(all, one), places: semaphore.NewWeighted(int64(atOnce))}
}

// Requests are the places of requests that are in the workshop or wait to be.
func (w *Workshop) Requests() *Slots { return w.requests }

// As is the same workshop under another name, for callers who are not to learn which one of
// several they are in. Whoever asks there counts the refusals, by Count.
func (w *Workshop) As(name string) *Workshop {
	return &Workshop{name: name, quiet: true, requests: w.requests, places: w.places}
}

// Enter waits until a caller's job may do its work, and returns how to say that it is
// done. Where too many work or wait the error is a *fault.Fault to be tried again.
func (w *Workshop) Enter(ctx context.Context, j *Job, who string) (leave func(), err error) {
	free, err := w.Reserve(j, who)
	if err != nil {
		return nil, err
	}
	end, err := w.Start(ctx, j)
	if err != nil {
		free()
		return nil, err
	}
	return func() { end(); free() }, nil
}

// Start is Enter for a caller who has reserved a place, which it leaves to the caller.
func (w *Workshop) Start(ctx context.Context, j *Job) (leave func(), err error) {
	end, err := w.Turn(ctx)
	if err != nil {
		return nil, err
	}
	leave = func() { j.Rest(); end() }
	if err := j.Heavy(); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// Reserve takes a place among the requests that are in the workshop or wait to be, and returns
// how to give it back. Errors are those of Enter.
func (w *Workshop) Reserve(j *Job, who string) (free func(), err error) {
	if err := w.requests.Take(who, 1); err != nil {
		return nil, w.Busy(j, err)
	}
	return func() { w.requests.Free(who, 1) }, nil
}

// Turn waits, for DefaultWait at most, until whoever reserved a place may work; end says it is done.
func (w *Workshop) Turn(ctx context.Context) (end func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	if err := w.places.Acquire(waiting, 1); err != nil {
		return nil, fault.Later("The node was busy with other "+w.name+".", errors.Join(ErrBusy, err))
	}
	return func() { w.places.Release(1) }, nil
}

// Count counts a job for which there was no place.
func (w *Workshop) Count(j *Job) {
	if j.desk != nil {
		j.desk.cfg.Meter.Refused(w.name, true)
	}
}

// Busy is the refusal of a job for which there is no place, which it counts.
func (w *Workshop) Busy(j *Job, because error) error {
	if !w.quiet {
		w.Count(j)
	}
	return fault.Later("The node is busy with other "+w.name+".", errors.Join(ErrBusy, because))
}

// Bench is what one request does in a workshop. What came of each piece of its work stays, however
// often the request is authorized anew. The zero value is in no workshop, and all work there fails.
// One goroutine may use it.
type Bench struct {
	workshop *Workshop
	ctx      context.Context
	job      *Job
	who      string
	done     map[string]outcome // by piece of work; nil before the first
}

type outcome struct {
	value any
	err   error
}

// ErrNoWorkshop is returned where there is no workshop to work in.
var ErrNoWorkshop = errors.New("nothing does such work here")

// Begin makes a bench ready for a request of a caller, unless it is: a request that is
// authorized anew goes on with what it has done.
func (w *Workshop) Begin(b *Bench, ctx context.Context, job *Job, who string) {
	if b.workshop == nil {
		*b = Bench{workshop: w, ctx: ctx, job: job, who: who}
	}
}

// Heavy does a piece of a request's work in a shift, or tells what came of it before. All
// that it depends on stays the same within a request. Errors are the work's own,
// ErrNoWorkshop, and those of Workshop.Enter.
func Heavy[T any](b *Bench, piece string, work func() (T, error)) (T, error) {
	return Once(b, piece, func() (result T, err error) {
		leave, err := b.workshop.Enter(b.ctx, b.job, b.who)
		if err != nil {
			return result, err
		}
		defer leave()
		return work()
	})
}

// Once is Heavy for work that needs no shift: it waits for others.
func Once[T any](b *Bench, piece string, work func() (T, error)) (T, error) {
	if b == nil || b.workshop == nil {
		var none T
		return none, ErrNoWorkshop
	}
	before, ok := b.done[piece]
	if !ok {
		value, err := work()
		before = outcome{value, err}
		if b.done == nil {
			b.done = map[string]outcome{}
		}
		b.done[piece] = before
	}
	return before.value.(T), before.err
}
