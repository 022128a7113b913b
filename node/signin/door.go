package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
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
	// hash and seed are decoys, and key is the public key of no passkey.
	hash, seed, key []byte

	mu     sync.Mutex
	sealed decoys // guarded by mu
}

// decoys are decoys as they were sealed by a key.
type decoys struct {
	by         seal.ID
	hash, seed []byte
}

// decoys are those that the key sealed which seals now: another may be gone.
func (d *Door) decoys() decoys {
	d.mu.Lock()
	defer d.mu.Unlock()
	by := d.cfg.Seal.Sealing()
	if d.sealed.by == by {
		return d.sealed
	}
	hash, wrong := d.cfg.Seal.Seal(seal.PasswordHash, seal.PasswordContext(decoy, decoy), d.hash)
	seed, err := d.cfg.Seal.Seal(seal.MFASeed, seal.SeedContext(decoy, decoy), d.seed)
	if wrong == nil && err == nil { // else there is no key to open others by, either
		d.sealed = decoys{by, hash, seed}
	}
	return d.sealed
}

// decoy stands for account, user and device in what decoys are sealed for.
const decoy = "decoy"

// New returns a door.
func New(cfg Config) *Door {
	d := &Door{cfg: cfg, limits: newLimits()}
	if cfg.Seal != nil {
		d.hash = []byte(must(cfg.Strangers.Decoy(rand.Reader)))
		d.key = must(passkey.NewDecoyKey())
		d.seed = []byte(must(mfa.NewSeed(rand.Reader)))
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
	nobody := subject{account: decoy, id: decoy, hash: d.decoys().hash}
	if asked.Email != "" {
		a, ok := s.AccountByEmail(asked.Email)
		if !ok || a.Closed != 0 || len(a.Password.Sealed) == 0 {
			return nobody
		}
		return subject{there: true, kind: session.SignedInRoot, account: a.ID, id: identity.ID(a.ID), hash: a.Password.Sealed}
	}
	a, ok := accountOf(s, asked)
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

// accountOf is the account that a request names by its number or its alias.
func accountOf(s *identity.State, asked *shape.SignIn) (*identity.Account, bool) {
	a, ok := s.Account(identity.AccountID(asked.Account))
	if !ok {
		a, ok = s.AccountByAlias(asked.Account)
	}
	return a, ok
}

// Attempt is one request to sign in. One goroutine may use it.
type Attempt struct {
	// Passwords is what it has found out about passwords.
	Passwords password.Checker

	door    *Door
	ctx     context.Context
	job     *admission.Job
	asked   *shape.SignIn
	network string
	now     time.Time
	// known is whom it names, who has signed in from the network; empty for strangers.
	known identity.ID
	// own and shared are the tries that it took: as one of those who are known in the network,
	// and as a stranger.
	own, shared []counted
	// instead is what a stranger would be told in place of ErrFailed; nil for that.
	instead error
}

// Begin begins an attempt from a network, as a part of a job, and takes the tries that it
// counts against. Whoever is named is looked up in a view, which need not be the latest. The
// error is ErrTooOften.
//
// Whoever has signed in from the network before has tries of its own. A failure counts against
// those of strangers, too, and is answered as a stranger's: whoever else is in the network does
// not learn from it who signs in there.
func (d *Door) Begin(ctx context.Context, job *admission.Job, v *projection.View, asked *shape.SignIn, network string, now time.Time) (*Attempt, error) {
	if len(asked.Passkey) != 0 && d.cfg.Passkeys == nil {
		return nil, ErrNoPasskeys
	}
	a := &Attempt{door: d, ctx: ctx, job: job, asked: asked, network: network, now: now}
	l, of := d.limits, d.find(v.State, asked)
	if of.there && l.familiar.has(of.id, network) {
		own := []counted{{l.known, string(of.id) + " " + network}}
		if take(own, now) == nil { // else it is a stranger until one comes back
			a.known, a.own = of.id, own
		}
	}
	shared := d.strangers(v.State, asked, network)
	switch err := take(shared, now); {
	case err == nil:
		a.shared = shared
	case a.known != "":
		a.instead = ErrTooOften
	default:
		return nil, ErrTooOften
	}
	if a.known != "" {
		d.cfg.Known.SignIn(&a.Passwords, ctx, job, string(of.id), now)
	} else {
		d.cfg.Strangers.SignIn(&a.Passwords, ctx, job, network, now)
	}
	return a, nil
}

// strangers are the limits that failures count against of whoever is named, from a network. An
// account is counted by its number, whichever of its names is given.
func (d *Door) strangers(s *identity.State, asked *shape.SignIn, network string) []counted {
	account, user := casefold.Key(asked.Account), casefold.Key(asked.User)
	if asked.Email != "" {
		account, user = casefold.Key(asked.Email), "root"
	} else if of, ok := accountOf(s, asked); ok {
		account = string(of.ID)
	}
	user = account + " " + user
	l := d.limits
	return append(l.ofNetwork(network), counted{l.pairs, user + " " + network}, counted{l.users, user}, counted{l.accounts, account})
}

// GiveBack gives back what the attempt took: it was no guess, or could not be looked at.
func (a *Attempt) GiveBack() {
	giveBack(a.own, a.now)
	giveBack(a.shared, a.now)
	a.own, a.shared = nil, nil
}

// Done says that whoever it is signed in.
func (a *Attempt) Done(p *Proof) {
	a.GiveBack()
	a.door.limits.familiar.note(p.Account, p.ID, a.network)
}

// Failed is what whoever is wrong is told: ErrFailed, or where no stranger would have been
// looked at, what a stranger is told, who then has taken no try.
func (a *Attempt) Failed() error {
	if a.instead == nil {
		return ErrFailed
	}
	giveBack(a.shared, a.now)
	a.shared = nil
	return a.instead
}

// Proof is who somebody is who signs in, in a view.
type Proof struct {
	Kind    session.Kind
	Account identity.AccountID
	ID      identity.ID // a user's, or the account's number for its root
	// Code uses up the code that was shown, or the challenge that a passkey answered; nil
	// without MFA devices.
	Code identity.Command
	// MustChange says that the user has to change the password first, and Expired that it may
	// not do so any more.
	MustChange, Expired bool
	// Expires is when the password must be changed; 0 for never.
	Expires identity.Time
}

// In finds out whether the attempt is right in a view. Errors are those of Failed, and others
// where that could not be found out: then the attempt has given back what it took.
func (a *Attempt) In(v *projection.View) (*Proof, error) {
	p, err := a.prove(v.State)
	switch {
	case errors.Is(err, ErrFailed):
		err = a.Failed()
	case err != nil:
		a.GiveBack()
	}
	if errors.Is(err, admission.ErrFull) || errors.Is(err, admission.ErrShare) {
		a.door.cfg.Strangers.SignIns().Count(a.job) // once, however many had none
	}
	return p, err
}

func (a *Attempt) prove(s *identity.State) (*Proof, error) {
	of := a.door.find(s, a.asked)
	if a.known != "" && a.known != of.id { // the name has become another's meanwhile
		a.estrange()
	}
	hash, err := a.door.cfg.Seal.Open(seal.PasswordHash, seal.PasswordContext(string(of.account), string(of.id)), of.hash)
	if err != nil {
		return nil, fmt.Errorf("password of %s: %w", of.id, err)
	}
	right, err := a.compare(string(hash))
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
	p.Expired = expired && under.HardExpiry
	p.MustChange = expired || of.profile.Reset
	return p, nil
}

// estrange makes the attempt a stranger's.
func (a *Attempt) estrange() {
	a.known = ""
	a.door.cfg.Strangers.SignIn(&a.Passwords, a.ctx, a.job, a.network, a.now)
}

// compare tells whether the password is the one of a hash.
func (a *Attempt) compare(hash string) (bool, error) {
	if a.known != "" {
		right, err := a.asKnown(hash)
		if !errors.Is(err, admission.ErrBusy) {
			return right, err
		}
		a.estrange() // its own places are taken
	}
	leave, err := a.inBlock()
	if err != nil {
		return false, err
	}
	defer leave()
	return a.Passwords.Matches(hash, a.asked.Password)
}

// asKnown is compare for whoever is known in the network, who has places of its own. It stands
// in the line of strangers meanwhile: that it is wrong is told when a stranger would be told, or
// as it would be if there were no place.
func (a *Attempt) asKnown(hash string) (right bool, err error) {
	line := a.door.cfg.Strangers.SignIns()
	leave, none := a.inBlock()
	if none == nil {
		defer leave()
		if leave, none = line.Reserve(a.job, a.network); none == nil {
			defer leave()
		}
	}
	if right, err = a.Passwords.Matches(hash, a.asked.Password); right || err != nil {
		return right, err
	}
	if none == nil {
		if leave, none = line.Turn(a.ctx); none == nil {
			leave()
		}
	}
	if a.instead == nil {
		a.instead = none
	}
	return false, nil
}

// inBlock takes a place among the hashing of strangers from the same /48 of IPv6.
func (a *Attempt) inBlock() (leave func(), err error) {
	block, hashing := wider(a.network, blockBits), a.door.limits.hashing
	if block == "" {
		return func() {}, nil
	}
	if err := hashing.Take(block, 1); err != nil {
		return nil, a.door.cfg.Strangers.SignIns().Busy(a.job, err)
	}
	return func() { hashing.Free(block, 1) }, nil
}

// shown tells whether a code is shown where one must be, which the returned command uses up.
// A code is looked for whatever is right, and a try at the device taken of those alone who know
// the password. Those from networks that the user signed in from have tries of their own.
func (a *Attempt) shown(s *identity.State, of *subject, right bool) (used identity.Command, shown bool, err error) {
	devices := s.MFADevicesOf(of.id)
	d := &identity.MFADevice{ID: decoy, Account: decoy, Sealed: a.door.decoys().seed}
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
