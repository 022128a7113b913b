package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/node/api"
)

// Headers between nodes.
const (
	// headerLeader names the leader's peer address in an answer of 421.
	headerLeader = "X-Writ-Leader"
)

// Limits of finding the leader.
const (
	// leaderPatience is how long a request waits for a leader: several elections.
	leaderPatience = 15 * time.Second
	leaderPause    = 50 * time.Millisecond // between two tries, half to all of it
	maxLeaderPause = 500 * time.Millisecond
	// leaderSilence is how long one writer may take to begin its answer: one that
	// was stopped while it led must not hold a request for ever.
	leaderSilence = 10 * time.Second
	// maxSmallAnswer bounds what is read of an answer that is not passed on.
	maxSmallAnswer = 1 << 20
	// maxForwards bounds the connections on which a node hands clients' requests on to
	// one writer: a place for each that the edge hands on at once. What the node itself
	// asks goes over others, so that no client keeps a lease from being renewed.
	maxForwards = api.MaxHandedOn
)

// errNoLeader is returned when no writer that leads was found in time.
var errNoLeader = errors.New("no writer that leads was found")

// leaderFinder sends requests to the writer that leads, which it finds by asking:
// a writer that does not lead answers 421 and names the one it follows.
type leaderFinder struct {
	client   *http.Client // for what the node asks
	forwards *http.Client // for what clients ask
	writers  []Writer
	// known is the peer address that answered last, or that raft names.
	known atomic.Pointer[string]
	// raft names the leader that a writer's own log follows; nil at a replica.
	raft func() string
}

func newLeaderFinder(client, forwards *http.Client, writers []Writer) *leaderFinder {
	return &leaderFinder{client: client, forwards: forwards, writers: writers}
}

// close closes the connections that nothing uses any more.
func (f *leaderFinder) close() {
	f.client.CloseIdleConnections()
	f.forwards.CloseIdleConnections()
}

// candidate is the address to try at the n-th attempt.
func (f *leaderFinder) candidate(n int) string {
	if k := f.known.Load(); k != nil && *k != "" {
		return *k
	}
	if f.raft != nil {
		if k := f.raft(); k != "" && n%2 == 0 { // it may be as mistaken as any
			return k
		}
	}
	return f.writers[n%len(f.writers)].Peer
}

// learn remembers who leads; empty forgets it.
func (f *leaderFinder) learn(addr string) { f.known.Store(&addr) }

// forget drops what is known, if it is still that addr leads: another request may
// have learned better meanwhile.
func (f *leaderFinder) forget(addr string) {
	if k := f.known.Load(); k != nil && *k == addr {
		f.known.CompareAndSwap(k, nil)
	}
}

// do sends what the node itself asks.
func (f *leaderFinder) do(ctx context.Context, hold time.Duration, build func(ctx context.Context, addr string) (*http.Request, error)) (*http.Response, error) {
	return f.send(ctx, f.client, hold, build)
}

// send sends what build makes for an address until a leader takes it, and returns
// its answer, whatever the status. A request may arrive more than once: it must
// be harmless to repeat. hold is how long the leader may hold the answer back
// because it was asked to.
func (f *leaderFinder) send(ctx context.Context, client *http.Client, hold time.Duration, build func(ctx context.Context, addr string) (*http.Request, error)) (*http.Response, error) {
	deadline := time.Now().Add(leaderPatience)
	pause, told := leaderPause, false
	var last error
	failed := "" // the address that gave no answer last: not to be asked twice running
	for n := rand.IntN(len(f.writers)); ; n++ {
		addr := f.candidate(n)
		for range f.writers {
			if addr != failed {
				break
			}
			n++
			addr = f.candidate(n)
		}
		failed = ""
		answer, err := f.once(ctx, client, hold, addr, build)
		standing, final := refused(answer)
		switch {
		case err != nil:
			last, failed = err, addr
			f.forget(addr)
		case answer.StatusCode == http.StatusMisdirectedRequest || standing != nil && !final:
			leader := answer.Header.Get(headerLeader)
			discard(answer)
			if last = standing; last == nil {
				last = fmt.Errorf("%s does not lead", addr)
			}
			f.learn(leader)
			if leader != "" && leader != addr && !told {
				told = true
				continue // its word is good for one try at once
			}
			f.learn("")
		case standing != nil:
			discard(answer)
			f.learn(addr)
			return nil, standing
		default:
			f.learn(addr)
			return answer, nil
		}
		told = false
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%w within %v: %w", errNoLeader, leaderPatience, last)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
			pause = min(2*pause, maxLeaderPause)
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%w: %w", errNoLeader, ctx.Err()), last)
		}
	}
}

// once sends a request to one writer. Its answer must begin in time; the rest of
// it may take as long as it takes.
func (f *leaderFinder) once(ctx context.Context, client *http.Client, hold time.Duration, addr string, build func(ctx context.Context, addr string) (*http.Request, error)) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(leaderSilence+hold, func() { cancel(fmt.Errorf("%s is silent", addr)) })
	defer timer.Stop()
	r, err := build(ctx, addr)
	if err != nil {
		cancel(err)
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		cancel(err)
		return nil, fmt.Errorf("ask for the leader's answer: %w", err)
	}
	answer.Body = &boundBody{answer.Body, cancel}
	return answer, nil
}

// boundBody ends an answer's context with the answer.
type boundBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close closes the body.
func (b *boundBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// discard reads what is left of an answer, so that its connection serves again.
func discard(answer *http.Response) {
	_, _ = io.CopyN(io.Discard, answer.Body, maxSmallAnswer) // the answer is not wanted
	answer.Body.Close()
}

// forward hands a client's request to the leader unchanged: method, target,
// headers and host, which its signature covers, and what this node knows of it.
func (f *leaderFinder) forward(w http.ResponseWriter, r *http.Request, what api.Forwarded) error {
	answer, err := f.send(r.Context(), f.forwards, what.Hold, func(ctx context.Context, addr string) (*http.Request, error) {
		out, err := http.NewRequestWithContext(ctx, r.Method, "https://"+addr, bytes.NewReader(what.Body))
		if err != nil {
			return nil, fmt.Errorf("forward the request: %w", err)
		}
		out.URL.Path, out.URL.RawPath, out.URL.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
		out.Header = r.Header.Clone()
		for _, name := range []string{"Connection", "Keep-Alive", "Expect", "Upgrade", "Te"} {
			out.Header.Del(name) // about the caller's own connection (RFC 9110, 7.6.1)
		}
		if _, given := out.Header["User-Agent"]; !given {
			out.Header["User-Agent"] = []string{""} // keeps the client from adding its own
		}
		out.Host = r.Host
		out.ContentLength = int64(len(what.Body))
		what.SetHeaders(out)
		return out, nil
	})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	h := w.Header()
	for name, values := range answer.Header {
		h[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	copyFlushing(w, answer.Body)
	return nil
}

// copyFlushing passes an answer on as it comes, for those that are streams.
func copyFlushing(w http.ResponseWriter, body io.Reader) {
	rc := http.NewResponseController(w)
	buf := make([]byte, 16<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return // the caller has gone
			}
			_ = rc.Flush() // not every writer can; then the answer comes whole
		}
		if err != nil {
			return
		}
	}
}
