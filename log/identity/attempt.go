package identity

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/tidwall/btree"
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
// is taken for a new command.
const (
	// KeyLifetime is how long an accepted command's key is remembered, in
	// milliseconds of command time.
	KeyLifetime Time = 5 * 60 * 1000
	// MinKeys is how many of the latest are remembered however old they are: command
	// time comes from the leaders' wall clocks, and when one of them jumps ahead, what
	// clients are retrying must not become new commands.
	MinKeys = 1 << 12
	// MaxKeys is how many keys are remembered at most; the oldest go first.
	MaxKeys = 1 << 20
	// expirePerCommand bounds the work of forgetting: at least two, so that the
	// memory shrinks faster than it grows.
	expirePerCommand = 4
)

// Attempt is where and when the command of a Key took effect.
type Attempt struct {
	Key  Key
	At   Position
	Time Time // of the state; never less than that of an earlier attempt
}

// A key is a hash already: its first bytes serve as its handle.
func (k *Key) handle() handle { return handle(binary.BigEndian.Uint64(k[:8]) >> (64 - handleBits)) }

func (a *Attempt) handle() handle { return a.Key.handle() }

func (a *Attempt) is(key string) bool { return string(a.Key[:]) == key }

func (a *Attempt) appendDigest(b []byte) []byte {
	b = append(b, 'k')
	b = append(b, a.Key[:]...)
	b = appendInt(b, uint64(a.At))
	return appendInt(b, int64(a.Time))
}

// attempts remembers the keys of recent commands. Every node forgets the same
// ones at the same position, since what goes depends on nothing but the keys,
// their positions and the state's time. Two keys with one handle cannot be
// remembered at once: the later one stays.
type attempts struct {
	byKey table[string, *Attempt]
	order btree.Map[Position, handle] // derived; oldest first
}

func (a *attempts) snapshot() attempts {
	return attempts{byKey: a.byKey.snapshot(), order: *a.order.Copy()}
}

func (a *attempts) remember(r *Attempt) {
	if old, ok := a.byKey.rows.Get(r.handle()); ok {
		a.order.Delete(old.At)
	}
	a.byKey.put(r)
	a.order.Set(r.At, r.handle())
}

// expire forgets a few keys, the oldest first, that are too old or too many; never
// one of the latest.
func (a *attempts) expire(now Time) {
	for range expirePerCommand {
		if a.order.Len() <= MinKeys {
			return
		}
		at, h, _ := a.order.Min()
		r, _ := a.byKey.rows.Get(h)
		if r.Time+KeyLifetime >= now && a.order.Len() < MaxKeys {
			return
		}
		a.order.Delete(at)
		a.byKey.delete(r)
	}
}

// Attempt returns the position at which the command with this key took effect,
// if it did and is still remembered.
func (s *State) Attempt(key Key) (Position, bool) {
	r, ok := s.attempts.byKey.rows.Get(key.handle())
	if !ok || r.Key != key {
		return 0, false
	}
	return r.At, true
}
