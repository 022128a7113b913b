package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/mfa/passkey"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection"
)

// Refusals.
var (
	// ErrFailed is returned to whoever is not let in, whatever was wrong.
	ErrFailed = fault.New(fault.SignInFailed, "", "")
	// ErrTooOften is returned where too many sign-ins have failed, whoever it is.
	ErrTooOften = fault.New(fault.TooManySignIns, "", "")
	// ErrMustChange is returned to users who must change their password first.
	ErrMustChange = fault.New(fault.PasswordChangeRequired, "", "")
	// ErrExpired is returned to users whose password has expired, and who may not change it.
	ErrExpired = fault.New(fault.PasswordExpired, "", "")
)

// Config is what a Door is made of.
type Config struct {
	// Seal opens the hashes of passwords and the seeds of devices. A node without it signs
	// nobody in.
	Seal *seal.Key
	// Known hashes for users and roots in networks that they signed in from, Strangers for others.
	Known, Strangers *password.Hasher
	// Codes bound how often the codes of a device may be told wrong by who knows the password.
	Codes *mfa.Tries
	// Passkeys are what passkeys are bound to; nil where there are none.
	Passkeys *passkey.Party
}

// Door signs people in. Safe for concurrent use.
type Door struct {
	cfg    Config
	limits *limits
	// hash and seed are decoys, sealed, and key is the public key of no passkey.
	hash, seed, key []byte
}

// decoy stands for account, user and device in what decoys are sealed for.
const decoy = "decoy"

// New returns a door.
func New(cfg Config) *Door {
	d := &Door{cfg: cfg, limits: newLimits()}
	if cfg.Seal != nil {
		d.hash = must(cfg.Seal.Seal(seal.PasswordHash, seal.PasswordContext(decoy, decoy), []byte(must(cfg.Strangers.Decoy(rand.Reader)))))
		d.key = must(passkey.NewDecoyKey())
		d.seed = must(cfg.Seal.Seal(seal.MFASeed, seal.SeedContext(decoy, decoy), []byte(must(mfa.NewSeed(rand.Reader)))))
	}
	return d
}

// must is for decoys, which can always be made: crypto/rand ends the process instead of
// failing, and they are short.
func must[T any](made T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("make a decoy: %v", err))
	}
	return made
}

// subject is who a request to sign in names.
type subject struct {
	there   bool // and has a password
	kind    session.Kind
	account identity.AccountID
	id      identity.ID
	hash    []byte                 // sealed
	profile *identity.LoginProfile // of a user
}

// find finds whom a request names in a state. Of an account that is closed there is nobody.
func (d *Door) find(s *identity.State, asked *shape.SignIn) subject {
	nobody := subject{account: decoy, id: decoy, hash: d.hash}
	if asked.Email != "" {
		a, ok := s.AccountByEmail(asked.Email)
		if !ok || a.Closed != 0 || len(a.Password.Sealed) == 0 {
			return nobody
		}
		return subject{there: true, kind: session.SignedInRoot, account: a.ID, id: identity.ID(a.ID), hash: a.Password.Sealed}
	}
	a, ok := s.Account(identity.AccountID(asked.Account))
	if !ok {
		a, ok = s.AccountByAlias(asked.Account)
	}
	if !ok || a.Closed != 0 {
		return nobody
	}
	u, ok := s.User(a.ID, asked.User)
	if !ok {
		return nobody
	}
	p, ok := s.LoginProfile(u.ID)
	if !ok {
		return nobody
	}
	return subject{there: true, kind: session.SignedInUser, account: a.ID, id: u.ID, hash: p.Passwords[0], profile: p}
}

// Attempt is one request to sign in. One goroutine may use it.
type Attempt struct {
	// Passwords is what it has found out about passwords.
	Passwords password.Checker

	door    *Door
	asked   *shape.SignIn
	network string
	known   bool // whom it names has signed in from the network
	now     time.Time
	taken   []counted
}

// Begin begins an attempt from a network, as a part of a job. Whoever is named is looked up in
// a view. It takes the tries that the attempt counts against; the error is ErrTooOften.
func (d *Door) Begin(ctx context.Context, job *admission.Job, v *projection.View, asked *shape.SignIn, network string, now time.Time) (*Attempt, error) {
	if len(asked.Passkey) != 0 && d.cfg.Passkeys == nil {
		return nil, ErrNoPasskeys
	}
	a := &Attempt{door: d, asked: asked, network: network, now: now}
	l, of := d.limits, d.find(v.State, asked)
	if a.known = of.there && l.familiar.has(of.id, network); a.known {
		a.taken = []counted{{l.known, string(of.id) + " " + network}}
		d.cfg.Known.Begin(&a.Passwords, ctx, job, string(of.id), now)
	} else {
		account, user := casefold.Key(asked.Account), casefold.Key(asked.User)
		if asked.Email != "" {
			account, user = casefold.Key(asked.Email), "root"
		}
		user = account + " " + user
		a.taken = []counted{{l.networks, network}, {l.pairs, user + " " + network}, {l.users, user}, {l.accounts, account}}
		d.cfg.Strangers.Begin(&a.Passwords, ctx, job, network, now)
	}
	if err := take(a.taken, now); err != nil {
		return nil, ErrTooOften
	}
	return a, nil
}

