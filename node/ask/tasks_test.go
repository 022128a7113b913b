package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/test/layout"
	"github.com/writ-iam/writ/test/roundtrip"
)

func headAt(at event.Position) event.Head {
	return event.Head{Position: at, Hash: event.Hash{byte(at)}}
}

// office is a leader as replicas reach it, without a network.
type office struct {
	*Tasks
	mu   sync.Mutex
	lose int // so many answers to polls are lost
}

// RoundTrip answers as peerServer does.
func (o *office) RoundTrip(r *http.Request) (*http.Response, error) {
	const replica = "r1"
	var answer any = struct{}{}
	switch r.URL.Path {
	case TasksPath:
		var p Poll
		if err := peer.Decode(r.Body, &p); err != nil {
			return nil, err
		}
		list, err := o.Poll(r.Context(), replica, p.Process, p.Holds, Hold)
		if err != nil {
			return nil, err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(list) > 0 && o.lose > 0 {
			o.lose--
			return nil, errors.New("connection reset")
		}
		answer = Handover{list}
	case AnswersPath:
		var a Answer
		if err := peer.Decode(r.Body, &a); err != nil {
			return nil, err
		}
		o.Answered(replica, a)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text)))}, nil
}

// answererFunc answers by a function.
type answererFunc func(context.Context, Task) (event.Head, any, error)

// Answer calls it.
func (f answererFunc) Answer(ctx context.Context, q Task) (event.Head, any, error) {
	return f(ctx, q)
}

// answerers are what the replica of these tests can answer.
func answerers(p *projection.Projection) map[string]Answerer {
	return map[string]Answerer{
		"echo": answererFunc(func(_ context.Context, q Task) (event.Head, any, error) { return p.Head(), q.Body, nil }),
		"long": answererFunc(func(context.Context, Task) (event.Head, any, error) {
			return p.Head(), strings.Repeat("x", MaxBody), nil
		}),
		"fail": answererFunc(func(context.Context, Task) (event.Head, any, error) { return p.Head(), nil, errors.New("no luck") }),
	}
}

// begun is a projection at position 1 of incarnation i, and its state.
func begun(t *testing.T) (*projection.Projection, *identity.State) {
	t.Helper()
	s, _ := layout.State(t, "i", 1)
	p := projection.New()
	p.Adopt(s.Snapshot(), headAt(1))
	return p, s
}

// answeringBy runs a replica's side; stop ends it.
func answeringBy(t *testing.T, p *projection.Projection, transport http.RoundTripper) (a *Responder, stop func()) {
	f := peer.NewFinderOver(&http.Client{Transport: transport}, nil, peer.NewDirectory([]setup.Writer{{Name: "a", Peer: "a:1"}, {Name: "b", Peer: "b:1"}}))
	f.Learn("a:1")
	a = NewResponder(f, p, "", answerers(p), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	return a, func() { cancel(); <-done }
}

func TestQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := begun(t)
		o := &office{Tasks: NewTasks(7, "i")}
		_, stop := answeringBy(t, p, o)
		defer stop()
		for _, lost := range []int{0, 2} {
			o.mu.Lock()
			o.lose = lost
			o.mu.Unlock()
			r, err := o.Ask(t.Context(), "r1", "echo", 1, "hello")
			if err != nil || r.Position != 1 || r.Hash != headAt(1).Hash || string(r.Body) != `"hello"` {
				t.Errorf("%d answers lost: %+v, %v", lost, r, err)
			}
		}
		var problem *Problem
		for _, c := range []struct {
			kind string
			at   event.Position
			code string
		}{{"none", 1, UnknownKind}, {"fail", 1, Failed}, {"long", 1, Failed}, {"echo", 2, NotReached}} {
			if _, err := o.Ask(t.Context(), "r1", c.kind, c.at, nil); !errors.As(err, &problem) || problem.Code != c.code {
				t.Errorf("%s at %d: %v, not %s", c.kind, c.at, err, c.code)
			}
		}
		// tasks asked at once are answered each; one waits for its position and holds up none
		late := make(chan error, 1)
		go func() { _, err := o.Ask(t.Context(), "r1", "echo", 2, 0); late <- err }()
		var wg sync.WaitGroup
		for i := range MaxOpen - 1 {
			wg.Go(func() {
				if r, err := o.Ask(t.Context(), "r1", "echo", 1, i); err != nil || string(r.Body) != fmt.Sprint(i) {
					t.Errorf("task %d: %s, %v", i, r.Body, err)
				}
			})
		}
		wg.Wait()
		p.Adopt(s.Snapshot(), headAt(2))
		if err := <-late; err != nil {
			t.Errorf("once the position is reached: %v", err)
		}
		if o.open != 0 || len(o.boxes["r1"].open) != 0 {
			t.Errorf("%d tasks are open", o.open)
		}
	})
}

