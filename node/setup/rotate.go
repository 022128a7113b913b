package setup

import (
	"bytes"
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

// How another authority takes the place of a layout's: first all nodes trust both (Begin), then
// the new one signs (Use), then nobody trusts the old one (Drop). Each step can be taken again
// after a crash amid it. ca.crt has the authority first that signs, from Use on.

// nextKeyFile is the key of the authority that will sign, between Begin and Use.
const nextKeyFile = "ca.next.key"

// Rotation is a layout whose authority is replaced.
type Rotation struct {
	dir string
	// Authorities are those of ca.crt.
	Authorities []*x509.Certificate
	// Signs is the one of them whose key is ca.key.
	Signs *CertificateAuthority
}

// OpenRotation reads the authorities of a layout.
func OpenRotation(dir string) (*Rotation, error) {
	a, err := LayoutAuthority(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	list, err := ParseAuthorities(text)
	return &Rotation{dir, list, a}, err
}

// Next is the authority that is to sign; nil where none is.
func (r *Rotation) Next() *CertificateAuthority {
	a, err := LoadCertificateAuthority(filepath.Join(r.dir, "ca.crt"), filepath.Join(r.dir, nextKeyFile))
	if err != nil {
		return nil
	}
	return a
}

// Begin adds another authority, which signs nothing yet. A rotation that is under way is an
// ErrConfig.
func (r *Rotation) Begin(cluster string, now time.Time) (*x509.Certificate, error) {
	if len(r.Authorities) > 1 {
		return nil, fmt.Errorf("%w: ca.crt has %d authorities: finish what is under way, by `writ cert authority use` and `writ cert authority drop`", ErrConfig, len(r.Authorities))
	}
	next, err := NewCertificateAuthority(cluster, now)
	if err != nil {
		return nil, err
	}
	_, key, err := next.PEM()
	if err != nil {
		return nil, err
	}
	if err := put(filepath.Join(r.dir, nextKeyFile), SecretMode, key); err != nil {
		return nil, err
	}
	return next.cert, r.trust(r.Signs.cert, next.cert)
}

// trust makes ca.crt hold authorities. It stays the same file, for containers that have it mounted.
func (r *Rotation) trust(list ...*x509.Certificate) error {
	var text bytes.Buffer
	for _, cert := range list {
		if err := pem.Encode(&text, &pem.Block{Type: pemCertificate, Bytes: cert.Raw}); err != nil {
			return fmt.Errorf("encode the authorities: %w", err)
		}
	}
	// A whole copy beside it: a crash that leaves a part of ca.crt loses nothing.
	aside := filepath.Join(r.dir, "ca.crt.new")
	if err := put(aside, publicMode, text.Bytes()); err != nil {
		return err
	}
	if err := renew(filepath.Join(r.dir, "ca.crt"), publicMode, text.Bytes()); err != nil {
		return err
	}
	r.Authorities = list
	return forget(aside)
}

// Use has the next authority sign from now on, if it does not yet. The key of the one before is
// gone then.
func (r *Rotation) Use() error {
	next, key := r.Next(), filepath.Join(r.dir, nextKeyFile)
	if next == nil && len(r.Authorities) == 1 {
		return fmt.Errorf("%w: there is no other authority: begin by `writ cert authority rotate`", ErrConfig)
	}
	if next != nil {
		text, err := os.ReadFile(key)
		if err != nil {
			return fmt.Errorf("read the next authority's key: %w", err)
		}
		if err := renew(filepath.Join(r.dir, "ca.key"), SecretMode, text); err != nil {
			return err
		}
		r.Signs = next
	}
	list := []*x509.Certificate{r.Signs.cert}
	for _, cert := range r.Authorities {
		if !cert.Equal(r.Signs.cert) {
			list = append(list, cert)
		}
	}
	if err := r.trust(list...); err != nil {
		return err
	}
	return forget(key)
}

// Drop ends the trust in all authorities but the one that signs. Before Use it is an ErrConfig.
func (r *Rotation) Drop() error {
	if r.Next() != nil {
		return fmt.Errorf("%w: the new authority signs nothing yet: `writ cert authority use` comes first", ErrConfig)
	}
	return r.trust(r.Signs.cert)
}

// forget removes a file that is needed no more, if it is there.
func forget(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove what is needed no more: %w", err)
	}
	return durable.SyncDir(filepath.Dir(path))
}
