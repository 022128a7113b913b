package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"
)

// Tokens that must open forever, of key 7 of bytes 0 to 31. Never change one: those of a
// cluster that is being upgraded look the same.
const (
	goldenAccessKey = "ASIAAAAQEAYEAUDAOCAJ"
	goldenSecret    = "MfOM0BZ7aKFFBW/eNKTHe0CISiRb2VMhe1KdPGbr"
	goldenPlain     = "AQAAAAcKCwwNDg8QERITFBWfxGbYQP9S7Wf95c24s4YmxWXv8v5cjnTofebaxl8V64ZRDTWkwPpdYUvbT3ilmZZa-h3A1R92RN2L01dPrL0wj9J2MNtFSCBQTfqILWr1OY5nNBtUD3PCGVC-wlWQxMz_0EzMdNR3gBU"
	goldenFull      = "AQAAAAcKCwwNDg8QERITFBWfxGXYQP9S7Wf95c24s4YmxWXv8v5cjnTofebaxl8V64ZRDTWkwPpdYUvbT3ilmZZa-h3A1R9nJbH28XlGiPcJqfhLH8BwYhUnYdiqUjo9sSrDU-ZyNaXUKqa0DDry-RgXfQsMSDHtuS3kzu4-r12FpXSY_Rv_qg5eV10OeYhwA6XYhZwFAmuk6ox9amGqUx6eVvNiIx6Pkw88NB8UdjrGo1WFv4ZiMyoBcQBSFxqORnZhtKVUJCpjedyNeCZuhUUY6VF3Ku7ifaABWsv9zUw-5nHVsx8BoPwMm_O7pd9ijna4DQFrfC_oC-4u0WCc4MbK1ber2jng5pAvBs1WBXItCp8sMz4hqm7igUgn3g"
)

// goldenChain is of plain claims that say where their chain began.
const goldenChain = "AQAAAAcKCwwNDg8QERITFBWdxGbYQP9S7Wf95c24s4YmxWXv8v5cjnTofebaxl8V64ZRDTWkwPpdYUvbT3ilmZZa-h3A1R92RN2L01dPrL0wj9J2MNtFSCBQTfqILWr1OY5nNBtUD3PCFaCwCjTy9x4TewJREEDP3RnXk8AckWm9v0u5iz_Kmy9rCwk0W6xUTqW09vRscWnEnuQMFiWnXWZwuzXkf09NIC6ub7vTLBSH_txk-SDg"

func goldenChainClaims() *Claims {
	c := plainClaims()
	c.Origin = chainClaims().Origin
	return c
}

// counted are bytes that count up.
func counted() *bytes.Reader {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return bytes.NewReader(b)
}

func TestGolden(t *testing.T) {
	k := newKey(t, 7, 0)
	for token, want := range map[string]*Claims{goldenPlain: plainClaims(), goldenFull: fullClaims()} {
		want.AccessKey = goldenAccessKey
		if want.Origin != (Origin{}) {
			t.Error("tokens of before do not say where a chain began")
		}
		if c, err := k.Open(cluster, incarnation, token); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%s opens as %+v, %v; want %+v", token, c, err, want)
		}
	}
	// What is compressed may come out otherwise by another version of Go.
	made, err := k.Mint(cluster, incarnation, plainClaims(), counted())
	if err != nil || made != (Credentials{goldenAccessKey, goldenSecret, goldenPlain}) {
		t.Errorf("minted %q, %q, %q, %v", made.AccessKey, made.Secret, made.Token, err)
	}
	chain := goldenChainClaims()
	made, err = k.Mint(cluster, incarnation, chain, counted())
	if err != nil || made != (Credentials{goldenAccessKey, goldenSecret, goldenChain}) {
		t.Errorf("minted %q, %v", made.Token, err)
	}
	if c, err := k.Open(cluster, incarnation, goldenChain); err != nil || !reflect.DeepEqual(c, chain) {
		t.Errorf("it opens as %+v, %v; want %+v", c, err, chain)
	}
	full, err := k.Mint(cluster, incarnation, fullClaims(), counted())
	again, errAgain := k.Mint(cluster, incarnation, fullClaims(), counted())
	if err != nil || errAgain != nil || full != again {
		t.Errorf("minted %q and %q, %v, %v", full.Token, again.Token, err, errAgain)
	}
}

