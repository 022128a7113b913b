package api

import (
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// authenticate verifies the signature of a request against the access keys of
// the view, and returns whose it is. Errors are *sigv4.Error.
func (s *Server) authenticate(q *request, sig *sigv4.Signature, v *projection.View) (iam.Caller, error) {
	cred, ok := v.State.AccessKey(sig.AccessKeyID)
	if !ok || !cred.Active || sig.SessionToken != "" {
		return iam.Caller{}, sigv4.ErrInvalidClientTokenID
	}
	key, err := s.keys.Key(cred.ID, string(cred.Sealed), sig.Scope, func() ([]byte, error) {
		return s.cfg.Seal.Open(seal.AccessKeySecret, iam.KeyContext(cred.Account, cred.ID), cred.Sealed)
	})
	if err != nil {
		return iam.Caller{}, fmt.Errorf("open the secret of access key %s: %w", cred.ID, err)
	}
	if err := sig.Verify(key, q.bodyHash); err != nil {
		return iam.Caller{}, err
	}
	c := iam.Caller{Account: cred.Account, ID: cred.Owner, AccessKey: cred.ID}
	if u, ok := v.State.UserByID(cred.Owner); ok {
		c.Kind, c.Name, c.ARN = iam.KindUser, u.Name, u.ARN()
	} else {
		c.Kind, c.ARN = iam.KindRoot, identity.RootARN(cred.Account)
	}
	return c, nil
}

// authority is what the log is told about who authorized a command, and when.
func authority(c iam.Caller, at event.Position) identity.Authority {
	return identity.Authority{Account: c.Account, Principal: c.ID, Credential: c.AccessKey, AuthorizedAt: at}
}
