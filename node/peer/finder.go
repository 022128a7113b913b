package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// HeaderLeader names the leader's peer address, in an answer of 421 or 403.
const HeaderLeader = "X-Writ-Leader"

// LeaderPath is where the writer that leads says that it does.
const LeaderPath = "/peer/leader"

// Limits of finding the leader.
const (
	// leaderPatience is how long a request waits for a leader: several elections.
	leaderPatience = 15 * time.Second
	leaderPause    = 50 * time.Millisecond // between two tries, half to all of it
	maxLeaderPause = 500 * time.Millisecond
	// leaderSilence is how long one writer may take to begin its answer: one that
	// was stopped while it led must not hold a request for ever.
	leaderSilence = 10 * time.Second
	// searchSilence is how long one may take to say whether it leads, before it is asked
	// again: perhaps over another connection.
	searchSilence = 3 * time.Second
	// MaxForwards bounds the connections on which a node hands clients' requests on to
	// one writer: a place for each that the API hands on at once. What the node itself
	// asks goes over others, so that no client keeps a lease from being renewed.
	MaxForwards = 2304
)

// ErrNotLeader is returned when this node does not lead, or leads no more: whoever asked
// may look for who does.
var ErrNotLeader = errors.New("this node does not lead")

// errNoLeader is returned when no writer that leads was found in time.
var errNoLeader = errors.New("no writer that leads was found")

// Finder sends requests to the writer that leads. While nobody knows which that
// is, one search asks the writers, for all requests that wait: however many these are,
// they do not keep the writers from electing one.
type Finder struct {
	client   *http.Client // for what the node asks
	forwards *http.Client // for what clients ask
	writers  *Directory
	log      follower // a writer's own; nil at a replica

	mu     sync.Mutex // guards all below, and what search says so of
	known  string     // peer address that answered last as the leader's; empty: none is known
	search *search    // nil: nobody waits
}

// follower knows which leader it follows: the log of a writer.
type follower interface {
	// Leader names the leader and its peer address; empty: none is known.
	Leader() (id, addr string)
}

// NewFinder returns the finder of a process that may open so many files. A writer that
// may open as many takes as many connections.
func NewFinder(n Network, identity *Identity, files int) *Finder {
	forwards := min(MaxForwards, newGuests(files).Bounds(true).PerAddress)
	return NewFinderOver(NewClient(n, identity), clientFor(n, identity, forClients, forwards), identity.writers)
}

// Follow makes the finder ask a writer's own log whom it follows, too. It is called
// before there are requests.
func (f *Finder) Follow(log follower) { f.log = log }

// NewFinderOver returns a finder that sends what the node asks and what its clients ask
// by clients of the caller's own.
func NewFinderOver(client, forwards *http.Client, writers *Directory) *Finder {
	return &Finder{client: client, forwards: forwards, writers: writers}
}

// Writers are those among whom it looks.
func (f *Finder) Writers() *Directory { return f.writers }

// Client is for what the node asks of one writer, whoever leads, at https://host:port.
func (f *Finder) Client() *http.Client { return f.client }

// Close closes the connections that nothing uses any more.
func (f *Finder) Close() {
	f.client.CloseIdleConnections()
	f.forwards.CloseIdleConnections()
}

// Learn remembers who leads, and lets those go on who wait for it.
func (f *Finder) Learn(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = addr
	if f.search != nil {
		f.search.found = addr
		f.end()
	}
}

// Forget drops what is known, if it is still that addr leads: another request may
// have learned better meanwhile.
func (f *Finder) Forget(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == addr {
		f.known = ""
	}
}

