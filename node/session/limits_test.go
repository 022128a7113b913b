package session

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// noise is text that does not compress: characters of two bytes, drawn from 1,024.
func noise(n int) string {
	raw := make([]byte, 2*n)
	rand.Read(raw)
	var b strings.Builder
	for i := range n {
		b.WriteRune(0x100 + rune(binary.BigEndian.Uint16(raw[2*i:]))%0x400)
	}
	return b.String()
}

// longest are claims of which each text is as long as it may be, besides policies and tags.
func longest() *Claims {
	c := &Claims{Kind: FederatedUser, Account: "999999999999", Issued: time.Unix(maxSeconds-1, 0), Expires: time.Unix(maxSeconds, 0),
		MFA: time.Unix(maxSeconds, 0), Depth: math.MaxUint8, Position: math.MaxUint64}
	for _, f := range c.fields() {
		if *f.text == "" {
			*f.text = strings.Repeat("x", f.limit)
		}
	}
	return c
}

// TestRoom fills the room for policies and tags of the longest claims to the last byte.
func TestRoom(t *testing.T) {
	k, c := newKey(t, math.MaxUint32, 0), longest()
	if plain, err := c.encode(make([]byte, idSize)); err != nil || len(plain) > maxFixed || len(plain) < maxFixed-20 {
		t.Errorf("the longest claims have %d bytes, %v; they are said to have %d", len(plain), err, maxFixed)
	}
	if size := c.PackedSize(); size != 0 {
		t.Errorf("no policies and tags take %d%%", size)
	}
	for i := 0; ; i++ {
		c.Tags = append(c.Tags, Tag{Key: fmt.Sprint(i)})
		tag := &c.Tags[i]
		for len(tag.Value) < 2*MaxTagValue {
			_, packed := c.pack()
			step := 1 // where it matters
			if len(packed) < MaxPacked-200 {
				step = 64
			}
			tag.Value += noise(step)
			_, packed = c.pack()
			size := c.PackedSize()
			made, err := k.Mint(cluster, incarnation, c, rand.Reader)
			if size <= 0 || (size > 100) != (len(packed) > MaxPacked) || (size > 100) != errors.Is(err, ErrTooLarge) {
				t.Fatalf("%d bytes, %d%%: %v", len(packed), size, err)
			}
			if err != nil {
				if len(c.Tags) < 3 {
					t.Errorf("there is room for %d tags", len(c.Tags))
				}
				return
			}
			if len(made.Token) > MaxToken {
				t.Fatalf("a token of %d characters", len(made.Token))
			}
			if _, err := k.Open(cluster, incarnation, made.Token); err != nil {
				t.Fatalf("token of %d characters: %v", len(made.Token), err)
			}
		}
	}
}

func TestPercent(t *testing.T) {
	last := -1
	for size := range 3 * MaxPacked {
		p := percent(size)
		if p < last || (p == 0) != (size == 0) || (p > 100) != (size > MaxPacked) {
			t.Errorf("%d bytes are %d%%, those before %d%%", size, p, last)
		}
		last = p
	}
}

// TestCommonPoliciesFit packs what people may well write.
func TestCommonPoliciesFit(t *testing.T) {
	c := plainClaims()
	c.Policy = somePolicy
	if size := c.PackedSize(); size == 0 || size > 4 {
		t.Errorf("a small policy takes %d%%", size)
	}
	c.Policy = `{"Version":"2012-10-17","Statement":[`
	for i := 0; ; i++ {
		s := fmt.Sprintf(`{"Sid":"S%d","Effect":"Allow","Action":["dynamodb:GetItem","s3:PutObject"],"Resource":"arn:aws:s3:::bucket-%d/*"},`, i, i*7919)
		if len(c.Policy)+len(s)+2 > MaxPolicy {
			break
		}
		c.Policy += s
	}
	c.Policy = strings.TrimSuffix(c.Policy, ",") + "]}"
	for i := range MaxManaged {
		c.Managed = append(c.Managed, fmt.Sprintf("arn:aws:iam::123456789012:policy/team-%d/policy-%d", i, i))
	}
	for i := range MaxTags {
		c.Tags = append(c.Tags, Tag{fmt.Sprintf("Key%d", i), fmt.Sprintf("value-%d", i)})
		c.Transitive = append(c.Transitive, c.Tags[i].Key)
	}
	if size := c.PackedSize(); size > 100 {
		t.Errorf("a policy of %d characters, %d managed ones and %d tags take %d%%", len(c.Policy), len(c.Managed), len(c.Tags), size)
	}
	mint(t, newKey(t, 7, 0), c)
}

