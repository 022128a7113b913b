// Package issuertest is an issuer of web identity tokens for tests: a server over TLS, with an
// authority of its own, that publishes a discovery document and keys.
package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Audience is whom an issuer's tokens are for, and Subject of whom they are, unless claims say
// otherwise.
const (
	Audience = "sts.amazonaws.com"
	Subject  = "repo:writ/app:ref:refs/heads/main"
)

// Issuer is one issuer. It is safe for concurrent use.
type Issuer struct {
	// URL is its name, which leads nowhere, and Addr where it is.
	URL, Addr string
	// CA is its authority, PEM, and Thumbprint that of it.
	CA         []byte
	Thumbprint string

	t testing.TB

	mu      sync.Mutex
	keys    []Key        // the latest is the one in use; guarded by mu, as is the rest
	handler http.Handler // instead of its own
	visits  int          // for keys
	named   int
	now     time.Time
}

// Key is a key by which tokens are signed.
type Key struct {
	ID        string
	Algorithm jose.SignatureAlgorithm
	Private   crypto.Signer
}

// NewKey makes a key for an algorithm.
func NewKey(t testing.TB, id string, algorithm jose.SignatureAlgorithm) Key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{id, algorithm, private}
}

// Public is the key as it is published.
func (k Key) Public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"}
}

// New starts an issuer of a name, such as https://issuer.test/realms/ci, with one key.
func New(t testing.TB, name string) *Issuer {
	t.Helper()
	u, err := url.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{URL: name, t: t}
	server := httptest.NewUnstartedServer(i)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{i.certificate(u.Hostname())}}
	server.EnableHTTP2 = false
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	i.Addr = server.Listener.Addr().String()
	i.Rotate()
	return i
}

// certificate makes the issuer's authority, and a certificate by it.
func (i *Issuer) certificate(host string) tls.Certificate {
	from, until := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	authority, own := NewKey(i.t, "", jose.ES256).Private, NewKey(i.t, "", jose.ES256).Private
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer's authority"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, authority.Public(), authority)
	if err != nil {
		i.t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, own.Public(), authority)
	if err != nil {
		i.t.Fatal(err)
	}
	sum := sha1.Sum(rootDER)
	i.Thumbprint = hex.EncodeToString(sum[:])
	i.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	return tls.Certificate{Certificate: [][]byte{leafDER, rootDER}, PrivateKey: own}
}

// Setting is the issuer as a node's setting names it.
func (i *Issuer) Setting() string { return i.URL + "=" + i.Addr }

// Rotate gives the issuer another key, and publishes the one before no longer.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	i.named++
	n := i.named
	i.mu.Unlock()
	i.Use(NewKey(i.t, "key-"+strconv.Itoa(n), jose.RS256))
}

// Use has the issuer sign by a key, and publish it and others.
func (i *Issuer) Use(key Key, others ...Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(others[:len(others):len(others)], key)
}

// Key is the key in use.
func (i *Issuer) Key() Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// At sets the issuer's clock; without it, it is the machine's.
func (i *Issuer) At(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now = now
}

// Serve has the issuer answer as h; nil for itself.
func (i *Issuer) Serve(h http.Handler) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handler = h
}

// Visits is how often it was asked for its keys.
func (i *Issuer) Visits() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.visits
}

// KeySet is what it publishes.
func (i *Issuer) KeySet() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err) // public keys have a form
	}
	return text
}

// ServeHTTP is the issuer's server.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	h := i.handler
	i.mu.Unlock()
	if h != nil {
		h.ServeHTTP(w, r)
		return
	}
	i.Publish(w, r)
}

// Publish answers as the issuer does by itself.
func (i *Issuer) Publish(w http.ResponseWriter, r *http.Request) {
	u, _ := url.Parse(i.URL) // as New has
	base := strings.TrimSuffix(u.Path, "/")
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case base + "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": strings.TrimSuffix(i.URL, "/") + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"}})
	case base + "/keys":
		i.mu.Lock()
		i.visits++
		i.mu.Unlock()
		_, _ = w.Write(i.KeySet())
	default:
		http.NotFound(w, r)
	}
}

// Claims are what a token says, but for what differs; nil leaves a claim out.
func (i *Issuer) Claims(differs map[string]any) map[string]any {
	i.mu.Lock()
	now := i.now
	i.mu.Unlock()
	if now.IsZero() {
		now = time.Now()
	}
	claims := map[string]any{"iss": i.URL, "sub": Subject, "aud": Audience, "iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(10 * time.Minute).Unix()}
	maps.Copy(claims, differs)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// Token is a token by the key in use.
func (i *Issuer) Token(differs map[string]any) string {
	i.t.Helper()
	return Sign(i.t, i.Key(), i.Claims(differs), nil)
}

// Sign makes a token by a key, with more headers.
func Sign(t testing.TB, k Key, claims map[string]any, headers map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return SignText(t, k, string(text), headers)
}

// SignText is Sign for claims as they are written.
func SignText(t testing.TB, k Key, claims string, headers map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for name, value := range headers {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.Algorithm, Key: jose.JSONWebKey{Key: k.Private, KeyID: k.ID}}, options.WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
