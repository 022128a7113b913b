package broker_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-iam/writ/replication/broker"
)

// selfSigned is a certificate of that name.
func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// A follower comes in with a certificate that is admitted, and is shown the door when
// it is admitted no more; others stay.
func TestAdmission(t *testing.T) {
	server, one, two := selfSigned(t, "server"), selfSigned(t, "one"), selfSigned(t, "two")
	pool := x509.NewCertPool()
	pool.AddCert(one.Leaf)
	pool.AddCert(two.Leaf)
	var barred atomic.Value
	barred.Store("")
	b := start(t, broker.Config{
		ClientAddr: "127.0.0.1:0",
		ClientTLS:  &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13},
		Admits:     func(c *x509.Certificate) bool { return c.Subject.CommonName != barred.Load() },
	})
	connect := func(cert tls.Certificate) (*bufio.Reader, string) {
		t.Helper()
		plain, err := net.Dial("tcp", b.ClientAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { plain.Close() })
		for c := make([]byte, 1); c[0] != '\n'; { // the greeting
			if _, err := plain.Read(c); err != nil {
				t.Fatal(err)
			}
		}
		conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}})
		if _, err := fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"name\":%q}\r\nPING\r\n", cert.Leaf.Subject.CommonName+connection[1:]); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "INFO") {
				return in, strings.TrimSpace(line)
			}
		}
	}
	first, said := connect(one)
	second, other := connect(two)
	if said != "PONG" || other != "PONG" {
		t.Fatalf("admitted followers are told %q and %q", said, other)
	}
	barred.Store("one")
	b.Expel()
	if _, err := io.Copy(io.Discard, first); err != nil && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection of a barred follower: %v", err)
	}
	if _, said := connect(one); !strings.Contains(said, "Authorization Violation") {
		t.Errorf("a barred follower is told %q", said)
	}
	if _, said := connect(two); said != "PONG" {
		t.Errorf("the other follower is told %q", said)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); second.ReadByte() }()
	b.Expel()
	select {
	case <-gone:
		t.Error("the other follower was shown the door")
	default:
	}
	b.Stop() // ends what waits on it
	<-gone
}
