package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/replication/propagation"
)

// Paths of the leader's peer port.
const (
	// TasksPath is where a replica fetches tasks: by a Poll, for a Handover.
	TasksPath = "/peer/questions"
	// AnswersPath is where it brings an Answer.
	AnswersPath = "/peer/answers"
)

// Limits of tasks to replicas.
const (
	// Hold is how long the leader holds a replica's request back while there
	// is no task for it.
	Hold = 20 * time.Second
	// MaxBody bounds the body of a task, and of an answer, in bytes.
	MaxBody = 32 << 10
	// MaxOpen and maxAllOpen bound the open tasks to one replica, and to all.
	MaxOpen    = 64
	maxAllOpen = 1024
	// maxHandedOver bounds what one answer to a replica hands over: so many bodies
	// fit into peer.MaxAnswer.
	maxHandedOver = 16
)

// Task is what the leader asks one replica.
type Task struct {
	// ID is the leader's: its term and a number. It is never used again.
	ID string `json:"id"`
	// Kind names who answers; see NewResponder.
	Kind string `json:"kind"`
	// Incarnation is the one that At belongs to.
	Incarnation string `json:"incarnation"`
	// At is the position that the replica must have reached before it answers.
	At   event.Position  `json:"at"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Answer is a replica's answer to a task: a body, or a problem.
type Answer struct {
	ID string `json:"id"`
	// Position and Hash are those that the answer was found at.
	Position event.Position  `json:"position"`
	Hash     event.Hash      `json:"hash"`
	Body     json.RawMessage `json:"body,omitempty"`
	Problem  *Problem        `json:"problem,omitempty"`
}

// Problem is why a replica does not answer a task.
type Problem struct {
	Code   string `json:"code"` // one of those below
	Detail string `json:"detail"`
}

// Codes of Problem; they travel.
const (
	// UnknownKind is said by an older version, perhaps.
	UnknownKind = "UnknownKind"
	// WrongIncarnation says that the replica's state is of another.
	WrongIncarnation = "WrongIncarnation"
	// NotReached says that the replica did not reach the position in time.
	NotReached = "NotReached"
	// Failed is any other reason.
	Failed = "Failed"
)

// Error gives code and detail.
func (e *Problem) Error() string { return "the replica answers " + e.Code + ": " + e.Detail }

// ErrTooMany is returned when a replica, or all of them together, have as
// many open tasks as they may. Asking a little later may do.
var ErrTooMany = errors.New("too many tasks to replicas are open")

// Tasks are the leader's open ones, of one term. Nothing of them is kept: who asks is
// told when the term ends, and asks the next leader. They may be used by any number of
// goroutines.
type Tasks struct {
	term        uint64
	incarnation string

	mu    sync.Mutex // guards all below
	ended bool
	last  uint64            // number of the latest task
	open  int               // tasks in all boxes
	boxes map[string]*inbox // by replica, as its certificate names it
}

// inbox is what one replica was asked and has not answered. Where several processes
// run under its name, each is told, and the first answer counts.
type inbox struct {
	open    []*openTask       // oldest first
	last    uint64            // number of the replica's latest request
	held    map[string]uint64 // by process, the number of its latest request; that alone is held
	changed chan struct{}     // closed when a request that is held must look again
}

// hold makes a request the one that is held for a process, and returns its number. At
// most so many processes of a name are served as may hold leases under it; one more
// takes the place of the oldest request.
func (b *inbox) hold(process string) uint64 {
	if _, ok := b.held[process]; !ok && len(b.held) >= propagation.MaxLives {
		oldest := process
		for p, number := range b.held {
			if oldest == process || number < b.held[oldest] {
				oldest = p
			}
		}
		delete(b.held, oldest)
	}
	b.last++
	b.held[process] = b.last
	return b.last
}

type openTask struct {
	Task
	answer chan Answer // has room for one; closed when the term ends
}

// NewTasks returns those of a term, about the state of an incarnation: none.
func NewTasks(term uint64, incarnation string) *Tasks {
	return &Tasks{term: term, incarnation: incarnation, boxes: make(map[string]*inbox)}
}

// box returns a replica's. The lock is held.
func (all *Tasks) box(replica string) *inbox {
	b := all.boxes[replica]
	if b == nil {
		b = &inbox{held: make(map[string]uint64), changed: make(chan struct{})}
		all.boxes[replica] = b
	}
	return b
}

// wake lets the request that is held look again. The lock is held.
func (b *inbox) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Ask puts a task of a kind to a replica, which answers it once it has reached
// a position, and waits for the answer: until ctx ends, for a replica that cannot
// be reached is not told from one that is slow. Errors are *Problem,
// ErrTooMany, peer.ErrNotLeader and ctx's.
func (all *Tasks) Ask(ctx context.Context, replica, kind string, at event.Position, body any) (Answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Answer{}, fmt.Errorf("encode a task to %s: %w", replica, err)
	}
	if len(text) > MaxBody {
		return Answer{}, fmt.Errorf("ask %s: the task is longer than %d bytes", replica, MaxBody)
	}
	q, err := all.put(replica, Task{Kind: kind, Incarnation: all.incarnation, At: at, Body: text})
	if err != nil {
		return Answer{}, err
	}
	defer all.drop(replica, q)
	select {
	case r, ok := <-q.answer:
		switch {
		case !ok:
			return Answer{}, peer.ErrNotLeader
		case r.Problem != nil:
			return r, r.Problem
		}
		return r, nil
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}

// put opens a task.
func (all *Tasks) put(replica string, q Task) (*openTask, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.ended {
		return nil, peer.ErrNotLeader
	}
	b := all.box(replica)
	if all.open >= maxAllOpen || len(b.open) >= MaxOpen {
		return nil, ErrTooMany
	}
	all.last++
	q.ID = fmt.Sprintf("%d-%d", all.term, all.last)
	o := &openTask{Task: q, answer: make(chan Answer, 1)}
	all.open++
	b.open = append(b.open, o)
	b.wake()
	return o, nil
}

// drop closes a task that nobody waits for any more.
func (all *Tasks) drop(replica string, q *openTask) {
	all.mu.Lock()
	defer all.mu.Unlock()
	b := all.boxes[replica]
	if i := slices.Index(b.open, q); i >= 0 {
		b.open = slices.Delete(b.open, i, i+1)
		all.open--
	}
}

// Answered takes in a replica's answer. One to a task that is no longer open
// comes too late, and is dropped.
func (all *Tasks) Answered(replica string, r Answer) {
	all.mu.Lock()
	defer all.mu.Unlock()
	b := all.boxes[replica]
	if b == nil || all.ended {
		return
	}
	if i := slices.IndexFunc(b.open, func(q *openTask) bool { return q.ID == r.ID }); i >= 0 {
		b.open[i].answer <- r // has room, for it is open no longer
		b.open = slices.Delete(b.open, i, i+1)
		all.open--
	}
}

// Poll returns the open tasks to a replica that the process which asks does not
// hold, or none when hold is over or a newer poll of that process has come: its older
// one is dead. Whatever it does not hold is handed over again, so no task is lost
// with a connection. Errors are peer.ErrNotLeader and ctx's.
func (all *Tasks) Poll(ctx context.Context, replica, process string, holds []string, hold time.Duration) ([]Task, error) {
	timer := time.NewTimer(hold)
	defer timer.Stop()
	all.mu.Lock()
	defer all.mu.Unlock()
	b := all.box(replica)
	b.wake()
	mine := b.hold(process)
	defer func() {
		if b.held[process] == mine {
			delete(b.held, process)
		}
	}()
	for over := false; !over && b.held[process] == mine; {
		if all.ended {
			return nil, peer.ErrNotLeader
		}
		var news []Task
		for _, q := range b.open {
			if len(news) < maxHandedOver && !slices.Contains(holds, q.ID) {
				news = append(news, q.Task)
			}
		}
		if len(news) > 0 {
			return news, nil
		}
		changed := b.changed
		all.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			err = ctx.Err()
		}
		all.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// End answers all who wait: this writer leads no more.
func (all *Tasks) End() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.ended = true
	for _, b := range all.boxes {
		for _, q := range b.open {
			close(q.answer)
		}
		b.open = nil
		b.wake()
	}
	all.open = 0
}

// Poll is a replica's request for tasks.
type Poll struct {
	// Process tells the processes of one name apart.
	Process string `json:"process"`
	// Holds are the ids of tasks that the replica has and is about to answer.
	Holds []string `json:"holds"`
}

// Handover is the answer to a Poll: what the replica is asked.
type Handover struct {
	Tasks []Task `json:"questions"`
}
