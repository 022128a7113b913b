package node

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/writ-iam/writ/log/identity"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Raft's own, of every node: it ends at its next tick.
		goleak.IgnoreTopFunction("github.com/hashicorp/raft.emitLogStoreMetrics"),
		// One clock for all stores of NATS in the process: a server that is stopped
		// while it makes a stream leaves it running.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

// someCluster has writers and replicas on free ports.
func someCluster(t testing.TB, writers, replicas int) (c Cluster) {
	t.Helper()
	c.Account = DefaultAccount
	addrs, err := FreeAddrs(3 * writers)
	if err != nil {
		t.Fatal(err)
	}
	for i := range writers {
		c.Writers = append(c.Writers, Writer{Name: "writer-" + string(rune('1'+i)), Peer: addrs[3*i], Broker: addrs[3*i+1], Routes: addrs[3*i+2]})
	}
	for i := range replicas {
		c.Replicas = append(c.Replicas, Replica{Name: "replica-" + string(rune('1'+i)), Region: "eu", Class: "tight"})
	}
	return c
}

func initialized(t testing.TB, c Cluster) (string, Cluster, RootKey) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cluster")
	c, root, err := Init(dir, c, RootKey{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return dir, c, root
}

func TestInit(t *testing.T) {
	dir, c, root := initialized(t, someCluster(t, 1, 1))
	modes := map[string]fs.FileMode{
		".": 0o700, "nodes": 0o700, "cluster.yaml": 0o644, "ca.crt": 0o644, "ca.key": 0o600, "seal.key": 0o600, "root.json": 0o600,
		"nodes/writer-1.crt": 0o644, "nodes/writer-1.key": 0o600, "nodes/replica-1.crt": 0o644, "nodes/replica-1.key": 0o600,
	}
	content := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if want, ok := modes[name]; !ok || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, not %v", name, info.Mode().Perm(), want)
		}
		if !d.IsDir() {
			text, err := os.ReadFile(path)
			content[name] = string(text)
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(content) != 9 || root.validate() != nil {
		t.Errorf("%d files, root %+v", len(content), root.validate())
	}
	if loaded, err := LoadCluster(filepath.Join(dir, "cluster.yaml")); err != nil || loaded.ID != c.ID || loaded.Writers[0] != c.Writers[0] {
		t.Errorf("loaded %+v, %v", loaded, err)
	}

	// again, with another replica: what is there stays
	more := c
	more.Replicas = append(more.Replicas, Replica{Name: "replica-2"})
	again, sameRoot, err := Init(dir, more, RootKey{"AKIAANOTHERANOTHER00", "another secret-of-the-root"[:16]}, time.Now())
	if err != nil || again.ID != c.ID || sameRoot != root {
		t.Fatalf("again: %v, %v", again.ID, err)
	}
	for name, text := range content {
		now, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || (string(now) != text) != (name == "cluster.yaml") {
			t.Errorf("%s changed, or did not: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "nodes", "replica-2.key")); err != nil {
		t.Error(err)
	}
	more.ID = "11111111-1111-4111-8111-111111111111"
	if _, _, err := Init(dir, more, RootKey{}, time.Now()); !errors.Is(err, ErrConfig) {
		t.Errorf("another id in the same place: %v", err)
	}
}

func TestInitRefuses(t *testing.T) {
	good := someCluster(t, 1, 0)
	bad := good
	bad.Writers = []Writer{{Name: "../escape", Peer: "h:1", Broker: "h:2", Routes: "h:3"}}
	dir := filepath.Join(t.TempDir(), "c")
	if _, _, err := Init(dir, bad, RootKey{}, time.Now()); !errors.Is(err, ErrConfig) {
		t.Errorf("a bad name: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was written")
	}
	for _, k := range []RootKey{{"short", "long enough secret"[:17]}, {"AKIAANOTHERANOTHER00", "short"}, {"AKIAANOTHERANOTHER00", "with spaces in the secret"}} {
		if _, _, err := Init(t.TempDir(), good, k, time.Now()); !errors.Is(err, ErrConfig) || strings.Contains(err.Error(), k.SecretAccessKey) {
			t.Errorf("root %s: %v", k.AccessKeyID, err)
		}
	}
	for name, text := range map[string]string{"root.json": "nonsense", "ca.key": "nonsense", "cluster.yaml": "nonsense: 1", "seal.key": ""} {
		dir, c, _ := initialized(t, good)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := Init(dir, c, RootKey{}, time.Now())
		if (err == nil) != (name == "seal.key") { // that one is read by whoever uses it
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An init that was interrupted before the certificates goes on with the same id.
func TestInitGoesOn(t *testing.T) {
	dir, c, _ := initialized(t, someCluster(t, 1, 0))
	for _, name := range []string{"ca.crt", "ca.key", "seal.key", "root.json", "nodes/writer-1.crt", "nodes/writer-1.key"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	fresh := c
	fresh.ID = ""
	again, _, err := Init(dir, fresh, RootKey{}, time.Now())
	if err != nil || again.ID != c.ID {
		t.Fatalf("%s, %v", again.ID, err)
	}
	if _, err := loadPeerTLS(c.ID, DefaultFiles(dir, "writer-1")); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	const id = "6f1d7c38-3d58-4f67-8d5a-7f2f4f6d3a10"
	w := func(name, base string) Writer {
		return Writer{Name: name, Peer: "h:" + base + "1", Broker: "h:" + base + "2", Routes: "h:" + base + "3"}
	}
	good := func() Cluster {
		return Cluster{ID: id, Account: DefaultAccount, Writers: []Writer{w("a", "1"), w("b", "2"), w("c", "3")}, Replicas: []Replica{{Name: "r"}}}
	}
	for text, change := range map[string]func(*Cluster){
		"":                             func(*Cluster) {},
		`cluster "x" is not a uuid`:    func(c *Cluster) { c.ID = "x" },
		`account "1" is not twelve`:    func(c *Cluster) { c.Account = "1" },
		"2 writers; an odd number":     func(c *Cluster) { c.Writers = c.Writers[:2] },
		"0 writers":                    func(c *Cluster) { c.Writers = nil },
		"9 writers":                    func(c *Cluster) { c.Writers = make([]Writer, 9) },
		`the name "A" is not`:          func(c *Cluster) { c.Writers[0].Name = "A" },
		`the name "a/b" is not`:        func(c *Cluster) { c.Replicas[0].Name = "a/b" },
		"the name a is given twice":    func(c *Cluster) { c.Writers[1].Name = "a" },
		"the name b is given twice":    func(c *Cluster) { c.Replicas[0].Name = "b" },
		`address "h" of writer a`:      func(c *Cluster) { c.Writers[0].Peer = "h" },
		`address "" of writer a`:       func(c *Cluster) { c.Writers[0].Broker = "" },
		"is given to writer a already": func(c *Cluster) { c.Writers[1].Peer = c.Writers[0].Peer },
		`has the class "loose"`:        func(c *Cluster) { c.Replicas[0].Class = "loose" },
	} {
		c := good()
		change(&c)
		err := c.Validate()
		if text == "" && err != nil || text != "" && (!errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
	c := good()
	c.NATS = "nats://h:4222"
	for i := range c.Writers {
		c.Writers[i].Broker, c.Writers[i].Routes = "", ""
	}
	if err := c.Validate(); err != nil {
		t.Errorf("an outside NATS: %v", err)
	}
	if _, ok := c.Writer("r"); ok {
		t.Error("r is no writer")
	}
	if _, ok := c.Replica("r"); !ok {
		t.Error("no replica r")
	}
}

func TestLoadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"surprise: 1\n": "field surprise not found", "": "EOF", "cluster: [": "did not find", "# " + strings.Repeat("x", maxConfigSize): "larger than",
	} {
		path := filepath.Join(t.TempDir(), "cluster.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCluster(path); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := LoadCluster(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestParseWriter(t *testing.T) {
	for text, want := range map[string]Writer{
		"a=h:10":        {"a", "h:10", "h:11", "h:12"},
		"a=[::1]:10":    {"a", "[::1]:10", "[::1]:11", "[::1]:12"},
		"a=h:1,i:2,j:3": {"a", "h:1", "i:2", "j:3"},
	} {
		if got, err := ParseWriter(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a", "a=h", "a=h:x", "a=h:70000"} {
		if _, err := ParseWriter(text); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, c := range [][3]string{{"", "10.0.0.1:5", "10.0.0.1:5"}, {"", "name:5", ":5"}, {"[::]:7", "name:5", "[::]:7"}, {"", "odd", "odd"}} {
		if got := listenAddr(c[0], c[1]); got != c[2] {
			t.Errorf("%v: %s", c, got)
		}
	}
}

func TestAdvertise(t *testing.T) {
	addr := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 8420} }
	for _, c := range []struct {
		given  string
		addr   net.Addr
		secure bool
		want   string
	}{
		{"", addr("127.0.0.1"), false, "http://127.0.0.1:8420"},
		{"", addr("::1"), true, "https://[::1]:8420"},
		{"", addr("0.0.0.0"), false, ""},
		{"", addr("::"), false, ""},
		{"https://writ.example", addr("127.0.0.1"), false, "https://writ.example"},
	} {
		if got := advertised(c.given, c.addr, c.secure); got != c.want || checkAdvertise(got) != nil {
			t.Errorf("%+v: %q, %v", c, got, checkAdvertise(got))
		}
	}
	for _, text := range []string{"writ.example:8420", "ftp://writ.example", "http://", "http://u:p@writ.example", "http://writ.example?x", "http://" + strings.Repeat("x", maxAdvertise)} {
		if err := checkAdvertise(text); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := WriteSecret(path, []byte("api: h:1\ndrain: 5s\n")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if s, err := LoadSettings(path); err != nil || s["api"] != "h:1" || s["drain"] != "5s" {
		t.Errorf("%v, %v", s, err)
	}
	for text, ok := range map[string]bool{"": true, "a: [1]": false, "x": false} {
		if err := WriteSecret(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSettings(path); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := LoadSettings("/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	dir, c, root := initialized(t, someCluster(t, 1, 0))
	var out bytes.Buffer
	if err := PrintConfig(&out, Config{Cluster: c, Name: "writer-1", Files: DefaultFiles(dir, "writer-1")}); err != nil ||
		!strings.Contains(out.String(), c.ID) || strings.Contains(out.String(), root.SecretAccessKey) {
		t.Errorf("%v: %s", err, &out)
	}
	if client, err := HTTPClient(""); err != nil || client == nil {
		t.Error(err)
	}
	if client, err := HTTPClient(filepath.Join(dir, "ca.crt")); err != nil || client.Transport == nil {
		t.Error(err)
	}
	for _, file := range []string{"/nowhere", filepath.Join(dir, "cluster.yaml")} {
		if _, err := HTTPClient(file); err == nil {
			t.Errorf("%s was trusted", file)
		}
	}
	if p := managedPolicies(); len(p) < 5 || p[0].Account != identity.AWSAccount || len(p[0].ID) != 21 {
		t.Errorf("managed policies: %+v", p[0])
	}
}

// identities are certificates of one cluster, and of others.
type identities struct {
	writer, replica, sameAuthority, otherAuthority, expired, former *peerTLS

	renewed func() *peerTLS // the writer's, another each time
}

func newIdentities(t testing.TB) (i identities, c Cluster) {
	t.Helper()
	dir, c, _ := initialized(t, someCluster(t, 1, 1))
	load := func(dir, id, name string) *peerTLS {
		p, err := loadPeerTLS(id, DefaultFiles(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	i.writer, i.replica = load(dir, c.ID, "writer-1"), load(dir, c.ID, "replica-1")
	other, oc, _ := initialized(t, someCluster(t, 1, 0))
	i.otherAuthority = load(other, oc.ID, "writer-1")
	a, err := loadAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	forge := func(cluster, name string, now time.Time) *peerTLS {
		cert, key, err := a.issue(cluster, name, RoleWriter, now)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		p := &peerTLS{cluster: c.ID, roots: i.writer.roots}
		p.cert.Store(&pair)
		return p
	}
	i.sameAuthority = forge("another cluster", "writer-1", time.Now())
	i.expired = forge(c.ID, "writer-1", time.Now().Add(-nodeLife-2*clockSlack))
	i.former = forge(c.ID, "writer-9", time.Now())
	i.writer.writers = func(name string) bool { _, ok := c.Writer(name); return ok }
	i.replica.writers = i.writer.writers
	i.renewed = func() *peerTLS { return forge(c.ID, "writer-1", time.Now()) }
	return i, c
}

func TestPeerCertificates(t *testing.T) {
	i, c := newIdentities(t)
	chain := func(p *peerTLS) []*x509.Certificate { return []*x509.Certificate{p.cert.Load().Leaf} }
	for name, x := range map[string]struct {
		chain []*x509.Certificate
		to    peer
		want  string
	}{
		"a writer":          {chain(i.writer), peer{role: RoleWriter}, ""},
		"by name":           {chain(i.writer), peer{name: "writer-1"}, ""},
		"another name":      {chain(i.writer), peer{name: "writer-2"}, "reached writer-1 instead of writer-2"},
		"another role":      {chain(i.replica), peer{role: RoleWriter}, "replica-1 is no writer"},
		"anyone":            {chain(i.replica), peer{}, ""},
		"nobody":            {nil, peer{}, "no certificate"},
		"a former writer":   {chain(i.former), peer{}, "the configuration has no writer writer-9"},
		"another cluster":   {chain(i.sameAuthority), peer{}, "is for cluster [another cluster], this is " + c.ID},
		"another authority": {chain(i.otherAuthority), peer{}, "certificate signed by unknown authority"},
		"expired":           {chain(i.expired), peer{}, "expired"},
	} {
		err := i.writer.verify(x.chain, x.to)
		if x.want == "" && err != nil || x.want != "" && (!errors.Is(err, ErrNotAPeer) || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir, _, _ := initialized(t, someCluster(t, 1, 0))
	if _, err := loadPeerTLS(c.ID, DefaultFiles(dir, "writer-1")); !errors.Is(err, ErrNotAPeer) {
		t.Errorf("a certificate of another cluster: %v", err)
	}
	mixed := DefaultFiles(dir, "writer-1")
	mixed.CA = i.writer.files.CA
	if _, err := loadPeerTLS(c.ID, mixed); !errors.Is(err, ErrConfig) {
		t.Errorf("a certificate of another authority: %v", err)
	}
	mixed.CA = mixed.SealKey
	if _, err := loadPeerTLS(c.ID, mixed); err == nil {
		t.Error("no certificate at all was taken")
	}
	if err := i.writer.reload(); err != nil {
		t.Error(err)
	}
}

// The peer port lets nodes of the cluster in, each to the protocol it asks for, and
// nobody else.
func TestPeerPort(t *testing.T) {
	i, _ := newIdentities(t)
	p, err := listenPeers(Machine{}.complete(), "127.0.0.1:0", i.writer, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	addr := p.listener.Addr().String()
	dial := func(who *peerTLS, protocol string) (net.Conn, error) {
		return dialPeer(t.Context(), Machine{}.complete(), addr, peer{role: RoleWriter}, protocol, who)
	}
	expect := func(l net.Listener, who *peerTLS, protocol string) {
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
		if name := got.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName; name != who.cert.Load().Leaf.Subject.CommonName {
			t.Errorf("%s came as %s", who.cert.Load().Leaf.Subject.CommonName, name)
		}
	}
	expect(p.raft, i.writer, protocolRaft)
	expect(p.http, i.writer, protocolHTTP)
	expect(p.http, i.replica, protocolHTTP)
	// TLS 1.3 tells a client that it was refused with its first read.
	for name, x := range map[string]struct {
		who      *peerTLS
		protocol string
	}{
		"raft as a replica": {i.replica, protocolRaft}, "another cluster": {i.sameAuthority, protocolHTTP},
		"another authority": {i.otherAuthority, protocolHTTP}, "expired": {i.expired, protocolRaft},
		"raft as a writer that is none of the configuration": {i.former, protocolRaft}, "such a writer": {i.former, protocolHTTP},
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
	anonymous, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocolHTTP}})
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
	waiting, err := dial(i.writer, protocolHTTP) // never accepted
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
