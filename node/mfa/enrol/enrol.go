// Package enrol gives users and roots passkeys: it says what a browser is asked for, and
// makes the command of what came back.
package enrol

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/mfa/passkey"
)

// Limits of requests.
const (
	// MaxBody is how many bytes a request has.
	MaxBody = 24 << 10
	maxUser = 64 // characters

	suffixSize = 16 // of a serial number, in bytes
)

// partyName is what authenticators may show beside the domain.
const partyName = "Writ"

// name is the grammar of what a passkey is called, as of names in IAM.
var name = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`)

// Owner is for whom a passkey is made, and who asks for it.
type Owner struct {
	Account identity.AccountID
	ID      identity.ID // a user's, or the account's number for its root
	Name    string      // of the user; empty for the root
	Caller  string      // aws:userid
}

func (o *Owner) challenged() passkey.For {
	return passkey.For{Ceremony: passkey.Create, Account: string(o.Account), Owner: string(o.ID), Caller: o.Caller}
}

const (
	hintOwner   = `Send {"user":"..."}, or {} for the caller itself, as /openapi.json describes.`
	hintPasskey = `Send {"user":"...","name":"...","credential":{...}}, as /openapi.json describes.`
)

// ParseOwner reads for whom a challenge is asked for. Errors are of type *fault.Fault, as are
// those of ParsePasskey.
func ParseOwner(body []byte) (*shape.PasskeyOwner, error) {
	asked := new(shape.PasskeyOwner)
	if err := decode(body, asked, "owner of a passkey", hintOwner); err != nil {
		return nil, err
	}
	return asked, checkUser(asked.User, hintOwner)
}

// ParsePasskey reads a passkey that is to be registered, but for its credential.
func ParsePasskey(body []byte) (*shape.PasskeyToRegister, error) {
	asked := new(shape.PasskeyToRegister)
	if err := decode(body, asked, "passkey", hintPasskey); err != nil {
		return nil, err
	}
	if !name.MatchString(asked.Name) {
		return nil, fault.BadRequest("Give up to 64 letters, digits and characters of _+=,.@-.", "No passkey can be called %.80q.", asked.Name)
	}
	return asked, checkUser(asked.User, hintPasskey)
}

func checkUser(user, hint string) error {
	if utf8.RuneCountInString(user) > maxUser {
		return fault.BadRequest(hint, "The user's name is longer than any is.")
	}
	return nil
}

// decode reads the one JSON value of a body, which has members that into has alone.
func decode(body []byte, into any, what, hint string) error {
	if len(body) > MaxBody {
		return fault.New(fault.BodyTooLarge, fmt.Sprintf("The body is longer than %d bytes.", MaxBody), hint)
	}
	return fault.DecodeBody(body, into, what, hint)
}

// Options are what a browser makes a passkey by, for an owner who has some already.
func Options(party *passkey.Party, o *Owner, s *identity.State, now time.Time) (*shape.PasskeyCreation, error) {
	if party == nil {
		return nil, fault.New(fault.PasskeysOff, "", "")
	}
	var used identity.Time
	if has, ok := s.Passkeys(o.ID); ok {
		used = has.Used
	}
	challenge, err := party.Challenge(o.challenged(), now.UnixMilli(), int64(used))
	if err != nil {
		return nil, err
	}
	called := o.Name
	if called == "" {
		called = "root of " + string(o.Account)
	}
	options := shape.PasskeyCreationOptions{
		RP:        shape.PasskeyParty{ID: party.ID(), Name: partyName},
		User:      shape.PasskeyUser{ID: base64.RawURLEncoding.EncodeToString(passkey.Handle(string(o.Account), string(o.ID))), Name: called, DisplayName: called},
		Challenge: challenge, Timeout: int(passkey.Life.Milliseconds()), Exclude: Describe(s.PasskeysOf(o.ID)),
		Selection:   shape.PasskeySelection{ResidentKey: "preferred", UserVerification: passkey.UserVerification},
		Attestation: "none",
	}
	for _, algorithm := range passkey.Algorithms {
		options.Algorithms = append(options.Algorithms, shape.PasskeyAlgorithm{Type: credentialType, Algorithm: algorithm})
	}
	return &shape.PasskeyCreation{PublicKey: options}, nil
}

// credentialType is the type of all credentials that WebAuthn knows.
const credentialType = "public-key"

// Describe names passkeys to a browser.
func Describe(list []identity.Passkey) []shape.PasskeyCredential {
	told := make([]shape.PasskeyCredential, 0, len(list))
	for i := range list {
		told = append(told, DescribeOne(list[i].Credential, list[i].Transports))
	}
	return told
}

// DescribeOne names one credential to a browser.
func DescribeOne(credential []byte, transports []string) shape.PasskeyCredential {
	return shape.PasskeyCredential{Type: credentialType, ID: base64.RawURLEncoding.EncodeToString(credential), Transports: transports}
}

// Command is the command that registers a passkey which a browser made for an owner. It draws
// the serial number. Errors are of type *fault.Fault.
func Command(party *passkey.Party, o *Owner, asked *shape.PasskeyToRegister, now time.Time) (*identity.RegisterPasskey, error) {
	if party == nil {
		return nil, fault.New(fault.PasskeysOff, "", "")
	}
	made, err := party.Registered(asked.Credential, o.challenged(), now.UnixMilli())
	if err != nil {
		text := err.Error()
		return nil, fault.New(fault.PasskeyRejected, string(text[0]-'a'+'A')+text[1:]+".", "")
	}
	suffix := make([]byte, suffixSize)
	rand.Read(suffix) // never fails: crypto/rand ends the process instead
	return &identity.RegisterPasskey{
		Account: o.Account, User: o.Name, Owner: o.ID, Challenged: identity.Time(made.Challenged), Name: asked.Name,
		Suffix:     base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(suffix),
		Credential: made.Credential, PublicKey: made.PublicKey, AAGUID: made.AAGUID, Transports: made.Transports,
		Count: made.Count, Eligible: made.Eligible, BackedUp: made.BackedUp,
	}, nil
}
