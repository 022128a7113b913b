package admission

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
)

// Received is a request that the caller of q, a service, received from somebody else and hands on
// to have it authenticated. What it takes of the node it takes on account of that service, whose
// own request must have been admitted. It proves nothing of the connection or of an address.
func (q *Request) Received(r *http.Request, bodyHash [32]byte) Request {
	return Request{
		Request: r.WithContext(q.Context()), ID: q.ID, Source: q.Source, Secure: q.Secure, Forwarded: q.Forwarded, Via: q.Via,
		Began: q.Began, Now: q.Now, PayloadHash: bodyHash, owner: q.owner, received: true,
	}
}

// SigningKey derives the signing key of an access key for a scope, and says whose it is in a
// view. token is that of temporary credentials; else empty. Refusals are of type *sigv4.Error.
// This node must have the keys that open secrets; see Seals.
func (d *Desk) SigningKey(q *Request, v *projection.View, accessKey, token string, scope sigv4.Scope) (sigv4.SigningKey, Caller, *projection.Principal, error) {
	if token != "" {
		return d.sessionSigningKey(q, v, accessKey, token, scope)
	}
	cred, ok := v.State.AccessKey(accessKey)
	if !ok || !cred.Active {
		return sigv4.SigningKey{}, Caller{}, nil, sigv4.ErrInvalidClientTokenID
	}
	c, p, err := ofAccessKey(&cred, v)
	if err != nil {
		return sigv4.SigningKey{}, Caller{}, nil, err
	}
	secret, err := d.secretOf(&cred)()
	if err != nil {
		return sigv4.SigningKey{}, Caller{}, nil, err
	}
	return sigv4.DeriveKey(secret, scope), c, p, nil
}

func (d *Desk) sessionSigningKey(q *Request, v *projection.View, accessKey, token string, scope sigv4.Scope) (sigv4.SigningKey, Caller, *projection.Principal, error) {
	claims, key, err := d.open(v.State, accessKey, token)
	switch {
	case errors.Is(err, errNewer):
		err = sigv4.ErrInvalidClientTokenID
	case err == nil && !q.Now.Before(claims.Expires):
		err = sigv4.ErrExpiredToken
	}
	if err != nil {
		return sigv4.SigningKey{}, Caller{}, nil, err
	}
	c, p, err := inSession(opened.New(claims, key.ID()), v)
	if err != nil {
		return sigv4.SigningKey{}, Caller{}, nil, err
	}
	return sigv4.DeriveKey([]byte(key.Secret(accessKey)), scope), c, p, nil
}

// ofAccessKey is whom an active access key is of, in a view.
func ofAccessKey(cred *identity.Credential, v *projection.View) (Caller, *projection.Principal, error) {
	p, err := v.Principal(cred.Owner)
	if err != nil {
		return Caller{}, nil, fmt.Errorf("find the owner of the caller's access key: %w", err)
	}
	c := Caller{Kind: KindRoot, Account: cred.Account, ID: cred.Owner, ARN: p.ARN, AccessKey: cred.ID, UserID: string(cred.Owner)}
	if p.Type == authz.User {
		c.Kind, c.Name = KindUser, p.Name
	}
	return c, p, nil
}
