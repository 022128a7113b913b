package password

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

// cheap is for tests.
var cheap = Cost{Memory: 64, Passes: 1, Threads: 1}

func TestHashes(t *testing.T) {
	h, err := newHash(cheap, rand.Reader, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	read, err := parse(h.String())
	if err != nil {
		t.Fatalf("%s: %v", h.String(), err)
	}
	if !read.matches("correct horse") || read.matches("correct horsE") || read.matches("") {
		t.Error("it does not match its password alone")
	}
	if again, _ := newHash(cheap, rand.Reader, "correct horse"); again.String() == h.String() {
		t.Error("the salt is the same")
	}
	if strings.Contains(h.String(), "horse") {
		t.Error(h.String())
	}
}

// The hash is that of argon2's reference implementation:
//
//	echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
func TestHashesOfOthersMatch(t *testing.T) {
	h := &hash{cost: Cost{Memory: 1 << 16, Passes: 2, Threads: 1}, salt: []byte("somesalt")}
	const want = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if h.sum = h.of("password", 32); h.String() != want {
		t.Errorf("%s, not %s", h.String(), want)
	}
}

func TestWhatIsNoHash(t *testing.T) {
	good := "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if _, err := parse(good); err != nil {
		t.Fatal(err)
	}
	for _, swap := range [][2]string{
		{"argon2id", "argon2i"}, {"v=19", "v=18"}, {"m=64", "m=0"}, {"m=64", "m=262145"}, {"m=64", "m=064"}, {"t=1", "t=0"}, {"t=1", "t=17"},
		{"p=1", "p=0"}, {"p=1", "p=17"}, {"p=1", "p=1,x=2"}, {"c29tZXNhbHQ", "c29t"}, {"c29tZXNhbHQ", "c29tZXNhbHQ="}, {"PPc", "PP"},
		{"$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$CTFh"}, {"$CTFh", "$$CTFh"}, {"$argon", "argon"}, {good, ""}, {good, good + "\n"},
		{"c29tZXNhbHQ", strings.Repeat("c29t", 64)},
	} {
		text := strings.Replace(good, swap[0], swap[1], 1)
		if _, err := parse(text); !errors.Is(err, ErrHash) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parse(text)
		if err == nil && (h.String() != text || h.cost.Memory > maxMemory || h.cost.Passes > maxPasses || h.cost.Threads > maxThreads) {
			t.Errorf("%q is read as %q", text, h.String())
		}
	})
}

// What a hash of today takes.
func BenchmarkHash(b *testing.B) {
	for b.Loop() {
		if _, err := newHash(Cost{Memory: memory, Passes: passes, Threads: threads}, rand.Reader, "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
