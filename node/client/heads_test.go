package client_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/client"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// notary is an authority, with one certificate of it.
type notary struct {
	ca   *x509.Certificate
	pem  []byte
	key  *ecdsa.PrivateKey // of the authority
	leaf []byte            // DER
	own  *ecdsa.PrivateKey // of the leaf
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newNotary(t *testing.T) *notary {
	t.Helper()
	n := &notary{key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, n.key.Public(), n.key)
	if err != nil {
		t.Fatal(err)
	}
	if n.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	n.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	n.issue(t, "c", "writer", "w1")
	return n
}

// issue makes the certificate with which the notary signs from now on. It is good
// for an hour before and after noon.
func (n *notary) issue(t *testing.T, cluster, role, name string) {
	t.Helper()
	n.own = newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{Organization: []string{cluster}, OrganizationalUnit: []string{role}, CommonName: name},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	var err error
	if n.leaf, err = x509.CreateCertificate(rand.Reader, template, n.ca, n.own.Public(), n.key); err != nil {
		t.Fatal(err)
	}
}

func (n *notary) sign(t *testing.T, h client.SignedHead) *client.SignedHead {
	t.Helper()
	sum := sha256.Sum256(h.Statement())
	var err error
	if h.Signature, err = n.own.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	h.Certificate = n.leaf
	return &h
}

func (n *notary) authority(t *testing.T) *client.CertificateAuthority {
	t.Helper()
	a, err := client.ParseCertificateAuthority(n.pem)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func someHead() client.SignedHead {
	return client.SignedHead{Cluster: "c", Incarnation: "i", Position: 7, Hash: event.Hash{1}, Digest: digest.Sum{2, 3}, Time: identity.Time(noon.UnixMilli()), Node: "w1"}
}

// Only a writer of the head's cluster can sign it, and only what it says.
func TestCheck(t *testing.T) {
	n := newNotary(t)
	a := n.authority(t)
	if err := a.Check(n.sign(t, someHead())); err != nil {
		t.Fatalf("a good head: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*client.SignedHead)
		text   string
	}{
		"another position":    {func(h *client.SignedHead) { h.Position++ }, "signature"},
		"another hash":        {func(h *client.SignedHead) { h.Hash[0]++ }, "signature"},
		"another digest":      {func(h *client.SignedHead) { h.Digest[0]++ }, "signature"},
		"another incarnation": {func(h *client.SignedHead) { h.Incarnation = "j" }, "signature"},
		"another time":        {func(h *client.SignedHead) { h.Time++ }, "signature"},
		"another cluster":     {func(h *client.SignedHead) { h.Cluster = "d" }, `the certificate is for cluster ["c"], the head of "d"`},
		"another node":        {func(h *client.SignedHead) { h.Node = "w2" }, `that of "w1"`},
		"before it was good":  {func(h *client.SignedHead) { h.Time -= 2 * 3600e3 }, "expired or is not yet valid"},
		"after it was good":   {func(h *client.SignedHead) { h.Time += 2 * 3600e3 }, "expired or is not yet valid"},
		"no signature":        {func(h *client.SignedHead) { h.Signature = nil }, "signature"},
		"no certificate":      {func(h *client.SignedHead) { h.Certificate = nil }, "read the certificate"},
	} {
		h := n.sign(t, someHead())
		c.change(h)
		if err := a.Check(h); !errors.Is(err, client.ErrSignature) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.Check(newNotary(t).sign(t, someHead())); !errors.Is(err, client.ErrSignature) || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("another authority: %v", err)
	}
	// the key signs other things, too: none of them is a head
	plain := n.sign(t, someHead())
	sum := sha256.Sum256(plain.Statement()[len("writ signed head v1\n"):])
	plain.Signature, _ = n.own.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err := a.Check(plain); !errors.Is(err, client.ErrSignature) {
		t.Errorf("without its domain: %v", err)
	}
	n.issue(t, "c", "replica", "w1")
	if err := a.Check(n.sign(t, someHead())); !errors.Is(err, client.ErrSignature) || !strings.Contains(err.Error(), "not of a writer") {
		t.Errorf("a replica: %v", err)
	}
	// the authority itself is no writer
	h := n.sign(t, someHead())
	n.own, n.leaf = n.key, n.ca.Raw
	if h = n.sign(t, *h); a.Check(h) == nil {
		t.Error("the authority's own key signed")
	}
}

func TestParseAuthority(t *testing.T) {
	n := newNotary(t)
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.leaf})
	for _, text := range [][]byte{nil, []byte("nonsense"), leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})} {
		if _, err := client.ParseCertificateAuthority(text); !errors.Is(err, client.ErrAuthority) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// history is a chain of headers, the first at position 1.
type history [][]byte

// grow makes n batches whose requests carry a mark, behind a history.
func (h history) grow(t *testing.T, n int, mark string) history {
	t.Helper()
	h = slices.Clone(h)
	var prev event.Hash
	if len(h) > 0 {
		prev = sha256.Sum256(h[len(h)-1])
	}
	for range n {
		b := &event.Batch{Cluster: "c", Incarnation: "i", Position: event.Position(len(h) + 1), State: digest.Sum{uint64(len(h) + 1), 9}, Prev: prev, Cause: event.Cause{Request: mark}}
		encoded, err := wire.EncodeBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		header, err := wire.BatchHeader(encoded)
		if err != nil {
			t.Fatal(err)
		}
		h, prev = append(h, slices.Clone(header)), b.Hash
	}
	return h
}

// at is the head of the history at a position.
func (h history) at(p int) *client.SignedHead {
	return &client.SignedHead{Cluster: "c", Incarnation: "i", Position: event.Position(p), Hash: sha256.Sum256(h[p-1]), Digest: digest.Sum{uint64(p), 9}, Node: "w1"}
}

// serve answers for the history, a few headers at a time.
func (h history) serve(t *testing.T) *client.Client {
	return newClient(t, func(r *http.Request) (*http.Response, error) {
		after, err := strconv.Atoi(r.URL.Query().Get("after"))
		if err != nil || r.URL.Path != "/base/v1/chain" {
			t.Errorf("asked for %s", r.URL)
		}
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		after = min(after, len(h))
		body, err := json.Marshal(client.Chain{Headers: h[after:min(after+min(limit, 3), len(h))]})
		if err != nil {
			t.Error(err)
		}
		return says(200, string(body))
	})
}

func TestContains(t *testing.T) {
	whole := history(nil).grow(t, 10, "a")
	c := whole.serve(t)
	for kept := 1; kept <= 10; kept++ {
		walked, err := c.Contains(t.Context(), whole.at(kept), whole.at(10))
		if err != nil || walked != 11-kept {
			t.Errorf("from %d: %d, %v", kept, walked, err)
		}
	}
	// the history took another course at position 6
	other := whole[:5].grow(t, 5, "b")
	for kept := 1; kept <= 10; kept++ {
		_, err := other.serve(t).Contains(t.Context(), whole.at(kept), other.at(10))
		var conflict *client.Conflict
		if errors.As(err, &conflict) != (kept > 5) || kept <= 5 && err != nil {
			t.Errorf("kept %d: %v", kept, err)
		}
		if conflict != nil && (conflict.Kept.Hash == conflict.Now.Hash || conflict.Now.Position != 10) {
			t.Errorf("kept %d: %+v", kept, conflict)
		}
	}
	wrong := func(h *client.SignedHead, change func(*client.SignedHead)) *client.SignedHead { change(h); return h }
	for name, x := range map[string]struct {
		kept, now *client.SignedHead
		served    history
		want      error // nil for a conflict
	}{
		"it became shorter":          {whole.at(9), whole.at(5), whole, nil},
		"the digest is another":      {wrong(whole.at(3), func(h *client.SignedHead) { h.Digest[0]++ }), whole.at(10), whole, nil},
		"the digest now is another":  {whole.at(3), wrong(whole.at(10), func(h *client.SignedHead) { h.Digest[0]++ }), whole, nil},
		"two digests of one":         {whole.at(3), wrong(whole.at(3), func(h *client.SignedHead) { h.Digest[0]++ }), whole, nil},
		"two hashes of one":          {whole.at(7), other.at(7), whole, nil},
		"another cluster":            {wrong(whole.at(3), func(h *client.SignedHead) { h.Cluster = "d" }), whole.at(10), whole, client.ErrOtherHistory},
		"another incarnation":        {wrong(whole.at(3), func(h *client.SignedHead) { h.Incarnation = "j" }), whole.at(10), whole, client.ErrOtherHistory},
		"position 0":                 {wrong(whole.at(3), func(h *client.SignedHead) { h.Position = 0 }), whole.at(10), whole, client.ErrOtherHistory},
		"the node has less":          {whole.at(3), whole.at(10), whole[:8], client.ErrBroken},
		"a header is damaged":        {whole.at(3), whole.at(10), append(slices.Clone(whole[:6]), append([][]byte{[]byte("x")}, whole[7:]...)...), client.ErrBroken},
		"a header is of another":     {whole.at(3), whole.at(10), append(slices.Clone(whole[:6]), append(slices.Clone(other[6:7]), whole[7:]...)...), client.ErrBroken},
		"a header is left out":       {whole.at(3), whole.at(10), append(slices.Clone(whole[:6]), whole[7:]...), client.ErrBroken},
		"it does not lead to now":    {whole.at(3), whole.at(10), whole[:9].grow(t, 1, "c"), client.ErrBroken},
		"a forged start proves none": {whole.at(3), whole.at(10), append(slices.Clone(other[:2]), append(history(nil).grow(t, 3, "z")[2:3], whole[3:]...)...), client.ErrBroken},
	} {
		_, err := x.served.serve(t).Contains(t.Context(), x.kept, x.now)
		var conflict *client.Conflict
		if x.want != nil && !errors.Is(err, x.want) || x.want == nil && !errors.As(err, &conflict) || x.want != nil && errors.As(err, &conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refusing := newClient(t, func(*http.Request) (*http.Response, error) { return says(403, problem(403, "AccessDenied")) })
	if _, err := refusing.Contains(t.Context(), whole.at(3), whole.at(10)); err == nil || errors.Is(err, client.ErrBroken) {
		t.Errorf("refused: %v", err)
	}
	if _, err := refusing.Head(t.Context()); err == nil {
		t.Error("a head came")
	}
}
