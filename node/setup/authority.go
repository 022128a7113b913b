package setup

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Lives of authorities, and what certificates of all kinds allow for.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	clockSlack    = time.Hour // certificates are good this long before they are made
)

// CertificateAuthority is a cluster's own certificate authority. Whoever shows a
// certificate of it is a node of the cluster, in the role the certificate names.
type CertificateAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCertificateAuthority makes the authority of a cluster, whose id its certificates carry.
func NewCertificateAuthority(cluster string, now time.Time) (*CertificateAuthority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{cluster}, CommonName: "Writ cluster authority"},
		NotBefore:             now.Add(-clockSlack),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the authority's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse the authority's certificate: %w", err)
	}
	return &CertificateAuthority{cert: cert, key: key}, nil
}

// Issue makes a key and a certificate of NodeLife for a node.
func (a *CertificateAuthority) Issue(cluster, name string, role Role, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := NewNodeKey()
	if err != nil {
		return nil, nil, err
	}
	certPEM, err = a.Sign(&key.PublicKey, Subject{Cluster: cluster, Name: name, Role: role, Life: NodeLife}, now)
	return certPEM, keyPEM, err
}

// PEM is the authority's own certificate and key, as files hold them.
func (a *CertificateAuthority) PEM() (cert, key []byte, err error) {
	if key, err = encodeKey(a.key); err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: a.cert.Raw}), key, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func serialNumber() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	return n, nil
}
