package node

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/certs"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/tail"
)

// issuer makes certificates in the layout of a team.
type issuer struct {
	m *team
	*setup.CertificateAuthority
}

func (m *team) issuer() issuer {
	m.t.Helper()
	a, err := setup.LayoutAuthority(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	return issuer{m, a}
}

// renew makes another certificate of a node by hand, at some time.
func (i issuer) renew(name string, life time.Duration, at time.Time) *x509.Certificate {
	i.m.t.Helper()
	for _, n := range i.m.cluster.Nodes() {
		if n.Name == name {
			cert, err := i.Renew(i.m.dir, i.m.cluster.ID, n, life, at)
			if err != nil {
				i.m.t.Fatal(err)
			}
			return cert
		}
	}
	i.m.t.Fatalf("no node %s", name)
	return nil
}

// uses waits until the leader tells that a node's certificate is such.
func (m *team) uses(name, what string, so func(shape.Certificate) bool) {
	m.t.Helper()
	m.until(name+" uses "+what, func(ctx context.Context) error {
		s, err := m.client("writer-1").Cluster(ctx)
		if err != nil {
			return err
		}
		for _, member := range s.Members {
			for _, c := range member.Certificates {
				if member.Name == name && c.Which == shape.CertificateNode && so(c) {
					return nil
				}
			}
		}
		return fmt.Errorf("%+v", s.Members)
	})
}

// load reads and writes by way of a node until the returned function is called, which tells
// how many requests there were and which failed.
func (m *team) load(name string) (end func() (int, error)) {
	c, ctx := m.client(name), m.t.Context()
	stop, n, failed := make(chan struct{}), 0, error(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			user := url.Values{"UserName": {fmt.Sprintf("user-%d", n)}}
			for _, action := range []string{"CreateUser", "GetUser"} {
				if _, err := c.Query(ctx, "iam", action, user); err != nil {
					failed = errors.Join(failed, fmt.Errorf("%s %d: %w", action, n, err))
				}
				n++
			}
		}
	})
	return func() (int, error) {
		close(stop)
		wg.Wait()
		return n, failed
	}
}

// Certificates are renewed by the leader when it is time, and by hand, while requests go on;
// one that is revoked opens nothing, and what it had opened is closed.
func TestCertificatesUnderLoad(t *testing.T) {
	m := newTeam(t, 1, 2)
	a := m.issuer()
	m.caKey = filepath.Join(m.dir, "ca.key")
	first := map[string]*x509.Certificate{}
	for _, n := range m.cluster.Nodes() { // of two hours, of which 110 minutes are over
		first[n.Name] = a.renew(n.Name, time.Hour, time.Now().Add(-50*time.Minute))
	}
	m.startAll()
	for name, old := range first {
		m.until(name+" is renewed", func(ctx context.Context) error { // once it is in the roster
			if certs.Due(m.node(name).tls.Leaf(), time.Now()) {
				return m.node(name).certs.Renew(ctx)
			}
			return nil
		})
		m.uses(name, "a certificate that the leader renewed", func(c shape.Certificate) bool {
			return c.Origin == setup.Serial(old) && c.Serial != c.Origin && time.Until(c.NotAfter) > 29*24*time.Hour && c.State == shape.CertificateGood
		})
	}
	end := m.load("replica-1")
	replica, writer := m.thief("replica-2"), m.thief("writer-1") // by the files, which have the first certificates
	for _, name := range []string{"writer-1", "replica-1"} {
		cert := a.renew(name, setup.NodeLife, time.Now())
		if err := m.node(name).Reload(); err != nil {
			t.Fatal(err)
		}
		m.node(name).finder.Close() // the next requests come by new connections
		m.uses(name, "a certificate that was made by hand", func(c shape.Certificate) bool { return c.Serial == setup.Serial(cert) && c.Origin == c.Serial })
	}
	m.stop("replica-2")
	m.refusesStolen(replica, writer, setup.Serial(first["writer-1"]))
	if n, err := end(); err != nil || n == 0 {
		t.Errorf("%d requests: %v", n, err)
	} else {
		t.Logf("%d requests", n)
	}

	// the name is good again with a certificate of after the revocation, and with no other
	m.start("replica-2")
	a.renew("replica-2", setup.NodeLife, time.Now().Add(2*time.Second)) // a certificate counts whole seconds
	if err := m.node("replica-2").Reload(); err != nil {
		t.Fatal(err)
	}
	m.ready("replica-2")
}

// refusesStolen has a replica's certificates revoked by its name, and a writer's by its number,
// and finds what was open by them closed, and nothing opened any more.
func (m *team) refusesStolen(replica, writer *thief, serial string) {
	t, w := m.t, m.cluster.Writers[0]
	t.Helper()
	raft := func() (net.Conn, error) {
		return peer.Dial(t.Context(), peer.TCP{}, w.Peer, peer.ID{Role: setup.RoleWriter}, peer.ProtocolRaft, writer.tls)
	}
	votes, err := raft()
	if err != nil {
		t.Fatal(err)
	}
	defer votes.Close()
	broker, said, err := replica.nats(w)
	if err != nil || !strings.HasPrefix(said, "PONG") {
		t.Fatalf("the broker says %q, %v", said, err)
	}
	defer broker.Close()
	follower, err := replica.ask(w, http.MethodGet, tail.EventsPath+"?from=999999&wait=10m", nil, nil)
	if err != nil || follower.StatusCode != http.StatusOK {
		t.Fatalf("the peer port: %v, %v", follower, err)
	}
	defer follower.Body.Close()
	for _, which := range []client.CertificatesToRevoke{{Name: "replica-2"}, {Serial: serial}} {
		if _, err := m.client("writer-1").RevokeCertificates(t.Context(), which); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []io.Reader{votes, broker, follower.Body} { // until each is closed
		_, _ = io.Copy(io.Discard, r)
	}
	for _, path := range []string{certs.Path, tail.EventsPath} {
		if answer, err := replica.ask(w, http.MethodPost, path, []byte("{}"), nil); err == nil {
			answer.Body.Close()
			t.Errorf("%s answers %s", path, answer.Status)
		}
	}
	if conn, said, err := replica.nats(w); err == nil {
		conn.Close()
		t.Errorf("the broker says %q", said)
	}
	if conn, err := raft(); err == nil {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("raft talks")
		}
		conn.Close()
	}
}
