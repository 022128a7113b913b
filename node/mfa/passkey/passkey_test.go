package passkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/mfa/passkey"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/test/authenticator"
)

const (
	domain = "example.com"
	origin = "https://console.example.com"
	now    = int64(1_700_000_000_000)
)

var alice = passkey.For{Account: "123456789012", Owner: "AIDAALICE", Caller: "AIDAADMIN"}

func party(t testing.TB) *passkey.Party {
	t.Helper()
	p, err := passkey.New(passkey.Settings{ID: domain, Origins: []string{origin}}, seal.Generate())
	if err != nil || p == nil {
		t.Fatal(err)
	}
	return p
}

func challenge(t testing.TB, p *passkey.Party, of passkey.For, ceremony passkey.Ceremony) string {
	t.Helper()
	of.Ceremony = ceremony
	c, err := p.Challenge(of, now, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func signer() passkey.For { return passkey.For{Account: alice.Account, Owner: alice.Owner} }

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		id, origins string
		good        bool
	}{
		{"", "", true},
		{"example.com", "", true},
		{"localhost", "http://localhost:8420", true},
		{"example.com", "https://example.com,https://console.example.com:8443", true},
		{"", "https://example.com", false},
		{"Example.com", "", false},
		{"https://example.com", "", false},
		{"example.com:8443", "", false},
		{"192.0.2.1", "", false},
		{"example.com", "https://example.com/", false},
		{"example.com", "https://Example.com", false},
		{"example.com", "https://example.com:443", false},
		{"example.com", "http://example.com", false},
		{"example.com", "https://badexample.com", false},
		{"example.com", "https://example.com.evil.org", false},
		{"example.com", "https://user@example.com", false},
		{"example.com", "null", false},
		{"example.com", strings.Repeat("https://example.com,", passkey.MaxOrigins) + "https://example.com", false},
		{strings.Repeat("a.", 127) + "com", "", false},
	} {
		s := passkey.Settings{ID: c.id}
		if c.origins != "" {
			s.Origins = strings.Split(c.origins, ",")
		}
		if err := s.Check(); (err == nil) != c.good || err != nil && !errors.Is(err, passkey.ErrConfig) {
			t.Errorf("%q with %q: %v", c.id, c.origins, err)
		}
	}
	if p, err := passkey.New(passkey.Settings{}, seal.Generate()); p != nil || err != nil || p.ID() != "" {
		t.Errorf("without settings: %v, %v", p, err)
	}
	if p, err := passkey.New(passkey.Settings{ID: domain}, nil); p != nil || err != nil {
		t.Errorf("without a key: %v, %v", p, err)
	}
}

// A passkey of each algorithm is registered and used.
func TestPasskeys(t *testing.T) {
	p := party(t)
	for _, algorithm := range []int{authenticator.ES256, authenticator.EdDSA, authenticator.RS256} {
		for _, format := range []string{"none", "packed"} {
			d := authenticator.Of(algorithm, domain, origin)
			d.Format, d.Flags = format, d.Flags|authenticator.Eligible
			made, err := p.Registered([]byte(d.Create(challenge(t, p, alice, passkey.Create))), alice, now)
			if err != nil {
				t.Fatalf("%d, %s: %v", algorithm, format, err)
			}
			if made.Challenged != now || !bytes.Equal(made.Credential, d.Credential) || !bytes.Equal(made.PublicKey, d.PublicKey()) || made.AAGUID != [16]byte([]byte("AAGUID-AAGUID-16")) ||
				!slices.Equal(made.Transports, []string{"nfc", "usb"}) || made.Count != 1 || !made.Eligible || made.BackedUp {
				t.Errorf("%d: %+v", algorithm, made)
			}
			d.Flags |= authenticator.BackedUp
			for _, handle := range [][]byte{nil, passkey.Handle(alice.Account, alice.Owner)} {
				d.Handle = handle
				a, err := passkey.ParseAssertion([]byte(d.Get(challenge(t, p, signer(), passkey.Get))))
				if err != nil {
					t.Fatal(err)
				}
				got, err := p.Asserted(a, signer(), made.PublicKey, true, now)
				if err != nil || got.Challenged != now || got.Count != d.Count || !got.BackedUp || !bytes.Equal(a.Credential, d.Credential) {
					t.Errorf("%d: %+v, %v", algorithm, got, err)
				}
			}
		}
	}
	// As a browser within its tests may be: with extensions that nobody asked for, unverified.
	d := authenticator.New(domain, origin)
	d.Flags, d.Extensions = authenticator.Present, []byte{0xa1, 0x61, 'x', 0xf5}
	if _, err := p.Registered([]byte(d.Create(challenge(t, p, alice, passkey.Create))), alice, now); err != nil {
		t.Error(err)
	}
}

