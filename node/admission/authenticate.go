package admission

import (
	"bytes"
	"errors"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// Authenticate verifies the signature of a request against the access keys of
// the view, and returns whose it is. Refusals are of type *sigv4.Error; another
// error is the node's own, such as a seal key that does not open the secret.
func (d *Desk) Authenticate(q *Request, sig *sigv4.Signature, v *projection.View) (Caller, *projection.Principal, error) {
	if temporary(sig) {
		return d.ofSession(q, sig, v)
	}
	cred, ok := v.State.AccessKey(sig.AccessKeyID)
	if !ok || !cred.Active {
		return Caller{}, nil, sigv4.ErrInvalidClientTokenID
	}
	if err := d.verifySignature(q, sig, &cred); err != nil {
		return Caller{}, nil, err
	}
	return ofAccessKey(&cred, v)
}

// verifySignature checks a signature against the secret of an access key, once for
// each request and secret.
func (d *Desk) verifySignature(q *Request, sig *sigv4.Signature, cred *identity.Credential) error {
	if len(q.verified) > 0 && bytes.Equal(q.verified, cred.Sealed) {
		return nil
	}
	var err error
	if d.cfg.Seal == nil {
		_, err = d.confirm(q, sig)
	} else {
		err = d.keys.Verify(sig, q.PayloadHash, string(cred.Sealed), d.secretOf(cred))
	}
	if err != nil {
		return err
	}
	d.recognized(q, cred)
	return nil
}

// recognized notes that a request is by a credential: its signature was verified.
func (d *Desk) recognized(q *Request, cred *identity.Credential) {
	if q.received { // nothing was proved of who sends it, and its places are not the signer's
		q.verified = cred.Sealed
		return
	}
	q.verified, q.owner = cred.Sealed, cred.Owner
	d.proved(q, cred)
	gate.Prove(q.Context())
}

// Recognize verifies the signature by the keys that the node has at hand, before
// anything is done for the caller that others could lack. False: the key is not
// among them, but may be newer; or it is no longer active, and may be again.
func (d *Desk) Recognize(q *Request, sig *sigv4.Signature) (known bool, err error) {
	if q.vouched {
		return true, nil
	}
	s := d.cfg.Projection.View().State
	if temporary(sig) {
		err := d.recognizeSession(q, sig, s)
		if errors.Is(err, errNewer) {
			return false, nil
		}
		return err == nil, err
	}
	cred, ok := s.AccessKey(sig.AccessKeyID)
	if !ok || !cred.Active {
		return false, nil
	}
	return true, d.verifySignature(q, sig, &cred)
}