// TestLimits mints claims at each limit, and beyond.
func TestLimits(t *testing.T) {
	k := newKey(t, 7, 0)
	numbered := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint(i))
		}
		return list
	}
	for name, tc := range map[string]struct {
		limit int
		set   func(c *Claims, n int)
	}{
		"principal":       {MaxPrincipal, func(c *Claims, n int) { c.Principal = strings.Repeat("x", n) }},
		"name":            {MaxName, func(c *Claims, n int) { c.Name = strings.Repeat("x", n) }},
		"source identity": {MaxSourceIdentity, func(c *Claims, n int) { c.SourceIdentity = strings.Repeat("x", n) }},
		"provider":        {MaxProvider, func(c *Claims, n int) { c.Provider = strings.Repeat("x", n) }},
		"subject":         {MaxSubject, func(c *Claims, n int) { c.Subject = strings.Repeat("x", n) }},
		"parent":          {MaxParent, func(c *Claims, n int) { c.Parent = strings.Repeat("x", n) }},
		"policy":          {MaxPolicy, func(c *Claims, n int) { c.Policy = strings.Repeat("ü", n) }},
		"managed":         {MaxManaged, func(c *Claims, n int) { c.Managed = numbered(n) }},
		"ARN":             {MaxARN, func(c *Claims, n int) { c.Managed = []string{strings.Repeat("ü", n)} }},
		"transitive":      {MaxTags, func(c *Claims, n int) { c.Transitive = numbered(n) }},
		"transitive key":  {MaxTagKey, func(c *Claims, n int) { c.Transitive = []string{strings.Repeat("ü", n)} }},
		"key of a tag":    {MaxTagKey, func(c *Claims, n int) { c.Tags = []Tag{{Key: strings.Repeat("ü", n)}} }},
		"value of a tag":  {MaxTagValue, func(c *Claims, n int) { c.Tags = []Tag{{"k", strings.Repeat("ü", n)}} }},
		"tags": {MaxTags, func(c *Claims, n int) {
			for _, key := range numbered(n) {
				c.Tags = append(c.Tags, Tag{Key: key})
			}
		}},
	} {
		c := plainClaims()
		tc.set(c, tc.limit)
		if _, err := k.Open(cluster, incarnation, mint(t, k, c).Token); err != nil {
			t.Errorf("%s at its limit: %v", name, err)
		}
		c = plainClaims()
		tc.set(c, tc.limit+1)
		if _, err := k.Mint(cluster, incarnation, c, rand.Reader); !errors.Is(err, ErrTooLarge) || c.AccessKey != "" {
			t.Errorf("%s beyond its limit: %v", name, err)
		}
	}
}

