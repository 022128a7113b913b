package extauthz_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/writ-iam/writ/test/doors"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	der  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key, a.der = a.sign(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	var err error
	if a.cert, err = x509.ParseCertificate(a.der); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign signs a certificate with a new key; without a parent by itself.
func (a *authority) sign(c *x509.Certificate) (*ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := c, key
	if a.cert != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, der
}

// of makes a certificate of a name, for 127.0.0.1.
func (a *authority) of(name string) tls.Certificate {
	key, der := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func write(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A proxy elsewhere is known by its certificate, over TLS.
func TestCheckOverTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t)
	server := ca.of("door")
	der, err := x509.MarshalECPrivateKey(server.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ca"), "CERTIFICATE", ca.der)
	write(t, filepath.Join(dir, "cert"), "CERTIFICATE", server.Certificate[0])
	write(t, filepath.Join(dir, "key"), "EC PRIVATE KEY", der)
	if err := os.WriteFile(filepath.Join(dir, "map.yaml"), []byte(mapping), 0o600); err != nil {
		t.Fatal(err)
	}
	p := doors.Start(t, "doors:\n- listen: 127.0.0.1:0\n  tls: {cert: "+dir+"/cert, key: "+dir+"/key, client_ca: "+dir+"/ca}\n  serve: {ext_authz: "+dir+"/map.yaml}\n"+
		"  callers: [{certificate: edge.example.com, asks_as: \"arn:aws:iam::123456789012:user/edge\"}]\n")
	p.User("edge", mayAsk)
	p.User("alice", mayRead)
	p.Caught()
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for name, want := range map[string]int{"edge.example.com": 200, "other.example.com": 403, "": 403} {
		settings := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if name != "" {
			settings.Certificates = []tls.Certificate{ca.of(name)}
		}
		conn, err := grpc.NewClient(p.Door(0), grpc.WithTransportCredentials(credentials.NewTLS(settings)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		for range 2 { // the gate is told of a proxy once
			got, err := auth.NewAuthorizationClient(conn).Check(t.Context(), check("GET", "files.example.com", "/b/k", "", map[string]string{"x-user": "alice"}))
			if err != nil {
				t.Fatal(err)
			}
			holds(t, "as "+name, got, want, "")
		}
	}
}
