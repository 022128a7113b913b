package tail

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
)

// Limits of a Source.
const (
	// answerTimeout is how long a writer may be silent before and within an answer,
	// on top of what it was asked to wait.
	answerTimeout = 10 * time.Second
	// headTimeout bounds a question for the head.
	headTimeout = 2 * time.Second
	// snapshotRounds is how often all writers are asked for a snapshot when they
	// are busy, with up to snapshotJitter on top of the wait they ask for.
	snapshotRounds = 10
	snapshotJitter = 2 * time.Second
	// behindWait is how long to wait when all writers are behind the reader.
	behindWait = 250 * time.Millisecond
	// maxRefusal is how much of a refusal's text is read.
	maxRefusal = 512
)

// Bounds of what is handed on at once.
const (
	ChunkBatches = 256
	ChunkBytes   = 1 << 20
)

// ErrUnavailable is returned when no writer answered at all. Nothing can be
// concluded from it.
var ErrUnavailable = errors.New("no writer answers")

// ErrShut is returned by a writer that does not serve the reader.
var ErrShut = errors.New("the writer does not serve this reader")

// errBehind is a writer that has less than its reader.
var errBehind = errors.New("the writer is behind")

// refusal is a writer's answer other than the one asked for.
type refusal struct {
	status     int
	text       string
	retryAfter time.Duration
}

func (r *refusal) Error() string { return fmt.Sprintf("the writer answers %d: %s", r.status, r.text) }

// busy says that the writer has no place free: nothing else can be concluded.
func (r *refusal) busy() bool { return r.status == http.StatusServiceUnavailable }

// shut says that the reader has no place in the cluster, as the writer knows it.
func (r *refusal) shut() bool { return r.status == http.StatusForbidden }

// Is makes a writer that is busy, or does not serve the reader, one that does not
// answer: neither says anything of the reader's state.
func (r *refusal) Is(target error) bool {
	return target == ErrUnavailable && (r.busy() || r.shut()) || target == ErrShut && r.shut()
}

// Source reads batches and snapshots from the writers' Handlers. It stays with a
// writer that serves it well and turns to the next when one does not. It may be
// used by any number of goroutines.
type Source struct {
	client  *http.Client
	writers func() []string
	turn    atomic.Uint64 // which writer comes first
}

// NewSource returns a source over the base URLs that writers returns at the
// moment, such as https://host:port. The client authenticates both sides; it must
// have no timeout of its own, because answers are long.
func NewSource(client *http.Client, writers func() []string) *Source {
	s := &Source{client: client, writers: writers}
	s.turn.Store(rand.Uint64N(1 << 16))
	return s
}

// Rotate makes the next writer the first to be asked.
func (s *Source) Rotate() { s.turn.Add(1) }

// inTurn returns the writers, the one whose turn it is first.
func (s *Source) inTurn() []string {
	all := s.writers()
	if len(all) == 0 {
		return nil
	}
	first := int(s.turn.Load() % uint64(len(all)))
	return append(append(make([]string, 0, len(all)), all[first:]...), all[:first]...)
}

// final ends a round of questions with the error in it.
type final struct{ error }

// each asks one writer after the other until ask returns nil or a final error.
// When none answered the error is ErrUnavailable, else what they answered.
func (s *Source) each(ctx context.Context, ask func(base string) error) error {
	var answered, silent []error
	for _, base := range s.inTurn() {
		err := ask(base)
		var end final
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &end):
			return end.error
		case errors.Is(err, ErrUnavailable):
			silent = append(silent, err)
		default:
			answered = append(answered, err)
		}
		s.Rotate()
	}
	if len(answered) > 0 {
		return errors.Join(answered...)
	}
	if len(silent) == 0 {
		return fmt.Errorf("%w: none is known", ErrUnavailable)
	}
	return errors.Join(silent...)
}

// get sends one request. The answer's body must be read within the patience that
// touch renews, and closed.
func (s *Source) get(ctx context.Context, method, base, path string, query url.Values, patience time.Duration) (*answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(patience, cancel)
	fail := func(err error) (*answer, error) {
		timer.Stop()
		cancel()
		return nil, fmt.Errorf("ask %s%s: %w", base, path, err)
	}
	request, err := http.NewRequestWithContext(ctx, method, base+path+"?"+query.Encode(), nil)
	if err != nil {
		return fail(err)
	}
	response, err := s.client.Do(request) //nolint:bodyclose // closed by the answer
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	a := &answer{Response: response, body: response.Body, cancel: cancel, timer: timer, patience: patience}
	if response.StatusCode == http.StatusOK {
		return a, nil
	}
	text, _ := io.ReadAll(io.LimitReader(a, maxRefusal))
	a.Close()
	seconds, _ := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16) // none is 0
	return fail(&refusal{response.StatusCode, strings.TrimSpace(string(text)), time.Duration(seconds) * time.Second})
}

// answer is a body that ends with an error when nothing comes for too long.
type answer struct {
	*http.Response
	body     io.ReadCloser
	cancel   context.CancelFunc
	timer    *time.Timer
	patience time.Duration
}

// Read renews the patience.
func (a *answer) Read(p []byte) (int, error) {
	a.timer.Reset(a.patience)
	return a.body.Read(p)
}

// Close ends the request.
func (a *answer) Close() {
	a.timer.Stop()
	a.cancel()
	a.body.Close()
}

func (a *answer) head() event.Position {
	n, _ := strconv.ParseUint(a.Header.Get(headerHead), 10, 64) // absent means unknown
	return event.Position(n)
}

