package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/seal"
)

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, account := range []identity.AccountID{"000000000000", "123456789012", "999999999999"} {
		for range 3 {
			id, err := NewID(account, strings.NewReader(fmt.Sprintf("%016d", len(seen))))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := AccountOf(id); !ok || got != account || seen[id] || id[14] != '8' {
				t.Errorf("%s is of %s, %v", id, got, ok)
			}
			seen[id] = true
		}
	}
	for _, id := range []string{"", "x", strings.Repeat("0", 36), strings.Repeat("g", 32), strings.Repeat("0", 64)} {
		if account, ok := AccountOf(id); ok {
			t.Errorf("%q is of %s", id, account)
		}
	}
	if _, err := NewID("none", strings.NewReader(strings.Repeat("x", 16))); err == nil {
		t.Error("an account without a number has an issuer")
	}
	if _, err := NewID("123456789012", strings.NewReader("")); err == nil {
		t.Error("without random bits")
	}
}

func TestKeysTravelSealed(t *testing.T) {
	seals := seal.Generate()
	s := NewSigner(seals)
	state := identity.NewState()
	identity.Evolve(state, 1, identity.Meta{}, []identity.Event{&identity.ClusterBootstrapped{Cluster: "c", Incarnation: "i"}})
	if _, err := s.Sign(state, RS256, nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	cmd, err := s.NewKey(state)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(cmd.Sealed, []byte("PRIVATE")) || bytes.Contains(cmd.Public, []byte(`"d"`)) || !json.Valid([]byte("["+string(cmd.Public)+"]")) {
		t.Errorf("the command says %s", cmd.Public)
	}
	add := &identity.IssuerKeyAdded{Number: cmd.Number, Sealed: cmd.Sealed, Public: cmd.Public}
	identity.Evolve(state, 2, identity.Meta{}, []identity.Event{add})
	for _, signer := range []*Signer{s, NewSigner(seals)} {
		for _, algorithm := range []string{RS256, ES384} {
			if token, err := signer.Sign(state, algorithm, []byte(`{}`)); err != nil || strings.Count(token, ".") != 2 {
				t.Errorf("%s: %q, %v", algorithm, token, err)
			}
		}
		for _, algorithm := range []string{"none", "HS256", ""} {
			if token, err := signer.Sign(state, algorithm, []byte(`{}`)); err == nil {
				t.Errorf("%q signs %q", algorithm, token)
			}
		}
	}
	if _, err := NewSigner(seal.Generate()).Sign(state, RS256, nil); err == nil {
		t.Error("another cluster's key opens it")
	}
	if _, err := NewSigner(nil).Sign(state, RS256, nil); err == nil {
		t.Error("no key opens it")
	}
}

func TestOneKeyIsMadeAtATime(t *testing.T) {
	s := NewSigner(seal.Generate())
	s.turn <- struct{}{} // somebody makes one
	if _, err := s.NewKey(identity.NewState()); !errors.Is(err, ErrBusy) {
		t.Errorf("another is made: %v", err)
	}
}

func TestKeysDoNotPrintThemselves(t *testing.T) {
	private, _, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%#v", *k), fmt.Sprintf("%+v", k)} {
		if !strings.HasPrefix(text, "issuer.Key(") || strings.Contains(text, k.rsa.D.String()) {
			t.Errorf("it prints %s", text)
		}
	}
	for name, bad := range map[string][]byte{"none": nil, "text": []byte("x"), "half": private[:len(private)/2], "twice the same": append(private[:300:300], private...)} {
		if _, err := NewKey(bad); !errors.Is(err, errKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClaims(t *testing.T) {
	c := Claims{Issuer: "i", Subject: "s", Audience: []string{"a"}, Issued: time.Unix(1, 0), Expires: time.Unix(2, 0), ID: "1"}
	c.About.Account = "123456789012"
	b, err := c.Encode()
	if want := `{"iss":"i","aud":"a","sub":"s","iat":1,"exp":2,"jti":"1","https://sts.amazonaws.com/":{"aws_account":"123456789012","principal_id":""}}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	c.Audience = []string{strings.Repeat("x", MaxPayload)}
	if _, err := c.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
}
