package api

import (
	"errors"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/issuer"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// hasKey tells whether the view of the call has the key that the action needs.
func (c *call) hasKey() (ok bool) {
	if c.action.Signs {
		_, ok = c.made.View.State.ActiveIssuerKey()
	} else {
		_, ok = c.made.View.State.ActiveSessionKey()
	}
	return ok
}

// newKey has the log take another key as the action needs it, and returns a view that has
// it. This node must lead.
func (c *call) newKey() (*projection.View, error) {
	s, state := c.server, c.made.View.State
	var cmd identity.Command
	var err error
	if c.action.Signs {
		cmd, err = s.signer.NewKey(state)
	} else {
		cmd, err = s.desk.NewSessionKey(state)
	}
	if errors.Is(err, issuer.ErrBusy) {
		return nil, fault.Later("The key that signs web identity tokens is being made.", err)
	}
	if err != nil {
		return nil, err
	}
	made, err := s.dispatcher.Maintain(c.Context(), cmd)
	var refusal *identity.Refusal
	if errors.As(err, &refusal) && refusal.Code == identity.ConcurrentModification {
		return s.cfg.Projection.View(), nil // somebody else was faster
	}
	return made, err
}

// restrict refuses what sessions by GetSessionToken, GetFederationToken and AssumeRoot may not
// call, whatever their policies say ("GetSessionToken" and "GetFederationToken" in the STS API
// Reference).
func (c *call) restrict() error {
	claims := c.Caller.Claims
	if claims == nil || claims.Kind == session.Role || claims.Kind == session.Delegated || c.op == nil {
		return nil
	}
	if claims.Kind == session.TaskRoot && c.op.Service.Name == iam.Service { // its policy says what it may
		return nil
	}
	switch c.op.Service.Name {
	case iam.Service:
		if claims.Kind == session.FederatedUser || claims.MFA.IsZero() {
			return sigv4.ErrInvalidClientTokenID
		}
	case sts.Service:
		if c.op.Name != "GetCallerIdentity" && (claims.Kind == session.FederatedUser || claims.Kind == session.TaskRoot || c.op.Name != "AssumeRole") {
			return sts.CannotCall(c.op.Name)
		}
	}
	return nil
}
