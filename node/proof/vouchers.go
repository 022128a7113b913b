package proof

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
)

// Signer signs a statement that begins with a domain of its own, and returns the
// certificate by which the signature is checked.
type Signer interface {
	// Sign may be called by any number of goroutines.
	Sign(statement []byte) (signature, certificate []byte, err error)
}

// SignBatch puts a node's signature and certificate on a batch that is committed.
func SignBatch(by Signer, b *event.SignedBatch) (err error) {
	b.Signature, b.Certificate, err = by.Sign(b.Statement())
	return err
}

// maxVouchers is how many writers' certificates are kept verified: every writer's,
// and those that were renewed lately.
const maxVouchers = 4 * setup.MaxWriters

// Vouchers tell whether writers of the cluster signed batches. A certificate must
// be good now, not when it signed: nothing tells a replica when that was. One that was
// renewed vouches on until it expires; what it signed is then read from a writer. It is
// of one goroutine.
type Vouchers struct {
	tls *peer.Identity
	now func() time.Time

	roots *x509.CertPool                          // by which they were verified
	known map[[sha256.Size]byte]*x509.Certificate // verified but for their validity now
}

// NewVouchers returns those who go by a node's authority, and by a wall clock.
func NewVouchers(identity *peer.Identity, now func() time.Time) *Vouchers {
	return &Vouchers{tls: identity, now: now, known: map[[sha256.Size]byte]*x509.Certificate{}}
}

// Vouched says whether a writer signed the batch.
func (v *Vouchers) Vouched(b *event.SignedBatch) error {
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
func (v *Vouchers) writer(der []byte) (*x509.Certificate, error) {
	sum, now := sha256.Sum256(der), v.now()
	if roots := v.tls.Roots(); roots != v.roots { // an authority came or went
		v.roots = roots
		clear(v.known)
	}
	if cert := v.known[sum]; cert != nil && !now.Before(cert.NotBefore) && !now.After(cert.NotAfter) && !v.tls.Revoked(cert) {
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
