package setup

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/writ-iam/writ/log/durable"
)

// Node is a node of a cluster's file.
type Node struct {
	Name string
	Role Role
}

// Nodes are all nodes of the file, the writers first.
func (c *Cluster) Nodes() (list []Node) {
	for _, w := range c.Writers {
		list = append(list, Node{w.Name, RoleWriter})
	}
	for _, r := range c.Replicas {
		list = append(list, Node{r.Name, RoleReplica})
	}
	return list
}

// LayoutAuthority is the authority of a layout, with its key. Where that is missing, the error
// is an ErrConfig that says so.
func LayoutAuthority(dir string) (*CertificateAuthority, error) {
	a, err := LoadCertificateAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no authority with its key: put ca.crt and ca.key back where `writ init` made them, which need not be a node's machine: %w", ErrConfig, dir, err)
	}
	return a, err
}

// Renew makes a new key and certificate for a node, in the files of its layout. The files stay
// the same ones, so that a node in a container that has them mounted reads them.
func (a *CertificateAuthority) Renew(dir, cluster string, n Node, life time.Duration, now time.Time) (*x509.Certificate, error) {
	key, keyPEM, err := NewNodeKey()
	if err != nil {
		return nil, err
	}
	certPEM, err := a.Sign(&key.PublicKey, Subject{Cluster: cluster, Name: n.Name, Role: n.Role, Life: life}, now)
	if err != nil {
		return nil, err
	}
	f := DefaultFiles(dir, n.Name)
	if err := renew(f.Key, SecretMode, keyPEM); err != nil {
		return nil, err
	}
	if err := renew(f.Cert, publicMode, certPEM); err != nil {
		return nil, err
	}
	return ReadCertificate(f.Cert)
}

// renew puts content into a file that is there, or makes it.
func renew(path string, mode fs.FileMode, content []byte) error {
	if !exists(path) {
		return put(path, mode, content)
	}
	return durable.Overwrite(path, content)
}

// ReadCertificate reads the first certificate of a file.
func ReadCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	cert, err := ParseCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}

// ParseCertificate reads the first certificate of a text in PEM; without one the error is an
// ErrConfig.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemCertificate {
		return nil, fmt.Errorf("%w: there is no certificate", ErrConfig)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: read a certificate: %w", ErrConfig, err)
	}
	return cert, nil
}
