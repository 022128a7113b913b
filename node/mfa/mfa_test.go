package mfa

import (
	"bytes"
	"image/png"
	"math/rand/v2"
	"testing"
	"time"
)

// The seed and the codes are those of RFC 6238, appendix B, of which six digits are shown.
const rfcSeed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func TestCodesOfTheRFC(t *testing.T) {
	for _, test := range []struct {
		at   int64
		code string
	}{{59, "287082"}, {1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"}, {2000000000, "279037"}} {
		if got, err := Code(rfcSeed, time.Unix(test.at, 0)); err != nil || got != test.code {
			t.Errorf("at %d the code is %s: %v", test.at, got, err)
		}
	}
}

func TestFind(t *testing.T) {
	const at = 1_700_000_000 / 30
	code := func(step int64) string {
		c, err := Code(rfcSeed, time.Unix(step*30, 0))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, test := range map[string]struct {
		first, second string
		want          bool
	}{
		"in step":            {code(at - 1), code(at), true},
		"one is to come":     {code(at), code(at + 1), true},
		"slow":               {code(at - EnableWindow - 1), code(at - EnableWindow), true},
		"too slow":           {code(at - EnableWindow - 2), code(at - EnableWindow - 1), false},
		"fast":               {code(at + EnableWindow), code(at + EnableWindow + 1), true},
		"too fast":           {code(at + EnableWindow + 1), code(at + EnableWindow + 2), false},
		"the wrong way":      {code(at), code(at - 1), false},
		"one twice":          {code(at), code(at), false},
		"with one between":   {code(at - 2), code(at), false},
		"of another device":  {"000000", "000001", false},
		"what is no code":    {"abc", "", false},
		"only the first one": {code(at - 1), "000000", false},
	} {
		found, err := Find(rfcSeed, test.first, test.second, time.Unix(at*30+29, 0), EnableWindow)
		if err != nil || (found != 0) != test.want {
			t.Errorf("%s: found %d, %v", name, found, err)
		}
	}
}

func TestPictures(t *testing.T) {
	seed, err := NewSeed(rand.NewChaCha8([32]byte{1}))
	if err != nil || len(seed) != 64 {
		t.Fatalf("the seed %s: %v", seed, err)
	}
	const want = "otpauth://totp/Amazon%20Web%20Services:ada@123456789012?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Amazon%20Web%20Services"
	if got := URL("ada", "123456789012", rfcSeed); got != want {
		t.Errorf("the URL is\n%s, not\n%s", got, want)
	}
	b, err := Picture("ada", "123456789012", seed)
	if err != nil {
		t.Fatal(err)
	}
	if image, err := png.Decode(bytes.NewReader(b)); err != nil || image.Bounds().Dx() != picture {
		t.Errorf("the picture is %v: %v", image.Bounds(), err)
	}
}
