package peer

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/node/setup"
)

// ErrStranger is returned when the other end of a connection is not a node of
// this cluster, or not the one that was meant.
var ErrStranger = errors.New("not a node of this cluster")

// ID is a node by its name and its role: whom a verified certificate names, or whom
// a connection is meant for. In the latter case empty fields are not checked.
type ID struct {
	Name string
	Role setup.Role
}

// Of is whom a verified certificate names.
func Of(cert *x509.Certificate) ID { return ID{cert.Subject.CommonName, roleOf(cert)} }

// Caller is who made a request to the peer port.
func Caller(r *http.Request) ID { return Of(r.TLS.PeerCertificates[0]) }

// Identity is how nodes recognize each other: mutual TLS 1.3 with certificates of
// the cluster's authority, whose organization must be the cluster's id.
type Identity struct {
	cluster string
	files   setup.Files
	roots   *x509.CertPool
	cert    atomic.Pointer[tls.Certificate] // replaced by reload
	// writers are those of the cluster; nil takes any. A writer's certificate for another
	// name is nobody's: its bearer could do everything.
	writers *Directory
}

// LoadIdentity reads the certificates of a node of cluster c. An error of what is in the
// files is a setup.ErrConfig.
func LoadIdentity(c setup.Cluster, f setup.Files) (*Identity, error) {
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("read the cluster authority's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%w: no certificate in %s", setup.ErrConfig, f.CA)
	}
	i := &Identity{cluster: c.ID, files: f, roots: roots}
	if c.Writers != nil {
		i.writers = NewDirectory(c.Writers)
	}
	if err := i.Reload(); err != nil {
		return nil, err
	}
	return i, nil
}

// Writers are those whose certificates are believed.
func (i *Identity) Writers() *Directory { return i.writers }

// Leaf is the node's own certificate.
func (i *Identity) Leaf() *x509.Certificate { return i.cert.Load().Leaf }

// Reload reads the node's certificate again; connections made from then on use it.
func (i *Identity) Reload() error {
	cert, err := tls.LoadX509KeyPair(i.files.Cert, i.files.Key)
	if err != nil {
		return fmt.Errorf("read the node's certificate: %w", err)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: i.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return fmt.Errorf("%w: %s was not issued by the authority in %s: %w", setup.ErrConfig, i.files.Cert, i.files.CA, err)
	}
	if err := i.checkCluster(cert.Leaf); err != nil {
		return fmt.Errorf("%w: %s: %w", setup.ErrConfig, i.files.Cert, err)
	}
	i.cert.Store(&cert)
	return nil
}

func (i *Identity) checkCluster(cert *x509.Certificate) error {
	if !slices.Contains(cert.Subject.Organization, i.cluster) {
		return fmt.Errorf("%w: the certificate of %s is for cluster %v, this is %s", ErrStranger, cert.Subject.CommonName, cert.Subject.Organization, i.cluster)
	}
	return nil
}

// TLS is the configuration of both ends of a connection to a node. Chains
// are verified in VerifyConnection rather than by host name, because addresses
// change and names of nodes do not.
func (i *Identity) TLS(to ID, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ClientAuth:         tls.RequireAndVerifyClientCert,
		ClientCAs:          i.roots,
		InsecureSkipVerify: true, // checked in VerifyConnection
		NextProtos:         protocols,
		GetCertificate:     func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.cert.Load(), nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return i.cert.Load(), nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			err := i.verify(s.PeerCertificates, to)
			if errors.Is(err, ErrUnlisted) && to == (ID{}) && s.NegotiatedProtocol == ProtocolHTTP {
				return nil // who is asked says why it is not served
			}
			return err
		},
	}
}

// verify checks the other end's certificate as it is now.
func (i *Identity) verify(chain []*x509.Certificate, to ID) error {
	return i.VerifyAt(chain, to, time.Time{})
}

// VerifyAt checks a certificate as it was at a time, which is now if it is zero: its
// chain, its cluster, whom it is for, and that the cluster has a writer of its name
// if it is a writer's, or it is an ErrUnlisted, too. Else the error is ErrStranger.
func (i *Identity) VerifyAt(chain []*x509.Certificate, to ID, at time.Time) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: no certificate", ErrStranger)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: i.roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return fmt.Errorf("%w: %w", ErrStranger, err)
	}
	if to.Name != "" && leaf.Subject.CommonName != to.Name {
		return fmt.Errorf("%w: reached %s instead of %s", ErrStranger, leaf.Subject.CommonName, to.Name)
	}
	if to.Role != "" && roleOf(leaf) != to.Role {
		return fmt.Errorf("%w: %s is no %s", ErrStranger, leaf.Subject.CommonName, to.Role)
	}
	if err := i.checkCluster(leaf); err != nil {
		return err
	}
	if name := leaf.Subject.CommonName; roleOf(leaf) == setup.RoleWriter && i.writers != nil && !i.writers.Has(name) {
		return fmt.Errorf("%w: writer %s: %w", ErrStranger, name, ErrUnlisted)
	}
	return nil
}

// roleOf is the role that a verified certificate names; empty: none.
func roleOf(cert *x509.Certificate) setup.Role {
	if len(cert.Subject.OrganizationalUnit) != 1 {
		return ""
	}
	return setup.Role(cert.Subject.OrganizationalUnit[0])
}

// Sign signs what begins with a domain of its own by the key of the node's
// certificate, and returns that certificate beside the signature.
func (i *Identity) Sign(statement []byte) (signature, certificate []byte, err error) {
	cert := i.cert.Load()
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the key in %s is not ECDSA", setup.ErrConfig, i.files.Key)
	}
	sum := sha256.Sum256(statement)
	if signature, err = ecdsa.SignASN1(rand.Reader, key, sum[:]); err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	return signature, cert.Leaf.Raw, nil
}