func TestInvalidClaims(t *testing.T) {
	k := newKey(t, 7, 0)
	for name, set := range map[string]func(*Claims){
		"no kind":                     func(c *Claims) { c.Kind = 0 },
		"unknown kind":                func(c *Claims) { c.Kind = lastKind + 1 },
		"short account":               func(c *Claims) { c.Account = "12345678901" },
		"account of letters":          func(c *Claims) { c.Account = "12345678901a" },
		"no principal":                func(c *Claims) { c.Principal = "" },
		"never issued":                func(c *Claims) { c.Issued = time.Time{} },
		"issued within a second":      func(c *Claims) { c.Issued = c.Issued.Add(time.Millisecond) },
		"expires within a second":     func(c *Claims) { c.Expires = c.Expires.Add(time.Nanosecond) },
		"expires at once":             func(c *Claims) { c.Expires = c.Issued },
		"expires before":              func(c *Claims) { c.Expires = c.Issued.Add(-time.Second) },
		"expires too late":            func(c *Claims) { c.Expires = time.Unix(maxSeconds+1, 0) },
		"second factor in a second":   func(c *Claims) { c.MFA = c.Issued.Add(time.Millisecond) },
		"second factor before 1970":   func(c *Claims) { c.MFA = time.Unix(-1, 0) },
		"second factor at the epoch":  func(c *Claims) { c.MFA = time.Unix(0, 0) },
		"name no UTF-8":               func(c *Claims) { c.Name = "\xff" },
		"policy no UTF-8":             func(c *Claims) { c.Policy = "\xff" },
		"ARN no UTF-8":                func(c *Claims) { c.Managed = []string{"\xff"} },
		"value of a tag no UTF-8":     func(c *Claims) { c.Tags = []Tag{{"a", "\xff"}} },
		"managed policy twice":        func(c *Claims) { c.Managed = []string{"a", "b", "a"} },
		"empty managed policy":        func(c *Claims) { c.Managed = []string{""} },
		"tag twice":                   func(c *Claims) { c.Tags = []Tag{{"a", "1"}, {"b", "1"}, {"a", "2"}} },
		"tag without key":             func(c *Claims) { c.Tags = []Tag{{"", "1"}} },
		"transitive key twice":        func(c *Claims) { c.Transitive = []string{"a", "a"} },
		"transitive key that is none": func(c *Claims) { c.Transitive = []string{""} },
	} {
		c := fullClaims()
		set(c)
		if made, err := k.Mint(cluster, incarnation, c, rand.Reader); !errors.Is(err, ErrInvalid) || made != (Credentials{}) || c.AccessKey != "" {
			t.Errorf("%s: %v, %v", name, made, err)
		}
	}
}

// sealed is a token of what plain says, whatever it says.
func sealed(k *Key, plain []byte) string {
	b := binary.BigEndian.AppendUint32([]byte{format}, k.id)
	associated := bind(b, cluster, incarnation)
	nonce := make([]byte, nonceSize)
	return tokenText.EncodeToString(k.aead.Seal(append(b, nonce...), nonce, plain, associated))
}