// wrongly is a way in which a device, its browser or who sends its response lies.
type wrongly struct {
	name  string
	lie   func(d *authenticator.Device)
	of    func(*passkey.For) // whose response it is, in place of alice's
	later int64
	text  func(string) string // what becomes of the response
	want  string
}

// lies are those of both ceremonies.
func lies() []wrongly {
	flip := func(part string, at int) func(*authenticator.Device) {
		return func(d *authenticator.Device) {
			d.Spoil = func(p string, b []byte) []byte {
				if p == part {
					b = bytes.Clone(b)
					b[(at+len(b))%len(b)] ^= 1
				}
				return b
			}
		}
	}
	return []wrongly{
		{name: "another origin", lie: func(d *authenticator.Device) { d.Origin = "https://evil.example.com" }, want: "another origin"},
		{name: "an origin of plain text", lie: func(d *authenticator.Device) { d.Origin = "http://console.example.com" }, want: "another origin"},
		{name: "another domain", lie: func(d *authenticator.Device) { d.RPID = "evil.com" }, want: "another domain"},
		{name: "another ceremony", lie: func(d *authenticator.Device) { d.Type = "payment.get" }, want: "client data is not of"},
		{name: "a page within another", lie: func(d *authenticator.Device) { d.CrossOrigin = true }, want: "a page within a page"},
		{name: "nobody present", lie: func(d *authenticator.Device) { d.Flags = authenticator.Verified }, want: "nobody was present"},
		{name: "backed up against its word", lie: func(d *authenticator.Device) { d.Flags |= authenticator.BackedUp }, want: "backed up and cannot be"},
		{name: "another user's challenge", of: func(f *passkey.For) { f.Owner = "AIDABOB" }, want: "the challenge is none"},
		{name: "another account's challenge", of: func(f *passkey.For) { f.Account = "210987654321" }, want: "the challenge is none"},
		{name: "a challenge for another caller", of: func(f *passkey.For) { f.Caller = "AIDAEVE" }, want: "the challenge is none"},
		{name: "an expired challenge", later: passkey.Life.Milliseconds(), want: "the challenge is none"},
		{name: "no JSON", text: func(string) string { return "{" }, want: "no PublicKeyCredential"},
		{name: "another type", text: func(s string) string { return strings.Replace(s, "public-key", "password", 1) }, want: "type is not public-key"},
		{name: "no client data", text: func(s string) string { return strings.Replace(s, "clientDataJSON", "clientData", 1) }, want: "client data is missing"},
		{name: "padding", text: func(s string) string { return strings.Replace(s, `"rawId":"`, `"rawId":"=`, 1) }, want: "no PublicKeyCredential"},
		{name: "two ids", text: func(s string) string { return strings.Replace(s, `"rawId":"`, `"rawId":"AAAA`, 1) }, want: "id and rawId differ"},
		{name: "a short id", lie: func(d *authenticator.Device) { d.Credential = make([]byte, passkey.MinCredential-1) }, want: "its id has not"},
		{name: "a long id", lie: func(d *authenticator.Device) { d.Credential = make([]byte, passkey.MaxCredential+1) }, want: "its id has not"},
		{name: "long client data", lie: func(d *authenticator.Device) { d.Origin = strings.Repeat("o", passkey.MaxClientData) }, want: "client data is missing, or longer"},
		{name: "something after the authenticator data", lie: func(d *authenticator.Device) {
			d.Spoil = func(p string, b []byte) []byte {
				if p == "data" {
					return append(b, 0)
				}
				return b
			}
		}, want: "something follows"},
		{name: "extensions that are none", lie: func(d *authenticator.Device) { d.Extensions = []byte{0xff} }, want: "no CBOR"},
		{name: "another domain's hash", lie: flip("data", 0), want: "another domain"},
	}
}

