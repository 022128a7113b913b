package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	hexOne = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	hexTwo = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

func mustParse(t testing.TB, text string) *Key {
	t.Helper()
	k, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOpensWhatItSealed(t *testing.T) {
	k := Generate()
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "plaintext")
		associated := rapid.String().Draw(t, "associated")
		sealed, err := k.Seal(AccessKeySecret, associated, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := k.Open(AccessKeySecret, associated, sealed)
		if err != nil || !bytes.Equal(opened, plaintext) {
			t.Fatalf("opened %q, %v", opened, err)
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		sealed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if _, err := k.Open(AccessKeySecret, associated, sealed); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("altered at %d: %v", at, err)
		}
	})
}

func TestBoundToItsPlace(t *testing.T) {
	k := mustParse(t, hexOne)
	sealed, err := k.Seal(AccessKeySecret, "123456789012/AKIAONE", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name       string
		key        *Key
		purpose    Purpose
		associated string
		sealed     []byte
		want       error
	}{
		{"same place", k, AccessKeySecret, "123456789012/AKIAONE", sealed, nil},
		{"another access key", k, AccessKeySecret, "123456789012/AKIATWO", sealed, ErrCorrupt},
		{"another purpose", k, "other", "123456789012/AKIAONE", sealed, ErrCorrupt},
		{"purpose runs into associated", k, AccessKeySecret + "1", "23456789012/AKIAONE", sealed, ErrCorrupt},
		{"another cluster's key", mustParse(t, hexTwo), AccessKeySecret, "123456789012/AKIAONE", sealed, ErrUnknownKey},
		{"cut short", k, AccessKeySecret, "123456789012/AKIAONE", sealed[:headerSize+3], ErrCorrupt},
		{"another format", k, AccessKeySecret, "123456789012/AKIAONE", append([]byte{9}, sealed[1:]...), ErrCorrupt},
		{"empty", k, AccessKeySecret, "123456789012/AKIAONE", nil, ErrCorrupt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := tc.key.Open(tc.purpose, tc.associated, tc.sealed); !errors.Is(err, tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	again, err := k.Seal(AccessKeySecret, "123456789012/AKIAONE", []byte("secret"))
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealing twice gave the same bytes, %v", err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("the secret shows")
	}
	if _, err := k.Seal(AccessKeySecret, "", make([]byte, MaxPlaintext+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v", err)
	}
}

// Secrets sealed by one version must open in all later ones.
func TestStableFormat(t *testing.T) {
	const golden = "0165d1a7e7e534b809"
	k := mustParse(t, hexOne)
	sealed, err := k.Seal(AccessKeySecret, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sealed[:headerSize]); got != golden {
		t.Errorf("header is %s", got)
	}
	old, err := hex.DecodeString("0165d1a7e7e534b809dc6c8ccfd29d2dfc896e439c3d7e1c6941ec9d87a4c07d8e4814735d76dd0f5cb550fdc6fbc89fc855")
	if err != nil {
		t.Fatal(err)
	}
	if plaintext, err := k.Open(AccessKeySecret, "123456789012/AKIAEXAMPLE", old); err != nil || string(plaintext) != "wJalrXUtnFEMI" {
		t.Errorf("opened %q, %v", plaintext, err)
	}
}

// A pseudonym is the same each time, and of its purpose, text and key alone.
func TestPseudonyms(t *testing.T) {
	k := Generate()
	one := k.Pseudonym(PasskeyDecoy, "alice", 32)
	if len(one) != 32 || !bytes.Equal(one, k.Pseudonym(PasskeyDecoy, "alice", 32)) {
		t.Errorf("%x", one)
	}
	for name, other := range map[string][]byte{
		"text": k.Pseudonym(PasskeyDecoy, "bob", 32), "purpose": k.Pseudonym(PasskeyChallenge, "alice", 32), "key": Generate().Pseudonym(PasskeyDecoy, "alice", 32),
	} {
		if bytes.Equal(one, other) {
			t.Errorf("another %s has %x, too", name, other)
		}
	}
	if (*Key)(nil).Pseudonym(PasskeyDecoy, "alice", 32) != nil {
		t.Error("one without a key")
	}
}

func TestRotation(t *testing.T) {
	old := mustParse(t, hexOne)
	both := mustParse(t, "# since July\n"+hexTwo+"\n\n"+hexOne+"\n")
	sealed, err := old.Seal(AccessKeySecret, "a", []byte("s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Open(AccessKeySecret, "a", sealed); err != nil {
		t.Errorf("the old key is there: %v", err)
	}
	if sealed, err = both.Seal(AccessKeySecret, "a", []byte("s")); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Open(AccessKeySecret, "a", sealed); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("sealed with the second key: %v", err)
	}
	swapped := mustParse(t, hexOne+"\n"+hexTwo)
	if both.Fingerprint() != swapped.Fingerprint() {
		t.Error("the order of keys changes the fingerprint")
	}
	if both.Fingerprint() == old.Fingerprint() || len(old.Fingerprint()) != 32 {
		t.Error("fingerprints tell nothing apart")
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal.key")
	k := Generate()
	if err := k.SaveFile(path); err != nil {
		t.Fatal(err)
	}
	if err := k.SaveFile(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("overwriting: %v", err)
	}
	loaded, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Fingerprint() != k.Fingerprint() {
		t.Error("another key came back")
	}
}

func TestLoadFile(t *testing.T) {
	raw, err := hex.DecodeString(hexOne)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, tc := range []struct {
		name, text string
		mode       os.FileMode
		want       string // part of the error; empty is none
	}{
		{"hexadecimal", hexOne, 0o600, ""},
		{"upper case", strings.ToUpper(hexOne) + "\r\n", 0o400, ""},
		{"base64", base64.StdEncoding.EncodeToString(raw), 0o600, ""},
		{"base64 without padding", base64.RawStdEncoding.EncodeToString(raw) + "\n", 0o600, ""},
		{"readable by the group", hexOne, 0o640, "mode is 0640"},
		{"readable by all", hexOne, 0o644, "chmod 600 it"},
		{"empty", "", 0o600, "holds no key"},
		{"only a comment", "# " + hexOne, 0o600, "holds no key"},
		{"too short", hexOne[2:], 0o600, "line 1: not a key: want 32 random bytes"},
		{"not hexadecimal", "zz" + hexOne[2:], 0o600, "line 1: not a key"},
		{"zeros", strings.Repeat("0", 64), 0o600, "line 1: not a key"},
		{"bad second line", hexOne + "\nsesame", 0o600, "line 2: not a key"},
		{"twice", hexOne + "\n" + hexOne, 0o600, "line 2: the same key again"},
		{"too many", manyKeys(MaxKeys + 1), 0o600, "more than 16 keys"},
		{"too long", strings.Repeat("#\n", maxFile), 0o600, "longer than 16384 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(path, []byte(tc.text), tc.mode); err != nil {
				t.Fatal(err)
			}
			k, err := LoadFile(path)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if k.Fingerprint() != mustParse(t, hexOne).Fingerprint() {
					t.Error("another key")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), hexOne)) {
				t.Errorf("the error shows the file: %v", err)
			}
		})
	}
	if _, err := LoadFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := LoadFile(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%064x\n", i+1)
	}
	return b.String()
}

func TestDoesNotPrintItself(t *testing.T) {
	k := mustParse(t, hexOne)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&log, verb, k)
	}
	for _, trace := range []string{hexOne[:16], "1 2 3 4", "0x1, 0x2", "\x01\x02\x03"} {
		if strings.Contains(log.String(), trace) {
			t.Errorf("%q in %s", trace, log.String())
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := mustParse(f, hexOne+"\n"+hexTwo)
	sealed, err := k.Seal(AccessKeySecret, "a", []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, "a")
	f.Add(sealed[:headerSize], "a")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, data []byte, associated string) {
		plaintext, err := k.Open(AccessKeySecret, associated, data)
		if err == nil && (string(plaintext) != "secret" || associated != "a") {
			t.Fatalf("opened %q to %q", data, plaintext)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(hexOne + "\n# c\n" + hexTwo)
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := parse(text); err == nil && (len(k.IDs()) == 0 || len(k.IDs()) > MaxKeys) {
			t.Fatalf("%d keys", len(k.IDs()))
		}
	})
}
