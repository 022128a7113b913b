package node

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/quorum"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/replication/tail"
)

// thief has a node's certificate and key, and nothing else of it.
type thief struct {
	m    *team
	tls  *peer.Identity
	http *http.Client
}

func (m *team) thief(name string) *thief {
	m.t.Helper()
	p, err := peer.LoadIdentity(m.cluster, setup.DefaultFiles(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	c := peer.NewClient(peer.TCP{}, p)
	m.t.Cleanup(c.CloseIdleConnections)
	return &thief{m, p, c}
}

// ask sends a request to a writer's peer port.
func (x *thief) ask(w setup.Writer, method, target string, body []byte, change func(*http.Request)) (*http.Response, error) {
	r, err := http.NewRequestWithContext(x.m.t.Context(), method, "https://"+w.Peer+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(r)
	}
	return x.http.Do(r)
}

// target is a request to the peer port.
type target struct {
	name, method, path, body string
	change                   func(*http.Request)
}

// targets are all that the peer port answers, with spellings of it that it may take
// for something else.
func (x *thief) targets() []target {
	list := []target{
		{name: "snapshot", method: "GET", path: tail.SnapshotPath},
		{name: "events", method: "GET", path: tail.EventsPath + "?from=1"},
		{name: "head of the events", method: "HEAD", path: tail.EventsPath},
		{name: "lease", method: "POST", path: lease.Path, body: `{"replica":"replica-2"}`},
		{name: "register", method: "POST", path: lease.RegisterPath, body: `{"Name":"replica-2","attempt":"x"}`},
		{name: "register another", method: "POST", path: lease.RegisterPath, body: `{"Name":"replica-7","attempt":"y"}`},
		{name: "head", method: "POST", path: lease.HeadPath, body: `{}`},
		{name: "questions", method: "POST", path: ask.TasksPath, body: `{}`},
		{name: "answers", method: "POST", path: ask.AnswersPath, body: `{}`},
		{name: "signature", method: "POST", path: signaturePath, body: `{}`},
		{name: "status", method: "GET", path: quorum.StatusPath},
		{name: "verify", method: "POST", path: proof.Path, body: `{}`},
		{name: "join", method: "POST", path: quorum.JoinPath, body: `{}`},
		{name: "two slashes", method: "GET", path: "//peer/snapshot"},
		{name: "dots", method: "GET", path: "/peer/x/../snapshot"},
		{name: "nothing", method: "GET", path: "/peer/nothing"},
		{name: "a client's path", method: "GET", path: "/v1/cluster"},
	}
	for _, path := range []string{"/", lease.RegisterPath, lease.Path} { // a client's request, with what the caller chose
		list = append(list, target{name: "forwarded to " + path, method: "POST", path: path,
			body: "Action=CreateUser&Version=2010-05-08&UserName=mallory", change: func(r *http.Request) { x.forward(r) }})
	}
	return list
}

// forward makes a request one that the root signed and that this node claims to hand
// on for a caller in the house, over TLS.
func (x *thief) forward(r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signer := sigv4.Signer{AccessKeyID: x.m.root.AccessKeyID, SecretAccessKey: x.m.root.SecretAccessKey, Service: "iam"}
	signer.Sign(r, sha256.Sum256(text), time.Now())
	f := admission.Forwarded{RequestID: "r", Attempt: "a", Source: "10.0.0.1", Secure: true}
	f.SetHeaders(r)
}

// refusedEverywhere checks that nothing of the peer port is served.
func (x *thief) refusedEverywhere(w setup.Writer, standing string, except ...string) {
	x.m.t.Helper()
	for _, q := range x.targets() {
		if slices.Contains(except, q.name) {
			continue
		}
		answer, err := x.ask(w, q.method, q.path, []byte(q.body), q.change)
		if err != nil { // the connection was one that it had open
			answer, err = x.ask(w, q.method, q.path, []byte(q.body), q.change)
		}
		if err != nil {
			x.m.t.Errorf("%s at %s: %v", q.name, w.Name, err)
			continue
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		// who has no business at a path is told so first, whatever their standing
		if got := answer.Header.Get(peer.HeaderStanding); answer.StatusCode != http.StatusForbidden || got != standing && !strings.Contains(string(text), errNoRole.Error()) {
			x.m.t.Errorf("%s at %s: %d, standing %q: %.80s", q.name, w.Name, answer.StatusCode, got, text)
		}
	}
	if conn, err := peer.Dial(x.m.t.Context(), peer.TCP{}, w.Peer, peer.ID{Role: setup.RoleWriter}, peer.ProtocolRaft, x.tls); err == nil {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			x.m.t.Error("it speaks raft")
		}
		conn.Close()
	}
	if conn, said, err := x.nats(w); err == nil {
		conn.Close()
		if !strings.Contains(said, "Authorization Violation") {
			x.m.t.Errorf("the broker of %s says %q", w.Name, said)
		}
	}
}

// nats connects to a writer's broker and returns what it says to that.
func (x *thief) nats(w setup.Writer) (net.Conn, string, error) {
	plain, err := net.Dial("tcp", w.Broker)
	if err != nil {
		return nil, "", err
	}
	one := make([]byte, 1) // the server speaks first, a line in the clear
	for one[0] != '\n' {
		if _, err := plain.Read(one); err != nil {
			return nil, "", err
		}
	}
	conn := tls.Client(plain, x.tls.TLS(peer.ID{Role: setup.RoleWriter}))
	if _, err := fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"name\":%q,\"protocol\":1}\r\nPING\r\n", replication.ConnectionID(x.tls.Leaf().Subject.CommonName)); err != nil {
		return nil, "", err
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, "", err
		}
		if !strings.HasPrefix(line, "INFO") {
			return conn, line, nil
		}
	}
}