// followed names what a reader follows, for writers to compare.
func followed(c identity.Cluster) url.Values {
	q := url.Values{}
	if c.ID != "" {
		q.Set("cluster", c.ID)
	}
	if c.Incarnation != "" {
		q.Set("incarnation", c.Incarnation)
	}
	return q
}

// Head asks a writer for its head, another one each time.
func (s *Source) Head(ctx context.Context, c identity.Cluster) (head event.Position, err error) {
	err = s.each(ctx, func(base string) error {
		a, err := s.get(ctx, http.MethodHead, base, EventsPath, followed(c), headTimeout)
		if err != nil {
			return err
		}
		defer a.Close()
		head = a.head()
		return nil
	})
	s.Rotate()
	return head, err
}

// Tail hands the batches from position from on to take, in order and some at a
// time, as the bytes that the writer stores. At the head it waits for more until
// wait is over. The bytes are unproved. It returns the head that the writer had when
// it began to answer; an error of take ends it.
func (s *Source) Tail(ctx context.Context, c identity.Cluster, from event.Position, wait time.Duration, take func([][]byte) error) (head event.Position, err error) {
	q := followed(c)
	q.Set("from", strconv.FormatUint(uint64(from), 10))
	q.Set("wait", wait.String())
	n := 0
	err = s.each(ctx, func(base string) error {
		a, err := s.get(ctx, http.MethodGet, base, EventsPath, q, wait+answerTimeout)
		if err != nil {
			return err
		}
		defer a.Close()
		if head = a.head(); head+1 < from {
			return errBehind
		}
		err = readFrames(a, func(batches [][]byte) error {
			n += len(batches)
			if err := take(batches); err != nil {
				return final{err}
			}
			return nil
		})
		var end final
		if err != nil && n > 0 && !errors.As(err, &end) && ctx.Err() == nil {
			s.Rotate() // what came is good; the rest is asked for elsewhere
			return nil
		}
		return err
	})
	switch {
	case err == nil && n == 0:
		s.Rotate() // nothing new here; the next writer may know more
	case errors.Is(err, errBehind):
		return head, wake.After(ctx, min(wait, behindWait)) // they all are, or silent
	}
	return head, err
}

// readFrames reads what sender.send wrote and hands on what is there, up to the
// limits of a chunk.
func readFrames(r io.Reader, take func([][]byte) error) error {
	in := bufio.NewReaderSize(r, 256<<10)
	for {
		var chunk [][]byte
		var err error
		for size := 0; len(chunk) < ChunkBatches && size < ChunkBytes; {
			var frame []byte
			if frame, err = readFrame(in); err != nil {
				break
			}
			chunk = append(chunk, frame)
			size += len(frame)
			if in.Buffered() == 0 {
				break
			}
		}
		if len(chunk) > 0 {
			if err := take(chunk); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read batches: %w", err)
		}
	}
}

// readFrame returns io.EOF only where one frame ends and none begins.
func readFrame(in *bufio.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > wire.MaxBatchSize {
		return nil, fmt.Errorf("a batch of %d bytes is announced: %w", n, wire.ErrTooLarge)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(in, frame); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return frame, nil
}

// Fetch returns the batches from..to, which one writer must have. It is meant for
// runs of at most FetchCount. The bytes are unproved.
func (s *Source) Fetch(ctx context.Context, c identity.Cluster, from, to event.Position) (batches [][]byte, err error) {
	if to < from || to-from >= FetchCount {
		return nil, fmt.Errorf("fetch batches %d to %d: between 1 and %d at once", from, to, FetchCount)
	}
	q := followed(c)
	q.Set("from", strconv.FormatUint(uint64(from), 10))
	q.Set("to", strconv.FormatUint(uint64(to), 10))
	err = s.each(ctx, func(base string) error {
		a, err := s.get(ctx, http.MethodGet, base, EventsPath, q, answerTimeout)
		if err != nil {
			return err
		}
		defer a.Close()
		batches = batches[:0]
		err = readFrames(a, func(some [][]byte) error {
			batches = append(batches, some...)
			return nil
		})
		if err == nil && uint64(len(batches)) != uint64(to-from+1) {
			err = fmt.Errorf("%s has %d of the batches %d to %d", base, len(batches), from, to)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return batches, nil
}

// FetchCount is how many batches Fetch returns at most.
const FetchCount = 4096

// Snapshot reads the state of a writer, proved by its own digest, preferably of
// one that does not lead. The snapshot must be of the cluster, unless c names none;
// its incarnation may be another than c's, because that is what a reader of a
// restored cluster has to learn.
func (s *Source) Snapshot(ctx context.Context, c identity.Cluster) (state *identity.State, header wire.SnapshotHeader, err error) {
	q := followed(identity.Cluster{ID: c.ID})
	ask := func(base string) error {
		a, err := s.get(ctx, http.MethodGet, base, SnapshotPath, q, answerTimeout)
		if err != nil {
			return err
		}
		defer a.Close()
		state, header, err = wire.ReadSnapshot(bufio.NewReaderSize(a, 256<<10))
		if err == nil && c.ID != "" && header.Cluster != c.ID {
			err = fmt.Errorf("%s sends a snapshot of cluster %s", base, header.Cluster)
		}
		return err
	}
	for round := 1; ; round++ {
		q.Set("leader", "no")
		if err = s.each(ctx, ask); err != nil && !errors.Is(err, ErrUnavailable) {
			q.Del("leader")
			err = s.each(ctx, ask)
		}
		var refused *refusal
		if err == nil || round == snapshotRounds || !errors.As(err, &refused) || !refused.busy() {
			return state, header, err
		}
		if err := wake.After(ctx, refused.retryAfter+rand.N(snapshotJitter)); err != nil {
			return nil, header, err
		}
	}
}
