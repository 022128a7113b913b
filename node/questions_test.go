package node

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
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/test/roundtrip"
)

// office is a leader as replicas reach it, without a network.
type office struct {
	*asking
	mu   sync.Mutex
	lose int // so many answers to polls are lost
}

// RoundTrip answers as peerServer does.
func (o *office) RoundTrip(r *http.Request) (*http.Response, error) {
	const replica = "r1"
	var answer any = struct{}{}
	switch r.URL.Path {
	case questionsPath:
		var p questionPoll
		if err := peer.Decode(r.Body, &p); err != nil {
			return nil, err
		}
		list, err := o.poll(r.Context(), replica, p.Process, p.Holds, questionHold)
		if err != nil {
			return nil, err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(list) > 0 && o.lose > 0 {
			o.lose--
			return nil, errors.New("connection reset")
		}
		answer = questionList{list}
	case answersPath:
		var a replicaAnswer
		if err := peer.Decode(r.Body, &a); err != nil {
			return nil, err
		}
		o.answered(replica, a)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text)))}, nil
}

// answerers are what the replica of these tests can answer.
func answerers(p *projection.Projection) map[string]answerer {
	return map[string]answerer{
		"echo": func(_ context.Context, q question) (event.Head, any, error) { return p.Head(), q.Body, nil },
		"long": func(context.Context, question) (event.Head, any, error) {
			return p.Head(), strings.Repeat("x", maxQuestionBody), nil
		},
		"fail": func(context.Context, question) (event.Head, any, error) { return p.Head(), nil, errors.New("no luck") },
	}
}

// begun is a projection at position 1 of incarnation i, and its state.
func begun(t *testing.T) (*projection.Projection, *identity.State) {
	t.Helper()
	s := identity.NewState()
	events, err := identity.Decide(s, identity.Meta{}, &identity.Bootstrap{
		Cluster: "c", Incarnation: "i", Account: setup.DefaultAccount, RootKey: identity.NewAccessKey{ID: "AKIAROOTROOTROOT0000"},
	})
	if err != nil {
		t.Fatal(err)
	}
	identity.Evolve(s, 1, identity.Meta{}, events)
	p := projection.New()
	p.Adopt(s.Snapshot(), head(1))
	return p, s
}

// answeringBy runs a replica's side; stop ends it.
func answeringBy(t *testing.T, p *projection.Projection, transport http.RoundTripper) (a *answering, stop func()) {
	f := peer.NewFinderOver(&http.Client{Transport: transport}, nil, []setup.Writer{{Name: "a", Peer: "a:1"}, {Name: "b", Peer: "b:1"}})
	f.Learn("a:1")
	a = &answering{finder: f, projection: p, kinds: answerers(p), logger: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.run(ctx) }()
	return a, func() { cancel(); <-done }
}

func TestQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := begun(t)
		o := &office{asking: newAsking(7, "i")}
		_, stop := answeringBy(t, p, o)
		defer stop()
		for _, lost := range []int{0, 2} {
			o.mu.Lock()
			o.lose = lost
			o.mu.Unlock()
			r, err := o.ask(t.Context(), "r1", "echo", 1, "hello")
			if err != nil || r.Position != 1 || r.Hash != head(1).Hash || string(r.Body) != `"hello"` {
				t.Errorf("%d answers lost: %+v, %v", lost, r, err)
			}
		}
		var problem *questionError
		for _, c := range []struct {
			kind string
			at   event.Position
			code string
		}{{"none", 1, problemUnknownKind}, {"fail", 1, problemFailed}, {"long", 1, problemFailed}, {"echo", 2, problemNotReached}} {
			if _, err := o.ask(t.Context(), "r1", c.kind, c.at, nil); !errors.As(err, &problem) || problem.Code != c.code {
				t.Errorf("%s at %d: %v, not %s", c.kind, c.at, err, c.code)
			}
		}
		// questions asked at once are answered each; one waits for its position and holds up none
		late := make(chan error, 1)
		go func() { _, err := o.ask(t.Context(), "r1", "echo", 2, 0); late <- err }()
		var wg sync.WaitGroup
		for i := range maxAskedOne - 1 {
			wg.Go(func() {
				if r, err := o.ask(t.Context(), "r1", "echo", 1, i); err != nil || string(r.Body) != fmt.Sprint(i) {
					t.Errorf("question %d: %s, %v", i, r.Body, err)
				}
			})
		}
		wg.Wait()
		p.Adopt(s.Snapshot(), head(2))
		if err := <-late; err != nil {
			t.Errorf("once the position is reached: %v", err)
		}
		if o.open != 0 || len(o.boxes["r1"].open) != 0 {
			t.Errorf("%d questions are open", o.open)
		}
	})
}

// A state of another incarnation answers nothing of this one.
func TestQuestionsOfAnotherIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := begun(t)
		o := &office{asking: newAsking(7, "another")}
		_, stop := answeringBy(t, p, o)
		defer stop()
		var problem *questionError
		if _, err := o.ask(t.Context(), "r1", "echo", 1, nil); !errors.As(err, &problem) || problem.Code != problemIncarnation {
			t.Error(err)
		}
	})
}

func TestQuestionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(7, "i")
		// a caller that gives up takes its question back
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.ask(ctx, "r1", "echo", 1, nil); !errors.Is(err, context.DeadlineExceeded) || a.open != 0 {
			t.Errorf("%v, %d open", err, a.open)
		}
		if _, err := a.ask(t.Context(), "r1", "echo", 1, strings.Repeat("x", maxQuestionBody)); err == nil {
			t.Error("a question of any length is taken")
		}
		// an answer to it comes too late
		a.answered("r1", replicaAnswer{ID: "7-1"})
		a.answered("stranger", replicaAnswer{ID: "7-1"})

		// there is room for so many, then no more
		ended := make(chan error, maxAsked)
		for i := range maxAsked {
			go func() { _, err := a.ask(t.Context(), fmt.Sprintf("r%d", i/maxAskedOne), "echo", 1, nil); ended <- err }()
			synctest.Wait()
		}
		for _, replica := range []string{"r0", "r99"} {
			if _, err := a.ask(t.Context(), replica, "echo", 1, nil); !errors.Is(err, errAskedTooMuch) {
				t.Errorf("one more to %s: %v", replica, err)
			}
		}
		// one replica does not answer for another
		a.answered("r1", replicaAnswer{ID: "7-2"})
		if a.open != maxAsked {
			t.Errorf("%d are open", a.open)
		}

		// what is handed over is bounded, and complete in the end
		var holds []string
		for len(holds) < maxAskedOne {
			list, err := a.poll(t.Context(), "r0", "p", holds, questionHold)
			if err != nil || len(list) != maxHandedOver {
				t.Fatalf("%d questions, %v", len(list), err)
			}
			for _, q := range list {
				holds = append(holds, q.ID)
			}
		}
		// a poll that finds nothing is held; the replica's next one ends it
		polls := make(chan error, 2)
		begun := time.Now()
		hold := func() {
			list, err := a.poll(t.Context(), "r0", "p", holds, questionHold)
			if len(list) > 0 {
				err = fmt.Errorf("%d questions", len(list))
			}
			polls <- err
		}
		go hold()
		synctest.Wait()
		go hold()
		if err := <-polls; err != nil || time.Since(begun) > 0 {
			t.Errorf("the older poll: %v after %v", err, time.Since(begun))
		}
		if err := <-polls; err != nil || time.Since(begun) != questionHold {
			t.Errorf("the newer poll: %v after %v", err, time.Since(begun))
		}
		// the term ends: nobody waits any longer
		go hold()
		synctest.Wait()
		a.end()
		for range maxAsked {
			if err := <-ended; !errors.Is(err, api.ErrNotLeader) {
				t.Errorf("a question of the term: %v", err)
			}
		}
		if err := <-polls; !errors.Is(err, api.ErrNotLeader) {
			t.Errorf("a poll of the term: %v", err)
		}
		if _, err := a.ask(t.Context(), "r1", "echo", 1, nil); !errors.Is(err, api.ErrNotLeader) {
			t.Errorf("after the term: %v", err)
		}
	})
}

// A replica whose request hangs at a former leader goes to the next as soon as it
// hears of it.
func TestQuestionsOfTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := begun(t)
		o := &office{asking: newAsking(8, "i")}
		a, stop := answeringBy(t, p, roundtrip.ByHost{"a:1": roundtrip.Silent, "b:1": o.RoundTrip})
		defer stop()
		synctest.Wait() // it hangs
		a.finder.Learn("b:1")
		a.heard(8)
		a.heard(7)
		begun := time.Now()
		if _, err := o.ask(t.Context(), "r1", "echo", 1, nil); err != nil || time.Since(begun) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestQuestionsToReplicas(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "alice")
	alice := "arn:aws:iam::" + setup.DefaultAccount + ":user/alice"
	for _, c := range []struct{ policy, decision string }{
		{"Allow", "allow"}, {"Deny", "explicitDeny"},
	} {
		m.must("writer-1", "PutUserPolicy", "UserName", "alice", "PolicyName", "p",
			"PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"`+c.policy+`","Action":"s3:Get","Resource":"*"}}`)
		at := m.node("writer-1").projection.Head().Position
		for _, name := range []string{"replica-1", "replica-2"} {
			body := json.RawMessage(`{"principal":"` + alice + `","action":"s3:Get"}`)
			m.until(name+" decides", func(ctx context.Context) error {
				leading := m.node("writer-1").part.(*writer).leading.Load()
				r, err := leading.asking.ask(ctx, name, kindDecide, at, body)
				var d api.Decided
				if err == nil {
					err = json.Unmarshal(r.Body, &d)
				}
				if err != nil || r.Position < at || d.Position != r.Position || d.Freshness == "leased" && d.Decision != c.decision {
					t.Fatalf("%s at %d: %+v, %+v, %v", name, at, r, d, err)
				}
				if d.Freshness != "leased" { // it lost its lease with the leader, perhaps
					return errors.New(d.Freshness)
				}
				return nil
			})
		}
		// the next leader asks the same replicas
		m.stop("writer-1")
		m.start("writer-1")
		m.ready("writer-1")
		m.leader("writer-1")
	}
	// a writer is asked nothing, and takes no questions for others
	f := peer.NewFinder(peer.TCP{}, m.node("writer-1").tls, 1<<10, m.cluster.Writers)
	for _, path := range []string{questionsPath, answersPath} {
		if err := f.Post(t.Context(), path, struct{}{}, nil); err == nil || !strings.Contains(err.Error(), errNoRole.Error()) {
			t.Errorf("%s: %v", path, err)
		}
	}
	f.Close()
}