// find returns the address to try after that which failed: of the leader that is known,
// or of the one that this writer's log follows, though it may be as mistaken as any. None
// is tried twice running, unless it says meanwhile that it leads.
func (f *Finder) find(ctx context.Context, failed string) (string, error) {
	f.mu.Lock()
	if f.known != "" && f.known != failed {
		defer f.mu.Unlock()
		return f.known, nil
	}
	if f.log != nil {
		if _, addr := f.log.Leader(); addr != "" && addr != failed {
			defer f.mu.Unlock()
			return addr, nil
		}
	}
	s := f.join()
	f.mu.Unlock()
	return f.wait(ctx, s)
}

// requestTo makes a request for a writer's address.
type requestTo func(ctx context.Context, addr string) (*http.Request, error)

// send sends what build makes for an address until a leader takes it, and returns
// its answer, whatever the status. A request may arrive more than once: it must
// be harmless to repeat. hold is how long the leader may hold the answer back
// because it was asked to.
func (f *Finder) send(ctx context.Context, client *http.Client, hold time.Duration, build requestTo) (*http.Response, error) {
	patient, cancel := context.WithTimeoutCause(ctx, leaderPatience, fmt.Errorf("it took longer than %v", leaderPatience))
	defer cancel()
	failed, last := "", error(nil)
	for pause := leaderPause; ; pause = min(2*pause, maxLeaderPause) {
		addr, err := f.find(patient, failed)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", errNoLeader, err), last)
		}
		answer, tried, err := f.reach(ctx, client, leaderSilence+hold, addr, build)
		if err == nil {
			if answer.StatusCode < http.StatusInternalServerError { // which may be its last word as the leader
				f.Learn(tried)
			}
			if standing, _ := standing(answer); standing != nil {
				discard(answer)
				return nil, standing
			}
			return answer, nil
		}
		f.Forget(tried)
		failed, last = tried, err
		if err := pauseFor(patient, pause); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", errNoLeader, err), last)
		}
	}
}

// pauseFor waits for half to all of a pause.
func pauseFor(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause/2 + rand.N(pause/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reach sends a request to one writer and, if that names another as the leader, to
// the other: its word is good for one try at once. It returns which was tried last, and
// whose answer it is, or why that did not take the request.
func (f *Finder) reach(ctx context.Context, client *http.Client, silence time.Duration, addr string, build requestTo) (answer *http.Response, tried string, err error) {
	answer, leader, err := f.try(ctx, client, silence, addr, build)
	if err != nil && leader != "" && leader != addr {
		addr = leader
		answer, _, err = f.try(ctx, client, silence, addr, build)
	}
	return answer, addr, err
}

// try sends a request to one writer. Its error is why that did not take it; one that
// does not lead may name the leader that it follows.
func (f *Finder) try(ctx context.Context, client *http.Client, silence time.Duration, addr string, build requestTo) (answer *http.Response, leader string, err error) {
	answer, err = f.once(ctx, client, silence, addr, build)
	if err != nil {
		return nil, "", err
	}
	standing, final := standing(answer)
	if answer.StatusCode != http.StatusMisdirectedRequest && (standing == nil || final) {
		return answer, "", nil
	}
	f.Forget(addr)
	discard(answer)
	if standing == nil {
		standing = fmt.Errorf("%s does not lead", addr)
	}
	return nil, answer.Header.Get(HeaderLeader), standing
}

// once sends a request to one writer. Its answer must begin in time; the rest of
// it may take as long as it takes.
func (f *Finder) once(ctx context.Context, client *http.Client, silence time.Duration, addr string, build requestTo) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%s is silent", addr)) })
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

// HandedOn is what is handed on of a client's request besides the request.
type HandedOn struct {
	Body []byte        // which was read
	Hold time.Duration // how long the leader may hold its answer back, as the caller asked
	// Marks put on the request what this node knows of it, each time that it is sent.
	Marks interface{ SetHeaders(*http.Request) }
}

// Forward hands a client's request to the leader unchanged: method, target,
// headers and host, which its signature covers, and what this node knows of it.
func (f *Finder) Forward(w http.ResponseWriter, r *http.Request, what HandedOn) error {
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
		what.Marks.SetHeaders(out)
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
