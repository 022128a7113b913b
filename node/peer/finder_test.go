package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/test/roundtrip"
)

func says(status int, leader, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{"X-Test": {"yes"}}
		if leader != "" {
			h.Set(HeaderLeader, leader)
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func finderOf(p roundtrip.ByHost) *Finder {
	return NewFinderOver(&http.Client{Transport: p}, &http.Client{Transport: p}, NewDirectory([]setup.Writer{{Name: "a", Peer: "a:1"}, {Name: "b", Peer: "b:1"}, {Name: "c", Peer: "c:1"}}))
}

func TestFindingTheLeader(t *testing.T) {
	const follows = http.StatusMisdirectedRequest
	for name, c := range map[string]struct {
		peers roundtrip.ByHost
		known string
		took  time.Duration // at most
		ok    bool
	}{
		"at once":               {roundtrip.ByHost{"a:1": says(200, "", "ok"), "b:1": roundtrip.Dead, "c:1": roundtrip.Dead}, "a:1", 0, true},
		"named by another":      {roundtrip.ByHost{"a:1": says(follows, "b:1", ""), "b:1": says(200, "", "ok"), "c:1": roundtrip.Dead}, "a:1", 0, true},
		"known is dead":         {roundtrip.ByHost{"a:1": roundtrip.Dead, "b:1": says(200, "", "ok"), "c:1": says(follows, "b:1", "")}, "a:1", time.Second, true},
		"known is silent":       {roundtrip.ByHost{"a:1": roundtrip.Silent, "b:1": says(200, "", "ok"), "c:1": says(follows, "b:1", "")}, "a:1", leaderSilence + time.Second, true},
		"known follows nobody":  {roundtrip.ByHost{"a:1": says(follows, "", ""), "b:1": says(200, "", "ok"), "c:1": says(follows, "", "")}, "a:1", 2 * time.Second, true},
		"they name each other":  {roundtrip.ByHost{"a:1": says(follows, "b:1", ""), "b:1": says(follows, "a:1", ""), "c:1": says(follows, "a:1", "")}, "", leaderPatience + time.Second, false},
		"nobody leads":          {roundtrip.ByHost{"a:1": roundtrip.Dead, "b:1": roundtrip.Dead, "c:1": roundtrip.Dead}, "", leaderPatience + time.Second, false},
		"an error is an answer": {roundtrip.ByHost{"a:1": says(503, "", "ok"), "b:1": roundtrip.Dead, "c:1": roundtrip.Dead}, "a:1", 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := finderOf(c.peers)
			f.Learn(c.known)
			begun := time.Now()
			answer, err := f.send(t.Context(), f.client, 0, func(ctx context.Context, addr string) (*http.Request, error) {
				return http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr, nil)
			})
			if took := time.Since(begun); took > c.took {
				t.Errorf("%s: it took %v", name, took)
			}
			if !c.ok {
				if !errors.Is(err, errNoLeader) {
					t.Errorf("%s: %v", name, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "ok" {
				t.Errorf("%s: %q, %v", name, text, err)
			}
			discard(answer)
			// what was learned is used at once
			if next, err := f.find(t.Context(), ""); err != nil || next != "a:1" && next != "b:1" {
				t.Errorf("%s: the next request goes to %s, %v", name, next, err)
			}
		})
	}
}

func TestFindingTheLeaderEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := finderOf(roundtrip.ByHost{"a:1": roundtrip.Dead, "b:1": roundtrip.Silent, "c:1": roundtrip.Dead})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Post(ctx, "/x", 1, nil); !errors.Is(err, errNoLeader) {
			t.Errorf("it ends with %v", err)
		}
	})
}

// names is a log that follows the leader at an address.
type names string

// Leader names it.
func (n names) Leader() (id, addr string) { return "", string(n) }

// marks are what a node says of a request that it hands on.
type marks struct{}

// SetHeaders marks a request.
func (marks) SetHeaders(r *http.Request) { r.Header.Set("X-Marked", "yes") }

func marked(r *http.Request) bool { return r.Header.Get("X-Marked") == "yes" }

// A writer goes by what its own log says, once: it may be as mistaken as any.
func TestFindingTheLeaderThatRaftNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		note := func(next func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
			return func(r *http.Request) (*http.Response, error) {
				if r.URL.Path != LeaderPath {
					asked = append(asked, r.URL.Host)
				}
				return next(r)
			}
		}
		f := finderOf(roundtrip.ByHost{"a:1": note(says(http.StatusMisdirectedRequest, "c:1", "")), "b:1": note(says(200, "", "ok")), "c:1": note(roundtrip.Dead)})
		f.Follow(names("c:1"))
		for range 2 {
			if err := f.Post(t.Context(), "/x", 1, nil); err != nil && !strings.Contains(err.Error(), "decode") {
				t.Fatal(err)
			}
		}
		if want := []string{"c:1", "b:1", "b:1"}; !slices.Equal(asked, want) {
			t.Errorf("asked %v, not %v", asked, want)
		}
	})
}

