package session

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	cluster     = "6f8d2a31"
	incarnation = "01JDXK"
	somePolicy  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`
)

// newKey is a key of bytes that count up from first.
func newKey(t testing.TB, id uint32, first byte) *Key {
	t.Helper()
	raw := make([]byte, KeySize)
	for i := range raw {
		raw[i] = first + byte(i)
	}
	k, err := NewKey(id, raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// plainClaims have no policies or tags.
func plainClaims() *Claims {
	issued := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return &Claims{Kind: Role, Account: "123456789012", Principal: "AROA2XKZQJ5VEXAMPLE01", Name: "alice",
		Issued: issued, Expires: issued.Add(time.Hour), Position: 4711, Parent: "AKIA2XKZQJ5VEXAMPLE1"}
}

// fullClaims have everything.
func fullClaims() *Claims {
	c := plainClaims()
	c.Policy = somePolicy
	c.Managed = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::123456789012:policy/team/photos"}
	c.Tags = []Tag{{"Team", "photos"}, {"CostCenter", ""}}
	c.Transitive = []string{"Team"}
	c.SourceIdentity = "alice@example.com"
	c.MFA = c.Issued.Add(-time.Minute)
	c.Provider, c.Subject = "arn:aws:iam::123456789012:oidc-provider/id.example.com", "248289761001"
	c.Depth = 3
	return c
}

// vouchedClaims are full ones of a provider that says more.
func vouchedClaims() *Claims {
	c := fullClaims()
	c.Keys = []Claim{{"aud", []string{"sts.amazonaws.com"}, false}, {"amr", []string{"pwd", "otp"}, true}}
	return c
}

// chainClaims are full ones of a chain, which no provider vouches for.
func chainClaims() *Claims {
	c := fullClaims()
	c.Provider, c.Subject = "", ""
	c.Origin = Origin{Account: "210987654321", Principal: "AIDA2XKZQJ5VEXAMPLE01", Key: "AKIA2XKZQJ5VEXAMPLE1", Began: c.Issued.Add(-time.Hour)}
	return c
}

func mint(t testing.TB, k *Key, c *Claims) Credentials {
	t.Helper()
	made, err := k.Mint(cluster, incarnation, c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// draw makes claims that a session may have, of any size.
func draw(t *rapid.T) *Claims {
	text := func(name string, least, most int) string { return rapid.StringN(least, most, most).Draw(t, name) }
	list := func(name string, most, limit int) (list []string) {
		return rapid.SliceOfNDistinct(rapid.StringN(1, limit, -1), 0, most, rapid.ID[string]).Draw(t, name)
	}
	issued := rapid.Int64Range(1, maxSeconds-1).Draw(t, "issued")
	c := &Claims{
		Kind: Kind(rapid.IntRange(int(Role), int(lastKind)).Draw(t, "kind")), Account: rapid.StringMatching(`[0-9]{12}`).Draw(t, "account"),
		Principal: text("principal", 1, MaxPrincipal), Name: text("name", 0, MaxName),
		Issued: time.Unix(issued, 0).UTC(), Expires: time.Unix(rapid.Int64Range(issued+1, maxSeconds).Draw(t, "expires"), 0).UTC(),
		SourceIdentity: text("source identity", 0, MaxSourceIdentity), Provider: text("provider", 0, MaxProvider), Subject: text("subject", 0, MaxSubject),
		Depth: rapid.Uint8().Draw(t, "depth"), Position: rapid.Uint64().Draw(t, "position"), Parent: text("parent", 0, MaxParent),
		Policy: rapid.StringN(0, MaxPolicy, -1).Draw(t, "policy"), Managed: list("managed", MaxManaged, 300), Transitive: list("transitive", MaxTags, MaxTagKey),
	}
	if rapid.Bool().Draw(t, "repetitive") {
		c.Policy = strings.Repeat("ab", rapid.IntRange(0, MaxPolicy/2).Draw(t, "repeats"))
	}
	if rapid.Bool().Draw(t, "second factor") {
		c.MFA = time.Unix(rapid.Int64Range(1, maxSeconds).Draw(t, "mfa"), 0).UTC()
	}
	for _, key := range list("tags", MaxTags, MaxTagKey) {
		c.Tags = append(c.Tags, Tag{key, rapid.StringN(0, MaxTagValue, -1).Draw(t, "value")})
	}
	for _, name := range list("keys", MaxKeys, MaxKeyName) {
		k := Claim{Name: name, Values: rapid.SliceOfN(rapid.StringN(0, 64, -1), 1, MaxKeyValues).Draw(t, "values")}
		if k.Many = len(k.Values) > 1 || rapid.Bool().Draw(t, "many"); c.Provider != "" {
			c.Keys = append(c.Keys, k)
		}
	}
	if rapid.Bool().Draw(t, "chain") {
		c.Provider, c.Subject, c.Keys = "", "", nil
		c.Origin = Origin{Account: rapid.StringMatching(`[0-9]{12}`).Draw(t, "first account"), Principal: text("first principal", 1, MaxPrincipal),
			Key: text("first key", 0, MaxParent), Began: time.Unix(rapid.Int64Range(1, issued).Draw(t, "began"), 0).UTC()}
	}
	if len(c.Managed) == 0 {
		c.Managed = nil
	}
	if len(c.Transitive) == 0 {
		c.Transitive = nil
	}
	return c
}

func TestOpensWhatItMinted(t *testing.T) {
	k := newKey(t, 7, 0)
	rapid.Check(t, func(t *rapid.T) {
		c := draw(t)
		size := c.PackedSize()
		made, err := k.Mint(cluster, incarnation, c, rand.Reader)
		if size > 100 || !c.passes() && len(c.Keys) > 0 && errors.Is(err, ErrTooLarge) {
			if !errors.Is(err, ErrTooLarge) || c.AccessKey != "" {
				t.Fatalf("%d%% of the room: %v, %q", size, err, c.AccessKey)
			}
			return
		}
		if err != nil {
			t.Fatalf("%d%% of the room: %v", size, err)
		}
		if len(made.Token) > MaxToken || len(made.Secret) != 40 || made.Secret != k.Secret(made.AccessKey) || c.AccessKey != made.AccessKey {
			t.Fatalf("token of %d characters, secret of %d, access key %s of %s", len(made.Token), len(made.Secret), made.AccessKey, c.AccessKey)
		}
		opened, err := k.Open(cluster, incarnation, made.Token)
		if err != nil || !reflect.DeepEqual(opened, c) {
			t.Fatalf("opened %+v, %v; want %+v", opened, err, c)
		}
		if id, err := KeyOf(made.Token); id != 7 || err != nil {
			t.Fatalf("sealed by %d, %v", id, err)
		}
	})
}

// TestEveryClaimTravels fails for a claim that vouchedClaims and chainClaims, or tokens, leave
// out.
func TestEveryClaimTravels(t *testing.T) {
	k, c := newKey(t, 7, 0), vouchedClaims()
	travelled := map[string]bool{}
	for _, c := range []*Claims{chainClaims(), c} {
		opened, err := k.Open(cluster, incarnation, mint(t, k, c).Token)
		if err != nil || !reflect.DeepEqual(opened, c) {
			t.Fatalf("opened %+v, %v; want %+v", opened, err, c)
		}
		for v, i := reflect.ValueOf(*opened), 0; i < v.NumField(); i++ {
			name := v.Type().Field(i).Name
			travelled[name] = travelled[name] || !v.Field(i).IsZero()
		}
	}
	for name, did := range travelled {
		if !did {
			t.Errorf("%s is not among the claims of the test", name)
		}
	}
	here := *c
	here.Issued, here.Expires = c.Issued.In(time.FixedZone("", 3600)), c.Expires.In(time.FixedZone("", -3600))
	opened, err := k.Open(cluster, incarnation, mint(t, k, &here).Token)
	if err != nil || opened.Issued != c.Issued || opened.Expires != c.Expires {
		t.Errorf("times of other zones come back as %v to %v, %v", opened.Issued, opened.Expires, err)
	}
}

// TestNothingElseOpens alters every bit of a token, and cuts it anywhere.
func TestNothingElseOpens(t *testing.T) {
	k := newKey(t, 7, 0)
	token := mint(t, k, fullClaims()).Token
	sealed, err := tokenText.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(sealed) * 8 {
		altered := bytes.Clone(sealed)
		altered[bit/8] ^= 1 << (bit % 8)
		want := ErrForged
		if bit < 8 { // of the format
			want = ErrMalformed
		}
		if c, err := k.Open(cluster, incarnation, tokenText.EncodeToString(altered)); !errors.Is(err, want) || c != nil {
			t.Errorf("with bit %d flipped: %v, %v", bit, c, err)
		}
	}
	for n := range sealed {
		want := ErrForged
		if n < overhead {
			want = ErrMalformed
		}
		if _, err := k.Open(cluster, incarnation, tokenText.EncodeToString(sealed[:n])); !errors.Is(err, want) {
			t.Errorf("%d bytes of it: %v", n, err)
		}
	}
	for i := range token {
		if _, err := k.Open(cluster, incarnation, token[:i]); !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%d characters of it: %v", i, err)
		}
		for _, put := range []string{"\n", "\r", " ", "=", "+", "/", "\x00", "é"} {
			if _, err := k.Open(cluster, incarnation, token[:i]+put+token[i:]); !errors.Is(err, ErrMalformed) {
				t.Errorf("with %q at %d: %v", put, i, err)
			}
		}
	}
	for _, text := range []string{"", "A", token + "\n", token + "=", token + token, strings.Repeat("A", MaxToken+1), strings.Repeat("A", 100), strings.Repeat("*", 100)} {
		if _, err := k.Open(cluster, incarnation, text); !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestOneTextOfAToken alters the bits of the last character that stand for nothing.
func TestOneTextOfAToken(t *testing.T) {
	k, c := newKey(t, 7, 0), plainClaims()
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for range 3 { // each length that is no multiple of three has such bits
		c.Name += "x"
		token, opens := mint(t, k, c).Token, 0
		for _, last := range letters {
			if _, err := k.Open(cluster, incarnation, token[:len(token)-1]+string(last)); err == nil {
				opens++
			}
		}
		if opens != 1 {
			t.Errorf("%d texts of one token open", opens)
		}
	}
}

func TestBoundToItsPlace(t *testing.T) {
	k := newKey(t, 7, 0)
	token := mint(t, k, plainClaims()).Token
	for name, open := range map[string]func() (*Claims, error){
		"another cluster":               func() (*Claims, error) { return k.Open("6f8d2a32", incarnation, token) },
		"another incarnation":           func() (*Claims, error) { return k.Open(cluster, "01JDXL", token) },
		"no cluster":                    func() (*Claims, error) { return k.Open("", "", token) },
		"cluster runs into incarnation": func() (*Claims, error) { return k.Open(cluster+incarnation[:1], incarnation[1:], token) },
		"another key of the number":     func() (*Claims, error) { return newKey(t, 7, 1).Open(cluster, incarnation, token) },
		"the key under another number":  func() (*Claims, error) { return newKey(t, 8, 0).Open(cluster, incarnation, token) },
	} {
		if c, err := open(); !errors.Is(err, ErrForged) || c != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if _, err := k.Open(cluster, incarnation, token); err != nil {
		t.Errorf("its own place: %v", err)
	}
}

func TestSecrets(t *testing.T) {
	k := newKey(t, 7, 0)
	one, two := mint(t, k, plainClaims()), mint(t, k, plainClaims())
	switch {
	case one.AccessKey == two.AccessKey || one.Token == two.Token:
		t.Error("two sessions have the same access key id or token")
	case one.Secret == two.Secret, one.Secret == newKey(t, 7, 1).Secret(one.AccessKey):
		t.Error("another access key or session key has the same secret")
	case one.Secret != newKey(t, 8, 0).Secret(one.AccessKey):
		t.Error("the secret depends on more than the key's bytes and the access key id")
	}
	if raw, err := base64.StdEncoding.DecodeString(one.Secret); err != nil || len(raw) != secretBytes {
		t.Errorf("a secret of %d bytes: %v", len(raw), err)
	}
	if id := one.AccessKey; len(id) != 20 || !strings.HasPrefix(id, AccessKeyPrefix) || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("access key id %q", id)
	}
}

// TestNothingPrintsSecrets prints keys, credentials and errors in every way there is.
func TestNothingPrintsSecrets(t *testing.T) {
	raw := []byte("0123456789abcdefghijklmnopqrstuv")
	k, err := NewKey(7, raw)
	if err != nil {
		t.Fatal(err)
	}
	made := mint(t, k, fullClaims())
	var out bytes.Buffer
	for _, v := range []any{k, *k, made, &made, []Credentials{made}, struct{ Key, Made any }{k, made}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	text, err := json.Marshal([]any{k, made, &made})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	_, errShort := NewKey(7, raw[:31])
	_, errPlace := k.Open("elsewhere", incarnation, made.Token)
	_, errForm := k.Open(cluster, incarnation, made.Token+"!")
	_, errKey := newKey(t, 9, 0).Open(cluster, incarnation, made.Token)
	fmt.Fprintln(&out, k.String(), made.String(), errShort, errPlace, errForm, errKey)
	if errShort == nil || errPlace == nil || errForm == nil || errKey == nil {
		t.Error("something opened")
	}
	for name, secret := range map[string]string{
		"secret": made.Secret, "token": made.Token[20:40], "key": string(raw), "key in hexadecimal": fmt.Sprintf("%x", raw),
		"subkey": fmt.Sprintf("%x", k.secrets), "subkey in decimal": strings.Trim(fmt.Sprintf("%d", k.secrets), "[]"),
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the %s is printed", name)
		}
	}
	if s := k.String() + made.String(); s != "session.Key(7)session.Credentials("+made.AccessKey+")" {
		t.Errorf("they are called %s", s)
	}
}

func TestNewKeyTakesOneLength(t *testing.T) {
	for _, n := range []int{0, 16, KeySize - 1, KeySize + 1} {
		if k, err := NewKey(1, make([]byte, n)); err == nil || k != nil {
			t.Errorf("%d bytes make a key", n)
		}
	}
	raw := make([]byte, KeySize)
	k, err := NewKey(3, raw)
	if err != nil || k.ID() != 3 {
		t.Fatal(k, err)
	}
	token := mint(t, k, plainClaims()).Token
	raw[0] = 1 // the key keeps none of it
	if _, err := k.Open(cluster, incarnation, token); err != nil {
		t.Error(err)
	}
}

// TestNoRandomBytes runs out of them.
func TestNoRandomBytes(t *testing.T) {
	k, c := newKey(t, 7, 0), plainClaims()
	for _, random := range []io.Reader{strings.NewReader(""), strings.NewReader("less than it needs")} {
		made, err := k.Mint(cluster, incarnation, c, random)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || made != (Credentials{}) || c.AccessKey != "" {
			t.Errorf("%v, %v, access key %q", made, err, c.AccessKey)
		}
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	k := newKey(t, 7, 0)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				c := fullClaims()
				c.Tags[0].Value = fmt.Sprint(i, n)
				made, err := k.Mint(cluster, incarnation, c, rand.Reader)
				if err != nil {
					t.Error(err)
					return
				}
				if opened, err := k.Open(cluster, incarnation, made.Token); err != nil || !reflect.DeepEqual(opened, c) {
					t.Errorf("opened %+v, %v; want %+v", opened, err, c)
				}
			}
		})
	}
	all.Wait()
}
