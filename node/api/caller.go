package api

import (
	"bytes"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
)

// authenticate verifies the signature of a request against the access keys of
// the view, and returns whose it is. Refusals are of type *sigv4.Error; another
// error is the node's own, such as a seal key that does not open the secret.
func (s *Server) authenticate(q *request, sig *sigv4.Signature, v *projection.View) (iam.Caller, *projection.Principal, error) {
	cred, ok := v.State.AccessKey(sig.AccessKeyID)
	if !ok || !cred.Active || sig.SessionToken != "" {
		return iam.Caller{}, nil, sigv4.ErrInvalidClientTokenID
	}
	if err := s.verifySignature(q, sig, &cred); err != nil {
		return iam.Caller{}, nil, err
	}
	p, err := v.Principal(cred.Owner)
	if err != nil {
		return iam.Caller{}, nil, fmt.Errorf("find the owner of the caller's access key: %w", err)
	}
	c := iam.Caller{Kind: iam.KindRoot, Account: cred.Account, ID: cred.Owner, ARN: p.ARN, AccessKey: cred.ID}
	if p.Type == authz.User {
		c.Kind, c.Name = iam.KindUser, p.Name
	}
	return c, p, nil
}

// verifySignature checks a signature against the secret of an access key, once for
// each request and secret.
func (s *Server) verifySignature(q *request, sig *sigv4.Signature, cred *identity.Credential) error {
	if len(q.verified) > 0 && bytes.Equal(q.verified, cred.Sealed) {
		return nil
	}
	var err error
	if s.cfg.Seal == nil {
		err = s.confirm(q, sig)
	} else {
		err = s.keys.Verify(sig, q.bodyHash, string(cred.Sealed), s.secretOf(cred))
	}
	if err != nil {
		return err
	}
	q.verified, q.owner = cred.Sealed, cred.Owner
	s.proved(q, cred.ID)
	admission.Prove(q.Context())
	return nil
}

// recognize verifies the signature by the keys that the node has at hand, before
// anything is done for the caller that others could lack. False: the key is not
// among them, but may be newer; or it is no longer active, and may be again.
func (s *Server) recognize(q *request, sig *sigv4.Signature) (known bool, err error) {
	cred, ok := s.cfg.Projection.View().State.AccessKey(sig.AccessKeyID)
	if !ok || !cred.Active || sig.SessionToken != "" {
		return false, nil
	}
	return true, s.verifySignature(q, sig, &cred)
}

// authority is what the log is told about who authorized a command, and when.
func authority(c iam.Caller, at event.Position) identity.Authority {
	return identity.Authority{Account: c.Account, Principal: c.ID, Credential: c.AccessKey, AuthorizedAt: at}
}
