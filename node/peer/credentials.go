package peer

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"weak"

	"github.com/writ-iam/writ/node/setup"
)

// credentials are what the files of a node's certificates held at one moment.
type credentials struct {
	roots       *x509.CertPool
	authorities []*x509.Certificate
	cert        *tls.Certificate
}

// Reload reads the files again: the node's certificate, its key and the authorities.
// Connections made from then on go by them. What cannot be used is an error, and what was
// used before stays.
func (i *Identity) Reload() error {
	_, err := i.look(true)
	return err
}

// Look is Reload if the files hold something else than when they were read last, whichever
// files these are by now. It tells whether another certificate or authority is used since.
// An error is told once.
func (i *Identity) Look() (changed bool, err error) { return i.look(false) }

func (i *Identity) look(anyway bool) (changed bool, err error) {
	i.reading.Lock()
	defer i.reading.Unlock()
	texts, sum, err := i.texts()
	if sum == i.seen && !anyway {
		return false, nil
	}
	i.seen = sum
	if err != nil {
		return false, err
	}
	next, err := i.parse(texts)
	if next == nil {
		return false, err
	}
	before := i.read.Swap(next)
	return before == nil || !before.equal(next), err
}

func (c *credentials) equal(other *credentials) bool {
	return c.cert.Leaf.Equal(other.cert.Leaf) && c.roots.Equal(other.roots)
}

// texts are the contents of the files, and their sum. Of a certificate that the node was
// given, the file need not be there.
func (i *Identity) texts() (texts [4][]byte, sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for n, path := range []string{i.files.CA, i.files.Cert, i.files.Key, i.files.Renewed} {
		text, failed := []byte(nil), error(nil)
		if path != "" {
			text, failed = os.ReadFile(path)
		}
		if failed != nil && !(path == i.files.Renewed && errors.Is(failed, fs.ErrNotExist)) {
			err = errors.Join(err, fmt.Errorf("read the node's certificates: %w", failed))
		}
		fmt.Fprintf(h, "%d %v %d ", n, failed != nil, len(text))
		h.Write(text)
		texts[n] = text
	}
	h.Sum(sum[:0])
	return texts, sum, err
}

// parse chooses among the certificate of the files and the one that the node was given: the
// younger one that is good. The error says what is wrong with the former, though the other
// is used, unless it has merely ended.
func (i *Identity) parse(texts [4][]byte) (*credentials, error) {
	list, err := setup.ParseAuthorities(texts[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.files.CA, err)
	}
	c := &credentials{roots: x509.NewCertPool(), authorities: list}
	for _, authority := range list {
		c.roots.AddCert(authority)
	}
	own, err := i.pair(c.roots, i.files.Cert, texts[1], texts[2])
	c.cert = own
	if len(texts[3]) > 0 {
		given, bad := i.pair(c.roots, i.files.Renewed, texts[3], texts[3])
		if bad == nil && (own == nil || given.Leaf.NotBefore.After(own.Leaf.NotBefore)) {
			c.cert = given
			if ended := (x509.CertificateInvalidError{}); errors.As(err, &ended) && ended.Reason == x509.Expired || errors.Is(err, ErrRevoked) {
				err = nil
			}
		}
	}
	if c.cert == nil {
		return nil, err
	}
	return c, err
}

// pair is a certificate with its key, if it is good for this node.
func (i *Identity) pair(roots *x509.CertPool, file string, cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w: read the node's certificate in %s: %w", setup.ErrConfig, file, err)
	}
	if err := i.fits(roots, file, pair.Leaf); err != nil {
		return nil, err
	}
	return &pair, nil
}

// Fits says why a certificate is not good for this node; nil if it is.
func (i *Identity) Fits(cert *x509.Certificate) error {
	return i.fits(i.Roots(), "the certificate", cert)
}

func (i *Identity) fits(roots *x509.CertPool, file string, leaf *x509.Certificate) error {
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		if ended := (x509.CertificateInvalidError{}); errors.As(err, &ended) && ended.Reason == x509.Expired {
			return fmt.Errorf("%w: %s is not good now; set the clock right, or make another by `writ cert renew`: %w", setup.ErrConfig, file, err)
		}
		return fmt.Errorf("%w: %s was not issued by the authority in %s: %w", setup.ErrConfig, file, i.files.CA, err)
	}
	if err := i.checkCluster(leaf); err != nil {
		return fmt.Errorf("%w: %s: %w", setup.ErrConfig, file, err)
	}
	if i.Revoked(leaf) {
		return fmt.Errorf("%s: %w", file, ErrRevoked)
	}
	if now := i.read.Load(); now != nil && Of(now.cert.Leaf) != Of(leaf) {
		return fmt.Errorf("%w: %s is for the %s %s, and this is the %s %s", setup.ErrConfig, file, roleOf(leaf), leaf.Subject.CommonName, roleOf(now.cert.Leaf), now.cert.Leaf.Subject.CommonName)
	}
	return nil
}

// Roots are the authorities as a pool: another one when they were read again.
func (i *Identity) Roots() *x509.CertPool { return i.read.Load().roots }

// Revocations is what a node knows of revoked certificates. It may be asked by any number of
// goroutines.
type Revocations interface {
	// Revoked tells whether a certificate was revoked.
	Revoked(cert *x509.Certificate) bool
}

// RevokedBy makes the identity go by what somebody knows of revoked certificates.
func (i *Identity) RevokedBy(r Revocations) { i.revoked.Store(&r) }

// Revoked tells whether a certificate was revoked.
func (i *Identity) Revoked(cert *x509.Certificate) bool {
	revoked := i.revoked.Load()
	return revoked != nil && (*revoked).Revoked(cert)
}

// Expel closes the connections whose certificate is good no more: it was revoked, has ended, or
// is of an authority that the node trusted before. It reads the node's own files again in case
// its own is revoked.
func (i *Identity) Expel() error {
	i.open.close(func(cert *x509.Certificate) bool {
		err := i.verify([]*x509.Certificate{cert}, ID{})
		return err != nil && !errors.Is(err, ErrUnlisted) // who is told why, and on no other line
	})
	if i.Revoked(i.Leaf()) {
		return i.Reload()
	}
	return nil
}

// minSweep is how many connections are remembered at least before those that are gone are
// looked for.
const minSweep = 1024

// connections are those between nodes, of both sides, and by which certificate. Those that
// are gone are forgotten by themselves.
type connections struct {
	mu    sync.Mutex
	of    map[weak.Pointer[net.TCPConn]]*x509.Certificate // guarded by mu
	sweep int                                             // with so many, those that are gone are looked for; guarded by mu
}

func (c *connections) add(conn net.Conn, cert *x509.Certificate) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of, c.sweep = make(map[weak.Pointer[net.TCPConn]]*x509.Certificate), minSweep
	}
	if len(c.of) >= c.sweep {
		for p := range c.of {
			if p.Value() == nil {
				delete(c.of, p)
			}
		}
		c.sweep = max(minSweep, 2*len(c.of))
	}
	c.of[weak.Make(tcp)] = cert
}

func (c *connections) close(ended func(*x509.Certificate) bool) {
	var out []*net.TCPConn
	c.mu.Lock()
	for p, cert := range c.of {
		if ended(cert) {
			if conn := p.Value(); conn != nil {
				out = append(out, conn)
			}
			delete(c.of, p)
		}
	}
	c.mu.Unlock()
	for _, conn := range out {
		conn.Close() // whoever uses it finds out
	}
}
