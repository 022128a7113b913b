package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/replication/propagation"
)

// Paths by which a replica fetches the leader's questions and brings answers. A
// replica listens on no port that the leader could ask at.
const (
	questionsPath = "/peer/questions"
	answersPath   = "/peer/answers"
)

// Limits of questions to replicas.
const (
	// questionHold is how long the leader holds a replica's request back while there
	// is no question for it.
	questionHold = 20 * time.Second
	// maxQuestionBody bounds the body of a question, and of an answer, in bytes.
	maxQuestionBody = 32 << 10
	// maxAskedOne and maxAsked bound the open questions to one replica, and to all.
	maxAskedOne = 64
	maxAsked    = 1024
	// maxHandedOver bounds what one answer to a replica hands over: so many bodies
	// fit into MaxAnswer.
	maxHandedOver = 16
)

// question is what the leader asks one replica.
type question struct {
	// ID is the leader's: its term and a number. It is never used again.
	ID string `json:"id"`
	// Kind names who answers; see answering.kinds.
	Kind string `json:"kind"`
	// Incarnation is the one that At belongs to.
	Incarnation string `json:"incarnation"`
	// At is the position that the replica must have reached before it answers.
	At   event.Position  `json:"at"`
	Body json.RawMessage `json:"body,omitempty"`
}

// replicaAnswer is a replica's answer to a question: a body, or a problem.
type replicaAnswer struct {
	ID string `json:"id"`
	// Position and Hash are those that the answer was found at.
	Position event.Position  `json:"position"`
	Hash     event.Hash      `json:"hash"`
	Body     json.RawMessage `json:"body,omitempty"`
	Problem  *questionError  `json:"problem,omitempty"`
}

// questionError is why a replica does not answer a question.
type questionError struct {
	Code   string `json:"code"` // one of those below
	Detail string `json:"detail"`
}

// Codes of questionError; they travel.
const (
	problemUnknownKind = "UnknownKind"      // an older version, perhaps
	problemIncarnation = "WrongIncarnation" // the replica's state is of another
	problemNotReached  = "NotReached"       // the position, in time
	problemFailed      = "Failed"
)

// Error gives code and detail.
func (e *questionError) Error() string { return "the replica answers " + e.Code + ": " + e.Detail }

// errAskedTooMuch is returned when a replica, or all of them together, have as
// many open questions as they may. Asking a little later may do.
var errAskedTooMuch = errors.New("too many questions to replicas are open")

// asking holds the leader's open questions, of one term. Nothing of it is kept:
// who asks is told when the term ends, and asks the next leader.
type asking struct {
	term        uint64
	incarnation string

	mu    sync.Mutex // guards all below
	ended bool
	last  uint64            // number of the latest question
	open  int               // questions in all boxes
	boxes map[string]*asked // by replica, as its certificate names it
}

// asked is what one replica was asked and has not answered. Where several processes
// run under its name, each is told, and the first answer counts.
type asked struct {
	open    []*openQuestion   // oldest first
	last    uint64            // number of the replica's latest request
	held    map[string]uint64 // by process, the number of its latest request; that alone is held
	changed chan struct{}     // closed when a request that is held must look again
}

// hold makes a request the one that is held for a process, and returns its number. At
// most so many processes of a name are served as may hold leases under it; one more
// takes the place of the oldest request.
func (b *asked) hold(process string) uint64 {
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

type openQuestion struct {
	question
	answer chan replicaAnswer // has room for one; closed when the term ends
}

func newAsking(term uint64, incarnation string) *asking {
	return &asking{term: term, incarnation: incarnation, boxes: make(map[string]*asked)}
}

// box returns a replica's. The lock is held.
func (a *asking) box(replica string) *asked {
	b := a.boxes[replica]
	if b == nil {
		b = &asked{held: make(map[string]uint64), changed: make(chan struct{})}
		a.boxes[replica] = b
	}
	return b
}

// wake lets the request that is held look again. The lock is held.
func (b *asked) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// ask puts a question of a kind to a replica, which answers it once it has reached
// a position, and waits for the answer: until ctx ends, for a replica that cannot
// be reached is not told from one that is slow. Errors are *questionError,
// errAskedTooMuch, api.ErrNotLeader and ctx's.
func (a *asking) ask(ctx context.Context, replica, kind string, at event.Position, body any) (replicaAnswer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return replicaAnswer{}, fmt.Errorf("encode a question to %s: %w", replica, err)
	}
	if len(text) > maxQuestionBody {
		return replicaAnswer{}, fmt.Errorf("ask %s: the question is longer than %d bytes", replica, maxQuestionBody)
	}
	q, err := a.put(replica, question{Kind: kind, Incarnation: a.incarnation, At: at, Body: text})
	if err != nil {
		return replicaAnswer{}, err
	}
	defer a.drop(replica, q)
	select {
	case r, ok := <-q.answer:
		switch {
		case !ok:
			return replicaAnswer{}, api.ErrNotLeader
		case r.Problem != nil:
			return r, r.Problem
		}
		return r, nil
	case <-ctx.Done():
		return replicaAnswer{}, ctx.Err()
	}
}