// A removed replica's certificate opens nothing any more, at no writer, also when these
// were started again; what it had open is closed.
func TestRemovedReplicaIsRefusedOnEveryPort(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.startAll()
	w := m.cluster.Writers[0]
	m.becomes("replica-2", "leased")
	m.stop("replica-2")
	x := m.thief("replica-2")
	conn, said, err := x.nats(w)
	if err != nil || !strings.HasPrefix(said, "PONG") {
		t.Fatalf("the broker says %q to a member, %v", said, err)
	}
	defer conn.Close()
	follower, err := x.ask(w, "GET", tail.EventsPath+"?from=999999&wait=10m", nil, nil)
	if err != nil || follower.StatusCode != http.StatusOK {
		t.Fatalf("a member follows: %v, %v", follower, err)
	}
	defer follower.Body.Close()
	asked := make(chan error, 1)
	go func() {
		answer, err := x.ask(w, "POST", ask.TasksPath, []byte(`{}`), nil)
		if err == nil {
			answer.Body.Close()
			err = fmt.Errorf("%d %s", answer.StatusCode, answer.Header.Get(peer.HeaderStanding))
		}
		asked <- err
	}()
	if _, err := m.client("writer-1").Remove(t.Context(), "replica-2"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, follower.Body); err == nil { // at the end of the wait it would end without one
		t.Errorf("what it followed ended as if it were whole, after %d bytes", n)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) {
		t.Error("its connection to the broker is open")
	}
	if err := <-asked; err == nil || strings.HasPrefix(err.Error(), "200") {
		t.Errorf("the question that it held open: %v", err)
	}
	x.refusedEverywhere(w, "barred")
	if status, _, body := m.iam("writer-1", "GetUser", "UserName", "mallory"); status != http.StatusNotFound {
		t.Errorf("what it handed on was carried out: %d %s", status, body)
	}

	m.stop("writer-1")
	served := make(chan string, 1)
	watching, stop := context.WithCancel(t.Context())
	go func() { // from the first moment on
		defer close(served)
		for watching.Err() == nil {
			answer, err := x.ask(w, "GET", tail.SnapshotPath, nil, nil)
			if err != nil {
				continue
			}
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				served <- "a snapshot"
				return
			}
		}
	}()
	m.start("writer-1")
	m.ready("writer-1")
	stop()
	if what, ok := <-served; ok {
		t.Errorf("the writer served %s while it started", what)
	}
	x.refusedEverywhere(w, "barred")
}