func TestLiesOfRegistration(t *testing.T) {
	p := party(t)
	list := append(lies(),
		wrongly{name: "an algorithm that was not asked for", lie: func(d *authenticator.Device) { *d = *authenticator.Of(authenticator.ES384, domain, origin) }, want: "not of ES256"},
		wrongly{name: "a key of another algorithm", lie: func(d *authenticator.Device) { d.Algorithm = authenticator.RS256 }, want: "public key is"},
		wrongly{name: "no key", lie: func(d *authenticator.Device) {
			d.Spoil = func(p string, b []byte) []byte {
				if p == "key" {
					return []byte{0xa0}
				}
				return b
			}
		}, want: "public key is none"},
		wrongly{name: "a tampered attestation", lie: func(d *authenticator.Device) {
			d.Format = "packed"
			d.Spoil = func(p string, b []byte) []byte {
				if p == "signature" {
					b[len(b)-1] ^= 1
				}
				return b
			}
		}, want: "not by its own key"},
		wrongly{name: "an attestation of another kind", lie: func(d *authenticator.Device) { d.Format = "fido-u2f" }, want: "neither none nor packed"},
		wrongly{name: "a long attestation", lie: func(d *authenticator.Device) { d.Extensions = make([]byte, passkey.MaxAttestation) }, want: "longer than any is"},
		wrongly{name: "an attestation object with more", lie: func(d *authenticator.Device) {
			d.Spoil = func(p string, b []byte) []byte {
				if p == "attestation" {
					return append(b, 0)
				}
				return b
			}
		}, want: "attestation object is none"},
		wrongly{name: "another credential", text: func(s string) string {
			other := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
			var said map[string]any
			_ = json.Unmarshal([]byte(s), &said)
			said["id"], said["rawId"] = other, other
			b, _ := json.Marshal(said)
			return string(b)
		}, want: "not of the credential"},
		wrongly{name: "an assertion", text: func(s string) string { return strings.Replace(s, "attestationObject", "authenticatorData", 1) }, want: "attestation object is none"},
	)
	for _, c := range list {
		d, of := authenticator.New(domain, origin), alice
		if c.lie != nil {
			c.lie(d)
		}
		if c.of != nil {
			c.of(&of)
		}
		said := d.Create(challenge(t, p, of, passkey.Create))
		if c.text != nil {
			said = c.text(said)
		}
		if made, err := p.Registered([]byte(said), alice, now+c.later); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", c.name, made, err)
		}
	}
	d := authenticator.New(domain, origin)
	if _, err := p.Registered([]byte(d.Create(challenge(t, p, alice, passkey.Get))), alice, now); !errors.Is(err, passkey.ErrChallenge) {
		t.Errorf("by a challenge to sign in: %v", err)
	}
	if _, err := party(t).Registered([]byte(d.Create(challenge(t, p, alice, passkey.Create))), alice, now); !errors.Is(err, passkey.ErrChallenge) {
		t.Errorf("by a challenge of another cluster: %v", err)
	}
}

