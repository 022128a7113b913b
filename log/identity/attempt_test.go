package identity

import (
	"encoding/binary"
	"errors"
	"testing"
)

func keyOf(n uint64) (k Key) {
	binary.BigEndian.PutUint64(k[:], n*0x9e3779b97f4a7c15)
	return k
}

func TestAttemptsAreRemembered(t *testing.T) {
	s := NewState()
	Evolve(s, 1, Meta{Time: now, Key: keyOf(1)}, nil)
	Evolve(s, 2, Meta{Time: now + 5}, nil) // without a key
	Evolve(s, 3, Meta{Time: now + 9, Key: keyOf(3)}, nil)
	verify(t, s)
	for key, want := range map[Key]Position{keyOf(1): 1, keyOf(3): 3, keyOf(2): 0, {}: 0} {
		if at, ok := s.Attempt(key); at != want || ok != (want != 0) {
			t.Errorf("attempt %x is at %d, %v", key, at, ok)
		}
	}
	almost := keyOf(1)
	almost[15]++
	if at, ok := s.Attempt(almost); ok {
		t.Errorf("a key with the same beginning is found at %d", at)
	}
}

func TestKeyText(t *testing.T) {
	key := Key{0: 0x6f, 3: 1, 4: 2, 6: 3, 8: 4, 10: 5, 15: 0xff}
	const text = "6f000001-0200-0300-0400-0500000000ff"
	if got := key.String(); got != text {
		t.Errorf("the key is %s", got)
	}
	for text, ok := range map[string]bool{
		text: true, "6F000001-0200-0300-0400-0500000000FF": true, "": false, text[1:]: false, text + "0": false,
		"6f000001-0200-0300-0400-0500000000fg": false, "6f000001002000-3000-4000-500000000ff": false, "6f00000100200-0300-0400-0500000000ff": false,
	} {
		if got, parsed := ParseKey(text); parsed != ok || ok && got != key {
			t.Errorf("%q is key %v, %v", text, got, parsed)
		}
	}
}

func TestAttemptsAreForgottenInTime(t *testing.T) {
	s := NewState()
	const n = MinKeys + 10
	for i := range uint64(n) {
		Evolve(s, Position(i+1), Meta{Time: now, Key: keyOf(i + 1)}, nil)
	}
	Evolve(s, n+1, Meta{Time: now + KeyLifetime}, nil)
	if _, ok := s.Attempt(keyOf(1)); !ok {
		t.Error("forgotten at the end of its time")
	}
	left := n
	for at := Position(n + 2); at < n+8; at++ {
		Evolve(s, at, Meta{Time: now + KeyLifetime + 1}, nil)
		verify(t, s)
		left = max(left-expirePerCommand, MinKeys)
		if got := s.attempts.order.Len(); got != left {
			t.Fatalf("%d attempts are left, not %d", got, left)
		}
	}
	if _, ok := s.Attempt(keyOf(10)); ok {
		t.Error("what is too old is remembered")
	}
}

// A leader's clock that jumps ahead makes no retry a new command.
func TestLatestAttemptsAreNotForgotten(t *testing.T) {
	s := NewState()
	Evolve(s, 1, Meta{Time: now, Key: keyOf(1)}, nil)
	for i := range uint64(MinKeys - 1) {
		Evolve(s, Position(i+2), Meta{Time: now + 100*KeyLifetime, Key: keyOf(i + 2)}, nil)
	}
	if _, ok := s.Attempt(keyOf(1)); !ok {
		t.Errorf("forgotten by time with %d attempts", s.attempts.order.Len())
	}
	for at := Position(MinKeys + 1); at <= MinKeys+2; at++ {
		Evolve(s, at, Meta{Time: now + 100*KeyLifetime, Key: keyOf(uint64(at))}, nil)
	}
	if _, ok := s.Attempt(keyOf(1)); ok {
		t.Errorf("remembered beyond its time with %d attempts", s.attempts.order.Len())
	}
}

func TestTimeNeverDecreases(t *testing.T) {
	s := NewState()
	Evolve(s, 1, Meta{Time: now, Key: keyOf(1)}, nil)
	Evolve(s, 2, Meta{Time: now - KeyLifetime*3, Key: keyOf(2)}, nil)
	if s.Time() != now {
		t.Errorf("after a slow clock the time is %d", s.Time())
	}
	Evolve(s, 3, Meta{Time: now + KeyLifetime}, nil)
	if _, ok := s.Attempt(keyOf(2)); !ok || s.Time() != now+KeyLifetime {
		t.Errorf("the time is %d; the attempt of a slow clock is remembered: %v", s.Time(), ok)
	}
}

// Two keys with one handle: whoever calls can look for such a pair. The second is
// refused, and the first stays what it was.
func TestAttemptsWithOneHandle(t *testing.T) {
	s := NewState()
	first, second := keyOf(1), keyOf(1)
	second[15]++
	Evolve(s, 1, Meta{Rules: BoundedRules, Time: now, Key: first, Signature: signatureOf(1, now+14*60_000)}, nil)
	var refused *Refusal
	if _, err := Decide(s, Meta{Rules: BoundedRules, Time: now, Key: second, Signature: signatureOf(2, now)}, &CreateAccount{ID: "999999999999"}); !errors.As(err, &refused) || refused.Code != InvalidInput {
		t.Errorf("the second: %v", err)
	}
	if _, err := Decide(s, Meta{Rules: BoundedRules, Time: now, Key: keyOf(2), Signature: signatureOf(3, now)}, &CreateAccount{ID: "999999999999"}); err != nil {
		t.Errorf("another caller's: %v", err)
	}
	if at, ok := s.Attempt(first); !ok || at != 1 {
		t.Errorf("the first is remembered at %d, %v", at, ok)
	}
	// What is in a log from before that rule comes out as it did.
	old := Meta{Time: now, Key: second, Signature: signatureOf(2, now)}
	if _, err := Decide(s, old, &CreateAccount{ID: "999999999999"}); err != nil {
		t.Errorf("the second, by the first rules: %v", err)
	}
	Evolve(s, 2, old, nil)
	verify(t, s)
	_, one := s.Attempt(first)
	if at, two := s.Attempt(second); one || !two || at != 2 || s.attempts.order.Len() != 1 {
		t.Errorf("by the first rules the first is remembered: %v, the second %v", one, two)
	}
}

