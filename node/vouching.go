package node

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/setup"
)

// signStatement signs what begins with a domain of its own by the key of the node's
// certificate, and returns that certificate beside the signature.
func (p *peerTLS) signStatement(statement []byte) (signature, certificate []byte, err error) {
	cert := p.cert.Load()
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the key in %s is not ECDSA", setup.ErrConfig, p.files.Key)
	}
	sum := sha256.Sum256(statement)
	if signature, err = ecdsa.SignASN1(rand.Reader, key, sum[:]); err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	return signature, cert.Leaf.Raw, nil
}

// signBatch puts the node's signature and certificate on a batch that is committed.
func (p *peerTLS) signBatch(b *event.SignedBatch) (err error) {
	b.Signature, b.Certificate, err = p.signStatement(b.Statement())
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
	tls *peerTLS
	now func() time.Time

	known map[[sha256.Size]byte]*x509.Certificate // verified but for their validity now
}

func newVouchers(identity *peerTLS, now func() time.Time) *vouchers {
	return &vouchers{tls: identity, now: now, known: map[[sha256.Size]byte]*x509.Certificate{}}
}

// vouched says whether a writer signed the batch.
func (v *vouchers) vouched(b *event.SignedBatch) error {
	cert, err := v.writer(b.Certificate)
	if err != nil {
		return err
	}
	if err := cert.CheckSignature(x509.ECDSAWithSHA256, b.Statement(), b.Signature); err != nil {
		return fmt.Errorf("%w: the signature of %s: %w", ErrNotAPeer, cert.Subject.CommonName, err)
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
		return nil, fmt.Errorf("%w: read the signer's certificate: %w", ErrNotAPeer, err)
	}
	if err := v.tls.verifyAt([]*x509.Certificate{cert}, peer{role: setup.RoleWriter}, now); err != nil {
		return nil, err
	}
	if len(v.known) >= maxVouchers {
		clear(v.known)
	}
	v.known[sum] = cert
	return cert, nil
}
