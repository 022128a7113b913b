package identity

import "github.com/tidwall/btree"

// Key identifies one attempt of one caller at one command: a hash, made by the
// edge, of the caller's credential, the request, and the invocation id that an
// SDK keeps over its retries.
type Key [16]byte

// Limits of the memory of attempts. A retry that comes later than these allow
// is taken for a new command.
const (
	// KeyLifetime is how long an accepted command's key is remembered, in
	// milliseconds of command time.
	KeyLifetime Time = 5 * 60 * 1000
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
	Time Time
}

func (a *Attempt) appendDigest(b []byte) []byte {
	b = append(b, 'k')
	b = append(b, a.Key[:]...)
	b = appendInt(b, uint64(a.At))
	return appendInt(b, int64(a.Time))
}

// attempts remembers the keys of recent commands, oldest position first.
type attempts struct {
	byKey table[string, *Attempt]
	order btree.Map[Position, string]
}

func (a *attempts) snapshot() attempts {
	return attempts{byKey: a.byKey.snapshot(), order: *a.order.Copy()}
}

func (a *attempts) remember(r *Attempt) {
	key := string(r.Key[:])
	a.byKey.put(key, r)
	a.order.Set(r.At, key)
}

func (a *attempts) expire(now Time) {
	for range expirePerCommand {
		at, key, ok := a.order.Min()
		if !ok {
			return
		}
		r, _ := a.byKey.get(key)
		if r.Time+KeyLifetime >= now && a.order.Len() <= MaxKeys {
			return
		}
		a.order.Delete(at)
		a.byKey.delete(key)
	}
}

// Attempt returns the position at which the command with this key took effect,
// if it did and is still remembered.
func (s *State) Attempt(key Key) (Position, bool) {
	r, ok := s.attempts.byKey.get(string(key[:]))
	if !ok {
		return 0, false
	}
	return r.At, true
}