// Whoever signs ahead of the clock, as often as there is room, keeps nobody else from
// writing: what is signed now can be told from all that was forgotten.
func TestSignedAhead(t *testing.T) {
	if testing.Short() {
		t.Skip("a million attempts")
	}
	ahead := func(n uint64) Meta {
		return Meta{Rules: BoundedRules, Time: now, Key: keyOf(n), Signature: signatureOf(n, now+AheadTime+1)}
	}
	timely := func(n uint64) Meta {
		return Meta{Rules: BoundedRules, Time: now, Key: keyOf(n), Signature: signatureOf(n, now+AheadTime)}
	}
	l := NewLoader() // as when all had taken effect, one after the other
	h := NewState().header()
	l.Add(&h)
	for at := Position(1); at <= MaxKeys-1; at++ {
		m := timely(uint64(at))
		if at < MaxAhead {
			m = ahead(uint64(at))
		}
		l.Add(&Attempt{Key: m.Key, At: at, Time: now, Arrived: now, Signature: m.Signature})
	}
	s, err := l.State(nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.recall(ahead(MaxKeys)); r != nil {
		t.Fatalf("the last that there is room for: %v", r)
	}
	Evolve(s, MaxKeys, ahead(MaxKeys), nil)
	more := ahead(MaxKeys + 1)
	if r := s.recall(more); r == nil || r.Code != RequestExpired {
		t.Errorf("one more: %v", r)
	}
	if more.Rules = FirstRules; s.recall(more) != nil {
		t.Errorf("one more is refused by the first rules: %v", s.recall(more))
	}
	for at := Position(MaxKeys + 1); at <= MaxKeys+100; at++ {
		Evolve(s, at, timely(uint64(at)), nil)
	}
	if got := s.attempts.order.Len(); got != MaxKeys {
		t.Errorf("%d attempts", got)
	}
	for at, want := range map[Position]bool{1: true, MaxAhead - 1: true, MaxAhead: false, MaxAhead + 99: false, MaxAhead + 100: true, MaxKeys: true} {
		if _, ok := s.Attempt(keyOf(uint64(at))); ok != want {
			t.Errorf("attempt %d is remembered: %v", at, ok)
		}
	}
	if r := s.recall(Meta{Rules: BoundedRules, Time: now + AheadTime + 1, Key: keyOf(1 << 41), Signature: signatureOf(1<<41, now+AheadTime+1)}); r != nil {
		t.Errorf("somebody else's: %v", r)
	}
	// Room comes back when their signatures are good no longer.
	for at := Position(MaxKeys + 101); at <= MaxKeys+110; at++ {
		Evolve(s, at, Meta{Rules: BoundedRules, Time: now + 20*60_000}, nil)
	}
	later := now + 20*60_000
	if r := s.recall(Meta{Rules: BoundedRules, Time: later, Key: keyOf(1 << 42), Signature: signatureOf(1<<42, later+AheadTime+1)}); r != nil {
		t.Errorf("with %d signed ahead: %v", s.attempts.ahead, r)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("a million attempts")
	}
	s := NewState()
	for i := range uint64(MaxKeys + 100) {
		Evolve(s, Position(i+1), Meta{Time: now, Key: keyOf(i + 1)}, nil)
		if n := s.attempts.order.Len(); n > MaxKeys {
			t.Fatalf("%d attempts", n)
		}
	}
	_, oldest := s.Attempt(keyOf(100))
	if _, kept := s.Attempt(keyOf(101)); oldest || !kept {
		t.Errorf("attempt 100 is remembered: %v, attempt 101: %v", oldest, kept)
	}
}

// A log from before signing ahead was bounded may hold nothing but such attempts: they
// are forgotten from the oldest on, by whatever rules.
func TestNothingButSignedAhead(t *testing.T) {
	if testing.Short() {
		t.Skip("a million attempts")
	}
	for _, rules := range []Rules{FirstRules, BoundedRules} {
		l := NewLoader()
		h := NewState().header()
		l.Add(&h)
		for at := Position(1); at <= MaxKeys; at++ {
			l.Add(&Attempt{Key: keyOf(uint64(at)), At: at, Time: now, Arrived: now, Signature: signatureOf(uint64(at), now+AheadTime+1)})
		}
		s, err := l.State(nil)
		if err != nil {
			t.Fatal(err)
		}
		Evolve(s, MaxKeys+1, Meta{Rules: rules, Time: now, Key: keyOf(MaxKeys + 1)}, nil)
		if _, ok := s.Attempt(keyOf(1)); ok || s.attempts.order.Len() != MaxKeys {
			t.Errorf("by rules %d there are %d, the oldest among them: %v", rules, s.attempts.order.Len(), ok)
		}
	}
}
