package event

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

const (
	testCluster     = "6f1d7c38-3d58-4f67-8d5a-7f2f4f6d3a10"
	testIncarnation = "0123456789abcdef0123456789abcdef"
)

func someToken() Token {
	b := Batch{Position: 1_000_000, Hash: Hash{1, 2, 3, 4, 5, 6, 7, 8, 9}}
	return TokenOf(testCluster, testIncarnation, b.Head())
}

func TestTokenRoundTrip(t *testing.T) {
	for _, want := range []Token{someToken(), {}, {Position: 1<<64 - 1}, {Cluster: "c", Incarnation: strings.Repeat("i", 100)}} {
		text := want.String()
		if got, err := ParseToken(text); err != nil || got != want {
			t.Errorf("%s is %+v, %v, not %+v", text, got, err, want)
		}
		if strings.ContainsAny(text, "+/= ") {
			t.Errorf("%s cannot stand in a URL", text)
		}
	}
	if got := someToken(); got.Prefix != [8]byte{1, 2, 3, 4, 5, 6, 7, 8} || got.Position != 1_000_000 {
		t.Errorf("the token is %+v", got)
	}
}

// Tokens are kept by callers: a later build must read them.
func TestTokensAreForever(t *testing.T) {
	const text = "ASQ2ZjFkN2MzOC0zZDU4LTRmNjctOGQ1YS03ZjJmNGY2ZDNhMTAgMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYAAAAAAA9CQAECAwQFBgcI"
	if got := someToken().String(); got != text {
		t.Errorf("the token is %s, was %s", got, text)
	}
}

func TestParseTokenRefuses(t *testing.T) {
	good := someToken().String()
	raw, _ := base64.RawURLEncoding.DecodeString(good)
	text := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	for name, text := range map[string]string{
		"empty":             "",
		"not base64":        "not a token!",
		"padded":            text([]byte{tokenVersion, 0, 0}) + "=",
		"another version":   text(append([]byte{2}, raw[1:]...)),
		"cut short":         text(raw[:len(raw)-1]),
		"too long":          text(append(raw, 0)),
		"a length beyond":   text([]byte{tokenVersion, 200, 1}),
		"an endless length": text([]byte{tokenVersion, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}),
		"only a cluster":    text([]byte{tokenVersion, 1, 'c'}),
		"a length too long": text(append([]byte{tokenVersion, 0x80 | raw[1], 0}, raw[2:]...)),
		"beyond the limit":  strings.Repeat("A", maxTokenText+1),
		"bits left over":    strings.TrimSuffix(Token{Cluster: "c"}.String(), "A") + "B",
	} {
		if got, err := ParseToken(text); !errors.Is(err, ErrToken) || got != (Token{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestCheckToken(t *testing.T) {
	token := someToken()
	for _, c := range []struct {
		cluster, incarnation string
		want                 error
	}{
		{testCluster, testIncarnation, nil},
		{"another", testIncarnation, ErrWrongCluster},
		{testCluster, "another", ErrWrongIncarnation},
		{"another", "another", ErrWrongCluster},
	} {
		if err := token.Check(c.cluster, c.incarnation); !errors.Is(err, c.want) {
			t.Errorf("in %s, %s: %v, not %v", c.cluster, c.incarnation, err, c.want)
		}
	}
}

// Whatever is read is written the same way again.
func FuzzParseToken(f *testing.F) {
	f.Add("")
	f.Add(someToken().String())
	f.Add(Token{}.String())
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			if !errors.Is(err, ErrToken) {
				t.Fatalf("%v is not ErrToken", err)
			}
			return
		}
		if again := token.String(); again != text {
			t.Fatalf("%q is written %q", text, again)
		}
	})
}
