package admission

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/sigv4"
)

// Limits bound what callers take of a node at once. Of each, one principal may take a quarter; of those for
// strangers, one address (one /64 of IPv6). Strangers are requests by access keys that the node does not know:
// anybody can make up such, but a key may also be newer than what the node shows. Zero fields are the defaults.
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
	// HandedOn is how many requests are handed on to the leader, and Held how many more that it holds back.
	HandedOn, Held int
	// Signatures is how many signatures the leader is asked about, by a node that cannot verify them, and
	// StrangersSignatures how many of strangers: here, and of bodies, of all whose access key has made no
	// signature lately that came from their address and was verified.
	Signatures, StrangersSignatures int
	// Bodies is how many bytes of bodies are held beyond the first freeBody of each, StrangersBodies of strangers.
	Bodies, StrangersBodies int
	// Answers is how many bytes of answers are being written, of those that are longer than freeAnswer.
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

// freeAnswer is how long an answer is, in bytes, that takes none of those which all share. The limit of connections bounds them.
const freeAnswer = 64 << 10

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

// Place is one of Limits: what takes room at a node.
type Place uint8

// The places.
const (
	Waiting Place = iota
	Strangers
	Watchers
	Effects
	HandedOn
	Held
	Signatures
	StrangersSignatures
	Bodies
	StrangersBodies
	Answers

	places // how many there are
)

// bounded is the limit of one place.
type bounded struct {
	*Slots
	name string // in metrics
	what string // takes a place
}

func newPlaces(l Limits) *[places]bounded {
	of := func(limit int, name, what string) bounded { return bounded{NewSlots(limit), name, what} }
	return &[places]bounded{
		Waiting:             of(l.Waiting, "waiting", "requests wait for a position"),
		Strangers:           of(l.Strangers, "strangers", "requests by unknown access keys are under way"),
		Watchers:            of(l.Watchers, "watchers", "callers watch"),
		Effects:             of(l.Effects, "effects", "requests wait for an effect"),
		HandedOn:            of(l.HandedOn, "handed_on", "requests are with the leader"),
		Held:                of(l.Held, "held", "requests wait at the leader"),
		Signatures:          of(l.Signatures, "signatures", "signatures are being verified by the leader"),
		StrangersSignatures: of(l.StrangersSignatures, "strangers_signatures", "signatures by unknown access keys are being verified by the leader"),
		Bodies:              of(l.Bodies, "bodies", "bytes of requests are held"),
		StrangersBodies:     of(l.StrangersBodies, "strangers_bodies", "bytes of requests by unknown access keys are held"),
		Answers:             of(l.Answers, "answers", "bytes of answers are being written"),
	}
}

// Places are the slots of all limits, by their names in metrics.
func (d *Desk) Places() map[string]*Slots {
	all := make(map[string]*Slots)
	for i := range d.places {
		all[d.places[i].name] = d.places[i].Slots
	}
	return all
}

// ErrBusy is wrapped by refusals for want of a place: they are no failure of the node.
var ErrBusy = errors.New("the limit is reached")

// Take takes a place for a request, if there is one.
func (d *Desk) Take(p Place, q *Request) (free func(), err error) {
	holder := q.Holder()
	if err := d.takeFor(p, q, holder, 1); err != nil {
		return nil, err
	}
	return func() { d.places[p].Free(holder, 1) }, nil
}

// HoldAnswer takes the bytes of an answer while it is written: the caller may read slowly.
func (d *Desk) HoldAnswer(q *Request, bytes int) (free func(), err error) {
	if bytes <= freeAnswer {
		return func() {}, nil
	}
	holder := q.Holder()
	if err := d.takeFor(Answers, q, holder, bytes); err != nil {
		return nil, err
	}
	return func() { d.places[Answers].Free(holder, bytes) }, nil
}

func (d *Desk) takeFor(of Place, q *Request, holder string, n int) error {
	p := &d.places[of]
	err := p.Take(holder, n)
	if err == nil {
		return nil
	}
	d.cfg.Meter.Refused(p.name, q.Authenticated())
	if errors.Is(err, ErrShare) {
		return fault.Later(fmt.Sprintf("%d %s already, as many as one caller may have.", p.Share(), p.what), ErrBusy)
	}
	return fault.Later(fmt.Sprintf("%d %s already.", p.Limit(), p.what), ErrBusy)
}

// Holder is on whose account a request takes places: the principal's whose key has verified it, else its address's.
func (q *Request) Holder() string {
	if q.owner != "" {
		return string(q.owner)
	}
	if network := q.network(); network.IsValid() {
		return network.String()
	}
	return q.Source
}

// network stands for the address of the caller; invalid if nobody knows it.
func (q *Request) network() netip.Addr {
	addr, _ := netip.ParseAddr(q.Source) // invalid: those whose address is unknown are one
	return gate.Network(addr)
}

// Handing takes a place for a request on its way to the leader, which holds it back if it is held. Whom this node
// knows must have signed it; who is a stranger here may be known there.
func (d *Desk) Handing(q *Request, sig *sigv4.Signature, held bool) (free func(), err error) {
	known, err := d.Recognize(q, sig)
	switch {
	case err != nil:
		return nil, err
	case known && held:
		return d.Take(Held, q)
	case known:
		return d.Take(HandedOn, q)
	}
	free, err = d.Take(Strangers, q)
	if err == nil && (d.shares.Take(q.Holder(), time.Now()) != nil || !d.rate.Allow()) {
		free()
		d.cfg.Meter.Refused("strangers_rate", q.Authenticated())
		return nil, fault.Later("Too many requests by unknown access keys come at a time.", ErrBusy)
	}
	return free, err
}
