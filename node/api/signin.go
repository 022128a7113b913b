package api

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/signin"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

const (
	// maxProofs is how often a sign-in is proved at most, when whom it is about changes each
	// time before its code is used up.
	maxProofs = 5
	// causeSignIn is the action by which the log tells of what a sign-in changes.
	causeSignIn = "SignIn"
	// usedForSignIn is what a password is noted to be used for.
	usedForSignIn = "signin"
)

// signIn is one request to sign in. The leader carries all of them out: it alone counts those
// that fail.
type signIn struct {
	dispatch.Exchange
	server  *Server
	asked   *shape.SignIn
	attempt *signin.Attempt
}

// signIn serves POST /signin.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	c := &signIn{server: s}
	c.Action = "SignIn"
	s.dispatcher.Serve(w, r, &c.Exchange, c)
}

// Read reads the request, which nobody signs.
func (c *signIn) Read() (service string, err error) {
	c.asked, err = signin.Parse(c.Header.Get("Content-Type"), c.Payload)
	return "", err
}

// Refuse answers with problem details.
func (c *signIn) Refuse(f *fault.Fault) { fault.WriteProblem(&c.W, c.ID, f) }

// Serve signs in, or says, having written nothing, why it cannot.
func (c *signIn) Serve() error {
	if !c.server.dispatcher.Leads() {
		return c.HandOn(0)
	}
	came := time.Now()
	err := c.attend()
	if errors.Is(err, signin.ErrTooOften) {
		c.server.cfg.Metrics.Refused("sign_ins", false)
	}
	if errors.Is(err, signin.ErrTooOften) || errors.Is(err, signin.ErrFailed) || errors.Is(err, admission.ErrBusy) {
		c.hold(came)
	}
	return err
}

// hold waits, with no place and no shift, until a refusal may be told: how long it took to find
// out is nobody's to learn.
func (c *signIn) hold(came time.Time) {
	c.Job.Rest()
	c.Desk.Release(&c.Request)
	pace := cmp.Or(c.server.cfg.SignInPace, signin.Pace)
	_ = wake.After(c.Context(), pace-time.Since(came)%pace) // else the caller has gone
}

// attend is Serve at the leader. Tries are counted by the view at hand, before the request takes
// a place that others could need, or has the head of the log read.
func (c *signIn) attend() (err error) {
	s := c.server
	c.Unsigned()
	if c.attempt, err = s.door.Begin(c.Context(), &c.Job, s.cfg.Projection.View(), c.asked, c.Holder(), c.Now); err != nil {
		return err
	}
	v, err := s.views.Strangers(&c.Request)
	if err != nil {
		return c.unproven(err)
	}
	for range maxProofs {
		again, err := c.enter(v)
		if again == nil {
			return err
		}
		v = again
	}
	c.attempt.GiveBack()
	return fault.Later("Whom the sign-in is about keeps changing.", nil)
}

// enter signs in whom a view shows to be right. With a view it says in which to look again.
func (c *signIn) enter(v *projection.View) (again *projection.View, err error) {
	proof, err := c.attempt.In(v)
	if err != nil {
		return nil, err
	}
	gate.Prove(c.Context())
	if _, ok := v.State.ActiveSessionKey(); !ok { // the first session of the cluster
		again, err = c.server.addKey(c.Context(), func() (identity.Command, error) { return c.server.desk.NewSessionKey(v.State) })
		return again, c.unproven(leaderless(err))
	}
	claims := c.attempt.Claims(proof, uint64(v.Head.Position))
	made, err := c.server.desk.Mint(v.State, claims)
	if err != nil {
		return nil, c.unproven(err)
	}
	if err := c.AdmitSession(v, claims); err != nil {
		if refused := (*sigv4.Error)(nil); errors.As(err, &refused) {
			err = fault.Later("Sessions of this moment are revoked.", err)
		}
		return nil, c.unproven(err)
	}
	if again, err := c.write(v, proof); again != nil || err != nil {
		return again, err
	}
	c.attempt.Done(proof)
	c.server.cfg.Uses.Note(identity.PasswordCredential(proof.ID), usedForSignIn, "", "", identity.Time(c.Now.UnixMilli()))
	said := shape.SignedIn{AccessKeyID: made.AccessKey, SecretAccessKey: made.Secret, SessionToken: made.Token, Expiration: claims.Expires,
		Account: proof.Account, ARN: c.Caller.ARN, UserID: proof.ID, MFA: proof.Code != nil}
	if proof.Expires != 0 && c.asked.NewPassword == "" {
		at := time.UnixMilli(int64(proof.Expires)).UTC()
		said.PasswordExpires = &at
	}
	return nil, c.answer(v, &said)
}

