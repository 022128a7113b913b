package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/projection"
)

// Limits of a replica that answers the leader.
const (
	// maxAnswering is how many tasks are answered at once. While there are so
	// many, no more are fetched.
	maxAnswering = 64
	// reachTimeout bounds the wait for a task's position.
	reachTimeout = 5 * time.Second
	// answerTimeout bounds all that is done about one task.
	answerTimeout = 30 * time.Second
	// pollPause is how long a replica that got no tasks from anybody rests.
	pollPause = 500 * time.Millisecond
)

// Answerer answers the tasks of one kind.
type Answerer interface {
	// Answer returns what becomes the answer's body, and the head of the one view that
	// it was found in. The projection has reached the task's position, in the
	// task's incarnation; an answerer loads the view itself, for some must look at
	// the lease before. An error that is no *Problem is told as Failed. It
	// may be called by any number of goroutines.
	Answer(ctx context.Context, q Task) (event.Head, any, error)
}

// Responder fetches the tasks that the leader has for this replica, and
// answers them.
type Responder struct {
	finder     *peer.Finder
	projection *projection.Projection
	process    string // tells this process from others of its name
	// kinds is who answers which kind of task. It does not change.
	kinds  map[string]Answerer
	logger *slog.Logger

	mu    sync.Mutex // guards all below
	holds []string   // ids of tasks that were fetched and not yet answered
	term  uint64     // the latest that was heard of
	// giveUp ends the request that the leader of an earlier term may hold.
	giveUp context.CancelFunc
}

// NewResponder returns the replica's side for a process, which its id tells from others of
// its name: kinds are who answers which kind of task.
func NewResponder(finder *peer.Finder, p *projection.Projection, process string, kinds map[string]Answerer, logger *slog.Logger) *Responder {
	return &Responder{finder: finder, projection: p, process: process, kinds: kinds, logger: logger}
}

// Run fetches and answers until ctx ends.
func (a *Responder) Run(ctx context.Context) {
	if _, err := a.projection.Wait(ctx, 1); err != nil {
		return // before there was anything to answer from
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxAnswering)
	for ctx.Err() == nil {
		list, err := a.poll(ctx)
		if err != nil {
			a.logger.Debug("no tasks were fetched", "error", err)
			wait := pollPause
			if errors.Is(err, peer.ErrBarred) {
				wait = peer.Rest()
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		for _, q := range list {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			a.hold(q.ID)
			wg.Go(func() {
				defer func() { <-slots }()
				defer a.drop(q.ID)
				a.serve(ctx, q)
			})
		}
	}
}

// poll asks the leader for tasks; it may hold the request back.
func (a *Responder) poll(ctx context.Context) ([]Task, error) {
	held, cancel := context.WithCancel(ctx)
	defer cancel()
	a.mu.Lock()
	term, p := a.term, Poll{Process: a.process, Holds: slices.Clone(a.holds)}
	a.giveUp = cancel
	a.mu.Unlock()
	var list Handover
	err := a.finder.PostHeld(held, Hold, TasksPath, p, &list)
	a.mu.Lock()
	defer a.mu.Unlock()
	if held.Err() != nil && a.term != term {
		return nil, nil // given up, for a leader who is to be asked at once
	}
	return list.Tasks, err
}

// Heard is told of the term of whoever answered as the leader. A former leader
// that hangs or is cut off may hold a request that nobody will answer.
func (a *Responder) Heard(term uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if term <= a.term {
		return
	}
	a.term = term
	if a.giveUp != nil {
		a.giveUp()
	}
}

func (a *Responder) hold(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holds = append(a.holds, id)
}

func (a *Responder) drop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.holds, id); i >= 0 {
		a.holds = slices.Delete(a.holds, i, i+1)
	}
}

// serve answers one task. An answer that does not get through is found again:
// the leader hands the task over once more, as long as somebody waits for it.
func (a *Responder) serve(ctx context.Context, q Task) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	r := Answer{ID: q.ID}
	head, body, err := a.find(ctx, q)
	r.Position, r.Hash = head.Position, head.Hash
	if err == nil {
		if r.Body, err = json.Marshal(body); err == nil && len(r.Body) > MaxBody {
			err = fmt.Errorf("the answer is longer than %d bytes", MaxBody)
		}
	}
	if err != nil {
		r.Body = nil
		if !errors.As(err, &r.Problem) {
			r.Problem = &Problem{Failed, fmt.Sprintf("%.1024v", err)}
		}
	}
	if err := a.finder.Post(ctx, AnswersPath, r, nil); err != nil && ctx.Err() == nil {
		a.logger.Debug("an answer did not reach the leader", "kind", q.Kind, "error", err)
	}
}

// find finds the answer.
func (a *Responder) find(ctx context.Context, q Task) (event.Head, any, error) {
	answer, ok := a.kinds[q.Kind]
	if !ok {
		return event.Head{}, nil, &Problem{UnknownKind, fmt.Sprintf("this version of Writ has no answer to %.64q", q.Kind)}
	}
	wait, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	v, err := a.projection.Wait(wait, q.At)
	if err != nil {
		head := a.projection.Head()
		return head, nil, &Problem{NotReached, fmt.Sprintf("position %d, not yet %d: %v", head.Position, q.At, err)}
	}
	if i := v.Cluster().Incarnation; i != q.Incarnation {
		return v.Head, nil, &Problem{WrongIncarnation, fmt.Sprintf("the state here is of incarnation %s", i)}
	}
	return answer.Answer(ctx, q)
}
