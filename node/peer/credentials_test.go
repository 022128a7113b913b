package peer

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the files hold is found by looking, however they got there; what cannot be used is
// told once, and what was used before stays.
func TestLook(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	files := setup.DefaultFiles(dir, "writer-1")
	files.Renewed = filepath.Join(dir, "given.pem")
	i, err := LoadIdentity(c, files)
	if err != nil {
		t.Fatal(err)
	}
	a, err := setup.LoadCertificateAuthority(files.CA, filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	issue := func(by *setup.CertificateAuthority, name string, role setup.Role, now time.Time) (cert, key []byte) {
		cert, key, err := by.Issue(c.ID, name, role, now)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	look := func(step string, changed bool, want string) {
		t.Helper()
		before := i.Leaf()
		got, err := i.Look()
		if got != changed || got != (!i.Leaf().Equal(before) || step == "authority") || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: changed %t, %v", step, got, err)
		}
		if got, err := i.Look(); got || err != nil {
			t.Errorf("%s, again: changed %t, %v", step, got, err)
		}
	}
	look("nothing new", false, "")
	cert, key := issue(a, "writer-1", setup.RoleWriter, time.Now())
	write(t, files.Cert, cert)
	look("half of a pair", false, "private key does not match")
	write(t, files.Key, key)
	look("the other half", true, "")
	for step, x := range map[string]struct{ name, want string }{"a name": {"writer-2", "is for the writer writer-2"}, "no certificate": {"", "failed to find any PEM"}} {
		bad, badKey := []byte("nothing"), key
		if x.name != "" {
			bad, badKey = issue(a, x.name, setup.RoleWriter, time.Now())
		}
		write(t, files.Cert, bad)
		write(t, files.Key, badKey)
		look(step, false, x.want)
		if i.Reload() == nil {
			t.Errorf("%s: a reload that is asked for is silent", step)
		}
	}
	write(t, files.Cert, cert)
	write(t, files.Key, key)
	look("back again", false, "")
	if err := os.Remove(files.CA); err != nil {
		t.Fatal(err)
	}
	look("gone", false, "no such file")

	// another authority beside the first: certificates of both are good
	second, err := setup.NewCertificateAuthority(c.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := second.PEM()
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := a.PEM()
	if err != nil {
		t.Fatal(err)
	}
	theirs, _ := issue(second, "replica-1", setup.RoleReplica, time.Now())
	block, _ := pem.Decode(theirs)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.verify([]*x509.Certificate{leaf}, ID{}); !errors.Is(err, ErrStranger) {
		t.Errorf("of an authority that is not known: %v", err)
	}
	write(t, files.CA, append(first, other...))
	look("authority", true, "")
	if err := i.verify([]*x509.Certificate{leaf}, ID{}); err != nil {
		t.Errorf("of the second authority: %v", err)
	}
	write(t, files.CA, append(first, other[:len(other)/2]...))
	look("cut off", false, "cut off")
}

// A certificate that the leader gave counts where it is younger, and alone where the other has
// ended.
func TestGivenCertificate(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	files := setup.DefaultFiles(dir, "writer-1")
	files.Renewed = filepath.Join(dir, "given.pem")
	i, err := LoadIdentity(c, files)
	if err != nil {
		t.Fatal(err)
	}
	a, err := setup.LayoutAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(now time.Time) (cert, key []byte) {
		cert, key, err := a.Issue(c.ID, "writer-1", setup.RoleWriter, now)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	cert, key := issue(time.Now().Add(time.Minute))
	write(t, files.Renewed, append(append([]byte(nil), cert...), key...))
	if changed, err := i.Look(); !changed || err != nil {
		t.Errorf("given: changed %t, %v", changed, err)
	}
	old, oldKey := issue(time.Now().Add(-setup.NodeLife - time.Hour))
	write(t, files.Cert, old)
	write(t, files.Key, oldKey)
	if changed, err := i.Look(); changed || err != nil {
		t.Errorf("the file has ended: changed %t, %v", changed, err)
	}
	if again, err := LoadIdentity(c, files); err != nil || !again.Leaf().Equal(i.Leaf()) {
		t.Errorf("started again: %v", err)
	}
	write(t, files.Renewed, cert)
	if _, err := LoadIdentity(c, files); !errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), "writ cert renew") {
		t.Errorf("with nothing that is good: %v", err)
	}
}

// A certificate that is revoked, or whose authority the node trusts no more, opens no connection,
// and what it had opened is closed.
func TestConnectionsEnd(t *testing.T) {
	for name, x := range map[string]struct {
		end func(i *identities, revoked *atomic.Bool)
		why error
	}{
		"revoked": {func(_ *identities, revoked *atomic.Bool) { revoked.Store(true) }, ErrRevoked},
		"of an authority of before": {func(i *identities, _ *atomic.Bool) {
			i.writer.read.Store(&credentials{roots: x509.NewCertPool(), cert: i.writer.read.Load().cert})
		}, ErrStranger},
	} {
		t.Run(name, func(t *testing.T) {
			i, _ := newIdentities(t)
			p, err := Listen(TCP{}, "127.0.0.1:0", i.writer, 1<<16)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			dial := func() error {
				conn, err := Dial(t.Context(), TCP{}, p.listener.Addr().String(), ID{}, ProtocolHTTP, i.replica)
				if err != nil {
					return err
				}
				defer conn.Close()
				_, err = conn.Read(make([]byte, 1))
				return err
			}
			var revoked atomic.Bool
			i.writer.RevokedBy(revokedBy(func(cert *x509.Certificate) bool { return revoked.Load() && cert.Equal(i.replica.Leaf()) }))
			ended := make(chan error, 1)
			go func() { ended <- dial() }()
			taken, err := p.HTTP().Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			if err := i.writer.Expel(); err != nil || len(ended) > 0 {
				t.Errorf("all is good: %v", err)
			}
			x.end(&i, &revoked)
			if err := i.writer.Expel(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err == nil {
				t.Error("the open connection goes on")
			}
			if err := dial(); err == nil {
				t.Error("let in again")
			}
			if err := i.writer.verify([]*x509.Certificate{i.replica.Leaf()}, ID{}); !errors.Is(err, x.why) || !errors.Is(err, ErrStranger) {
				t.Errorf("verified: %v", err)
			}
		})
	}
}

// revokedBy tells of revoked certificates by a function.
type revokedBy func(*x509.Certificate) bool

// Revoked tells whether a certificate was revoked.
func (r revokedBy) Revoked(cert *x509.Certificate) bool { return r(cert) }
