package api

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// Certificate is a certificate for clients that can be read again.
type Certificate struct {
	certFile, keyFile string
	cert              atomic.Pointer[tls.Certificate]

	reading sync.Mutex        // held while the files are read
	seen    [sha256.Size]byte // of what they held when they were read last; guarded by reading
}

// LoadCertificate reads a certificate and its key from PEM files.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	return c, c.Reload()
}

// Reload reads the files again; connections from then on get what they say. On an error
// the one before stays.
func (c *Certificate) Reload() error {
	_, err := c.look(true)
	return err
}

// Look is Reload if the files hold something else than when they were read last, and tells
// whether another certificate is served since. An error is told once.
func (c *Certificate) Look() (changed bool, err error) { return c.look(false) }

func (c *Certificate) look(anyway bool) (changed bool, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	text, noCert := os.ReadFile(c.certFile)
	key, noKey := os.ReadFile(c.keyFile)
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(text), text, key))
	if sum == c.seen && !anyway {
		return false, nil
	}
	c.seen = sum
	if err := errors.Join(noCert, noKey); err != nil {
		return false, fmt.Errorf("read the certificate for clients: %w", err)
	}
	cert, err := tls.X509KeyPair(text, key)
	if err != nil {
		return false, fmt.Errorf("read the certificate for clients in %s and %s: %w", c.certFile, c.keyFile, err)
	}
	before := c.cert.Swap(&cert)
	return before == nil || !before.Leaf.Equal(cert.Leaf), nil
}

// Leaf is the certificate that is served.
func (c *Certificate) Leaf() *x509.Certificate { return c.cert.Load().Leaf }

// TLS serves the certificate, by TLS 1.2 or later.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.cert.Load(), nil },
	}
}