// TestDictionary holds the bytes of the dictionary, which are part of every token that is
// compressed.
func TestDictionary(t *testing.T) {
	if sum := sha256.Sum256([]byte(dictionary)); len(dictionary) > 32<<10 || tokenText.EncodeToString(sum[:6]) != "xTPfHoYW" {
		t.Errorf("the dictionary has %d bytes, and the hash %s", len(dictionary), tokenText.EncodeToString(sum[:6]))
	}
}

func FuzzOpen(f *testing.F) {
	k := newKey(f, 7, 0)
	for _, c := range []*Claims{plainClaims(), fullClaims(), vouchedClaims(), chainClaims()} {
		plain, err := c.encode(make([]byte, idSize))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed(k, plain), plain)
	}
	f.Add(goldenPlain, []byte{versionPlain})
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, token string, plain []byte) {
		_, errKey := KeyOf(token)
		c, err := k.Open(cluster, incarnation, token)
		if (c == nil) == (err == nil) || err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrForged) || err == nil && errKey != nil {
			t.Errorf("opens as %+v, %v, %v", c, err, errKey)
		}
		// What the key did seal: it opens if Mint makes it, and not otherwise.
		c, err = k.Open(cluster, incarnation, sealed(k, plain))
		if err != nil {
			if c != nil || !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) {
				t.Errorf("opens as %+v, %v", c, err)
			}
			return
		}
		id, err := idText.DecodeString(c.AccessKey[len(AccessKeyPrefix):])
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.encode(id)
		if err != nil { // a stream may be shorter than those that this build makes
			return
		}
		if form, _ := c.pack(); form == formNone && !bytes.Equal(again, plain) {
			t.Errorf("%x is encoded as %x", plain, again)
		}
		if back, err := decode(string(again)); err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("%+v comes back as %+v, %v", c, back, err)
		}
	})
}

// TestAllocations bounds what the way of every request costs.
func TestAllocations(t *testing.T) {
	k := newKey(t, 7, 0)
	token := mint(t, k, plainClaims()).Token
	for name, tc := range map[string]struct {
		most float64
		run  func() error
	}{
		"KeyOf": {0, func() error { _, err := KeyOf(token); return err }},
		"Open":  {6, func() error { _, err := k.Open(cluster, incarnation, token); return err }},
	} {
		n := testing.AllocsPerRun(100, func() {
			if err := tc.run(); err != nil {
				t.Error(err)
			}
		})
		if n > tc.most {
			t.Errorf("%s allocates %v times, at most %v are expected", name, n, tc.most)
		}
	}
}

// BenchmarkOpen opens tokens without and with policies and tags, beside the bare work of the
// cipher and of making the secret.
func BenchmarkOpen(b *testing.B) {
	k := newKey(b, 7, 0)
	b.Run("bare", func(b *testing.B) {
		aead, nonce := bare(b)
		text := aead.Seal(nil, nonce, make([]byte, 150), nil)
		out := make([]byte, 0, 150)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := aead.Open(out, nonce, text, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, c := range map[string]*Claims{"plain": plainClaims(), "full": fullClaims()} {
		b.Run(name, func(b *testing.B) {
			token := mint(b, k, c).Token
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Open(cluster, incarnation, token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("secret", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k.Secret(goldenAccessKey)
		}
	})
}

// BenchmarkMint is BenchmarkOpen for making tokens.
func BenchmarkMint(b *testing.B) {
	k := newKey(b, 7, 0)
	b.Run("bare", func(b *testing.B) {
		aead, nonce := bare(b)
		plain, out := make([]byte, 150), make([]byte, 0, 200)
		key := make([]byte, KeySize)
		b.ReportAllocs()
		for b.Loop() {
			aead.Seal(out, nonce, plain, nil)
			h := hmac.New(sha256.New, key)
			h.Write(plain[:20])
			h.Sum(out)
		}
	})
	for name, c := range map[string]*Claims{"plain": plainClaims(), "full": fullClaims()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Mint(cluster, incarnation, c, rand.Reader); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bare is a cipher as a key has it, with a nonce.
func bare(b *testing.B) (cipher.AEAD, []byte) {
	block, err := aes.NewCipher(make([]byte, KeySize))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	return aead, make([]byte, nonceSize)
}
