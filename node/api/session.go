package api

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/issuer"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// Limits of the age of the keys that seal sessions and sign web identity tokens.
const (
	// DefaultKeyAge is the age at which the leader has another key take the place of one,
	// unless a setting says otherwise. MinKeyAge is the least that one may say: with it, no
	// more than identity.MaxSessionKeys keys have sessions that may last, nor more than
	// identity.MaxIssuerKeys tokens, and a few may be added by command besides.
	DefaultKeyAge = 30 * 24 * time.Hour
	MinKeyAge     = 3 * time.Hour
	// keyLook is how often the leader looks how old the keys are.
	keyLook = 10 * time.Minute
)

// RotateKeys has the log take another session key whenever the one that seals has reached an
// age, by the clock of this node, and another issuer key in the same way, until ctx ends. This
// node must lead. The age 0 stands for DefaultKeyAge. A first key is made by the first session,
// or the first web identity token, alone.
func (s *Server) RotateKeys(ctx context.Context, sessions, tokens time.Duration) {
	for {
		state := s.cfg.Projection.View().State
		if k, ok := state.ActiveSessionKey(); ok {
			s.rotate(ctx, "session", k.Number, k.Created, sessions, func() (identity.Command, error) { return s.desk.NewSessionKey(state) })
		}
		if k, ok := state.ActiveIssuerKey(); ok {
			s.rotate(ctx, "issuer", k.Number, k.Created, tokens, func() (identity.Command, error) { return s.signer.NewKey(state) })
		}
		if wake.After(ctx, keyLook) != nil {
			return
		}
	}
}

// rotate has another key take the place of one that has reached an age.
func (s *Server) rotate(ctx context.Context, kind string, number uint32, created identity.Time, age time.Duration, next func() (identity.Command, error)) {
	if identity.Time(s.cfg.Now().UnixMilli()) < created+identity.Time(cmp.Or(age, DefaultKeyAge).Milliseconds()) {
		return
	}
	if _, err := s.addKey(ctx, next); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("the "+kind+" key is old, and no other could be added; it will be tried again", "key", number, "error", err)
	}
}

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
	return s.addKey(c.Context(), func() (identity.Command, error) {
		if c.action.Signs {
			return issuerKeys{s.signer}.NewKey(state)
		}
		return s.desk.NewSessionKey(state)
	})
}

// issuerKeys makes issuer keys, and says when another is being made.
type issuerKeys struct{ signer *issuer.Signer }

// NewKey is the command that gives a state its next issuer key.
func (k issuerKeys) NewKey(state *identity.State) (identity.Command, error) {
	cmd, err := k.signer.NewKey(state)
	if errors.Is(err, issuer.ErrBusy) {
		return nil, fault.Later("The key that signs web identity tokens is being made.", err)
	}
	return cmd, err
}

// keyTries is how often a key is made that is refused since the key which seals was changed.
const keyTries = 3

// addKey has the log take the next key, unless somebody else was faster, and returns a view that
// has one.
func (s *Server) addKey(ctx context.Context, next func() (identity.Command, error)) (made *projection.View, err error) {
	for range keyTries {
		at := s.cfg.Projection.Head().Position
		cmd, unmade := next()
		if unmade != nil {
			return nil, unmade
		}
		var refusal *identity.Refusal
		made, err = s.dispatcher.Maintain(ctx, cmd)
		switch {
		case !errors.As(err, &refusal):
			return made, err
		case refusal.Code == identity.ConcurrentModification:
			return s.cfg.Projection.View(), nil
		case refusal.Code != identity.StaleAuthorization:
			return nil, err
		}
		if late := s.views.WaitPast(ctx, at); late != nil {
			return nil, late
		}
	}
	return nil, err
}

// restrict refuses what sessions by GetSessionToken, GetFederationToken, GetDelegatedAccessToken
// and AssumeRoot may not call, whatever their policies say ("GetSessionToken" and "GetFederationToken" in the STS API
// Reference). Those of who signed in call of STS no more than others, but all of IAM.
func (c *call) restrict() error {
	claims := c.Caller.Claims
	if claims == nil || claims.Kind == session.Role || c.op == nil {
		return nil
	}
	switch c.op.Service.Name {
	case iam.Service:
		if c.Caller.Barred() {
			return sigv4.ErrInvalidClientTokenID
		}
	case sts.Service:
		if c.op.Name != "GetCallerIdentity" && (c.Caller.Kind == admission.KindFederatedUser || claims.Kind == session.TaskRoot || c.op.Name != "AssumeRole") {
			return sts.CannotCall(c.op.Name)
		}
	}
	return nil
}
