package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/proof"
)

func (m *team) authority() *client.CertificateAuthority {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, "ca.crt"))
	if err != nil {
		m.t.Fatal(err)
	}
	a, err := client.ParseCertificateAuthority(text)
	if err != nil {
		m.t.Fatal(err)
	}
	return a
}

// signedHead asks a node for a head and checks the signature.
func (m *team) signedHead(name string) *client.SignedHead {
	m.t.Helper()
	h, err := m.client(name).Head(m.t.Context())
	if err == nil {
		err = m.authority().Check(h)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return h
}

// A head that was kept is found in a longer history, by way of any node, whoever
// leads by then.
func TestSignedHeads(t *testing.T) {
	m := newTeam(t, 3, 1)
	m.startAll()
	kept := m.signedHead("replica-1")
	for i := range 5 {
		m.must("replica-1", "CreateUser", "UserName", fmt.Sprintf("u%d", i))
	}
	now := m.signedHead("writer-2")
	if now.Position != kept.Position+5 || now.Node != m.leader("writer-1") {
		t.Errorf("head %d of %s, kept %d", now.Position, now.Node, kept.Position)
	}
	for _, name := range []string{"writer-1", "writer-2", "writer-3", "replica-1"} {
		if walked, err := m.client(name).Contains(t.Context(), kept, now); err != nil || walked != 6 {
			t.Errorf("by way of %s: %d, %v", name, walked, err)
		}
	}
	m.stop(now.Node)
	later := m.signedHead("replica-1")
	if later.Node == now.Node || later.Position != now.Position || later.Hash != now.Hash {
		t.Errorf("%+v after %+v", later, now)
	}
	if err := client.Compare(now, later); err != nil {
		t.Error(err)
	}
	other := newTeam(t, 1, 0)
	other.startAll()
	strange := other.signedHead("writer-1")
	if err := m.authority().Check(strange); !errors.Is(err, client.ErrSignature) {
		t.Errorf("a head of another cluster: %v", err)
	}
	if _, err := m.client("replica-1").Contains(t.Context(), strange, later); !errors.Is(err, client.ErrOtherHistory) {
		t.Errorf("a head of another cluster: %v", err)
	}
}

// A replica's key signs no heads that anybody believes.
func TestAReplicaSignsNoHeads(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	forged := *m.signedHead("writer-1")
	forged.Position++
	forged.Node = "replica-1"
	if err := proof.SignHead(m.node("replica-1").tls, &forged); err != nil {
		t.Fatal(err)
	}
	if err := m.authority().Check(&forged); !errors.Is(err, client.ErrSignature) {
		t.Errorf("believed: %v", err)
	}
}
