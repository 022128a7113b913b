package identity

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"

	"github.com/tidwall/btree"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Key identifies one attempt of one caller at one command: a hash, made by the
// edge, of the caller's credential, the request, and the invocation id that an
// SDK keeps over its retries.
type Key [16]byte

// keyText is the length of a Key's text, and keyDashes are the places of its dashes.
const keyText = 36

var keyDashes = [...]int{8, 13, 18, 23}

// String is the Key's text in the form of a uuid. Clients see it as the id of the
// request that made the attempt, so it can be asked for; see State.Attempt.
func (k Key) String() string {
	var text [keyText]byte
	rest, at := k[:], 0
	for _, dash := range keyDashes {
		n := (dash - at) / 2
		hex.Encode(text[at:], rest[:n])
		text[dash] = '-'
		rest, at = rest[n:], dash+1
	}
	hex.Encode(text[at:], rest)
	return string(text[:])
}

// ParseKey reads what String gave; false: the text is not of that form.
func ParseKey(text string) (k Key, ok bool) {
	if len(text) != keyText {
		return k, false
	}
	digits := make([]byte, 0, 2*len(k))
	from := 0
	for _, dash := range keyDashes {
		if text[dash] != '-' {
			return k, false
		}
		digits = append(digits, text[from:dash]...)
		from = dash + 1
	}
	_, err := hex.Decode(k[:], append(digits, text[from:]...))
	return k, err == nil
}

// Limits of the memory of attempts. A retry that comes later than these allow
// is taken for a new command, a replay is refused.
const (
	// KeyLifetime is how long an accepted command's key is remembered, in
	// milliseconds of command time; longer where its signature is good for longer.
	KeyLifetime Time = 5 * 60 * 1000
	// MinKeys is how many of the latest are remembered however old they are: command
	// time comes from the leaders' wall clocks, and when one of them jumps ahead, what
	// clients are retrying must not become new commands.
	MinKeys = 1 << 12
	// MaxKeys is how many keys are remembered at most; the oldest go first.
	MaxKeys = 1 << 20
	// AheadTime is how far, in milliseconds, a signature may be ahead of the clock of the
	// leader at which it arrives before it counts as signed ahead.
	AheadTime Time = 60 * 1000
	// MaxAhead is how many attempts that were signed ahead are remembered at most; more
	// are refused. They are not forgotten while their signatures are good: what bounds
	// the signatures that were forgotten would lie ahead of everybody's clock, and
	// nobody's writes would be told from replays.
	MaxAhead = MaxKeys / 4
	// TwinTime is how far apart, in milliseconds of command time, two requests with one
	// signature may arrive and both take effect. The time in a signature has whole
	// seconds, and most SDKs do not sign what tells their calls apart, so that two
	// equal calls within a second carry one signature.
	TwinTime Time = 2000
	// expirePerCommand bounds the work of forgetting: at least two, so that the
	// memory shrinks faster than it grows.
	expirePerCommand = 4
)

// SignatureID identifies the signature of a request: a hash of it and of the access
// key that it is by.
type SignatureID [16]byte

// Signature is the signature under which a request came: whoever has seen it can
// send it again while it is good. The zero Signature is for what no request asked for.
type Signature struct {
	ID     SignatureID
	Signed Time // the time that it names
	Until  Time // how long it is good
}

// Attempt is where and when the command of a Key took effect, and under which
// signature.
type Attempt struct {
	Key       Key
	At        Position
	Time      Time // of the state; never less than that of an earlier attempt
	Arrived   Time // of the command, by its leader's wall clock; zero without a signature
	Signature Signature
}

// A key is a hash already: its first bytes serve as its handle.
func (k *Key) handle() table.Handle {
	return table.Handle(binary.BigEndian.Uint64(k[:8]) >> (64 - table.HandleBits))
}

// Handle makes a Attempt a record of a table, by its key, as do Is and AppendDigest.
func (a *Attempt) Handle() table.Handle { return a.Key.handle() }

// Is tells whether the Attempt has that key.
func (a *Attempt) Is(key string) bool { return string(a.Key[:]) == key }

// AppendDigest appends all that the Attempt has.
func (a *Attempt) AppendDigest(b []byte) []byte {
	b = append(b, 'k')
	b = append(b, a.Key[:]...)
	b = digest.AppendInt(b, uint64(a.At))
	b = digest.AppendInt(b, int64(a.Time))
	if a.Signature == (Signature{}) && a.Arrived == 0 { // as before there were any
		return b
	}
	b = append(b, a.Signature.ID[:]...)
	b = digest.AppendInt(b, int64(a.Signature.Signed))
	b = digest.AppendInt(b, int64(a.Signature.Until))
	return digest.AppendInt(b, int64(a.Arrived))
}

// expired tells whether neither a retry nor a replay of a is to be told from a new
// command at that time.
func (a *Attempt) expired(now Time) bool {
	return max(a.Time+KeyLifetime, a.Signature.Until) < now
}

// ahead tells whether the attempt was signed ahead.
func (a *Attempt) ahead() bool { return a.Signature.ahead(a.Arrived) }

func (g *Signature) ahead(of Time) bool { return g.Signed > of+AheadTime }

// Forgotten bounds the signatures that were forgotten while they might be good: none
// of them names a later time than Signed, and none is good after Until.
type Forgotten struct {
	Signed Time
	Until  Time
}