func TestLiesOfAssertion(t *testing.T) {
	p := party(t)
	list := append(lies(),
		wrongly{name: "a tampered signature", lie: func(d *authenticator.Device) {
			d.Spoil = func(p string, b []byte) []byte {
				if p == "signature" {
					b[len(b)-1] ^= 1
				}
				return b
			}
		}, want: "not by the credential's key"},
		wrongly{name: "another user's handle", lie: func(d *authenticator.Device) { d.Handle = passkey.Handle(alice.Account, "AIDABOB") }, want: "of another user"},
		wrongly{name: "eligible against its word", lie: func(d *authenticator.Device) { d.Flags |= authenticator.Eligible }, want: "otherwise than before"},
		wrongly{name: "no signature", text: func(s string) string { return strings.Replace(s, `"signature"`, `"sig"`, 1) }, want: "signature is missing"},
		wrongly{name: "a long signature", lie: func(d *authenticator.Device) {
			d.Spoil = func(p string, b []byte) []byte {
				if p == "signature" {
					return make([]byte, passkey.MaxSignature+1)
				}
				return b
			}
		}, want: "longer than any is"},
		wrongly{name: "a long handle", lie: func(d *authenticator.Device) { d.Handle = make([]byte, 65) }, want: "longer than any is"},
		wrongly{name: "data cut short", lie: func(d *authenticator.Device) {
			d.Spoil = func(p string, b []byte) []byte {
				if p == "data" {
					return b[:36]
				}
				return b
			}
		}, want: "cut short"},
	)
	for _, c := range list {
		d, of := authenticator.New(domain, origin), signer()
		key := d.PublicKey()
		if c.lie != nil {
			c.lie(d)
		}
		if c.of != nil {
			c.of(&of)
		}
		said := d.Get(challenge(t, p, of, passkey.Get))
		if c.text != nil {
			said = c.text(said)
		}
		a, err := passkey.ParseAssertion([]byte(said))
		if err == nil {
			_, err = p.Asserted(a, signer(), key, false, now+c.later)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	d := authenticator.New(domain, origin)
	a, err := passkey.ParseAssertion([]byte(d.Get(challenge(t, p, signer(), passkey.Get))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Asserted(a, signer(), authenticator.New(domain, origin).PublicKey(), false, now); !errors.Is(err, passkey.ErrResponse) {
		t.Errorf("by another key: %v", err)
	}
	decoy, err := passkey.NewDecoyKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Asserted(a, signer(), decoy, false, now); err == nil || !strings.Contains(err.Error(), "signature") {
		t.Errorf("by the key of nobody: %v", err)
	}
}

// A challenge made after one that was used is later, whatever the clocks.
func TestChallenges(t *testing.T) {
	p := party(t)
	d := authenticator.New(domain, origin)
	of := signer()
	of.Ceremony = passkey.Get
	seen := map[string]bool{}
	for _, used := range []int64{0, now, now + 3_600_000} {
		text, err := p.Challenge(of, now, used)
		if err != nil || seen[text] {
			t.Fatalf("%q, %v", text, err)
		}
		seen[text] = true
		a, err := passkey.ParseAssertion([]byte(d.Get(text)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Asserted(a, signer(), d.PublicKey(), false, now); err != nil || got.Challenged <= used {
			t.Errorf("after %d: %+v, %v", used, got, err)
		}
	}
}

// Who has no passkeys is told of the same one each time, and of others than everybody else.
func TestDecoys(t *testing.T) {
	p := party(t)
	one, how := p.Decoy("123456789012 alice")
	again, as := p.Decoy("123456789012 alice")
	if !bytes.Equal(one, again) || !slices.Equal(how, as) || len(how) == 0 || len(one) < passkey.MinCredential {
		t.Errorf("%x, then %x", one, again)
	}
	if other, _ := p.Decoy("123456789012 bob"); bytes.Equal(one, other) {
		t.Errorf("alice and bob have %x", one)
	}
	if elsewhere, _ := party(t).Decoy("123456789012 alice"); bytes.Equal(one, elsewhere) {
		t.Errorf("two clusters have %x", one)
	}
	sizes := map[int]bool{}
	for i := range 64 {
		c, _ := p.Decoy(strings.Repeat("x", i))
		sizes[len(c)] = true
	}
	if len(sizes) < 4 {
		t.Errorf("they have %d sizes", len(sizes))
	}
}

// Only so many transports are kept, and such as may be names of some.
func TestTransports(t *testing.T) {
	p := party(t)
	d := authenticator.New(domain, origin)
	said := strings.Replace(d.Create(challenge(t, p, alice, passkey.Create)), `["usb","nfc"]`,
		`["usb","usb","","X","a b","`+strings.Repeat("t", 33)+`","a","b","c","d","e","f","g","h","i"]`, 1)
	made, err := p.Registered([]byte(said), alice, now)
	if err != nil || len(made.Transports) != passkey.MaxTransports || !slices.Contains(made.Transports, "usb") || slices.Contains(made.Transports, "X") {
		t.Errorf("%+v, %v", made, err)
	}
}

// Whatever a client sends is refused or right, and bounded.
func FuzzResponses(f *testing.F) {
	p := party(f)
	d := authenticator.New(domain, origin)
	f.Add([]byte(d.Create(challenge(f, p, alice, passkey.Create))))
	f.Add([]byte(d.Get(challenge(f, p, signer(), passkey.Get))))
	packed := authenticator.Of(authenticator.EdDSA, domain, origin)
	packed.Format, packed.Extensions = "packed", []byte{0xa0}
	f.Add([]byte(packed.Create(challenge(f, p, alice, passkey.Create))))
	key := d.PublicKey()
	f.Fuzz(func(t *testing.T, text []byte) {
		if made, err := p.Registered(text, alice, now); err == nil {
			if len(made.Credential) > passkey.MaxCredential || len(made.PublicKey) > passkey.MaxPublicKey || len(made.Transports) > passkey.MaxTransports {
				t.Errorf("%+v", made)
			}
		} else if !errors.Is(err, passkey.ErrResponse) && !errors.Is(err, passkey.ErrChallenge) {
			t.Error(err)
		}
		a, err := passkey.ParseAssertion(text)
		if err == nil {
			_, err = p.Asserted(a, signer(), key, false, now)
		}
		if err != nil && !errors.Is(err, passkey.ErrResponse) && !errors.Is(err, passkey.ErrChallenge) {
			t.Error(err)
		}
	})
}
