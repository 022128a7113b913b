package node

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
	// maxAnswering is how many questions are answered at once. While there are so
	// many, no more are fetched.
	maxAnswering = 64
	// reachTimeout bounds the wait for a question's position.
	reachTimeout = 5 * time.Second
	// answerTimeout bounds all that is done about one question.
	answerTimeout = 30 * time.Second
	// pollPause is how long a replica that got no questions from anybody rests.
	pollPause = 500 * time.Millisecond
)

// answerer answers the questions of one kind: with what becomes the answer's body,
// and the head of the one view that it was found in. The projection has reached
// the question's position, in the question's incarnation; an answerer loads the
// view itself, for some must look at the lease before. An error that is no
// *questionError is told as problemFailed.
type answerer func(context.Context, question) (event.Head, any, error)

// answering fetches the questions that the leader has for this replica, and
// answers them.
type answering struct {
	finder     *peer.Finder
	projection *projection.Projection
	process    string // tells this process from others of its name
	// kinds is who answers which kind of question. It does not change.
	kinds  map[string]answerer
	logger *slog.Logger

	mu    sync.Mutex // guards all below
	holds []string   // ids of questions that were fetched and not yet answered
	term  uint64     // the latest that was heard of
	// giveUp ends the request that the leader of an earlier term may hold.
	giveUp context.CancelFunc
}

// run fetches and answers until ctx ends.
func (a *answering) run(ctx context.Context) {
	if _, err := a.projection.Wait(ctx, 1); err != nil {
		return // before there was anything to answer from
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxAnswering)
	for ctx.Err() == nil {
		list, err := a.poll(ctx)
		if err != nil {
			a.logger.Debug("no questions were fetched", "error", err)
			wait := pollPause
			if errors.Is(err, peer.ErrBarred) {
				wait = rest()
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

// poll asks the leader for questions; it may hold the request back.
func (a *answering) poll(ctx context.Context) ([]question, error) {
	held, cancel := context.WithCancel(ctx)
	defer cancel()
	a.mu.Lock()
	term, p := a.term, questionPoll{Process: a.process, Holds: slices.Clone(a.holds)}
	a.giveUp = cancel
	a.mu.Unlock()
	var list questionList
	err := a.finder.PostHeld(held, questionHold, questionsPath, p, &list)
	a.mu.Lock()
	defer a.mu.Unlock()
	if held.Err() != nil && a.term != term {
		return nil, nil // given up, for a leader who is to be asked at once
	}
	return list.Questions, err
}

// heard is told of the term of whoever answered as the leader. A former leader
// that hangs or is cut off may hold a request that nobody will answer.
func (a *answering) heard(term uint64) {
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

func (a *answering) hold(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holds = append(a.holds, id)
}

func (a *answering) drop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.holds, id); i >= 0 {
		a.holds = slices.Delete(a.holds, i, i+1)
	}
}

// serve answers one question. An answer that does not get through is found again:
// the leader hands the question over once more, as long as somebody waits for it.
func (a *answering) serve(ctx context.Context, q question) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	r := replicaAnswer{ID: q.ID}
	head, body, err := a.find(ctx, q)
	r.Position, r.Hash = head.Position, head.Hash
	if err == nil {
		if r.Body, err = json.Marshal(body); err == nil && len(r.Body) > maxQuestionBody {
			err = fmt.Errorf("the answer is longer than %d bytes", maxQuestionBody)
		}
	}
	if err != nil {
		r.Body = nil
		if !errors.As(err, &r.Problem) {
			r.Problem = &questionError{problemFailed, fmt.Sprintf("%.1024v", err)}
		}
	}
	if err := a.finder.Post(ctx, answersPath, r, nil); err != nil && ctx.Err() == nil {
		a.logger.Debug("an answer did not reach the leader", "kind", q.Kind, "error", err)
	}
}

// find finds the answer.
func (a *answering) find(ctx context.Context, q question) (event.Head, any, error) {
	answer, ok := a.kinds[q.Kind]
	if !ok {
		return event.Head{}, nil, &questionError{problemUnknownKind, fmt.Sprintf("this version of Writ has no answer to %.64q", q.Kind)}
	}
	wait, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	v, err := a.projection.Wait(wait, q.At)
	if err != nil {
		head := a.projection.Head()
		return head, nil, &questionError{problemNotReached, fmt.Sprintf("position %d, not yet %d: %v", head.Position, q.At, err)}
	}
	if i := v.Cluster().Incarnation; i != q.Incarnation {
		return v.Head, nil, &questionError{problemIncarnation, fmt.Sprintf("the state here is of incarnation %s", i)}
	}
	return answer(ctx, q)
}