// put opens a question.
func (a *asking) put(replica string, q question) (*openQuestion, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return nil, api.ErrNotLeader
	}
	b := a.box(replica)
	if a.open >= maxAsked || len(b.open) >= maxAskedOne {
		return nil, errAskedTooMuch
	}
	a.last++
	q.ID = fmt.Sprintf("%d-%d", a.term, a.last)
	o := &openQuestion{question: q, answer: make(chan replicaAnswer, 1)}
	a.open++
	b.open = append(b.open, o)
	b.wake()
	return o, nil
}

// drop closes a question that nobody waits for any more.
func (a *asking) drop(replica string, q *openQuestion) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[replica]
	if i := slices.Index(b.open, q); i >= 0 {
		b.open = slices.Delete(b.open, i, i+1)
		a.open--
	}
}

// answered takes in a replica's answer. One to a question that is no longer open
// comes too late, and is dropped.
func (a *asking) answered(replica string, r replicaAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[replica]
	if b == nil || a.ended {
		return
	}
	if i := slices.IndexFunc(b.open, func(q *openQuestion) bool { return q.ID == r.ID }); i >= 0 {
		b.open[i].answer <- r // has room, for it is open no longer
		b.open = slices.Delete(b.open, i, i+1)
		a.open--
	}
}

// poll returns the open questions to a replica that the process which asks does not
// hold, or none when hold is over or a newer poll of that process has come: its older
// one is dead. Whatever it does not hold is handed over again, so no question is lost
// with a connection.
func (a *asking) poll(ctx context.Context, replica, process string, holds []string, hold time.Duration) ([]question, error) {
	timer := time.NewTimer(hold)
	defer timer.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.box(replica)
	b.wake()
	mine := b.hold(process)
	defer func() {
		if b.held[process] == mine {
			delete(b.held, process)
		}
	}()
	for over := false; !over && b.held[process] == mine; {
		if a.ended {
			return nil, api.ErrNotLeader
		}
		var news []question
		for _, q := range b.open {
			if len(news) < maxHandedOver && !slices.Contains(holds, q.ID) {
				news = append(news, q.question)
			}
		}
		if len(news) > 0 {
			return news, nil
		}
		changed := b.changed
		a.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			err = ctx.Err()
		}
		a.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// end answers all who wait: this writer leads no more.
func (a *asking) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	for _, b := range a.boxes {
		for _, q := range b.open {
			close(q.answer)
		}
		b.open = nil
		b.wake()
	}
	a.open = 0
}

// kindDecide is the kind of question that a decision answers: its body is that of
// POST /v1/authorize, that of the answer an api.Decided.
const kindDecide = "decide"

// askDecide asks a replica for a decision.
func (w *writer) askDecide(ctx context.Context, replica string, at event.Position, body []byte) (d api.Decided, err error) {
	t := w.leading.Load()
	if t == nil {
		return d, api.ErrNotLeader
	}
	r, err := t.asking.ask(ctx, replica, kindDecide, at, json.RawMessage(body))
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(r.Body, &d); err != nil {
		return d, fmt.Errorf("decode the decision of %s: %w", replica, err)
	}
	return d, nil
}

// questionPoll is a replica's request for questions.
type questionPoll struct {
	// Process tells the processes of one name apart.
	Process string `json:"process"`
	// Holds are the ids of questions that the replica has and is about to answer.
	Holds []string `json:"holds"`
}

type questionList struct {
	Questions []question `json:"questions"`
}

// questions hands a replica what it is asked, as soon as there is something. Whom
// the questions are for, the certificate says.
func (p *peerServer) questions(rw http.ResponseWriter, r *http.Request) {
	var q questionPoll
	t, name, ok := p.replicaCalls(rw, r, &q)
	if !ok {
		return
	}
	list, err := t.asking.poll(r.Context(), name, q.Process, q.Holds, questionHold)
	if err != nil {
		p.fail(rw, err)
		return
	}
	peer.Reply(rw, questionList{list})
}

// answers takes a replica's answer.
func (p *peerServer) answers(rw http.ResponseWriter, r *http.Request) {
	var a replicaAnswer
	t, name, ok := p.replicaCalls(rw, r, &a)
	if !ok {
		return
	}
	t.asking.answered(name, a)
	peer.Reply(rw, struct{}{})
}

// replicaCalls reads the request of a replica to the leader: the term it falls
// into, and who calls. Otherwise it has answered.
func (p *peerServer) replicaCalls(rw http.ResponseWriter, r *http.Request, into any) (*tracking, string, bool) {
	if !p.read(rw, r, into) {
		return nil, "", false
	}
	t := p.w.leading.Load()
	if t == nil {
		p.fail(rw, api.ErrNotLeader)
		return nil, "", false
	}
	return t, peer.Caller(r).Name, true
}
