package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// identities are certificates of one cluster, and of others.
type identities struct {
	writer, replica, sameAuthority, otherAuthority, expired, former *Identity
}

func newIdentities(t testing.TB) (i identities, c setup.Cluster) {
	t.Helper()
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	load := func(dir, id, name string) *Identity {
		p, err := LoadIdentity(setup.Cluster{ID: id}, setup.DefaultFiles(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	i.writer, i.replica = load(dir, c.ID, "writer-1"), load(dir, c.ID, "replica-1")
	other, oc, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	i.otherAuthority = load(other, oc.ID, "writer-1")
	a, err := setup.LoadCertificateAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	forge := func(cluster, name string, now time.Time) *Identity {
		cert, key, err := a.Issue(cluster, name, setup.RoleWriter, now)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		p := &Identity{cluster: c.ID}
		p.read.Store(&credentials{roots: i.writer.Roots(), cert: &pair})
		return p
	}
	i.sameAuthority = forge("another cluster", "writer-1", time.Now())
	i.expired = forge(c.ID, "writer-1", time.Now().AddDate(-3, 0, 0))
	i.former = forge(c.ID, "writer-9", time.Now())
	i.writer.writers = NewDirectory(c.Writers)
	i.replica.writers = i.writer.writers
	return i, c
}

func TestPeerCertificates(t *testing.T) {
	i, c := newIdentities(t)
	chain := func(p *Identity) []*x509.Certificate { return []*x509.Certificate{p.Leaf()} }
	for name, x := range map[string]struct {
		chain []*x509.Certificate
		to    ID
		want  string
	}{
		"a writer":          {chain(i.writer), ID{Role: setup.RoleWriter}, ""},
		"by name":           {chain(i.writer), ID{Name: "writer-1"}, ""},
		"another name":      {chain(i.writer), ID{Name: "writer-2"}, "reached writer-1 instead of writer-2"},
		"another role":      {chain(i.replica), ID{Role: setup.RoleWriter}, "replica-1 is no writer"},
		"anyone":            {chain(i.replica), ID{}, ""},
		"nobody":            {nil, ID{}, "no certificate"},
		"a former writer":   {chain(i.former), ID{}, "writer writer-9: the cluster has no writer"},
		"another cluster":   {chain(i.sameAuthority), ID{}, "is for cluster [another cluster], this is " + c.ID},
		"another authority": {chain(i.otherAuthority), ID{}, "certificate signed by unknown authority"},
		"expired":           {chain(i.expired), ID{}, "expired"},
	} {
		err := i.writer.verify(x.chain, x.to)
		if x.want == "" && err != nil || x.want != "" && (!errors.Is(err, ErrStranger) || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir, _, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	if _, err := LoadIdentity(c, setup.DefaultFiles(dir, "writer-1")); !errors.Is(err, ErrStranger) {
		t.Errorf("a certificate of another cluster: %v", err)
	}
	mixed := setup.DefaultFiles(dir, "writer-1")
	mixed.CA = i.writer.files.CA
	if _, err := LoadIdentity(c, mixed); !errors.Is(err, setup.ErrConfig) {
		t.Errorf("a certificate of another authority: %v", err)
	}
	mixed.CA = mixed.SealKey
	if _, err := LoadIdentity(c, mixed); err == nil {
		t.Error("no certificate at all was taken")
	}
	if err := i.writer.Reload(); err != nil {
		t.Error(err)
	}
}

// The peer port lets nodes of the cluster in, each to the protocol it asks for, and
// nobody else.
func TestPeerPort(t *testing.T) {
	i, _ := newIdentities(t)
	p, err := Listen(TCP{}, "127.0.0.1:0", i.writer, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	addr := p.listener.Addr().String()
	dial := func(who *Identity, protocol string) (net.Conn, error) {
		return Dial(t.Context(), TCP{}, addr, ID{Role: setup.RoleWriter}, protocol, who)
	}
	expect := func(l net.Listener, who *Identity, protocol string) {
		t.Helper()
		conn, err := dial(who, protocol)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		got, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if name := got.(interface{ ConnectionState() tls.ConnectionState }).ConnectionState().PeerCertificates[0].Subject.CommonName; name != who.Leaf().Subject.CommonName {
			t.Errorf("%s came as %s", who.Leaf().Subject.CommonName, name)
		}
	}
	expect(p.raft, i.writer, ProtocolRaft)
	expect(p.http, i.writer, ProtocolHTTP)
	expect(p.http, i.replica, ProtocolHTTP)
	expect(p.http, i.former, ProtocolHTTP) // to be told why it is not served
	// TLS 1.3 tells a client that it was refused with its first read.
	for name, x := range map[string]struct {
		who      *Identity
		protocol string
	}{
		"raft as a replica": {i.replica, ProtocolRaft}, "another cluster": {i.sameAuthority, ProtocolHTTP},
		"another authority": {i.otherAuthority, ProtocolHTTP}, "expired": {i.expired, ProtocolRaft},
		"raft as a writer that the cluster does not have": {i.former, ProtocolRaft}, "such a writer without a protocol": {i.former, "other"},
	} {
		conn, err := dial(x.who, x.protocol)
		if err != nil {
			continue
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: let in", name)
		}
		conn.Close()
	}
	anonymous, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ProtocolHTTP}})
	if err == nil {
		if _, err = anonymous.Read(make([]byte, 1)); err == nil {
			t.Error("without a certificate: let in")
		}
		anonymous.Close()
	}
	if len(p.raft.conns)+len(p.http.conns) != 0 {
		t.Error("somebody else was let in")
	}
	idle, err := net.Dial("tcp", addr) // never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	waiting, err := dial(i.writer, ProtocolHTTP) // never accepted
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := waiting.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that nobody took is still open")
	}
	if _, err := p.http.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed port accepts: %v", err)
	}
	if p.http.Addr().String() != addr {
		t.Error("the protocol has another address")
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