// TestOneEncoding opens tokens that the key did seal, of what Mint never makes.
func TestOneEncoding(t *testing.T) {
	k := newKey(t, 7, 0)
	id := make([]byte, idSize)
	encode := func(set func(*Claims)) []byte {
		c := plainClaims()
		set(c)
		b, err := c.encode(id)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	plain := encode(func(*Claims) {})
	if _, err := k.Open(cluster, incarnation, sealed(k, plain)); err != nil {
		t.Fatalf("what Mint makes: %v", err)
	}
	with := func(form byte, packed ...byte) []byte { // instead of the form of none
		return append(append(bytes.Clone(plain[:len(plain)-1]), form), packed...)
	}
	policies := appendText(nil, strings.Repeat("a", 500))
	policies = append(policies, 0, 0, 0)
	short := deflate(policies)
	if _, err := k.Open(cluster, incarnation, sealed(k, with(formDeflate, short...))); err != nil {
		t.Fatalf("what Mint makes, compressed: %v", err)
	}
	if _, err := k.Open(cluster, incarnation, sealed(k, with(formPlain, 1, 'a', 0, 0, 0))); err != nil {
		t.Fatalf("what Mint makes, as it is: %v", err)
	}
	_, size := binary.Uvarint(short)
	stream := short[size:]
	lengthOf := func(n int) []byte { return append(binary.AppendUvarint(nil, uint64(n)), stream...) }
	bomb := deflate(make([]byte, 1<<20))
	longAccount := append(bytes.Clone(plain[:3+idSize]), 0x8c, 0x00) // 12 in two bytes
	longAccount = append(longAccount, plain[3+idSize+1:]...)
	for name, plain := range map[string][]byte{
		"nothing":                           {},
		"another version":                   append([]byte{versionKeys + 1}, plain[1:]...),
		"bytes left over":                   with(formNone, 0),
		"no form":                           plain[:len(plain)-1],
		"an unknown form":                   with(formDeflate+1, policies...),
		"policies and tags that are none":   with(formPlain, 0, 0, 0, 0),
		"plain that ends early":             with(formPlain, 1, 'a', 0, 0),
		"plain with bytes left over":        with(formPlain, 1, 'a', 0, 0, 0, 0),
		"more than there is room for":       with(formPlain, append(appendText(nil, strings.Repeat("a", MaxPacked)), 0, 0, 0)...),
		"more managed than bytes":           with(formPlain, 0, 9),
		"more tags than there may be":       with(formPlain, append([]byte{0, 0, MaxTags + 1}, make([]byte, 200)...)...),
		"compressed that is not shorter":    with(formDeflate, deflate([]byte{1, 'a', 0, 0, 0})...),
		"compressed with bytes left over":   with(formDeflate, append(bytes.Clone(short), 0)...),
		"compressed that ends early":        with(formDeflate, short[:len(short)-1]...),
		"compressed that is no stream":      with(formDeflate, 100, 0xff, 0xff),
		"compressed, said to be shorter":    with(formDeflate, lengthOf(len(policies)-1)...),
		"compressed, said to be longer":     with(formDeflate, lengthOf(len(policies)+1)...),
		"compressed beyond what it may be":  with(formDeflate, bomb...),
		"compressed, said to be within it":  with(formDeflate, append(binary.AppendUvarint(nil, maxUnpacked), bomb[3:]...)...),
		"a number longer than it must be":   longAccount,
		"a text longer than what is there":  append(bytes.Clone(plain[:3+idSize]), 0xff, 0x01),
		"a number of more than 64 bits":     append(bytes.Clone(plain[:3+idSize]), bytes.Repeat([]byte{0xff}, 20)...),
		"an unknown kind":                   encode(func(c *Claims) { c.Kind = lastKind + 1 }),
		"a name beyond its limit":           encode(func(c *Claims) { c.Name = strings.Repeat("x", MaxName+1) }),
		"a name that is not UTF-8":          encode(func(c *Claims) { c.Name = "\xff" }),
		"a session that ends as it begins":  encode(func(c *Claims) { c.Expires = c.Issued }),
		"a session that ends after 9999":    encode(func(c *Claims) { c.Expires = time.Unix(maxSeconds+1, 0) }),
		"a tag twice":                       encode(func(c *Claims) { c.Tags = []Tag{{"a", "1"}, {"a", "2"}} }),
		"a managed policy twice":            encode(func(c *Claims) { c.Managed = []string{"a", "a"} }),
		"a key twice":                       encode(func(c *Claims) { c.Keys = []Claim{{"a", []string{"1"}, false}, {"a", []string{"1"}, false}} }),
		"a key of nobody":                   encode(func(c *Claims) { c.Keys, c.Provider = []Claim{{"a", []string{"1"}, false}}, "" }),
		"a key without values":              encode(func(c *Claims) { c.Keys = []Claim{{"a", nil, true}} }),
		"a transitive key twice":            encode(func(c *Claims) { c.Transitive = []string{"a", "a"} }),
		"a policy beyond its limit, packed": encode(func(c *Claims) { c.Policy = strings.Repeat("a", MaxPolicy+1) }),
	} {
		if c, err := k.Open(cluster, incarnation, sealed(k, plain)); !errors.Is(err, ErrForged) || c != nil {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	for n := range plain {
		if c, err := k.Open(cluster, incarnation, sealed(k, plain[:n])); !errors.Is(err, ErrForged) {
			t.Errorf("%d bytes of it: %+v, %v", n, c, err)
		}
	}
}

// TestUnpackedBound says what the most is that claims within their limits unpack to.
func TestUnpackedBound(t *testing.T) {
	c := &Claims{Policy: strings.Repeat("\U0001f512", MaxPolicy)}
	wide := func(i, n int) string {
		return strings.Repeat(string(rune(0x10000+i)), n)
	}
	for i := range MaxManaged {
		c.Managed = append(c.Managed, wide(i, MaxARN))
	}
	for i := range MaxTags {
		c.Tags = append(c.Tags, Tag{wide(i, MaxTagKey), wide(i, MaxTagValue)})
		c.Transitive = append(c.Transitive, wide(i, MaxTagKey))
	}
	c.Provider = "p"
	for i := range MaxKeys {
		k := Claim{Name: wide(i, MaxKeyName), Many: true}
		for range MaxKeyValues {
			k.Values = append(k.Values, wide(i, MaxKeyValue))
		}
		c.Keys = append(c.Keys, k)
	}
	if err := c.checkPacked(); err != nil {
		t.Fatal(err)
	}
	form, packed := c.pack()
	n, _ := binary.Uvarint(packed)
	if form != formDeflate || n > maxUnpacked || n < maxUnpacked-100 {
		t.Errorf("they unpack to %d bytes; the bound is %d", n, maxUnpacked)
	}
	text, ok := inflate(string(packed))
	if !ok || len(text) != int(n) || !utf8.ValidString(c.Policy) {
		t.Errorf("%d bytes unpack: %v", len(text), ok)
	}
}

// longestChain is longest for a session that says where its chain began: no provider vouches for it.
func longestChain() *Claims {
	c := longest()
	c.Provider, c.Subject = "", ""
	c.Origin.Began = c.Issued
	for _, f := range c.Origin.fields() {
		*f.text = strings.Repeat("9", f.limit)
	}
	return c
}

// TestRoomOfChains has the beginning of a chain take no room from policies and tags.
func TestRoomOfChains(t *testing.T) {
	c := longestChain()
	plain, err := c.encode(make([]byte, idSize))
	if err != nil || len(plain) > maxFixed {
		t.Errorf("the longest claims of a chain have %d bytes, %v; there is room for %d", len(plain), err, maxFixed)
	}
	with, without := fullClaims(), chainClaims()
	if with.PackedSize() != without.PackedSize() {
		t.Errorf("policies and tags take %d%% with a chain, and %d%% without", with.PackedSize(), without.PackedSize())
	}
}

func TestInvalidChains(t *testing.T) {
	k := newKey(t, 7, 0)
	for name, tc := range map[string]struct {
		set  func(*Claims)
		want error
	}{
		"principal too long":     {func(c *Claims) { c.Origin.Principal = strings.Repeat("x", MaxPrincipal+1) }, ErrTooLarge},
		"key too long":           {func(c *Claims) { c.Origin.Key = strings.Repeat("x", MaxParent+1) }, ErrTooLarge},
		"account too long":       {func(c *Claims) { c.Origin.Account += "1" }, ErrTooLarge},
		"no account":             {func(c *Claims) { c.Origin.Account = "" }, ErrInvalid},
		"no principal":           {func(c *Claims) { c.Origin.Principal = "" }, ErrInvalid},
		"key no UTF-8":           {func(c *Claims) { c.Origin.Key = "\xff" }, ErrInvalid},
		"never begun":            {func(c *Claims) { c.Origin.Began = time.Time{} }, ErrInvalid},
		"begun within a second":  {func(c *Claims) { c.Origin.Began = c.Origin.Began.Add(1) }, ErrInvalid},
		"begun after the issue":  {func(c *Claims) { c.Origin.Began = c.Issued.Add(time.Second) }, ErrInvalid},
		"behind a provider":      {func(c *Claims) { c.Provider = "p" }, ErrInvalid},
		"behind a subject alone": {func(c *Claims) { c.Subject = "s" }, ErrInvalid},
	} {
		c := chainClaims()
		tc.set(c)
		if made, err := k.Mint(cluster, incarnation, c, rand.Reader); !errors.Is(err, tc.want) || made != (Credentials{}) {
			t.Errorf("%s: %v, %v", name, made, err)
		}
	}
	c := chainClaims()
	c.Origin.Key = ""
	if _, err := k.Open(cluster, incarnation, mint(t, k, c).Token); err != nil {
		t.Errorf("a chain that no key began: %v", err)
	}
}
