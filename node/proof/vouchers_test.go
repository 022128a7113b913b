package proof

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// holder signs as who holds a certificate and its key.
type holder struct{ tls.Certificate }

// Sign is that of Signer.
func (h holder) Sign(statement []byte) (signature, certificate []byte, err error) {
	sum := sha256.Sum256(statement)
	signature, err = ecdsa.SignASN1(rand.Reader, h.PrivateKey.(*ecdsa.PrivateKey), sum[:])
	return signature, h.Leaf.Raw, err
}

// signers hold certificates of one cluster, and of others.
type signers struct {
	reader *peer.Identity // of the cluster, who believes them or not

	writer, replica, sameAuthority, otherAuthority, expired, former Signer

	renewed func() Signer // the writer, with another certificate each time
}

func newSigners(t testing.TB) (s signers, c setup.Cluster) {
	t.Helper()
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	load := func(dir string, c setup.Cluster, name string) *peer.Identity {
		p, err := peer.LoadIdentity(c, setup.DefaultFiles(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s.reader = load(dir, c, "replica-1")
	s.writer, s.replica = load(dir, c, "writer-1"), s.reader
	other, oc, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	s.otherAuthority = load(other, oc, "writer-1")
	a, err := setup.LoadCertificateAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	forge := func(cluster, name string, now time.Time) Signer {
		cert, key, err := a.Issue(cluster, name, setup.RoleWriter, now)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return holder{pair}
	}
	s.sameAuthority = forge("another cluster", "writer-1", time.Now())
	s.expired = forge(c.ID, "writer-1", time.Now().AddDate(-3, 0, 0))
	s.former = forge(c.ID, "writer-9", time.Now())
	s.renewed = func() Signer { return forge(c.ID, "writer-1", time.Now()) }
	return s, c
}

// A batch is vouched for by a writer of this cluster, by a certificate that is good
// now, over just this batch, and by nothing else.
func TestVouchers(t *testing.T) {
	i, c := newSigners(t)
	base := event.SignedBatch{Cluster: c.ID, Incarnation: "i", Head: event.Head{Position: 7, Hash: event.Hash{1}}}
	by := func(p Signer) event.SignedBatch {
		b := base
		if err := SignBatch(p, &b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	but := func(change func(*event.SignedBatch)) event.SignedBatch {
		b := by(i.writer)
		change(&b)
		return b
	}
	head := event.SignedHead{Cluster: c.ID, Incarnation: "i", Position: 7, Hash: event.Hash{1}}
	if err := SignHead(i.writer, &head); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	v := NewVouchers(i.reader, func() time.Time { return now })
	for name, x := range map[string]struct {
		b    event.SignedBatch
		want string
	}{
		"a writer":            {by(i.writer), ""},
		"a replica":           {by(i.replica), "replica-1 is no writer"},
		"a former writer":     {by(i.former), "writer writer-9: the cluster has no writer"},
		"another cluster":     {by(i.sameAuthority), "is for cluster [another cluster]"},
		"another authority":   {by(i.otherAuthority), "unknown authority"},
		"an old certificate":  {by(i.expired), "expired"},
		"another position":    {but(func(b *event.SignedBatch) { b.Position++ }), "the signature of writer-1"},
		"another hash":        {but(func(b *event.SignedBatch) { b.Hash[0]++ }), "the signature of writer-1"},
		"another incarnation": {but(func(b *event.SignedBatch) { b.Incarnation = "j" }), "the signature of writer-1"},
		"of another cluster":  {but(func(b *event.SignedBatch) { b.Cluster = "other" }), "the signature of writer-1"},
		"a replica's word under a writer's certificate": {but(func(b *event.SignedBatch) { b.Signature = by(i.replica).Signature }), "the signature of writer-1"},
		"a signed head":  {but(func(b *event.SignedBatch) { b.Signature = head.Signature }), "the signature of writer-1"},
		"no signature":   {but(func(b *event.SignedBatch) { b.Signature = nil }), "the signature of writer-1"},
		"no certificate": {but(func(b *event.SignedBatch) { b.Certificate = nil }), "read the signer's certificate"},
	} {
		for range 2 { // verified anew, and remembered
			err := v.Vouched(&x.b)
			if x.want == "" && err != nil || x.want != "" && (!errors.Is(err, peer.ErrStranger) || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if len(v.known) != 1 {
		t.Errorf("%d certificates are remembered", len(v.known))
	}
	b := by(i.writer)
	now = i.writer.(*peer.Identity).Leaf().NotAfter.Add(time.Second)
	if err := v.Vouched(&b); !errors.Is(err, peer.ErrStranger) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after it expired: %v", err)
	}
}

// Writers renew their certificates; no number of them is remembered without bound.
func TestVouchersAreBounded(t *testing.T) {
	i, c := newSigners(t)
	v := NewVouchers(i.reader, time.Now)
	for n := range 2*maxVouchers + 1 {
		b := event.SignedBatch{Cluster: c.ID, Incarnation: "i", Head: event.Head{Position: event.Position(n)}}
		renewed := i.renewed()
		if err := SignBatch(renewed, &b); err != nil {
			t.Fatal(err)
		}
		if err := v.Vouched(&b); err != nil {
			t.Fatal(err)
		}
		if len(v.known) > maxVouchers {
			t.Fatalf("%d certificates are remembered", len(v.known))
		}
	}
}

func BenchmarkVouching(b *testing.B) {
	i, c := newSigners(b)
	s := event.SignedBatch{Cluster: c.ID, Incarnation: "i", Head: event.Head{Position: 7, Hash: event.Hash{1}}}
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			if err := SignBatch(i.writer, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		v := NewVouchers(i.reader, time.Now)
		if err := SignBatch(i.writer, &s); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := v.Vouched(&s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
