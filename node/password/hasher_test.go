package password

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
)

var start = time.Unix(1_700_000_000, 0)

func (h *Hasher) checker(t *testing.T, who string, now time.Time) *Checker {
	checker := &Checker{}
	h.Begin(checker, t.Context(), &admission.Job{}, who, now)
	return checker
}

// A request that is authorized anew goes on with the hash that it has made.
func TestACheckerHashesOnce(t *testing.T) {
	h := NewHasher(cheap)
	checker := h.checker(t, "a", start)
	first, err := checker.Hash(rand.Reader, "secret")
	if err != nil {
		t.Fatal(err)
	}
	h.Begin(checker, t.Context(), &admission.Job{}, "a", start)
	if again, err := checker.Hash(rand.Reader, "secret"); err != nil || again != first {
		t.Errorf("%s is hashed again, as %s: %v", first, again, err)
	}
	if other, err := checker.Hash(rand.Reader, "other"); err != nil || other == first {
		t.Errorf("another has the hash %s: %v", other, err)
	}
	if right, err := checker.Matches(first, "secret"); !right || err != nil {
		t.Errorf("%v, %v", right, err)
	}
	if right, err := checker.Matches(first, "secres"); right || err != nil {
		t.Errorf("%v, %v", right, err)
	}
	if _, err := checker.Matches("secret", "secret"); !errors.Is(err, ErrHash) {
		t.Error(err)
	}
	if n := h.hashes.Requests().Taken(); n != 0 {
		t.Errorf("%d places are kept", n)
	}
}

// Whoever guesses has MaxWrong guesses, from whatever requests, and then one a WrongTime.
func TestGuessesAreBounded(t *testing.T) {
	h := NewHasher(cheap)
	hash, err := h.checker(t, "a", start).Hash(rand.Reader, "secret")
	if err != nil {
		t.Fatal(err)
	}
	guess := func(user, password string, after time.Duration) error {
		checker := h.checker(t, "caller", start.Add(after))
		right, err := checker.Guess(user, hash, password)
		if right != (password == "secret" && err == nil) {
			t.Errorf("%s is found right: %v", password, right)
		}
		if again, twice := checker.Guess(user, hash, password); err == nil && (again != right || twice != nil) {
			t.Errorf("asked again, %s is found right: %v, %v", password, again, twice)
		}
		return err
	}
	for i := range MaxWrong {
		if err := errors.Join(guess("alice", string(rune('a'+i)), 0), guess("alice", "secret", 0)); i < MaxWrong-1 && err != nil {
			t.Fatalf("after %d wrong guesses: %v", i+1, err)
		}
	}
	for _, password := range []string{"x", "secret"} {
		if err := guess("alice", password, WrongTime-1); !errors.Is(err, admission.ErrTries) {
			t.Errorf("one more guess gets %v", err)
		}
	}
	if err := guess("bob", "secret", 0); err != nil {
		t.Errorf("another user's: %v", err)
	}
	if err := guess("alice", "secret", WrongTime); err != nil {
		t.Errorf("later: %v", err)
	}
}

// Requests that hash are bounded, all of them and each caller's, and asked to come again.
func TestRequestsAreBounded(t *testing.T) {
	busy := func(err error) {
		t.Helper()
		var f *fault.Fault
		if !errors.As(err, &f) || !f.Retry() || !errors.Is(err, admission.ErrBusy) {
			t.Errorf("it fails with %v", err)
		}
	}
	h := NewHasher(cheap)
	for range MaxRequestsOne {
		if err := h.hashes.Requests().Take("a", 1); err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.checker(t, "a", start).Hash(rand.Reader, "secret")
	busy(err)
	if _, err := h.checker(t, "b", start).Hash(rand.Reader, "secret"); err != nil {
		t.Errorf("another caller: %v", err)
	}
	for i := range MaxRequests - MaxRequestsOne {
		if err := h.hashes.Requests().Take(string(rune('A'+i)), 1); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.checker(t, "b", start).Hash(rand.Reader, "secret")
	busy(err)
}

func TestNothingHashes(t *testing.T) {
	var none Checker
	if _, err := none.Hash(rand.Reader, "secret"); !errors.Is(err, ErrNoHasher) {
		t.Error(err)
	}
	if _, err := none.Guess("a", "", "secret"); !errors.Is(err, ErrNoHasher) {
		t.Error(err)
	}
}

// A decoy takes the work of a hash, and is that of no password.
func TestDecoys(t *testing.T) {
	h := NewStrangersHasher(cheap)
	decoy, err := h.Decoy(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if right, err := h.checker(t, "a", start).Matches(decoy, ""); right || err != nil {
		t.Errorf("%v, %v", right, err)
	}
	if h.Made() != 1 {
		t.Errorf("%d hashes", h.Made())
	}
	read, err := parse(decoy)
	if other, _ := h.Decoy(rand.Reader); err != nil || read.cost != cheap || other == decoy {
		t.Errorf("%+v, %v", read.cost, err)
	}
}

// Strangers have places of their own.
func TestStrangersHashBesideOthers(t *testing.T) {
	known, strangers := NewHasher(cheap), NewStrangersHasher(cheap)
	for i := range MaxStrangersHashes {
		leave, err := strangers.checker(t, string(rune('a'+i)), start).enter()
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var late Checker
	strangers.Begin(&late, ctx, &admission.Job{}, "late", start)
	if _, err := late.Hash(rand.Reader, "secret"); err == nil {
		t.Error("there are more places for strangers")
	}
	if _, err := known.checker(t, "alice", start).Hash(rand.Reader, "secret"); err != nil {
		t.Error(err)
	}
}
