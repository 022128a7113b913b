package certs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/node/setup"
)

// Times of renewal.
const (
	// retryEvery is how long a node waits after renewals that failed, with up to half of that on
	// top, and lateRetry with less than a day left; after the first, LookEvery, and twice as
	// long after each.
	retryEvery = time.Hour
	lateRetry  = 5 * time.Minute
	// renewTimeout bounds one renewal.
	renewTimeout = time.Minute
)

// Leader is who leads.
type Leader interface {
	// Post sends JSON to the leader and decodes the JSON that it answers.
	Post(ctx context.Context, path string, question, answer any) error
}

// due tells whether to ask for another certificate: two thirds of the life are over, or the
// authority that is first is another one by now.
func (k *Keeper) due(now time.Time) bool {
	return Due(k.Identity.Leaf(), now) || !k.issuer().Equal(k.Identity.Authorities()[0])
}

// renew asks for another certificate when it is time.
func (k *Keeper) renew(ctx context.Context) {
	now := k.Now()
	if k.Leader == nil || k.Renewed == "" || now.Before(k.retry) || !k.due(now) {
		return
	}
	err := k.Renew(ctx)
	if err == nil {
		k.retry, k.wait, k.said = time.Time{}, 0, ""
		return
	}
	most := retryEvery
	if k.Identity.Leaf().NotAfter.Sub(now) < day {
		most = lateRetry
	}
	k.wait = min(max(LookEvery, 2*k.wait), most)
	k.retry = now.Add(k.wait + mathrand.N(k.wait/2))
	if text := err.Error(); text != k.said && ctx.Err() == nil {
		k.said = text
		k.Logger.Info("the node's certificate was not renewed; it is tried again", "until", k.Identity.Leaf().NotAfter, "reason", err)
	}
}

// Renew makes a key, asks the leader for a certificate of it, keeps both, and uses them.
func (k *Keeper) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	key, keyPEM, err := setup.NewNodeKey()
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: k.Identity.Leaf().Subject.CommonName}}, key)
	if err != nil {
		return fmt.Errorf("ask for a certificate: %w", err)
	}
	var given Given
	if err := k.Leader.Post(ctx, Path, Request{csr}, &given); err != nil {
		return err
	}
	if err := k.fits(given.Certificate, key); err != nil {
		return err
	}
	if err := durable.Write(k.Renewed, setup.SecretMode, append(bytes.Clone(given.Certificate), keyPEM...)); err != nil {
		return err
	}
	k.look()
	return nil
}

// fits says what is wrong with a certificate that was given: it must be good for the key, and
// for this node.
func (k *Keeper) fits(text []byte, key *ecdsa.PrivateKey) error {
	cert, err := setup.ParseCertificate(text)
	if err != nil {
		return err
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(&key.PublicKey) {
		return fmt.Errorf("the leader gave a certificate of another key")
	}
	return k.Identity.Fits(cert)
}
