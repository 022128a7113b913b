package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// The leader gives nobody another name, another role, or a certificate too early or too often;
// what it gives ends with what it came of.
func TestSigner(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	files := setup.DefaultFiles(dir, "replica-1")
	identity, err := peer.LoadIdentity(c, files)
	if err != nil {
		t.Fatal(err)
	}
	first := identity.Leaf()
	now := first.NotBefore.Add(setup.NodeLife * 3 / 4)
	s := &Signer{CA: files.CA, Key: filepath.Join(dir, "ca.key"), Cluster: c.ID, Identity: identity, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
	csr := func(key any) []byte {
		text, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"writer-1"}}, key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	key, _, err := setup.NewNodeKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := csr(key)
	broken := append([]byte(nil), good...)
	broken[len(broken)-1] ^= 1
	chain := []*x509.Certificate{first}
	for name, q := range map[string][]byte{"nothing": nil, "not signed by its key": broken, "another curve": csr(other), "another kind": csr(edwards)} {
		if _, err := s.sign(chain, q); !errors.Is(err, errKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := s.sign(chain, good)
	if err != nil {
		t.Fatal(err)
	}
	given, err := setup.ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	if peer.Of(given) != peer.Of(first) || len(given.DNSNames) != 1 || given.DNSNames[0] != "replica-1" || given.IsCA || !given.NotAfter.Equal(now.Add(setup.RenewedLife).Truncate(time.Second)) {
		t.Errorf("given %+v until %v", peer.Of(given), given.NotAfter)
	}
	if origin := setup.OriginOf(given); origin != setup.OriginOf(first) || origin.Serial != setup.Serial(first) {
		t.Errorf("of origin %+v", origin)
	}
	if _, err := s.sign([]*x509.Certificate{given}, good); !errors.Is(err, errEarly) {
		t.Errorf("at once again: %v", err)
	}
	for range maxPerHour - 1 {
		if _, err := s.sign(chain, good); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.sign(chain, good); !errors.Is(err, errTooMany) {
		t.Errorf("too many: %v", err)
	}
	now = now.Add(time.Hour)
	if _, err := s.sign(chain, good); err != nil {
		t.Errorf("an hour later: %v", err)
	}
	identity.RevokedBy(revokedBy(func(cert *x509.Certificate) bool { return setup.OriginOf(cert).Serial == setup.Serial(first) }))
	if _, err := s.sign([]*x509.Certificate{given}, good); !errors.Is(err, peer.ErrRevoked) {
		t.Errorf("whose origin was revoked: %v", err)
	}
	identity.RevokedBy(revokedBy(func(*x509.Certificate) bool { return false }))
	now = first.NotAfter.Add(time.Second)
	if _, err := s.sign(chain, good); !errors.Is(err, peer.ErrStranger) {
		t.Errorf("with one that has ended: %v", err)
	}
	if _, err := (&Signer{}).sign(chain, good); !errors.Is(err, errNoKey) {
		t.Errorf("without a key: %v", err)
	}
}

// A rotation replaces the authority; each step can be taken again, and in no other order.
func TestRotation(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	identity, err := peer.LoadIdentity(c, setup.DefaultFiles(dir, "writer-1"))
	if err != nil {
		t.Fatal(err)
	}
	old := identity.Authorities()[0]
	open := func() *setup.Rotation {
		r, err := setup.OpenRotation(dir)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	look := func(step string, authorities int) {
		t.Helper()
		if _, err := identity.Look(); err != nil || len(identity.Authorities()) != authorities {
			t.Errorf("%s: %d authorities, %v", step, len(identity.Authorities()), err)
		}
	}
	if err := open().Use(); !errors.Is(err, setup.ErrConfig) {
		t.Errorf("use before rotate: %v", err)
	}
	next, err := open().Begin(c.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	look("begun", 2)
	if _, err := open().Begin(c.ID, time.Now()); !errors.Is(err, setup.ErrConfig) {
		t.Errorf("begun twice: %v", err)
	}
	if err := open().Drop(); !errors.Is(err, setup.ErrConfig) {
		t.Errorf("dropped before use: %v", err)
	}
	k := &Keeper{Identity: identity, Now: time.Now}
	if k.due(time.Now()) {
		t.Error("renewed before the new authority signs")
	}
	for range 2 {
		if err := open().Use(); err != nil {
			t.Fatal(err)
		}
	}
	look("used", 2)
	if !identity.Authorities()[0].Equal(next) || !k.due(time.Now()) {
		t.Error("the certificate is not renewed by the new authority")
	}
	a, err := setup.LayoutAuthority(dir)
	if err != nil || !a.Certificate().Equal(next) {
		t.Fatalf("another signs: %v", err)
	}
	if _, err := a.Renew(dir, c.ID, c.Nodes()[0], setup.NodeLife, time.Now()); err != nil {
		t.Fatal(err)
	}
	look("renewed", 2)
	if identity.Leaf().CheckSignatureFrom(next) != nil || k.due(time.Now()) {
		t.Error("another certificate is used")
	}
	for range 2 {
		if err := open().Drop(); err != nil {
			t.Fatal(err)
		}
	}
	look("dropped", 1)
	if identity.Authorities()[0].Equal(old) {
		t.Error("the old authority stays")
	}
}

// revokedBy tells of revoked certificates by a function.
type revokedBy func(*x509.Certificate) bool

// Revoked tells whether a certificate was revoked.
func (r revokedBy) Revoked(cert *x509.Certificate) bool { return r(cert) }
