package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
)

// Limits bound what callers take of a node at once. Of each, one principal may take a
// quarter; of those for strangers, one address (one /64 of IPv6). Strangers are
// requests by access keys that the node does not know: anybody can make up such, but a
// key may also be newer than what the node shows. Zero fields are the defaults.
type Limits struct {
	// Waiting is how many requests wait for a position.
	Waiting int
	// Strangers is how many requests by strangers wait, or are handed on.
	Strangers int
	// StrangersPerSecond is how many requests by strangers are handed on in a second.
	StrangersPerSecond int
	// Watchers is how many streams of GET /v1/events are served.
	Watchers int
	// Effects is how many requests wait for an effect.
	Effects int
	// HandedOn is how many requests are handed on to the leader, and Held how many
	// more that the leader was asked to hold back.
	HandedOn, Held int
	// Signatures is how many signatures the leader is asked about, by a node that cannot
	// verify them, and StrangersSignatures how many of strangers: here, and of bodies, of
	// all whose access key has made no signature lately that came from their address and
	// was verified.
	Signatures, StrangersSignatures int
	// Bodies is how many bytes of bodies are held beyond the first freeBody of each,
	// and StrangersBodies how many of strangers.
	Bodies, StrangersBodies int
	// Answers is how many bytes of answers are being written, of those that are longer
	// than freeAnswer.
	Answers int
}

// Defaults of Limits.
const (
	maxWaiting         = 4096
	maxStrangers       = 256
	strangersPerSecond = 100
	maxWatchers        = 1024
	maxEffects         = 64
	maxHandedOn        = 1024
	maxHeld            = 1024
	maxSignatures      = 192
	maxStrangersSigns  = 64
	maxBodies          = 64 << 20
	maxStrangersBodies = 8 << 20
	maxAnswers         = 64 << 20 // a share is more than the longest answer, maxAnswer
)

// freeAnswer is how long an answer is, in bytes, that takes none of those which all share:
// most are no longer. The limit of connections bounds them.
const freeAnswer = 64 << 10

// strangersFence is the least time between two fences of the log that strangers cause:
// each serves all who asked before it.
const strangersFence = 50 * time.Millisecond

// MaxHandedOn is how many requests a node hands on at once, with its default limits.
const MaxHandedOn = maxHandedOn + maxHeld + maxStrangers

func (l Limits) complete() Limits {
	for _, f := range []struct {
		field *int
		def   int
	}{
		{&l.Waiting, maxWaiting}, {&l.Strangers, maxStrangers}, {&l.StrangersPerSecond, strangersPerSecond}, {&l.Watchers, maxWatchers},
		{&l.Effects, maxEffects}, {&l.HandedOn, maxHandedOn}, {&l.Held, maxHeld}, {&l.Signatures, maxSignatures}, {&l.StrangersSignatures, maxStrangersSigns},
		{&l.Bodies, maxBodies}, {&l.StrangersBodies, maxStrangersBodies},
		{&l.Answers, maxAnswers},
	} {
		if *f.field == 0 {
			*f.field = f.def
		}
	}
	return l
}

// places are what the edge has of Limits.
type places struct {
	waiting, strangers, watchers, effects, handedOn, held, signatures, strangersSigns, bodies, strangersBodies, answers place

	rate *rate.Limiter // of strangers that are handed on
	// Heads of the log, read for those that are known and for strangers.
	heads, strangersHeads headReader
}

func newPlaces(l Limits, heads Heads) *places {
	l = l.complete()
	of := func(limit int, name, what string) place { return place{admission.NewSlots(limit), name, what} }
	return &places{
		waiting:         of(l.Waiting, "waiting", "requests wait for a position"),
		strangers:       of(l.Strangers, "strangers", "requests by unknown access keys are under way"),
		watchers:        of(l.Watchers, "watchers", "callers watch"),
		effects:         of(l.Effects, "effects", "requests wait for an effect"),
		handedOn:        of(l.HandedOn, "handed_on", "requests are with the leader"),
		held:            of(l.Held, "held", "requests wait at the leader"),
		signatures:      of(l.Signatures, "signatures", "signatures are being verified by the leader"),
		strangersSigns:  of(l.StrangersSignatures, "strangers_signatures", "signatures by unknown access keys are being verified by the leader"),
		bodies:          of(l.Bodies, "bodies", "bytes of requests are held"),
		strangersBodies: of(l.StrangersBodies, "strangers_bodies", "bytes of requests by unknown access keys are held"),
		answers:         of(l.Answers, "answers", "bytes of answers are being written"),
		rate:            rate.NewLimiter(rate.Limit(l.StrangersPerSecond), l.Strangers),
		heads:           headReader{heads: heads, turn: make(chan struct{}, 1)},
		strangersHeads:  headReader{heads: heads, turn: make(chan struct{}, 1), every: strangersFence},
	}
}

