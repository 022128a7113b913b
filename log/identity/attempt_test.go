package identity

import (
	"encoding/binary"
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

// Two keys with one handle: the later one stays, and nothing else breaks.
func TestAttemptsWithOneHandle(t *testing.T) {
	s := NewState()
	first, second := keyOf(1), keyOf(1)
	second[15]++
	Evolve(s, 1, Meta{Time: now, Key: first}, nil)
	Evolve(s, 2, Meta{Time: now, Key: second}, nil)
	verify(t, s)
	_, one := s.Attempt(first)
	if at, two := s.Attempt(second); one || !two || at != 2 {
		t.Errorf("the first is remembered: %v, the second %v", one, two)
	}
	if s.attempts.order.Len() != 1 || s.attempts.byKey.rows.Len() != 1 {
		t.Error("the first has left something")
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
