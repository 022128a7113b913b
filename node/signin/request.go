package signin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/mfa/passkey"
)

// How long sessions of those who sign in last.
const (
	DefaultLife = time.Hour
	MinLife     = 15 * time.Minute
	MaxLife     = 12 * time.Hour
	// MaxRootLife is MaxLife for roots.
	MaxRootLife = time.Hour
)

// Limits of a request to sign in.
const (
	// MaxBody is how many bytes it has.
	MaxBody = 12 << 10

	maxAccount  = 63  // as an alias
	maxUser     = 64  // characters
	maxPassword = 128 // characters
	maxSerial   = 256
)

var (
	code = regexp.MustCompile(`^[0-9]{6}$`)
	// character are those that a new password may have ("ChangePassword" in the IAM API Reference).
	characters = regexp.MustCompile(`^[\t\n\r -\x{ff}]+$`)
)

const hint = `Send {"account":"...","user":"...","password":"..."} or {"email":"...","password":"..."} as application/json, as /openapi.json describes.`

// Parse reads a request to sign in and checks what that alone can show. Errors are of type
// *fault.Fault, and quote nothing of it.
func Parse(contentType string, body []byte) (*shape.SignIn, error) {
	asked := new(shape.SignIn)
	if err := parse(contentType, body, MaxBody, asked, "request to sign in", hint); err != nil {
		return nil, err
	}
	if wrong := misfit(asked); wrong != "" {
		return nil, fault.BadRequest(hint, "%s", wrong)
	}
	if len(asked.Passkey) != 0 {
		if _, err := passkey.ParseAssertion(asked.Passkey); err != nil {
			return nil, fault.BadRequest(hint, "passkey: %v.", err)
		}
	}
	return asked, nil
}

// parse reads the one JSON value of a body of a stranger's, which has members that into has
// alone. what says what it is to be, and hint what to send.
func parse(contentType string, body []byte, most int, into any, what, hint string) error {
	// A page of somebody else's can have a browser send other types without asking this node
	// first: it must not use up the tries of whoever looks at it.
	if contentType != "application/json" {
		return fault.BadRequest(hint, "The request is not sent as application/json.")
	}
	if len(body) > most {
		return fault.New(fault.BodyTooLarge, fmt.Sprintf("The body is longer than %d bytes.", most), hint)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		return fault.BadRequest(hint, "The body is no %s.", what)
	}
	return nil
}

// misfit says what is wrong with a request; empty for nothing.
func misfit(asked *shape.SignIn) string {
	root := asked.Email != ""
	most := MaxLife
	if root {
		most = MaxRootLife
	}
	life := lifeOf(asked)
	switch {
	case root == (asked.User != "") || root == (asked.Account != ""):
		return "A sign-in names an account and a user, or the e-mail address of a root."
	case root && !identity.IsEmail(asked.Email):
		return "The e-mail address is none."
	case len(asked.Account) > maxAccount, utf8.RuneCountInString(asked.User) > maxUser, len(asked.MFASerial) > maxSerial:
		return "The account, the user or the serial number is longer than there are any."
	case asked.Password == "" || utf8.RuneCountInString(asked.Password) > maxPassword:
		return fmt.Sprintf("The password is missing, or longer than %d characters.", maxPassword)
	case asked.MFACode != "" && len(asked.Passkey) != 0:
		return "Both an MFA code and a passkey are given; one is enough."
	case asked.MFACode != "" && !code.MatchString(asked.MFACode):
		return "The MFA code is not six digits."
	case root && asked.NewPassword != "":
		return "The password of a root is not changed by signing in, but by POST /v1/accounts/{account}/root/password."
	case asked.NewPassword != "" && (utf8.RuneCountInString(asked.NewPassword) > maxPassword || !characters.MatchString(asked.NewPassword)):
		return fmt.Sprintf("The new password is longer than %d characters, or has some that no password may have.", maxPassword)
	case life < MinLife || life > most:
		return fmt.Sprintf("The session is to last less than %v or more than %v.", MinLife, most)
	}
	return ""
}

// lifeOf is how long the session is to last.
func lifeOf(asked *shape.SignIn) time.Duration {
	if asked.Duration == 0 {
		return DefaultLife
	}
	// More than a day is out of bounds, and must not come round to within them.
	return time.Duration(max(-1, min(asked.Duration, 24*60*60))) * time.Second
}
