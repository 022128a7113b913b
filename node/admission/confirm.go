package admission

import (
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/sigv4"
)

// A replica may run without the keys that open secrets: whoever takes its directory, its certificate
// and its memory then has no secret of any caller. It cannot verify a signature by itself, so it asks
// the leader about each, and is told yes or no. It remembers no answer beyond the request, and admits
// nobody whom the leader did not confirm: cut off from the leader it answers nobody.

// confirm has the leader verify a signature.
func (d *Desk) confirm(q *Request, sig *sigv4.Signature) (Confirmed, error) {
	of, holder := StrangersSignatures, q.Holder()
	if q.received { // the service has been admitted
		of = Signatures
	} else if owner, ok := d.claimed(q, sig); ok {
		of, holder = Signatures, owner
	}
	if err := d.takeFor(of, q, holder, 1); err != nil {
		return Confirmed{}, err
	}
	defer d.places[of].Free(holder, 1)
	told, err := d.cfg.Keyholder.Confirm(q.Context(), sig.Claim(q.PayloadHash))
	var refused *sigv4.Error
	if err != nil && !errors.As(err, &refused) {
		return Confirmed{}, fault.Later("This node has no keys to verify signatures with, and the leader, which has, did not answer.", err)
	}
	return told, err
}

// Confirms says whether a claim that another node asks about holds, by the access keys
// that this node shows now: nil, or an error of type *sigv4.Error. Another error is the
// node's own.
func (d *Desk) Confirms(c *sigv4.Claim) (Confirmed, error) {
	s := d.cfg.Projection.View().State
	if c.SessionToken != "" {
		return d.confirmsSession(c, s)
	}
	cred, ok := s.AccessKey(c.AccessKeyID)
	if !ok || !cred.Active {
		return Confirmed{}, sigv4.ErrInvalidClientTokenID
	}
	return Confirmed{}, d.keys.VerifyClaim(c, string(cred.Sealed), d.secretOf(&cred))
}

func (d *Desk) confirmsSession(c *sigv4.Claim, s *identity.State) (Confirmed, error) {
	claims, key, err := d.open(s, c.AccessKeyID, c.SessionToken)
	if errors.Is(err, errNewer) {
		err = sigv4.ErrInvalidClientTokenID
	}
	if err != nil {
		return Confirmed{}, err
	}
	err = d.keys.VerifyClaim(c, string(opened.SecretID(key.ID())), func() ([]byte, error) { return []byte(key.Secret(c.AccessKeyID)), nil })
	return Confirmed{Session: claims, SealedBy: key.ID()}, err
}

// secretOf opens the secret of an access key.
func (d *Desk) secretOf(cred *identity.Credential) func() ([]byte, error) {
	return func() ([]byte, error) {
		secret, err := d.cfg.Seal.Open(seal.AccessKeySecret, seal.AccessKeyContext(string(cred.Account), cred.ID), cred.Sealed)
		if err != nil {
			return nil, fmt.Errorf("open the secret of the caller's access key: %w", err)
		}
		return secret, nil
	}
}
