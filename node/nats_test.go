package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/client"
	outsidenats "github.com/writ-iam/writ/node/nats"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/test/layout"
)

// outside is a NATS server of its own, with TLS and a user for each kind of client.
type outside struct {
	url, ca, password string // the latter two are files

	mallory *nats.Conn // may do anything, and has nothing of the cluster's
}

const outsidePassword = "of-nobody's-business"

func startOutside(t *testing.T) *outside {
	t.Helper()
	dir := t.TempDir()
	a, err := setup.NewCertificateAuthority("an operator", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := a.Issue("an operator", "localhost", setup.RoleWriter, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{ca: filepath.Join(dir, "nats-ca.crt")}
	own, _, err := a.PEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.ca, own, 0o600); err != nil {
		t.Fatal(err)
	}
	may := func(subjects ...string) *server.Permissions {
		return &server.Permissions{Publish: &server.SubjectPermission{Allow: subjects}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir,
		TLS: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		Users: []*server.User{
			{Username: "writers", Password: outsidePassword, Permissions: may("writ.>", "$JS.API.>")},
			{Username: "replicas", Password: outsidePassword, Permissions: may("$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.>")},
			{Username: "mallory", Password: outsidePassword},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the outside server does not listen")
	}
	o.url = fmt.Sprintf("tls://localhost:%d", s.Addr().(*net.TCPAddr).Port)
	if o.password = filepath.Join(dir, "password"); os.WriteFile(o.password, []byte(outsidePassword+"\n"), 0o600) != nil {
		t.Fatal("the password was not written")
	}
	if o.mallory, err = nats.Connect(o.url, nats.UserInfo("mallory", outsidePassword), nats.RootCAs(o.ca)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.mallory.Close)
	return o
}

// user is how a node is known to the server.
func (o *outside) user(m *team, name string) outsidenats.Outside {
	u := "replicas"
	if _, votes := m.cluster.Writer(name); votes {
		u = "writers"
	}
	return outsidenats.Outside{CA: o.ca, User: u, PasswordFile: o.password}
}

// allowEverything is a batch of mallory's own that follows what a replica shows, and
// that by itself is faultless: it allows everything to everybody of a group.
func allowEverything(t *testing.T, n *Node, user string) []byte {
	t.Helper()
	v := n.projection.View()
	var copied bytes.Buffer
	if err := wire.WriteSnapshot(&copied, v.State, wire.SnapshotHeader{Head: v.Head}); err != nil {
		t.Fatal(err)
	}
	s, _, err := wire.ReadSnapshot(&copied)
	if err != nil {
		t.Fatal(err)
	}
	cause := event.Cause{Meta: identity.Meta{Time: identity.Time(time.Now().UnixMilli()), Key: randomKey()}, Request: "r", Action: "iam:PutUserPolicy"}
	events, err := identity.Decide(s, cause.Meta, &identity.PutInlinePolicy{
		Owner: identity.Owner{Kind: identity.KindUser, Account: setup.DefaultAccount, Name: user}, Name: "mallory",
		Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	at, c := v.Head.Position+1, s.Cluster()
	identity.Evolve(s, at, cause.Meta, events)
	b := &event.Batch{Cluster: c.ID, Incarnation: c.Incarnation, Position: at, Index: uint64(at) + 100, Term: 1, Cause: cause,
		Events: events, State: s.Digest(), Prev: v.Head.Hash}
	encoded, err := wire.EncodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// forged is a message that allows everything, for the stream that a replica knows of,
// signed by a node or by nobody.
func forged(t *testing.T, n *Node, signer *peer.Identity) *nats.Msg {
	t.Helper()
	batch := allowEverything(t, n, "alice")
	c := n.projection.View().State.Cluster()
	message := &nats.Msg{Subject: fmt.Sprintf("writ.%s.%s.%d", c.ID, c.Incarnation, c.StreamGeneration), Data: batch}
	if signer == nil {
		return message
	}
	b, err := wire.DecodeBatch(batch)
	if err != nil {
		t.Fatal(err)
	}
	signed := &event.SignedBatch{Cluster: b.Cluster, Incarnation: b.Incarnation, Head: b.Head()}
	if err := proof.SignBatch(signer, signed); err != nil {
		t.Fatal(err)
	}
	message.Header = nats.Header{
		"Writ-Signature": {base64.StdEncoding.EncodeToString(signed.Signature)}, "Writ-Signer": {base64.StdEncoding.EncodeToString(signed.Certificate)},
	}
	return message
}

// A whole cluster uses a NATS server that runs outside, over TLS and by passwords.
// A client of that server that may do anything there makes no replica answer from
// what no writer committed, nor quarantine itself; the replica goes on.
func TestOutsideNATSUnderAttack(t *testing.T) {
	o := startOutside(t)
	c := layout.Cluster(t, 1, 1)
	c.NATS = o.url
	dir, c, root := layout.Init(t, c)
	m := teamIn(t, dir, c, root)
	m.nats = func(name string) outsidenats.Outside { return o.user(m, name) }
	m.startAll()
	n := m.node("replica-1")
	follower := n.part.(*replica).follower
	streaming := func(ctx context.Context) error {
		if s := follower.Status(); s.Mode != replication.Streaming {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	}
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "alice"))
	m.until("the replica follows the stream", streaming)

	identities := map[string]*peer.Identity{"nobody": nil, "a replica": n.tls}
	for name, signer := range identities {
		ended := func() int { s := follower.Status(); return s.Refused + s.Unproved }
		before, published := ended(), ""
		m.until("the batch signed by "+name+" is refused", func(ctx context.Context) error {
			d, err := m.client("replica-1").Authorize(ctx, client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/alice", Action: "s3:DeleteBucket"}, client.Freshness{})
			if err == nil && d.Allowed() {
				t.Fatalf("the replica says %+v", d)
			}
			if ended() != before {
				return nil
			}
			// into each stream once: the leader may be replacing the one before
			message := forged(t, n, signer)
			if message.Subject == published {
				return errors.New("nothing was refused")
			}
			stored, err := o.mallory.RequestMsgWithContext(ctx, message)
			if err != nil {
				return err
			}
			if !bytes.Contains(stored.Data, []byte(`"seq"`)) {
				return fmt.Errorf("mallory was answered %s", stored.Data)
			}
			published = message.Subject
			return errors.New("nothing was refused yet")
		})
		p := m.everywhere("writer-1", m.must("writer-1", "TagUser", "UserName", "alice", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v"))
		if len(p.VisibleOn) != 1 || len(p.Fenced) != 0 {
			t.Errorf("visible on %v, fenced are %v", p.VisibleOn, p.Fenced)
		}
		m.ready("replica-1")
		m.until("the replica follows another stream", streaming)
	}
	if s := follower.Status(); s.Bootstraps != 1 {
		t.Errorf("%+v", s)
	}
	if strings.Contains(m.logs.String(), outsidePassword) {
		t.Error("the password is in the log")
	}
}

// squat takes all places for clients of a broker with connections that say nothing, and
// takes them again whenever the broker closes them, until the test or stop ends it.
func squat(t *testing.T, addr string, places int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	full := make(chan struct{})
	var once sync.Once
	for range places + 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err != nil {
					continue
				}
				closed := context.AfterFunc(ctx, func() { conn.Close() })
				said, _ := io.ReadAll(conn) // ends when the broker has had enough
				if bytes.Contains(said, []byte("maximum connections exceeded")) {
					once.Do(func() { close(full) })
				}
				closed()
				conn.Close()
			}
		})
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-full:
	case <-time.After(patience):
		t.Fatal("there is room for all")
	}
	return func() { cancel(); wg.Wait() }
}

// Strangers hold all places for clients of the broker. Replicas follow over HTTP then:
// one that comes meanwhile gets its lease and goes on renewing it, and changes become
// visible. When the strangers are gone it follows the stream.
func TestBrokerTakenByStrangers(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.machine.Files = 1024
	m.start("writer-1", "replica-1")
	m.becomes("replica-1", "leased") // one without a lease yet is fenced, and a change everywhere
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "before"))
	stop := squat(t, m.cluster.Writers[0].Broker, m.machine.Files/peer.BrokerPart)
	m.start("replica-2")
	m.ready("replica-2")
	m.becomes("replica-2", "leased")
	late := m.node("replica-2").part.(*replica)
	for i := range 3 {
		sent := late.renewer.Sent()
		p := m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", fmt.Sprint("after-", i)))
		if len(p.VisibleOn) != 2 || len(p.Fenced) != 0 {
			t.Errorf("visible on %v, fenced are %v", p.VisibleOn, p.Fenced)
		}
		m.until("the lease is renewed", func(context.Context) error {
			if s := late.renewer.Snapshot(); !s.Valid(late.node.clocks()) || late.renewer.Sent() <= sent {
				return errors.New("not yet")
			}
			return nil
		})
	}
	if late.link.Connected() {
		t.Log("the strangers were slow, and left it a place")
	}
	stop()
	m.until("the replica follows the stream", func(context.Context) error {
		if s := late.follower.Status(); s.Mode != replication.Streaming {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
}