// GiveBack gives back what the attempt took: it was no guess, or could not be looked at.
func (a *Attempt) GiveBack() {
	giveBack(a.taken, a.now)
	a.taken = nil
}

// Done says that whoever it is signed in.
func (a *Attempt) Done(p *Proof) {
	a.GiveBack()
	a.door.limits.familiar.note(p.ID, a.network)
}

// Proof is who somebody is who signs in, in a view.
type Proof struct {
	Kind    session.Kind
	Account identity.AccountID
	ID      identity.ID // a user's, or the account's number for its root
	// Code uses up the code that was shown, or the challenge that a passkey answered; nil
	// without MFA devices.
	Code identity.Command
	// MustChange says that the user has to change the password first.
	MustChange bool
	// Expires is when the password must be changed; 0 for never.
	Expires identity.Time
}

// In finds out whether the attempt is right in a view. Errors are ErrFailed, ErrExpired, which
// is told to those alone who are right, and others where that could not be found out: then the
// attempt has given back what it took.
func (a *Attempt) In(v *projection.View) (*Proof, error) {
	p, err := a.prove(v.State)
	if err != nil && !errors.Is(err, ErrFailed) {
		a.GiveBack()
	}
	return p, err
}

func (a *Attempt) prove(s *identity.State) (*Proof, error) {
	of := a.door.find(s, a.asked)
	hash, err := a.door.cfg.Seal.Open(seal.PasswordHash, seal.PasswordContext(string(of.account), string(of.id)), of.hash)
	if err != nil {
		return nil, fmt.Errorf("password of %s: %w", of.id, err)
	}
	right, err := a.Passwords.Matches(string(hash), a.asked.Password)
	if err != nil {
		return nil, err
	}
	used, shown, err := a.factor(s, &of, right && of.there)
	switch {
	case err != nil:
		return nil, err
	case !right, !of.there, !shown:
		return nil, ErrFailed
	}
	p := &Proof{Kind: of.kind, Account: of.account, ID: of.id, Code: used}
	if of.profile == nil {
		return p, nil
	}
	under, _ := s.PasswordPolicy(of.account)
	p.Expires = of.profile.Expires(under)
	expired := of.profile.Expired(under, identity.Time(a.now.UnixMilli()))
	if expired && under.HardExpiry {
		return nil, ErrExpired
	}
	p.MustChange = expired || of.profile.Reset
	return p, nil
}

// shown tells whether a code is shown where one must be, which the returned command uses up.
// A code is looked for whatever is right, and a try at the device taken of those alone who know
// the password. Those from networks that the user signed in from have tries of their own.
func (a *Attempt) shown(s *identity.State, of *subject, right bool) (used identity.Command, shown bool, err error) {
	devices := s.MFADevicesOf(of.id)
	d := &identity.MFADevice{ID: decoy, Account: decoy, Sealed: a.door.seed}
	for _, one := range devices {
		if of.there && a.asked.MFACode != "" && (a.asked.MFASerial == string(one.ID) || a.asked.MFASerial == "" && len(devices) == 1) {
			d = one
		}
	}
	seed, err := a.door.cfg.Seal.Open(seal.MFASeed, seal.SeedContext(string(d.Account), string(d.ID)), d.Sealed)
	if err != nil {
		return nil, false, fmt.Errorf("seed of device %s: %w", d.ID, err)
	}
	step, err := mfa.FindOne(string(seed), a.asked.MFACode, a.now, mfa.DriftWindow)
	if err != nil {
		return nil, false, err
	}
	if !right || d.ID == decoy {
		return nil, right && s.CountMFA(of.id) == 0, nil
	}
	guesser := a.guesser(of)
	if a.door.cfg.Codes.Take(guesser, string(d.ID), a.now) != nil || step == 0 || step <= d.Used {
		return nil, false, nil
	}
	a.door.cfg.Codes.Return(guesser, string(d.ID), a.now)
	return &identity.UseMFACode{Account: of.account, Owner: of.id, ID: d.ID, Codes: identity.Codes{Made: d.Made, Step: step}}, true, nil
}

// Claims are those of the session that a proof in the view of a position is worth.
func (a *Attempt) Claims(p *Proof, at uint64) *session.Claims {
	issued := a.now.UTC().Truncate(time.Second)
	c := &session.Claims{Kind: p.Kind, Account: string(p.Account), Principal: string(p.ID), Issued: issued, Expires: issued.Add(lifeOf(a.asked)), Position: at}
	if p.Code != nil {
		c.MFA = issued
	}
	return c
}