// A certificate that never registered opens nothing but the way to register.
func TestNewcomerRegistersFirst(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.start("writer-1", "replica-1")
	m.ready("writer-1")
	m.ready("replica-1")
	w := m.cluster.Writers[0]
	x := m.thief("replica-2")
	x.refusedEverywhere(w, "unregistered", "lease", "register", "register another")
	if state, err := m.state(t.Context(), "replica-2"); err != nil || state != "" {
		t.Errorf("the roster has it as %q, %v", state, err)
	}
	for _, q := range x.targets() { // by now in its own name alone
		if strings.HasPrefix(q.name, "register") {
			answer, err := x.ask(w, q.method, q.path, []byte(q.body), nil)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if want := map[string]int{"register": 200, "register another": 403}[q.name]; answer.StatusCode != want {
				t.Errorf("%s: %s", q.name, answer.Status)
			}
		}
	}
	m.becomes("replica-2", "silent")
	// what a member hands on is carried out, and its name recorded
	answer, err := x.ask(w, "POST", "/", []byte("Action=CreateUser&Version=2010-05-08&UserName=bob"), x.forward)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	made, err := event.ParseToken(answer.Header.Get("X-Writ-Token"))
	if err != nil {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	if b, err := m.node("writer-1").part.(*writer).prover.Batch(made.Position); err != nil || b.Cause.Via != "replica-2" || b.Cause.Source != "10.0.0.1" {
		t.Errorf("the batch is %+v, %v", b, err)
	}

	// Barred before it ever came.
	m2 := newTeam(t, 1, 1)
	m2.start("writer-1")
	m2.ready("writer-1")
	c := m2.client("writer-1")
	if _, err := c.Remove(t.Context(), "replica-1"); err == nil {
		t.Error("a name that the roster does not have was removed, which may be a mistyped one")
	}
	if _, err := c.RemoveUnregistered(t.Context(), "replica-1"); err != nil {
		t.Fatal(err)
	}
	m2.thief("replica-1").refusedEverywhere(m2.cluster.Writers[0], "barred")
	m2.start("replica-1")
	m2.until("it says what to do", func(ctx context.Context) error {
		_, text, err := m2.readyz(ctx, "replica-1")
		if err == nil && !strings.Contains(text, "`writ replica admit replica-1`") {
			err = errors.New(text)
		}
		return err
	})
	if at := m2.node("replica-1").projection.Head().Position; at != 0 {
		t.Errorf("it has a state of position %d", at)
	}
	if _, err := c.Admit(t.Context(), "replica-1"); err != nil {
		t.Fatal(err)
	}
	m2.becomes("replica-1", "leased")
}

// A stolen directory that is started elsewhere under the removed name learns nothing
// new and answers nothing as fresh; when the name is admitted, whoever has it enters.
func TestStolenDirectory(t *testing.T) {
	m := newTeam(t, 3, 1)
	m.startAll()
	m.becomes("replica-1", "leased")
	m.stop("replica-1") // leaves a checkpoint
	stolen := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.CopyFS(stolen, os.DirFS(m.config("replica-1").Data)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.client("writer-1").Remove(t.Context(), "replica-1"); err != nil {
		t.Fatal(err)
	}
	x := m.thief("replica-1")
	for _, w := range m.cluster.Writers { // each as soon as it has applied the removal
		m.until(w.Name+" refuses it", func(context.Context) error {
			answer, err := x.ask(w, "GET", tail.SnapshotPath, nil, nil)
			if err != nil {
				return err
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusForbidden {
				return errors.New(answer.Status)
			}
			return nil
		})
		x.refusedEverywhere(w, "barred")
	}
	token := m.must("writer-1", "CreateUser", "UserName", "alice")

	cfg := m.config("replica-1")
	cfg.Data = stolen
	n, err := m.try(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.add("replica-1", n)
	m.until("it says that it was removed", func(ctx context.Context) error {
		status, text, err := m.readyz(ctx, "replica-1")
		if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(text, "[-]roster failed: removed")) {
			err = fmt.Errorf("%d %s", status, text)
		}
		return err
	})
	question := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":root", Action: "s3:Get"}
	if d, err := m.client("replica-1").Authorize(t.Context(), question, client.Freshness{Consistency: "leased"}); err == nil {
		t.Errorf("it answers as fresh: %+v", d)
	}
	// what it hands on for a client is refused, and the client told that it was not done
	if status, _, _ := m.iam("replica-1", "CreateUser", "UserName", "bob"); status != http.StatusServiceUnavailable {
		t.Errorf("a write by way of it: %d", status)
	}
	if status, _, _ := m.iam("writer-1", "GetUser", "UserName", "bob"); status != http.StatusNotFound {
		t.Errorf("a write by way of it was carried out: %d", status)
	}
	if made, err := event.ParseToken(token); err != nil || n.projection.Head().Position >= made.Position {
		t.Errorf("it has learned of position %d, %v", n.projection.Head().Position, err)
	}
	if _, err := m.client("writer-1").Admit(t.Context(), "replica-1"); err != nil {
		t.Fatal(err)
	}
	m.becomes("replica-1", "leased")
}

// A writer that does not know yet who belongs sends others to the leader. What it
// says reaches no client, who would take it for the cluster's answer.
func TestAWriterThatDoesNotKnowYet(t *testing.T) {
	m := newTeam(t, 1, 0)
	m.startAll()
	p := &peerServer{w: m.node("writer-1").part.(*writer)}
	rec := httptest.NewRecorder()
	p.refuse(rec, httptest.NewRequest(http.MethodGet, "/", nil), errReplaying)
	if standing := rec.Header().Get(peer.HeaderStanding); rec.Code != http.StatusMisdirectedRequest || rec.Header().Get(peer.HeaderLeader) == "" || standing != "" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	for _, path := range []string{tail.EventsPath, tail.SnapshotPath} { // whose readers must not doubt their state
		rec := httptest.NewRecorder()
		p.refuse(rec, httptest.NewRequest(http.MethodGet, path, nil), errReplaying)
		if rec.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}
