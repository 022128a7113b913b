package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/node/setup"
)

// ErrNotAPeer is returned when the other end of a connection is not a node of
// this cluster, or not the one that was meant.
var ErrNotAPeer = errors.New("not a node of this cluster")

// peerTLS is how nodes recognize each other: mutual TLS 1.3 with certificates of
// the cluster's authority, whose organization must be the cluster's id.
type peerTLS struct {
	cluster string
	files   setup.Files
	roots   *x509.CertPool
	cert    atomic.Pointer[tls.Certificate] // replaced by reload
	// writers tells whether the configuration has a writer of that name; nil takes any.
	// A writer's certificate for another name is nobody's: its bearer could do everything.
	writers func(name string) bool
}

func loadPeerTLS(cluster string, f setup.Files) (*peerTLS, error) {
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("read the cluster authority's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%w: no certificate in %s", setup.ErrConfig, f.CA)
	}
	p := &peerTLS{cluster: cluster, files: f, roots: roots}
	if err := p.reload(); err != nil {
		return nil, err
	}
	return p, nil
}

// reload reads the node's certificate again; connections made from then on use it.
func (p *peerTLS) reload() error {
	cert, err := tls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	if err != nil {
		return fmt.Errorf("read the node's certificate: %w", err)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: p.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return fmt.Errorf("%w: %s was not issued by the authority in %s: %w", setup.ErrConfig, p.files.Cert, p.files.CA, err)
	}
	if err := p.checkCluster(cert.Leaf); err != nil {
		return fmt.Errorf("%w: %s: %w", setup.ErrConfig, p.files.Cert, err)
	}
	p.cert.Store(&cert)
	return nil
}

func (p *peerTLS) checkCluster(cert *x509.Certificate) error {
	if !slices.Contains(cert.Subject.Organization, p.cluster) {
		return fmt.Errorf("%w: the certificate of %s is for cluster %v, this is %s", ErrNotAPeer, cert.Subject.CommonName, cert.Subject.Organization, p.cluster)
	}
	return nil
}

// peer is whom a connection is meant for; empty fields are not checked.
type peer struct {
	name string
	role setup.Role
}

// config is the TLS configuration of both ends of a connection to a peer. Chains
// are verified in VerifyConnection rather than by host name, because addresses
// change and names of nodes do not.
func (p *peerTLS) config(to peer, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ClientAuth:         tls.RequireAndVerifyClientCert,
		ClientCAs:          p.roots,
		InsecureSkipVerify: true, // checked in VerifyConnection
		NextProtos:         protocols,
		GetCertificate:     func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.cert.Load(), nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return p.cert.Load(), nil
		},
		VerifyConnection: func(s tls.ConnectionState) error { return p.verify(s.PeerCertificates, to) },
	}
}

// verify checks the other end's certificate: chain, cluster, and whom it is for.
func (p *peerTLS) verify(chain []*x509.Certificate, to peer) error {
	return p.verifyAt(chain, to, time.Time{})
}

// verifyAt checks as verify does, at another time than now, which zero means.
func (p *peerTLS) verifyAt(chain []*x509.Certificate, to peer, at time.Time) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: no certificate", ErrNotAPeer)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: p.roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAPeer, err)
	}
	if to.name != "" && leaf.Subject.CommonName != to.name {
		return fmt.Errorf("%w: reached %s instead of %s", ErrNotAPeer, leaf.Subject.CommonName, to.name)
	}
	if to.role != "" && roleOf(leaf) != to.role {
		return fmt.Errorf("%w: %s is no %s", ErrNotAPeer, leaf.Subject.CommonName, to.role)
	}
	if name := leaf.Subject.CommonName; roleOf(leaf) == setup.RoleWriter && p.writers != nil && !p.writers(name) {
		return fmt.Errorf("%w: the configuration has no writer %s", ErrNotAPeer, name)
	}
	return p.checkCluster(leaf)
}

// roleOf is the role that a verified certificate names.
func roleOf(cert *x509.Certificate) setup.Role {
	if len(cert.Subject.OrganizationalUnit) != 1 {
		return ""
	}
	return setup.Role(cert.Subject.OrganizationalUnit[0])
}
