package peer

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/node/setup"
)

// ErrStranger is returned when the other end of a connection is not a node of
// this cluster, or not the one that was meant.
var ErrStranger = errors.New("not a node of this cluster")

// ErrRevoked is returned, beside ErrStranger, when a certificate was revoked by command.
var ErrRevoked = errors.New("the certificate was revoked: the node needs another, by `writ cert renew`")

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
	read    atomic.Pointer[credentials] // replaced by Reload and Look
	// writers are those of the cluster; nil takes any. A writer's certificate for another
	// name is nobody's: its bearer could do everything.
	writers *Directory
	revoked atomic.Pointer[Revocations]
	open    connections

	reading sync.Mutex        // held while the files are read
	seen    [sha256.Size]byte // of what they held when they were read last, good or not; guarded by reading
}

// LoadIdentity reads the certificates of a node of cluster c. An error of what is in the
// files is a setup.ErrConfig.
func LoadIdentity(c setup.Cluster, f setup.Files) (*Identity, error) {
	i := &Identity{cluster: c.ID, files: f}
	if c.Writers != nil {
		i.writers = NewDirectory(c.Writers)
	}
	if _, err := i.look(true); i.read.Load() == nil {
		return nil, err
	}
	return i, nil // what is wrong with the rest, Reload says
}

// Writers are those whose certificates are believed.
func (i *Identity) Writers() *Directory { return i.writers }

// Leaf is the node's own certificate.
func (i *Identity) Leaf() *x509.Certificate { return i.read.Load().cert.Leaf }

// Authorities are those that the node trusts, the first of them before others.
func (i *Identity) Authorities() []*x509.Certificate { return i.read.Load().authorities }

func (i *Identity) checkCluster(cert *x509.Certificate) error {
	if !slices.Contains(cert.Subject.Organization, i.cluster) {
		return fmt.Errorf("%w: the certificate of %s is for cluster %v, this is %s", ErrStranger, cert.Subject.CommonName, cert.Subject.Organization, i.cluster)
	}
	return nil
}

// TLS is the configuration of both ends of a connection to a node. Chains
// are verified in VerifyConnection rather than by host name, because addresses
// change and names of nodes do not. Each connection goes by what was read last.
func (i *Identity) TLS(to ID, protocols ...string) *tls.Config {
	c := i.config(nil, to, protocols)
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return i.config(hello.Conn, to, protocols), nil
	}
	return c
}

// config is TLS for one connection, or for those that nobody knows yet. One that is known is
// closed when its certificate is revoked.
func (i *Identity) config(conn net.Conn, to ID, protocols []string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ClientAuth:         tls.RequireAndVerifyClientCert,
		ClientCAs:          i.read.Load().roots,
		InsecureSkipVerify: true, // checked in VerifyConnection
		NextProtos:         protocols,
		GetCertificate:     func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.read.Load().cert, nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return i.read.Load().cert, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) > 0 { // first, so that no revocation misses it
				i.open.add(conn, s.PeerCertificates[0])
			}
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
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: i.read.Load().roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return fmt.Errorf("%w: %w", ErrStranger, err)
	}
	if i.Revoked(leaf) {
		return fmt.Errorf("%w: %w: %s", ErrStranger, ErrRevoked, setup.Serial(leaf))
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
	cert := i.read.Load().cert
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
