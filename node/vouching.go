package node

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
)

// signer signs a statement that begins with a domain of its own, and returns the
// certificate by which the signature is checked.
type signer interface {
	Sign(statement []byte) (signature, certificate []byte, err error)
}

// signBatch puts a node's signature and certificate on a batch that is committed.
func signBatch(by signer, b *event.SignedBatch) (err error) {
	b.Signature, b.Certificate, err = by.Sign(b.Statement())
	return err
}

// maxVouchers is how many writers' certificates are kept verified: every writer's,
// and those that were renewed lately.
const maxVouchers = 4 * setup.MaxWriters

// vouchers tells whether writers of the cluster signed batches. A certificate must
// be good now, not when it signed: nothing tells a reader when that was. One that was
// renewed vouches on until it expires; what it signed is then read from a writer. It is
// of one goroutine.
type vouchers struct {
	tls *peer.Identity
	now func() time.Time

	known map[[sha256.Size]byte]*x509.Certificate // verified but for their validity now
}

func newVouchers(identity *peer.Identity, now func() time.Time) *vouchers {
	return &vouchers{tls: identity, now: now, known: map[[sha256.Size]byte]*x509.Certificate{}}
}

// vouched says whether a writer signed the batch.
func (v *vouchers) vouched(b *event.SignedBatch) error {
	cert, err := v.writer(b.Certificate)
	if err != nil {
		return err
	}
	if err := cert.CheckSignature(x509.ECDSAWithSHA256, b.Statement(), b.Signature); err != nil {
		return fmt.Errorf("%w: the signature of %s: %w", peer.ErrStranger, cert.Subject.CommonName, err)
	}
	return nil
}

// writer returns a writer's certificate, parsed and verified.
func (v *vouchers) writer(der []byte) (*x509.Certificate, error) {
	sum, now := sha256.Sum256(der), v.now()
	if cert := v.known[sum]; cert != nil && !now.Before(cert.NotBefore) && !now.After(cert.NotAfter) {
		return cert, nil
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: read the signer's certificate: %w", peer.ErrStranger, err)
	}
	if err := v.tls.VerifyAt([]*x509.Certificate{cert}, peer.ID{Role: setup.RoleWriter}, now); err != nil {
		return nil, err
	}
	if len(v.known) >= maxVouchers {
		clear(v.known)
	}
	v.known[sum] = cert
	return cert, nil
}