// waiting are requests that wait for a leader at a team of writers of whom none leads
// until elect is called.
type waiting struct {
	f       *Finder
	leads   atomic.Bool
	asked   atomic.Int32 // requests that writers got
	results chan error
	cancels []context.CancelFunc
}

func wait(t *testing.T, n int) *waiting {
	w := &waiting{results: make(chan error, n)}
	writer := func(addr string) func(r *http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			w.asked.Add(1)
			if !w.leads.Load() {
				return says(http.StatusMisdirectedRequest, "", "")(r)
			}
			if addr != "b:1" {
				return says(http.StatusMisdirectedRequest, "b:1", "")(r)
			}
			return says(http.StatusOK, "", "{}")(r)
		}
	}
	w.f = finderOf(roundtrip.ByHost{"a:1": writer("a:1"), "b:1": writer("b:1"), "c:1": writer("c:1")})
	for i := range n {
		ctx, cancel := context.WithCancel(t.Context())
		w.cancels = append(w.cancels, cancel)
		go func() {
			if i%2 == 0 {
				w.results <- w.f.Post(ctx, "/x", 1, nil)
				return
			}
			r := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(ctx)
			w.results <- w.f.Forward(httptest.NewRecorder(), r, HandedOn{Marks: marks{}})
		}()
	}
	return w
}

// However many requests wait for a leader, of clients and of the node itself, the
// writers are asked by one search. It lets all of them go on when one leads.
func TestRequestsShareTheSearch(t *testing.T) {
	const (
		took = 5 * time.Second // the election
		most = 60              // requests of one search in that time, at three writers
	)
	for _, n := range []int{1, 200, 2000} {
		synctest.Test(t, func(t *testing.T) {
			w := wait(t, n)
			time.Sleep(took)
			if asked := w.asked.Load(); asked < 3 || asked > most {
				t.Errorf("while %d requests wait for a leader, writers get %d", n, asked)
			}
			w.leads.Store(true)
			begun, before := time.Now(), w.asked.Load()
			for range n {
				if err := <-w.results; err != nil {
					t.Fatal(err)
				}
			}
			if waited := time.Since(begun); waited > maxLeaderPause {
				t.Errorf("%d requests are told of the leader after %v", n, waited)
			}
			if asked := int(w.asked.Load() - before); asked > n+6 {
				t.Errorf("to release %d requests, writers get %d", n, asked)
			}
		})
	}
}

// Whoever is cancelled leaves at once; the search ends with the last who waits.
func TestTheSearchEndsWithWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		w := wait(t, n)
		for i, cancel := range w.cancels {
			time.Sleep(time.Second)
			before, begun := w.asked.Load(), time.Now()
			cancel()
			if err := <-w.results; !errors.Is(err, errNoLeader) || !errors.Is(err, context.Canceled) || time.Since(begun) > 0 {
				t.Errorf("cancelled: %v after %v", err, time.Since(begun))
			}
			time.Sleep(time.Second)
			if goes := w.asked.Load() > before; goes != (i < n-1) {
				t.Errorf("with %d of %d cancelled, the search goes on: %v", i+1, n, goes)
			}
		}
	})
}

// A request that waits in vain says what the writers said: also of its node's place in
// the cluster.
func TestWaitingInVainSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		barred := func(r *http.Request) (*http.Response, error) {
			h := http.Header{HeaderStanding: {"barred"}, HeaderLeader: {""}}
			return &http.Response{StatusCode: http.StatusForbidden, Header: h, Body: http.NoBody}, nil
		}
		f := finderOf(roundtrip.ByHost{"a:1": barred, "b:1": roundtrip.Dead, "c:1": roundtrip.Silent})
		ctx, cancel := context.WithTimeout(t.Context(), searchSilence+time.Second)
		defer cancel()
		err := f.Post(ctx, "/x", 1, nil)
		if !errors.Is(err, errNoLeader) || !errors.Is(err, ErrBarred) || !errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), "c:1 is silent") {
			t.Errorf("it says %v", err)
		}
	})
}

// A request that fails where the search leads it is neither lost nor sent again and
// again: it rests in between, less and less often.
func TestFailingWhereTheSearchLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		f := finderOf(roundtrip.ByHost{"a:1": roundtrip.Dead, "c:1": roundtrip.Dead, "b:1": func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == LeaderPath {
				return says(http.StatusNoContent, "", "")(r)
			}
			tries.Add(1)
			return roundtrip.Dead(r)
		}})
		if err := f.Post(t.Context(), "/x", 1, nil); !errors.Is(err, errNoLeader) {
			t.Error(err)
		}
		if n := tries.Load(); n < 10 || n > 100 {
			t.Errorf("it was sent %d times in %v", n, leaderPatience)
		}
	})
}

