package api

import (
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/sigv4"
)

// A replica may run without the keys that open secrets: whoever takes its directory,
// its certificate and its memory then has no secret of any caller. It cannot verify a
// signature by itself, so it asks the leader about each, and is told yes or no. It
// remembers no answer beyond the request, and admits nobody whom the leader did not
// confirm: cut off from the leader it answers nobody.

// confirm has the leader verify a signature.
func (s *Server) confirm(q *request, sig *sigv4.Signature) error {
	of, holder := &s.places.strangersSigns, q.holder()
	if s.mayBe(q, sig.AccessKeyID) {
		of, holder = &s.places.signatures, sig.AccessKeyID
	}
	if err := s.takeFor(of, q, holder, 1); err != nil {
		return err
	}
	defer of.Free(holder, 1)
	err := s.cfg.Node.Keyholder.Confirm(q.Context(), sig.Claim(q.bodyHash))
	var refused *sigv4.Error
	if err != nil && !errors.As(err, &refused) {
		return fault.Later("This node has no keys to verify signatures with, and the leader, which has, did not answer.", err)
	}
	return err
}

// Confirms says whether a claim that another node asks about holds, by the access keys
// that this node shows now: nil, or an error of type *sigv4.Error. Another error is the
// node's own.
func (s *Server) Confirms(c *sigv4.Claim) error {
	cred, ok := s.cfg.Projection.View().State.AccessKey(c.AccessKeyID)
	if !ok || !cred.Active {
		return sigv4.ErrInvalidClientTokenID
	}
	return s.keys.VerifyClaim(c, string(cred.Sealed), s.secretOf(&cred))
}

// secretOf opens the secret of an access key.
func (s *Server) secretOf(cred *identity.Credential) func() ([]byte, error) {
	return func() ([]byte, error) {
		secret, err := s.cfg.Seal.Open(seal.AccessKeySecret, iam.KeyContext(cred.Account, cred.ID), cred.Sealed)
		if err != nil {
			return nil, fmt.Errorf("open the secret of the caller's access key: %w", err)
		}
		return secret, nil
	}
}
