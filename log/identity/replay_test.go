package identity

import (
	"errors"
	"testing"
)

// signatureOf makes a signature that names a time and is good for fifteen minutes.
func signatureOf(n uint64, signed Time) Signature {
	return Signature{ID: SignatureID(keyOf(n)), Signed: signed, Until: signed + 15*60*1000}
}

// One signature under other keys is a replay, unless the two come together.
func TestReplays(t *testing.T) {
	s := NewState()
	g := signatureOf(1, now)
	Evolve(s, 1, Meta{Time: now, Key: keyOf(1), Signature: g}, nil)
	for _, test := range []struct {
		name string
		m    Meta
		at   Position
	}{
		{"the same key", Meta{Time: now + 10*TwinTime, Key: keyOf(1), Signature: g}, 1},
		{"another key at once", Meta{Time: now, Key: keyOf(2), Signature: g}, 0},
		{"another key within the bound", Meta{Time: now + TwinTime, Key: keyOf(2), Signature: g}, 0},
		{"decided in the other order", Meta{Time: now - TwinTime, Key: keyOf(2), Signature: g}, 0},
		{"another key after the bound", Meta{Time: now + TwinTime + 1, Key: keyOf(2), Signature: g}, 1},
		{"by a leader whose clock is behind", Meta{Time: now - TwinTime - 1, Key: keyOf(2), Signature: g}, 1},
		{"another signature", Meta{Time: now + 10*TwinTime, Key: keyOf(2), Signature: signatureOf(2, now)}, 0},
		{"no signature", Meta{Time: now + 10*TwinTime, Key: keyOf(2)}, 0},
	} {
		if at, _ := s.Repeats(test.m); at != test.at {
			t.Errorf("%s: repeats %d, not %d", test.name, at, test.at)
		}
	}
	// A twin does not prolong the bound.
	Evolve(s, 2, Meta{Time: now + TwinTime, Key: keyOf(2), Signature: g}, nil)
	if at, ok := s.Repeats(Meta{Time: now + TwinTime + 1, Key: keyOf(3), Signature: g}); !ok || at != 1 {
		t.Errorf("after a twin: repeats %d, %v", at, ok)
	}
	verify(t, s)
}

// A signature is remembered for as long as it is good, and refused if it may have
// been forgotten before.
func TestForgottenSignatures(t *testing.T) {
	s := NewState()
	g := signatureOf(1, now)
	Evolve(s, 1, Meta{Time: now, Key: keyOf(1), Signature: g}, nil)
	at := Position(2)
	fill := func(time Time) { // with so many that what has expired is forgotten
		for range MinKeys {
			Evolve(s, at, Meta{Time: time, Key: keyOf(uint64(at))}, nil)
			at++
		}
	}
	fill(g.Until)
	if r, ok := s.Repeats(Meta{Time: g.Until, Key: keyOf(1 << 40), Signature: g}); !ok || r != 1 {
		t.Fatalf("a signature that is good is forgotten")
	}
	fill(g.Until + 1)
	replay := Meta{Time: now + 1, Key: keyOf(1 << 40), Signature: g} // by a leader whose clock is right
	if _, ok := s.Repeats(replay); ok {
		t.Fatalf("a signature that has expired is remembered")
	}
	var refused *Refusal
	_, err := Decide(s, replay, &CreateAccount{ID: "999999999999"})
	if !errors.As(err, &refused) || refused.Code != RequestExpired {
		t.Errorf("a replay of what was forgotten: %v", err)
	}
	for name, fresh := range map[string]Signature{
		"signed later":     signatureOf(2, now+1),
		"good for longer":  {ID: SignatureID(keyOf(3)), Signed: now, Until: g.Until + 1},
		"of the cluster":   {},
		"signed in future": signatureOf(4, g.Until+60_000),
	} {
		if _, err := Decide(s, Meta{Time: g.Until, Key: keyOf(1 << 41), Signature: fresh}, &CreateAccount{ID: "999999999999"}); errors.As(err, &refused) && refused.Code == RequestExpired {
			t.Errorf("%s: %v", name, err)
		}
	}
	verify(t, s)
}