// A state of another incarnation answers nothing of this one.
func TestQuestionsOfAnotherIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := begun(t)
		o := &office{Tasks: NewTasks(7, "another")}
		_, stop := answeringBy(t, p, o)
		defer stop()
		var problem *Problem
		if _, err := o.Ask(t.Context(), "r1", "echo", 1, nil); !errors.As(err, &problem) || problem.Code != WrongIncarnation {
			t.Error(err)
		}
	})
}

func TestQuestionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewTasks(7, "i")
		// a caller that gives up takes its task back
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Ask(ctx, "r1", "echo", 1, nil); !errors.Is(err, context.DeadlineExceeded) || a.open != 0 {
			t.Errorf("%v, %d open", err, a.open)
		}
		if _, err := a.Ask(t.Context(), "r1", "echo", 1, strings.Repeat("x", MaxBody)); err == nil {
			t.Error("a task of any length is taken")
		}
		// an answer to it comes too late
		a.Answered("r1", Answer{ID: "7-1"})
		a.Answered("stranger", Answer{ID: "7-1"})

		// there is room for so many, then no more
		ended := make(chan error, maxAllOpen)
		for i := range maxAllOpen {
			go func() { _, err := a.Ask(t.Context(), fmt.Sprintf("r%d", i/MaxOpen), "echo", 1, nil); ended <- err }()
			synctest.Wait()
		}
		for _, replica := range []string{"r0", "r99"} {
			if _, err := a.Ask(t.Context(), replica, "echo", 1, nil); !errors.Is(err, ErrTooMany) {
				t.Errorf("one more to %s: %v", replica, err)
			}
		}
		// one replica does not answer for another
		a.Answered("r1", Answer{ID: "7-2"})
		if a.open != maxAllOpen {
			t.Errorf("%d are open", a.open)
		}

		// what is handed over is bounded, and complete in the end
		var holds []string
		for len(holds) < MaxOpen {
			list, err := a.Poll(t.Context(), "r0", "p", holds, Hold)
			if err != nil || len(list) != maxHandedOver {
				t.Fatalf("%d tasks, %v", len(list), err)
			}
			for _, q := range list {
				holds = append(holds, q.ID)
			}
		}
		// a poll that finds nothing is held; the replica's next one ends it
		polls := make(chan error, 2)
		begun := time.Now()
		hold := func() {
			list, err := a.Poll(t.Context(), "r0", "p", holds, Hold)
			if len(list) > 0 {
				err = fmt.Errorf("%d tasks", len(list))
			}
			polls <- err
		}
		go hold()
		synctest.Wait()
		go hold()
		if err := <-polls; err != nil || time.Since(begun) > 0 {
			t.Errorf("the older poll: %v after %v", err, time.Since(begun))
		}
		if err := <-polls; err != nil || time.Since(begun) != Hold {
			t.Errorf("the newer poll: %v after %v", err, time.Since(begun))
		}
		// the term ends: nobody waits any longer
		go hold()
		synctest.Wait()
		a.End()
		for range maxAllOpen {
			if err := <-ended; !errors.Is(err, peer.ErrNotLeader) {
				t.Errorf("a task of the term: %v", err)
			}
		}
		if err := <-polls; !errors.Is(err, peer.ErrNotLeader) {
			t.Errorf("a poll of the term: %v", err)
		}
		if _, err := a.Ask(t.Context(), "r1", "echo", 1, nil); !errors.Is(err, peer.ErrNotLeader) {
			t.Errorf("after the term: %v", err)
		}
	})
}

// A replica whose request hangs at a former leader goes to the next as soon as it
// hears of it.
func TestQuestionsOfTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := begun(t)
		o := &office{Tasks: NewTasks(8, "i")}
		a, stop := answeringBy(t, p, roundtrip.ByHost{"a:1": roundtrip.Silent, "b:1": o.RoundTrip})
		defer stop()
		synctest.Wait() // it hangs
		a.finder.Learn("b:1")
		a.Heard(8)
		a.Heard(7)
		begun := time.Now()
		if _, err := o.Ask(t.Context(), "r1", "echo", 1, nil); err != nil || time.Since(begun) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}
