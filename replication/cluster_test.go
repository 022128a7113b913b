package replication

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/replication/broker"
	"github.com/writ-iam/writ/test/history"
)

// authority issues certificates for loopback.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cluster"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// config is for both ends of connections among those who have a certificate.
func (a *authority) config(t testing.TB, name string) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}
}

// freeAddrs are addresses that nobody listens on at the moment.
func freeAddrs(t testing.TB, n int) (addrs []string) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// startCluster starts clustered brokers with mutual TLS on every listener.
func startCluster(t testing.TB, a *authority, n int) (brokers []*broker.Broker, configs []broker.Config) {
	routes := freeAddrs(t, n)
	for i := range n {
		name := fmt.Sprintf("writer-%d", i)
		cfg := broker.Config{
			Name: name, Cluster: "test", Dir: filepath.Join(t.TempDir(), name), Logger: quiet,
			ClientAddr: "127.0.0.1:0", Consumers: ConsumerNames, ClientTLS: a.config(t, name), RouteAddr: routes[i], Routes: routes, RouteTLS: a.config(t, name),
		}
		b, err := broker.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Stop)
		brokers, configs = append(brokers, b), append(configs, cfg)
	}
	for _, b := range brokers {
		await(t, "clustered", func() bool { return b.Ready() == nil })
	}
	return brokers, configs
}

// TestClusterWithTLS has three brokers, loses them one after another, and has them
// come back with nothing.
func TestClusterWithTLS(t *testing.T) {
	a := newAuthority(t)
	brokers, configs := startCluster(t, a, 3)
	h := history.New(t, "aa")
	l := publisherLink(t, brokers[0])
	p := publisherOf(l, h)
	p.cfg.Copies = 3
	run(t, p.Run)
	w := history.Serve(t, h)
	s := newSink()
	var urls []string
	for _, b := range brokers[1:] {
		urls = append(urls, "tls://"+b.ClientAddr())
	}
	f, _ := startFollower(t, FollowerConfig{
		Sink: s, Source: history.SourceOf(t, w), Link: dial(t, LinkConfig{Name: "replica", URLs: urls, TLS: a.config(t, "replica")}),
	})
	streaming := func() bool { return f.Status().Mode == Streaming }
	h.Grow(t, 500)
	published(t, l, h)
	await(t, "streaming", streaming)
	s.wait(t, h)

	for i := 1; i <= 2; i++ {
		brokers[i].Stop()
		h.Grow(t, 500)
		s.wait(t, h)
		configs[i].ClientAddr = brokers[i].ClientAddr()
		b, err := broker.Start(t.Context(), configs[i])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Stop)
		await(t, "back", func() bool { return b.Ready() == nil })
		h.Grow(t, 500)
		s.wait(t, h)
		published(t, l, h)
	}
	await(t, "streaming again", streaming)
	checkStream(t, l, h)

	stranger := dial(t, LinkConfig{Name: "stranger", URLs: urls, TLS: newAuthority(t).config(t, "stranger")})
	bare := dial(t, LinkConfig{Name: "bare", URLs: []string{strings.Replace(urls[0], "tls", "nats", 1)}})
	await(t, "refused", func() bool { return stranger.conn.LastError() != nil && bare.conn.LastError() != nil })
	if stranger.Connected() || bare.Connected() {
		t.Error("a stranger is connected")
	}
}

// startServer builds a NATS server as operators run it and starts it as a process.
func startServer(t *testing.T, dir, addr string) (url string, kill func()) {
	t.Helper()
	binary := filepath.Join(dir, "nats-server")
	if _, err := os.Stat(binary); err != nil {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
			t.Fatalf("build nats-server: %v\n%s", err, out)
		}
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(binary, "-a", host, "-p", port, "-js", "-sd", filepath.Join(dir, "data"), "--user", "writ", "--pass", "secret")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	t.Cleanup(kill)
	return "nats://" + addr, kill
}

// TestOutsideNATS uses a server of its own process, kills it and starts it again.
func TestOutsideNATS(t *testing.T) {
	dir, addr := t.TempDir(), freeAddrs(t, 1)[0]
	url, kill := startServer(t, dir, addr)
	h := history.New(t, "aa")
	link := func(name string) *Link {
		return dial(t, LinkConfig{Name: name, URLs: []string{url}, User: "writ", Password: "secret"})
	}
	l := link("publisher")
	startPublisher(t, l, h)
	w := history.Serve(t, h)
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: link("follower")})
	streaming := func() bool { return f.Status().Mode == Streaming }
	h.Grow(t, 500)
	await(t, "streaming", streaming)
	s.wait(t, h)
	kill()
	h.Grow(t, 500)
	s.wait(t, h)
	await(t, "tailing", func() bool { return f.Status().Mode == Tailing })
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	startServer(t, dir, addr)
	await(t, "streaming again", streaming)
	h.Grow(t, 500)
	s.wait(t, h)
	published(t, l, h)
	checkStream(t, l, h)
}
