package signin

import (
	"bytes"
	"time"
	"unicode/utf8"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/mfa/enrol"
	"github.com/writ-iam/writ/node/mfa/passkey"
	"github.com/writ-iam/writ/projection"
)

// ErrNoPasskeys is returned where passkeys are not set up.
var ErrNoPasskeys = fault.New(fault.PasskeysOff, "", "")

// MaxChallengeBody is how many bytes a request for a challenge has.
const MaxChallengeBody = 1 << 10

const hintChallenge = `Send {"account":"...","user":"..."} or {"email":"..."} as application/json, as /openapi.json describes.`

// ParseChallenge reads a request for a challenge, as Parse does one to sign in.
func ParseChallenge(contentType string, body []byte) (*shape.SignInChallengeFor, error) {
	asked := new(shape.SignInChallengeFor)
	if err := parse(contentType, body, MaxChallengeBody, asked, "request for a challenge", hintChallenge); err != nil {
		return nil, err
	}
	root := asked.Email != ""
	switch {
	case root == (asked.User != "") || root == (asked.Account != ""):
		return nil, fault.BadRequest(hintChallenge, "A challenge is for an account and a user, or the e-mail address of a root.")
	case root && !identity.IsEmail(asked.Email):
		return nil, fault.BadRequest(hintChallenge, "The e-mail address is none.")
	case len(asked.Account) > maxAccount, utf8.RuneCountInString(asked.User) > maxUser:
		return nil, fault.BadRequest(hintChallenge, "The account or the user is longer than there are any.")
	}
	return asked, nil
}

// Challenge makes a challenge for whoever is about to sign in with a passkey, as a view shows
// it. Who has none, is not there or has no password gets one, too, and is told of passkeys
// that nobody has, the same each time. The error is ErrNoPasskeys, or says why the node cannot.
func (d *Door) Challenge(v *projection.View, asked *shape.SignInChallengeFor, now time.Time) (*shape.SignInChallenge, error) {
	party := d.cfg.Passkeys
	if party == nil {
		return nil, ErrNoPasskeys
	}
	named := nameOf(v.State, asked)
	of := d.find(v.State, &shape.SignIn{Account: asked.Account, User: asked.User, Email: asked.Email})
	bound, used := passkey.For{Ceremony: passkey.Get, Account: decoy, Owner: "nobody " + named}, identity.Time(0)
	id, transports := party.Decoy(named)
	allow := []shape.PasskeyCredential{enrol.DescribeOne(id, transports)}
	if of.there {
		bound.Account, bound.Owner = string(of.account), string(of.id)
		if has, ok := v.State.Passkeys(of.id); ok {
			used = has.Used
			if len(has.List) > 0 {
				allow = enrol.Describe(has.List)
			}
		}
	}
	text, err := party.Challenge(bound, now.UnixMilli(), int64(used))
	if err != nil {
		return nil, err
	}
	return &shape.SignInChallenge{PublicKey: shape.PasskeyRequestOptions{
		Challenge: text, Timeout: int(passkey.Life.Milliseconds()), RPID: party.ID(), Allow: allow, UserVerification: passkey.UserVerification,
	}}, nil
}

// nameOf is one text for whoever a request names, however it does: nobody is to tell by the
// alias and the number of an account who is there.
func nameOf(s *identity.State, asked *shape.SignInChallengeFor) string {
	if asked.Email != "" {
		return "root " + casefold.Key(asked.Email)
	}
	account := casefold.Key(asked.Account)
	if a, ok := s.AccountByAlias(asked.Account); ok {
		account = string(a.ID)
	}
	return account + " " + casefold.Key(asked.User)
}

// factor tells whether a code or a passkey is shown where one must be, which the returned
// command uses up.
func (a *Attempt) factor(s *identity.State, of *subject, right bool) (used identity.Command, shown bool, err error) {
	if len(a.asked.Passkey) == 0 {
		return a.shown(s, of, right)
	}
	said, err := passkey.ParseAssertion(a.asked.Passkey)
	if err != nil { // Parse took it
		return nil, false, nil
	}
	used, shown = a.asserted(s, of, right, said)
	return used, shown, nil
}

// asserted is shown for a passkey. A signature is verified whatever is right, by a key that
// nobody has where there is none, and tries are taken as for codes.
func (a *Attempt) asserted(s *identity.State, of *subject, right bool, said *passkey.Assertion) (used identity.Command, shown bool) {
	found, last := &identity.Passkey{PublicKey: a.door.key}, identity.Time(0)
	if has, ok := s.Passkeys(of.id); ok && of.there {
		last = has.Used
		for i := range has.List {
			if bytes.Equal(has.List[i].Credential, said.Credential) {
				found = &has.List[i]
			}
		}
	}
	got, err := a.door.cfg.Passkeys.Asserted(said, passkey.For{Account: string(of.account), Owner: string(of.id)}, found.PublicKey, found.Eligible, a.now.UnixMilli())
	if !right || found.ID == "" {
		return nil, right && s.CountMFA(of.id) == 0
	}
	guesser := a.guesser(of)
	if a.door.cfg.Codes.Take(guesser, string(found.ID), a.now) != nil || err != nil || identity.Time(got.Challenged) <= last || !found.MayCount(got.Count) {
		return nil, false
	}
	a.door.cfg.Codes.Return(guesser, string(found.ID), a.now)
	return &identity.UsePasskey{Account: of.account, Owner: of.id, ID: found.ID, Challenged: identity.Time(got.Challenged), Count: got.Count, BackedUp: got.BackedUp}, true
}

// guesser is under which name tries at a subject's devices are counted: those from networks
// that it signed in from have some of their own.
func (a *Attempt) guesser(of *subject) string {
	if a.known != "" {
		return "known to " + string(of.id)
	}
	return "strangers to " + string(of.id)
}