// An answer that the caller asked to be held back is waited for.
func TestHeldAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		f := finderOf(roundtrip.ByHost{"a:1": func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			select {
			case <-time.After(time.Minute):
				return says(200, "", "late")(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}})
		f.Learn("a:1")
		r := httptest.NewRequest(http.MethodGet, "/v1/propagation?head", nil)
		rec := httptest.NewRecorder()
		if err := f.Forward(rec, r, HandedOn{Hold: time.Minute, Marks: marks{}}); err != nil || rec.Body.String() != "late" || asked.Load() != 1 {
			t.Errorf("%v: %q after %d requests", err, rec.Body, asked.Load())
		}
	})
}

func TestPost(t *testing.T) {
	f := finderOf(roundtrip.ByHost{"a:1": says(200, "", `{"x":1}`), "b:1": says(403, "", "no"), "c:1": says(200, "", "nonsense")})
	var got struct{ X int }
	f.Learn("a:1")
	if err := f.Post(t.Context(), "/x", got, &got); err != nil || got.X != 1 {
		t.Errorf("%v, %v", got, err)
	}
	f.Learn("b:1")
	if err := f.Post(t.Context(), "/x", got, &got); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("refused: %v", err)
	}
	f.Learn("c:1")
	if err := f.Post(t.Context(), "/x", got, &got); err == nil {
		t.Error("nonsense was taken")
	}
	if err := f.Post(t.Context(), "/x", func() {}, nil); err == nil {
		t.Error("a function was encoded")
	}
}

// A forwarded request is what the client sent: its signature still verifies.
func TestForwardKeepsTheSignature(t *testing.T) {
	body := []byte("Action=CreateUser&Version=2010-05-08")
	bodyHash := sha256.Sum256(body)
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	signer := sigv4.Signer{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sesame", Region: "us-east-1", Service: "iam"}
	for _, target := range []string{"/", "/iam/?x=%2F&a=b+c&a=a", "/v1/propagation/A%2Fb-_?head"} {
		var got *http.Request
		leader := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			if !bytes.Equal(text, body) {
				t.Errorf("%s: the body is %q", target, text)
			}
			got = r
			w.Header().Set("X-Writ-Position", "7")
			w.WriteHeader(http.StatusAccepted)
			w.Write([]byte("done"))
		}))
		r := httptest.NewRequest(http.MethodPost, "http://writ.example.com:8420"+target, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		r.Header.Add("X-Amz-Meta", "one")
		r.Header.Add("X-Amz-Meta", "two  words")
		signer.Sign(r, bodyHash, now)
		r.Header.Set("Connection", "close")
		r.Header.Set("Expect", "100-continue")
		f := NewFinderOver(leader.Client(), leader.Client(), NewDirectory([]setup.Writer{{Peer: leader.Listener.Addr().String()}}))
		f.Learn(leader.Listener.Addr().String())
		rec := httptest.NewRecorder()
		err := f.Forward(rec, r, HandedOn{Body: body, Marks: marks{}})
		leader.Close()
		if err != nil {
			t.Fatal(err)
		}
		if rec.Code != http.StatusAccepted || rec.Body.String() != "done" || rec.Header().Get("X-Writ-Position") != "7" {
			t.Errorf("%s: answered %d %q %v", target, rec.Code, rec.Body, rec.Header())
		}
		if got.Method != http.MethodPost || got.RequestURI != target || got.Host != "writ.example.com:8420" || !marked(got) {
			t.Errorf("%s: arrived as %s %s for %s", target, got.Method, got.RequestURI, got.Host)
		}
		if got.Header.Get("User-Agent") != "" || got.Header.Get("Connection") != "" || got.Header.Get("Expect") != "" {
			t.Errorf("%s: headers are %v", target, got.Header)
		}
		s, err := sigv4.Parse(got, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(sigv4.DeriveKey([]byte("sesame"), s.Scope), bodyHash); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// Clients' requests share few connections to the leader, and never those on which
// the node asks for itself.
func TestForwardsLeaveRoom(t *testing.T) {
	const limit = 2
	if n := clientFor(TCP{}, &Identity{}, forClients, limit).Transport.(*http.Transport).MaxConnsPerHost; n != limit {
		t.Fatalf("a client for forwards has %d connections", n)
	}
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	leader := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if marked(r) {
			arrived <- struct{}{}
			<-release
		}
	}))
	defer leader.Close()
	client := func() *http.Client {
		transport := leader.Client().Transport.(*http.Transport).Clone()
		transport.MaxConnsPerHost = limit
		return &http.Client{Transport: transport}
	}
	f := NewFinderOver(client(), client(), NewDirectory([]setup.Writer{{Peer: leader.Listener.Addr().String()}}))
	defer f.Close()
	var forwards sync.WaitGroup
	for range 5 {
		forwards.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			if err := f.Forward(httptest.NewRecorder(), r, HandedOn{Marks: marks{}}); err != nil {
				t.Error(err)
			}
		})
	}
	for range limit {
		<-arrived
	}
	if err := f.Post(t.Context(), "/x", struct{}{}, nil); err != nil {
		t.Errorf("the node's own question: %v", err)
	}
	if n := len(arrived); n != 0 {
		t.Errorf("%d more clients' requests are with the leader", n)
	}
	close(release)
	forwards.Wait()
}
