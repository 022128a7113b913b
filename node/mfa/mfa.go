// Package mfa makes the seeds of virtual MFA devices and checks the codes that they show:
// one-time codes by time (RFC 6238) of six digits over SHA-1, a new one every thirty
// seconds, as AWS's virtual devices and common authenticator apps have them.
package mfa

import (
	"bytes"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net/url"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// ErrPicture is returned for a device whose name is too long for a QR code. It says no more:
// what the library says of a code that it cannot draw quotes the seed.
var ErrPicture = errors.New("the QR code of a device cannot be drawn")

const (
	// issuer is what authenticator apps call AWS's devices.
	issuer = "Amazon Web Services"
	// seedBytes makes 64 characters of base32.
	seedBytes = 40
	// picture is the width and height of a QR code, in pixels.
	picture = 256
	// maxURL is how many bytes the largest QR code of its level of correction (M) has.
	maxURL = 2331
)

// Step is how long a device shows one code.
const Step = 30 * time.Second

// How far a device's clock may be off, in steps: when it is enabled, and when it is
// synchronized anew, which is for devices that are off.
const (
	EnableWindow = 4
	ResyncWindow = 120
)

// NewSeed makes a seed, as text in base32.
func NewSeed(random io.Reader) (string, error) {
	b := make([]byte, seedBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("read a seed: %w", err)
	}
	return base32.StdEncoding.EncodeToString(b), nil
}

// URL is what the QR code of a device says.
func URL(name, account, seed string) string {
	label := url.PathEscape(issuer) + ":" + url.PathEscape(name+"@"+account)
	return "otpauth://totp/" + label + "?secret=" + seed + "&issuer=" + url.PathEscape(issuer)
}

// MayDraw returns ErrPicture for a name whose picture Picture cannot draw, whatever the
// seed. It costs next to nothing, where a picture costs ten milliseconds and more: a device
// is to be made only if it can be told.
func MayDraw(name, account string) error {
	if len(URL(name, account, ""))+base32.StdEncoding.EncodedLen(seedBytes) > maxURL {
		return ErrPicture
	}
	return nil
}

// Picture is the QR code of a device, as PNG. It fails for the names for which MayDraw does,
// with the same error.
func Picture(name, account, seed string) ([]byte, error) {
	if err := MayDraw(name, account); err != nil {
		return nil, err
	}
	key, err := otp.NewKeyFromURL(URL(name, account, seed))
	if err != nil {
		return nil, ErrPicture
	}
	image, err := key.Image(picture, picture)
	if err != nil {
		return nil, ErrPicture
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image); err != nil {
		return nil, ErrPicture
	}
	return b.Bytes(), nil
}

// Code is what a device shows at a time, which is that of its own clock.
func Code(seed string, at time.Time) (string, error) { return code(seed, stepOf(at)) }

func code(seed string, step uint64) (string, error) {
	c, err := hotp.GenerateCodeCustom(seed, step, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	return c, nil
}

func stepOf(at time.Time) uint64 { return uint64(at.Unix()) / uint64(Step/time.Second) }

// Find returns the time step at which a device shows the second of two consecutive codes,
// within so many steps of now; zero if there is none. It looks at all of them, so that
// how long it takes says nothing.
func Find(seed, first, second string, now time.Time, window uint64) (found uint64, err error) {
	current := stepOf(now)
	before, err := code(seed, current-window-1)
	if err != nil {
		return 0, err
	}
	for at := current - window; at <= current+window+1; at++ {
		shown, err := code(seed, at)
		if err != nil {
			return 0, err
		}
		if same(before, first)&same(shown, second) == 1 {
			found = at
		}
		before = shown
	}
	return found, nil
}

// DriftWindow is how far a device's clock may be off when it shows one code, in steps.
const DriftWindow = 1

// FindOne returns the latest time step at which a device shows a code, within so many steps
// of now; zero if there is none. It looks at all of them, as Find does.
func FindOne(seed, shown string, now time.Time, window uint64) (found uint64, err error) {
	current := stepOf(now)
	for at := current - window; at <= current+window; at++ {
		c, err := code(seed, at)
		if err != nil {
			return 0, err
		}
		if same(c, shown) == 1 {
			found = at
		}
	}
	return found, nil
}

func same(a, b string) int { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) }