// unproven gives back what the attempt took, where an error keeps its caller out who is right.
func (c *signIn) unproven(err error) error {
	if err != nil {
		c.attempt.GiveBack()
	}
	return err
}

// write puts into the log what has to be before the session may be told: the new password,
// and that the code is used up. The session authors both. A code is used up by whatever is told
// only to those who are right, also that the password is to be changed, or why it cannot be.
func (c *signIn) write(v *projection.View, proof *signin.Proof) (again *projection.View, err error) {
	change, on, refused := c.change(v, proof)
	var refusal *identity.Refusal
	if proof.Code != nil {
		_, err := c.Propose(v, causeSignIn, proof.Code, nil)
		switch {
		case errors.As(err, &refusal) && refusal.Code == identity.StaleAuthorization:
			return c.later(v)
		case errors.As(err, &refusal): // another request has used it up
			return nil, c.attempt.Failed()
		case err != nil:
			return nil, c.unproven(leaderless(err))
		}
	}
	if change == nil || refused != nil {
		return nil, c.unproven(refused)
	}
	_, err = c.Propose(v, causeSignIn, change, on)
	if errors.As(err, &refusal) && refusal.Code == identity.StaleAuthorization {
		if proof.Code == nil {
			return c.later(v)
		}
		err = fault.Later("The user was changed meanwhile. Show another code.", err)
	}
	return nil, c.unproven(leaderless(err))
}

// change is the command that a sign-in needs beside the use of its code, if one, or why whoever
// is right is not let in.
func (c *signIn) change(v *projection.View, proof *signin.Proof) (identity.Command, []identity.Reliance, error) {
	switch {
	case proof.Expired:
		return nil, nil, signin.ErrExpired
	case c.asked.NewPassword != "":
		return c.newPassword(v)
	case proof.MustChange:
		return nil, nil, signin.ErrMustChange
	}
	return nil, nil, nil
}

// later is a view later than one in which something went stale.
func (c *signIn) later(v *projection.View) (*projection.View, error) {
	if err := c.server.views.WaitPast(c.Context(), v.Head.Position); err != nil {
		return nil, c.unproven(err)
	}
	return c.server.cfg.Projection.View(), nil
}

// leaderless is the error of a command that this node did not get into the log.
func leaderless(err error) error {
	switch {
	case errors.Is(err, dispatch.ErrNotLeader):
		return fault.Later("This node leads no more.", err)
	case errors.Is(err, dispatch.ErrOutcomeUnknown):
		return fault.New(fault.OutcomeUnknown, "", "Sign in again, with the next code.").Because(err)
	}
	return err
}

// newPassword is the command by which whoever signs in changes the password: that of
// ChangePassword, for which the user needs the same permission.
func (c *signIn) newPassword(v *projection.View) (identity.Command, []identity.Reliance, error) {
	action := c.server.actions[iam.Service+":ChangePassword"]
	in := &sdk.ChangePasswordInput{OldPassword: &c.asked.Password, NewPassword: &c.asked.NewPassword}
	made := &iam.Call{Caller: c.Caller, View: v, Now: identity.Time(c.Now.UnixMilli()), Random: rand.Reader, Seal: c.server.cfg.Seal, Passwords: &c.attempt.Passwords}
	for _, a := range action.Access(made, in) {
		if err := c.May(a); err != nil {
			return nil, nil, err
		}
	}
	change, err := action.Command(made, in)
	return change, made.Reliances(), err
}

// answer tells the session.
func (c *signIn) answer(v *projection.View, said *shape.SignedIn) error {
	h := c.W.Header()
	h.Set(shape.HeaderPosition, strconv.FormatUint(uint64(v.Head.Position), 10))
	h.Set(shape.HeaderFreshness, "strict")
	return tell(&c.Exchange, said)
}
