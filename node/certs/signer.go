package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
)

// Path is where the leader takes a Request, answered by a Given.
const Path = "/peer/certificate"

// Request asks for another certificate of the node that asks, which its present one names.
type Request struct {
	CSR []byte `json:"csr"` // PKCS #10, DER: of it the key is taken, and its own signature
}

// Given is the certificate that a Request asked for.
type Given struct {
	Certificate []byte `json:"certificate"` // PEM
}

// Limits of signing.
const (
	maxRequest = 16 << 10 // bytes
	// maxPerHour is how many certificates one name gets within an hour.
	maxPerHour = 4
	// early is how much of a life may be left beyond a third when a certificate is renewed:
	// clocks differ.
	early = time.Hour
)

// Why a certificate is not renewed.
var (
	errNoKey   = errors.New("this writer has not the authority's key (serve --ca-key-file): renew certificates by hand, with `writ cert renew`")
	errEarly   = errors.New("the certificate has more than a third of its life left, and is of the present authority")
	errTooMany = errors.New("the name got as many certificates within an hour as it may")
	errKey     = errors.New("the request is no PKCS #10 with an ECDSA P-256 key, signed by it")
)

// Signer renews the certificates of nodes, at the leader. Its methods may be called by any
// number of goroutines.
type Signer struct {
	// CA has the authorities' certificates and Key the key of the one that signs: paths. Key is
	// empty at a writer that was not given it, which refuses.
	CA, Key  string
	Cluster  string
	Identity *peer.Identity
	Now      func() time.Time
	Logger   *slog.Logger

	mu     sync.Mutex
	signed map[string][]time.Time // of each name, within the last hour; guarded by mu
}

// ServeHTTP answers a Request of a member of the cluster, whom the server has admitted.
func (s *Signer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var q Request
	if err := peer.Decode(http.MaxBytesReader(rw, r.Body, maxRequest), &q); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	text, err := s.sign(r.TLS.PeerCertificates, q.CSR)
	if err != nil {
		s.Logger.Info("a certificate was not renewed", "name", peer.Caller(r).Name, "reason", err)
		status := http.StatusForbidden
		if errors.Is(err, errNoKey) {
			status = http.StatusNotFound
		}
		http.Error(rw, err.Error(), status)
		return
	}
	peer.Reply(rw, Given{text})
}

// sign makes a certificate for whom another one names that is still good, and of its origin.
func (s *Signer) sign(chain []*x509.Certificate, csr []byte) ([]byte, error) {
	if s.Key == "" {
		return nil, errNoKey
	}
	now := s.Now()
	if err := s.Identity.VerifyAt(chain, peer.ID{}, now); err != nil { // the connection may be older
		return nil, err
	}
	key, err := keyOf(csr)
	if err != nil {
		return nil, err
	}
	authority, err := setup.LoadCertificateAuthority(s.CA, s.Key)
	if err != nil {
		return nil, err
	}
	old := chain[0]
	if !Due(old, now.Add(early)) && old.CheckSignatureFrom(authority.Certificate()) == nil {
		return nil, errEarly
	}
	who := peer.Of(old)
	if !s.take(who.Name, now) {
		return nil, errTooMany
	}
	text, err := authority.Sign(key, setup.Subject{Cluster: s.Cluster, Name: who.Name, Role: who.Role, Origin: setup.OriginOf(old), Life: setup.RenewedLife}, now)
	if err != nil {
		return nil, err
	}
	s.Logger.Info("a certificate was renewed", "name", who.Name, "old", setup.Serial(old), "origin", setup.OriginOf(old).Serial)
	return text, nil
}

// keyOf is the key that a request is for, whose holder signed it.
func keyOf(csr []byte) (*ecdsa.PublicKey, error) {
	q, err := x509.ParseCertificateRequest(csr)
	if err != nil || q.CheckSignature() != nil {
		return nil, errKey
	}
	key, ok := q.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errKey
	}
	return key, nil
}

// take counts a certificate of a name, unless it got too many.
func (s *Signer) take(name string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signed == nil {
		s.signed = make(map[string][]time.Time) // members alone come here
	}
	var lately []time.Time
	for _, at := range s.signed[name] {
		if now.Sub(at) < time.Hour {
			lately = append(lately, at)
		}
	}
	if len(lately) >= maxPerHour {
		return false
	}
	s.signed[name] = append(lately, now)
	return true
}
