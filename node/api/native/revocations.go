package native

import (
	"regexp"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
)

// accessKeyID is how ids of access keys are spelled.
var accessKeyID = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)

// revokeSessions answers POST /v1/revocations: it ends sessions of the caller's account.
type revokeSessions struct{ *API }

func (s revokeSessions) serve(c *call) error {
	batch, _, err := c.Write(service, actionRevokeSessions, &sessionsToRevoke{call: c})
	if err != nil || batch == nil {
		return err
	}
	done := shape.Revocation{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		if revoked, ok := e.(*identity.SessionsRevoked); ok {
			done.Account, done.Subject = revoked.Account, revoked.Subject
		}
	}
	return c.written(batch, done)
}

// sessionsToRevoke is a revocation that is proposed.
type sessionsToRevoke struct{ call *call }

// Authorize finds out whether the caller may end the sessions. Of one session, and of what an
// access key asked for, nobody knows whose they are: the resource is "*".
func (r *sessionsToRevoke) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.call.admitChange(v); err != nil {
		return cmd, err
	}
	asked, err := parseRevocation(r.call.Payload)
	if err != nil {
		return cmd, err
	}
	needs := admission.Access{Action: actionRevokeSessions, Resource: "*", Account: r.call.Caller.Account}
	if asked.Principal != "" {
		needs.Resource = asked.Principal
	}
	if err := r.call.May(needs); err != nil {
		return cmd, err
	}
	revoke := &identity.RevokeSessions{Account: r.call.Caller.Account, Subject: asked.Session + asked.Key}
	if asked.Principal != "" {
		p, err := v.PrincipalByARN(asked.Principal)
		if err != nil || p.Account != string(r.call.Caller.Account) || p.ARN != asked.Principal || p.Issuer != "" {
			return cmd, &dispatch.FromView{Err: fault.New(fault.NoSuchEntity, "No role, user or root of the account is "+fault.Quote(asked.Principal)+".", "Give the ARN of a role, a user or the root.")}
		}
		revoke.Subject = p.ID
	}
	if asked.IssuedBefore != nil {
		revoke.Before = identity.Time(asked.IssuedBefore.UnixMilli())
	}
	return r.call.Command(v, actionRevokeSessions, revoke, nil), nil
}

// parseRevocation reads what is to be revoked and checks what it alone can show.
func parseRevocation(body []byte) (*shape.SessionsToRevoke, error) {
	const hint = `Send {"principal":"arn:..."}, {"session":"ASIA..."} or {"key":"AKIA..."}, as /openapi.json describes.`
	var asked shape.SessionsToRevoke
	if err := fault.DecodeBody(body, &asked, "revocation", hint); err != nil {
		return nil, err
	}
	given := 0
	for _, text := range [...]string{asked.Session, asked.Principal, asked.Key} {
		if text != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, fault.BadRequest(hint, "%d of session, principal and key are given, not one.", given)
	case asked.Principal == "" && !accessKeyID.MatchString(asked.Session+asked.Key):
		return nil, fault.BadRequest(hint, "%.80q is no access key id.", asked.Session+asked.Key)
	case asked.IssuedBefore != nil && asked.IssuedBefore.UnixMilli() <= 0:
		return nil, fault.BadRequest("Give a time after 1970.", "issued_before is %s.", asked.IssuedBefore)
	}
	return &asked, nil
}
