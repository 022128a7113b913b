package api

import (
	"context"
	"errors"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// newSessionKey has the log take another session key, and returns a view that has it. This
// node must lead.
func (s *Server) newSessionKey(ctx context.Context, v *projection.View) (*projection.View, error) {
	cmd, err := s.desk.NewSessionKey(v.State)
	if err != nil {
		return nil, err
	}
	made, err := s.dispatcher.Maintain(ctx, cmd)
	var refusal *identity.Refusal
	if errors.As(err, &refusal) && refusal.Code == identity.ConcurrentModification {
		return s.cfg.Projection.View(), nil // somebody else was faster
	}
	return made, err
}

// restrict refuses what sessions by GetSessionToken and GetFederationToken may not call,
// whatever their policies say ("GetSessionToken" and "GetFederationToken" in the STS API
// Reference).
func (c *call) restrict() error {
	claims := c.Caller.Claims
	if claims == nil || claims.Kind == session.Role || c.op == nil {
		return nil
	}
	switch c.op.Service.Name {
	case iam.Service:
		if claims.Kind == session.FederatedUser || claims.MFA.IsZero() {
			return sigv4.ErrInvalidClientTokenID
		}
	case sts.Service:
		if c.op.Name != "GetCallerIdentity" && (claims.Kind == session.FederatedUser || c.op.Name != "AssumeRole") {
			return sts.CannotCall(c.op.Name)
		}
	}
	return nil
}