// attempts remembers the keys of recent commands. Every node forgets the same
// ones at the same position, since what goes depends on nothing but the keys,
// their positions, their signatures, the state's time and the rules. Two keys with one
// handle cannot be remembered at once: Decide refuses the second, for whoever calls
// chooses what keys are made of. By the first rules the later one stays.
type attempts struct {
	byKey table.Table[string, *Attempt]
	gone  Forgotten
	// The rest is derived: the keys from the oldest on, and the positions by signature.
	order  btree.Map[Position, table.Handle]
	signed *btree.BTreeG[table.Edge]
	ahead  int      // of them were signed ahead
	passed Position // all that are remembered from before it were signed ahead
}

func newAttempts() attempts {
	return attempts{signed: btree.NewBTreeGOptions(table.EdgeLess, btree.Options{NoLocks: true})}
}

func (a *attempts) snapshot() attempts {
	return attempts{byKey: a.byKey.Snapshot(), gone: a.gone, order: *a.order.Copy(), signed: a.signed.Copy(), ahead: a.ahead, passed: a.passed}
}

func (id *SignatureID) handle() table.Handle {
	return table.Handle(binary.BigEndian.Uint64(id[:8]) >> (64 - table.HandleBits))
}

func (a *attempts) remember(r *Attempt) {
	if old, ok := a.byKey.Rows.Get(r.Handle()); ok {
		a.forget(old)
	}
	a.byKey.Put(r)
	a.order.Set(r.At, r.Handle())
	if r.Signature != (Signature{}) {
		a.signed.Set(r.signed())
	}
	a.count(r, 1)
}

// count counts an attempt that comes or goes, if it was signed ahead.
func (a *attempts) count(r *Attempt, by int) {
	if r.ahead() {
		a.ahead += by
	}
}

// signed leads from a signature to the position of an attempt under it.
func (a *Attempt) signed() table.Edge {
	return table.Edge{From: a.Signature.ID.handle(), To: table.Handle(a.At)}
}

// bySignature returns the first attempt that came under a signature.
func (a *attempts) bySignature(id SignatureID) (first *Attempt) {
	from := id.handle()
	a.signed.Ascend(table.Edge{From: from}, func(e table.Edge) bool {
		if e.From != from {
			return false
		}
		h, _ := a.order.Get(Position(e.To))
		if r, ok := a.byKey.Rows.Get(h); ok && r.Signature.ID == id {
			first = r
		}
		return first == nil
	})
	return first
}

// forget forgets an attempt, and notes that its signature is known no longer.
func (a *attempts) forget(r *Attempt) {
	a.order.Delete(r.At)
	a.byKey.Delete(r)
	a.count(r, -1)
	if r.Signature != (Signature{}) {
		a.signed.Delete(r.signed())
		a.gone = Forgotten{max(a.gone.Signed, r.Signature.Signed), max(a.gone.Until, r.Signature.Until)}
	}
}

// timely returns the oldest attempt that was not signed ahead; nil if there is none.
func (a *attempts) timely() (oldest *Attempt) {
	a.order.Ascend(a.passed, func(at Position, h table.Handle) bool {
		a.passed = at
		r, _ := a.byKey.Rows.Get(h)
		if !r.ahead() {
			oldest = r
		}
		return oldest == nil
	})
	return oldest
}

// expire forgets a few keys, the oldest first, that are too old or too many; never
// one of the latest.
func (a *attempts) expire(now Time, by Rules) {
	for range expirePerCommand {
		if a.order.Len() <= MinKeys {
			return
		}
		_, h, _ := a.order.Min()
		r, _ := a.byKey.Rows.Get(h)
		if !r.expired(now) {
			if a.order.Len() < MaxKeys {
				return
			}
			if by >= BoundedRules {
				r = cmp.Or(a.timely(), r)
			}
		}
		a.forget(r)
	}
}

// Attempt returns the position at which the command with this key took effect,
// if it did and is still remembered.
func (s *State) Attempt(key Key) (Position, bool) {
	r, ok := s.attempts.byKey.Rows.Get(key.handle())
	if !ok || r.Key != key {
		return 0, false
	}
	return r.At, true
}

// Repeats returns the position at which what a command asks for took effect before:
// under its key, or under its signature if that came so long ago that it is no twin.
// Times that do not fit together, because leaders' clocks differ, make it a replay.
func (s *State) Repeats(m Meta) (Position, bool) {
	if at, ok := s.Attempt(m.Key); ok {
		return at, true
	}
	if m.Signature == (Signature{}) {
		return 0, false
	}
	first := s.attempts.bySignature(m.Signature.ID)
	if first == nil || max(m.Time-first.Arrived, first.Arrived-m.Time) <= TwinTime {
		return 0, false
	}
	return first.At, true
}

// recall refuses what could not be told from a replay, or would keep others' commands
// from being told from replays.
func (s *State) recall(m Meta) *Refusal {
	bounded := m.Rules >= BoundedRules
	if old, ok := s.attempts.byKey.Rows.Get(m.Key.handle()); bounded && ok && old.Key != m.Key && m.Key != (Key{}) {
		return refuse(InvalidInput, "The request's invocation id cannot be told from that of an earlier request; send it with another.")
	}
	g := m.Signature
	if bounded && g.ahead(m.Time) && s.attempts.ahead >= MaxAhead {
		return refuse(RequestExpired, "The request is signed %d seconds ahead of the cluster's clock, like more others than the cluster remembers; set the clock right and sign it again.", (g.Signed-m.Time)/1000)
	}
	if g == (Signature{}) || g.Signed > s.attempts.gone.Signed || g.Until > s.attempts.gone.Until {
		return nil
	}
	if s.attempts.bySignature(g.ID) != nil { // a twin
		return nil
	}
	return refuse(RequestExpired, "More changes were made since the request was signed than the cluster remembers; sign it again.")
}
