package node

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
)

// reloadedCert is a certificate for clients that can be read again.
type reloadedCert struct {
	certFile, keyFile string
	cert              atomic.Pointer[tls.Certificate]
}

func loadReloadedCert(certFile, keyFile string) (*reloadedCert, error) {
	c := &reloadedCert{certFile: certFile, keyFile: keyFile}
	return c, c.reload()
}

func (c *reloadedCert) reload() error {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the certificate for clients: %w", err)
	}
	c.cert.Store(&cert)
	return nil
}

func (c *reloadedCert) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.cert.Load(), nil },
	}
}
