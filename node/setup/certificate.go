package setup

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Lives of nodes' certificates.
const (
	// NodeLife is how long one lasts that is made by hand, if nothing else is said.
	NodeLife = 2 * 365 * 24 * time.Hour
	// RenewedLife is how long one lasts that the leader renews.
	RenewedLife = 30 * 24 * time.Hour
	// MinLife and MaxLife bound what may be asked for.
	MinLife, MaxLife = time.Hour, NodeLife
)

// Origin is the certificate that was made by hand from which others of the node came by
// renewal, each asked for with the one before. Whoever stole one, and had it renewed, holds
// certificates of the same origin.
type Origin struct {
	Serial string
	Issued time.Time // in seconds
}

// Serial is a certificate's serial number, in hexadecimal digits.
func Serial(cert *x509.Certificate) string { return fmt.Sprintf("%x", cert.SerialNumber) }

// OriginOf is where a certificate of the cluster's authority comes from. It stands in the
// subject's serial number; one without was made by hand, and is its own origin.
func OriginOf(cert *x509.Certificate) Origin {
	if serial, text, ok := strings.Cut(cert.Subject.SerialNumber, "@"); ok {
		if at, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Origin{serial, time.Unix(at, 0).UTC()}
		}
	}
	return Origin{Serial(cert), cert.NotBefore.Add(clockSlack)}
}

func (o Origin) text() string {
	if o.Serial == "" {
		return ""
	}
	return o.Serial + "@" + strconv.FormatInt(o.Issued.Unix(), 10)
}

// Subject is whom a certificate of the authority is for, and for how long.
type Subject struct {
	Cluster, Name string
	Role          Role
	Origin        Origin // zero: it is made by hand
	Life          time.Duration
}

// Sign makes a certificate for the holder of a key: its name and cluster are what others
// check, whatever address they dial. It ends with the authority at the latest.
func (a *CertificateAuthority) Sign(key crypto.PublicKey, s Subject, now time.Time) ([]byte, error) {
	if s.Life < MinLife || s.Life > MaxLife {
		return nil, fmt.Errorf("%w: a certificate cannot last %v; choose %v to %v", ErrConfig, s.Life, MinLife, MaxLife)
	}
	if !now.Before(a.cert.NotAfter) {
		return nil, fmt.Errorf("%w: the cluster's authority ended at %s: `writ cert authority rotate` makes another", ErrConfig, a.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	end := now.Add(s.Life)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{s.Cluster}, OrganizationalUnit: []string{string(s.Role)}, CommonName: s.Name, SerialNumber: s.Origin.text()},
		NotBefore:    now.Add(-clockSlack),
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{s.Name},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", s.Name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der}), nil
}

// NewNodeKey makes the key of a node's certificate, and returns it as a file holds it, too.
func NewNodeKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a node's key: %w", err)
	}
	text, err := encodeKey(key)
	return key, text, err
}

// pemCertificate is the type of a PEM block that holds a certificate.
const pemCertificate = "CERTIFICATE"

// ParseAuthorities reads the authorities of a bundle, of one or several certificates in PEM.
// Text that holds none, or something else, is an ErrConfig.
func ParseAuthorities(text []byte) (list []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		cert, err := x509.ParseCertificate(block.Bytes)
		if block.Type != pemCertificate || err != nil || !cert.IsCA {
			return nil, fmt.Errorf("%w: there is something else than certificates of authorities", ErrConfig)
		}
		if len(list) >= maxAuthorities {
			return nil, fmt.Errorf("%w: more than %d authorities", ErrConfig, maxAuthorities)
		}
		list = append(list, cert)
	}
	if len(list) == 0 || len(bytes.TrimSpace(text)) > 0 {
		return nil, fmt.Errorf("%w: no certificate, or one that is cut off", ErrConfig)
	}
	return list, nil
}

// maxAuthorities bounds the authorities that a cluster has at once; it needs two while one
// takes another's place.
const maxAuthorities = 4

// LoadCertificateAuthority reads an authority that `writ init` wrote: of a bundle, the one that
// the key is of. A key of another kind, or of none of them, is an ErrConfig.
func LoadCertificateAuthority(certFile, keyFile string) (*CertificateAuthority, error) {
	text, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's authority: %w", err)
	}
	list, err := ParseAuthorities(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	secret, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	for _, cert := range list {
		pair, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert.Raw}), secret)
		if err != nil {
			continue
		}
		if key, ok := pair.PrivateKey.(*ecdsa.PrivateKey); ok {
			return &CertificateAuthority{cert: cert, key: key}, nil
		}
	}
	return nil, fmt.Errorf("%w: %s holds no ECDSA key of an authority in %s", ErrConfig, keyFile, certFile)
}

// Certificate is the authority's own.
func (a *CertificateAuthority) Certificate() *x509.Certificate { return a.cert }
