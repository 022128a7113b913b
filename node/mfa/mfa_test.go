package mfa

import (
	"bytes"
	"errors"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/admission"
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

// A picture is drawn to the last byte that there is room for; what goes beyond fails before
// it is tried, without the seed.
func TestPicturesOfLongNames(t *testing.T) {
	seed := strings.Repeat("S", 64)
	room := maxURL - len(URL("", "123456789012", seed))
	for _, name := range []string{strings.Repeat("a", room), strings.Repeat(",", room/3)} {
		if err := MayDraw(name, "123456789012"); err != nil {
			t.Errorf("%d bytes: %v", len(name), err)
		}
		if _, err := Picture(name, "123456789012", seed); err != nil {
			t.Errorf("%d bytes: %v", len(name), err)
		}
	}
	for _, name := range []string{strings.Repeat("a", room+1), strings.Repeat("a", 250_000)} {
		if err := MayDraw(name, "123456789012"); !errors.Is(err, ErrPicture) {
			t.Errorf("%d bytes: %v", len(name), err)
		}
		if _, err := Picture(name, "123456789012", seed); !errors.Is(err, ErrPicture) || strings.Contains(err.Error(), "SSS") {
			t.Errorf("%d bytes: %.300v", len(name), err)
		}
	}
}

// Each caller has its own tries at a device, and some at all devices together: nobody locks
// others out.
func TestTriesAreOfOneCaller(t *testing.T) {
	tries, now := NewTries(), time.Unix(1_700_000_000, 0)
	take := func(caller, device string, want error) {
		t.Helper()
		if err := tries.Take(caller, device, now); !errors.Is(err, want) {
			t.Errorf("%s takes one of %s: %v", caller, device, err)
		}
	}
	for range MaxWrong {
		take("mallory", "phone-0", nil)
	}
	take("mallory", "phone-0", admission.ErrTries)
	take("ada", "phone-0", nil)
	tries.Return("ada", "phone-0", now)
	for i := range MaxWrongOfAll - MaxWrong {
		take("mallory", "phone"+strings.Repeat("-", i), nil)
	}
	take("mallory", "tablet", admission.ErrTries)
	take("ada", "tablet", nil)
	now = now.Add(WrongTime)
	take("mallory", "phone-0", nil)
	var none *Tries
	if err := none.Take("ada", "phone", now); !errors.Is(err, admission.ErrTries) {
		t.Errorf("nobody's tries: %v", err)
	}
}