// place is one limit.
type place struct {
	*admission.Slots
	name string // in metrics
	what string // takes a place
}

// errBusy is wrapped by refusals for want of a place: they are no failure of the node.
var errBusy = errors.New("the limit is reached")

// take takes a place for a request, if there is one.
func (s *Server) take(p *place, q *request) (free func(), err error) {
	holder := q.holder()
	if err := s.takeFor(p, q, holder, 1); err != nil {
		return nil, err
	}
	return func() { p.Free(holder, 1) }, nil
}

// holdAnswer takes the bytes of an answer while it is written: the caller may read slowly.
func (s *Server) holdAnswer(q *request, bytes int) (free func(), err error) {
	if bytes <= freeAnswer {
		return func() {}, nil
	}
	holder := q.holder()
	if err := s.takeFor(&s.places.answers, q, holder, bytes); err != nil {
		return nil, err
	}
	return func() { s.places.answers.Free(holder, bytes) }, nil
}

func (s *Server) takeFor(p *place, q *request, holder string, n int) error {
	err := p.Take(holder, n)
	if err == nil {
		return nil
	}
	s.cfg.Metrics.refused(p.name, q)
	if errors.Is(err, admission.ErrShare) {
		return fault.Later(fmt.Sprintf("%d %s already, as many as one caller may have.", p.Share(), p.what), errBusy)
	}
	return fault.Later(fmt.Sprintf("%d %s already.", p.Limit(), p.what), errBusy)
}

// holder is on whose account a request takes places: the principal's whose key has
// verified it, else its address's.
func (q *request) holder() string {
	if q.owner != "" {
		return string(q.owner)
	}
	if network := q.network(); network.IsValid() {
		return network.String()
	}
	return q.source
}

// network stands for the address of the caller; invalid if nobody knows it.
func (q *request) network() netip.Addr {
	addr, _ := netip.ParseAddr(q.source) // invalid: those whose address is unknown are one
	return admission.Network(addr)
}

// handing takes a place for a request on its way to the leader, which holds it back if
// it is held. Whom this node knows must have signed it; who is a stranger here may be
// known there.
func (s *Server) handing(q *request, sig *sigv4.Signature, held bool) (free func(), err error) {
	known, err := s.recognize(q, sig)
	switch {
	case err != nil:
		return nil, err
	case known && held:
		return s.take(&s.places.held, q)
	case known:
		return s.take(&s.places.handedOn, q)
	}
	free, err = s.take(&s.places.strangers, q)
	if err == nil && !s.places.rate.Allow() {
		free()
		s.cfg.Metrics.refused("strangers_rate", q)
		return nil, fault.Later("Too many requests by unknown access keys come at a time.", errBusy)
	}
	return free, err
}

// strictHead reads the head of the log for a caller that is known, or for a stranger.
// A leader's log shares its fences already.
func (s *Server) strictHead(ctx context.Context, known bool) (event.Head, error) {
	switch {
	case !known:
		return s.places.strangersHeads.read(ctx)
	case s.cfg.Node.leads():
		return s.cfg.Node.Heads.StrictHead(ctx)
	}
	return s.places.heads.read(ctx)
}

// headReader reads the head of the log for many: one question serves all who came
// before it was put.
type headReader struct {
	heads Heads
	every time.Duration // the least time between two questions

	turn  chan struct{} // of capacity 1: held by whoever asks, with asked
	asked time.Time

	mu   sync.Mutex
	next *headReading // the one that is not yet begun, if anybody waits; guarded by mu
}

// headReading is one question.
type headReading struct {
	done chan struct{} // closed when the rest is set
	head event.Head
	err  error
}

// read returns a head that was the cluster's at some time after the call.
func (h *headReader) read(ctx context.Context) (event.Head, error) {
	h.mu.Lock()
	if h.next == nil {
		h.next = &headReading{done: make(chan struct{})}
	}
	r := h.next
	h.mu.Unlock()
	select {
	case <-r.done:
		return r.head, r.err
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return event.Head{}, ctx.Err()
	}
	defer func() { <-h.turn }()
	select {
	case <-r.done: // another's turn came first
		return r.head, r.err
	default:
	}
	if rest := h.every - time.Since(h.asked); rest > 0 {
		pause := time.NewTimer(rest)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
			return event.Head{}, ctx.Err() // the others go on without this one
		}
	}
	h.mu.Lock()
	if h.next == r {
		h.next = nil // who comes now must wait for the next
	}
	h.mu.Unlock()
	h.asked = time.Now()
	head, err := h.heads.StrictHead(ctx)
	if err != nil && ctx.Err() != nil {
		return head, err // of this caller's end: the others ask again
	}
	r.head, r.err = head, err
	close(r.done)
	return head, err
}
