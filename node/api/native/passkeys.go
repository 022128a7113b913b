package native

import (
	"encoding/json"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/mfa/enrol"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// actionEnableMFA is the permission to give somebody a passkey: IAM's, as AWS has it.
const actionEnableMFA = iam.Service + ":EnableMFADevice"

// challengePasskey answers POST /v1/passkeys/challenge: what a browser makes a passkey by.
type challengePasskey struct{ *API }

func (s challengePasskey) serve(c *call) error {
	if !s.cfg.Dispatcher.Leads() {
		return c.HandOn(0)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	// What it is for is a change: by the word of a leader that was deposed, whatever the
	// caller takes, a key that is gone would have one.
	if _, err := s.cfg.Views.ReachHead(c.Context()); err != nil {
		return err
	}
	v := s.cfg.Projection.View()
	c.Seen.View, c.Seen.Mode = v, string(propagation.Strict)
	if err := c.admitChange(v); err != nil {
		return err
	}
	asked, err := enrol.ParseOwner(c.Payload)
	if err != nil {
		return err
	}
	owner, _, err := c.passkeyOwner(v, asked.User)
	if err != nil {
		return err
	}
	said, err := enrol.Options(s.cfg.Passkeys, owner, v.State, c.Now)
	if err != nil {
		return err
	}
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode the options of a passkey: %w", err)
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.answer(body)
}

// passkeyOwner is the user of the caller's account of that name, or the caller itself without
// one, whom the caller may give a passkey, with what that relies on.
func (c *call) passkeyOwner(v *projection.View, user string) (*enrol.Owner, []identity.Reliance, error) {
	of := &enrol.Owner{Account: c.Caller.Account, ID: identity.ID(c.Caller.Account), Name: user, Caller: c.Caller.UserID}
	access := admission.Access{Action: actionEnableMFA, Resource: c.Caller.ARN, Account: of.Account}
	switch {
	case user == "" && c.Caller.Kind == admission.KindRoot:
		return of, nil, c.May(access)
	case user == "" && c.Caller.Kind != admission.KindUser:
		return nil, nil, fault.BadRequest("Name a user.", "The caller is neither a user nor a root, and names no user.")
	case user == "":
		of.Name = c.Caller.Name
	}
	w := identity.NewWitness(v.State)
	t, ok := w.Find(identity.Lookup{By: identity.ByName, Kind: identity.KindUser, Account: of.Account, Text: of.Name})
	access.Resource, access.Named = v.State.Partition().ARN(identity.KindUser, of.Account, "/", of.Name), "user "+of.Name
	if ok {
		access.Resource, access.Context = t.ARN(), iam.ResourceTags(t)
	}
	if err := c.May(access); err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, &dispatch.FromView{Err: fault.New(fault.NoSuchEntity, "The user with name "+of.Name+" cannot be found.", "")}
	}
	of.ID, of.Name = t.ID, t.Name
	return of, w.Reliances(), nil
}

// registerPasskey answers POST /v1/passkeys: it gives somebody the passkey that a browser made.
type registerPasskey struct{ *API }

func (s registerPasskey) serve(c *call) error {
	batch, _, err := c.Write(service, actionEnableMFA, &passkeyToRegister{s, c})
	if err != nil || batch == nil {
		return err
	}
	done := shape.PasskeyRegistration{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		if made, ok := e.(*identity.PasskeyRegistered); ok {
			done.SerialNumber = made.Passkey.ID
		}
	}
	return c.written(batch, done)
}

// passkeyToRegister is a passkey that is proposed.
type passkeyToRegister struct {
	registerPasskey
	call *call
}

// Authorize verifies the passkey for a caller who may give it to whom it names.
func (r *passkeyToRegister) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.call.admitChange(v); err != nil {
		return cmd, err
	}
	asked, err := enrol.ParsePasskey(r.call.Payload)
	if err != nil {
		return cmd, err
	}
	owner, on, err := r.call.passkeyOwner(v, asked.User)
	if err != nil {
		return cmd, err
	}
	register := &identity.RegisterPasskey{}
	if _, took := r.call.Repeated(v); !took { // the answer is the first attempt's; should that be forgotten, this is refused
		if register, err = enrol.Command(r.cfg.Passkeys, owner, asked, r.call.Now); err != nil {
			return cmd, &dispatch.FromView{Err: err}
		}
	}
	return r.call.Command(v, actionEnableMFA, register, on), nil
}
