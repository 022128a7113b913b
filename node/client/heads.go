package client

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/api/shape"
)

// SignedHead is a writer's word that its cluster's history had this head, and
// Position a place in that history, from 1 on.
type (
	SignedHead = event.SignedHead
	Position   = event.Position
)

// Head asks for a signed head that is current after the question. Check it with
// CertificateAuthority.Check.
func (c *Client) Head(ctx context.Context) (*SignedHead, error) {
	var h SignedHead
	return &h, c.do(ctx, http.MethodGet, "/v1/head", nil, Freshness{}, &h)
}

// MaxHeaders is how many headers one answer has at most.
const MaxHeaders = shape.MaxHeaders

// Chain is a stretch of the cluster's history.
type Chain = shape.Chain

// Chain asks for the headers of the batches behind a position, at most limit of
// them. Fewer come when the history ends there, or when they are large.
func (c *Client) Chain(ctx context.Context, after event.Position, limit int) (*Chain, error) {
	var s Chain
	target := "/v1/chain?after=" + strconv.FormatUint(uint64(after), 10) + "&limit=" + strconv.Itoa(limit)
	return &s, c.do(ctx, http.MethodGet, target, nil, Freshness{}, &s)
}

// writerRole is the organizational unit in the certificates of writers, who alone
// may say what the history is.
const writerRole = "writer"

// CertificateAuthority checks signed heads against the certificate of a cluster's authority,
// the ca.crt that `writ init` made. It needs nothing else, and nobody.
type CertificateAuthority struct{ roots *x509.CertPool }

// Errors of checking heads.
var (
	// ErrAuthority is returned when a text holds no certificate of an authority.
	ErrAuthority = errors.New("no certificate of a cluster's authority")
	// ErrSignature is returned when a head is not signed by a writer of its cluster.
	ErrSignature = errors.New("the head is not signed by a writer of its cluster")
)

// ParseCertificateAuthority reads an authority's certificate, in PEM.
func ParseCertificateAuthority(text []byte) (*CertificateAuthority, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: no PEM", ErrAuthority)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	if !cert.IsCA {
		return nil, fmt.Errorf("%w: the certificate is that of %q", ErrAuthority, cert.Subject.CommonName)
	}
	a := &CertificateAuthority{x509.NewCertPool()}
	a.roots.AddCert(cert)
	return a, nil
}

// Check says whether a writer of the head's cluster signed it, with a certificate
// of this authority that was good at the time which the head states. That time is
// the signer's word: whoever has a writer's old key can sign for the time when it
// was good.
func (a *CertificateAuthority) Check(h *SignedHead) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: head %d, said to be of %s: %w", ErrSignature, h.Position, h.Node, fmt.Errorf(format, args...))
	}
	cert, err := x509.ParseCertificate(h.Certificate)
	if err != nil {
		return fail("read the certificate: %w", err)
	}
	at := time.UnixMilli(int64(h.Time))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: a.roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return fail("the certificate at %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	switch s := cert.Subject; {
	case !slices.Equal(s.Organization, []string{h.Cluster}):
		return fail("the certificate is for cluster %q, the head of %q", s.Organization, h.Cluster)
	case !slices.Equal(s.OrganizationalUnit, []string{writerRole}):
		return fail("the certificate is that of a %q, not of a writer", s.OrganizationalUnit)
	case s.CommonName != h.Node:
		return fail("the certificate is that of %q", s.CommonName)
	}
	if err := cert.CheckSignature(x509.ECDSAWithSHA256, h.Statement(), h.Signature); err != nil {
		return fail("the signature: %w", err)
	}
	return nil
}

// Conflict is the finding that two signed heads cannot both be true: somebody
// showed two histories. The two, with their signatures, are the evidence; where
// their positions differ, the headers between them complete it.
type Conflict struct {
	Kept *SignedHead `json:"kept"`
	Now  *SignedHead `json:"now"`
	What string      `json:"what"`
}

// Error says what does not fit.
func (c *Conflict) Error() string {
	return fmt.Sprintf("the head of position %d that %s signed and the head of position %d that %s signed are not of one history: %s",
		c.Kept.Position, c.Kept.Node, c.Now.Position, c.Now.Node, c.What)
}

// Errors of following the chain from one head to another.
var (
	// ErrOtherHistory is returned for heads that cannot be compared: of two clusters,
	// or of two incarnations of one.
	ErrOtherHistory = errors.New("the heads are of different histories")
	// ErrBroken is returned when what a node gives for a chain does not lead from the
	// one head to the other.
	ErrBroken = errors.New("the headers make no chain")
)

// Compare says whether two signed heads of one position contradict each other, with
// a *Conflict. About those of different positions it says nothing: see Contains.
func Compare(kept, now *SignedHead) error {
	switch {
	case kept.Cluster != now.Cluster:
		return fmt.Errorf("%w: cluster %s and cluster %s", ErrOtherHistory, kept.Cluster, now.Cluster)
	case kept.Incarnation != now.Incarnation:
		return fmt.Errorf("%w: incarnations %s and %s of cluster %s, which was restored or recovered between them", ErrOtherHistory, kept.Incarnation, now.Incarnation, kept.Cluster)
	case kept.Position == now.Position && kept.Hash != now.Hash:
		return &Conflict{kept, now, fmt.Sprintf("the hashes are %x and %x", kept.Hash, now.Hash)}
	case kept.Position == now.Position && kept.Digest != now.Digest:
		return &Conflict{kept, now, fmt.Sprintf("the digests of the state are %s and %s", kept.Digest, now.Digest)}
	}
	return nil
}

// Contains finds out whether the history that ends in now contains the head kept.
// It computes the chain of hashes from the one to the other; the node asked is
// believed in nothing. It returns how many batches it walked. A *Conflict says
// that the history is another one. Check the signatures first.
func (c *Client) Contains(ctx context.Context, kept, now *SignedHead) (walked int, err error) {
	if err := Compare(kept, now); err != nil {
		return 0, err
	}
	if kept.Position == 0 {
		return 0, fmt.Errorf("%w: a head of position 0 is none", ErrOtherHistory)
	}
	if now.Position < kept.Position {
		return 0, &Conflict{kept, now, "the history became shorter"}
	}
	w := walk{kept: kept, now: now, next: kept.Position}
	for w.next <= now.Position {
		left := min(uint64(now.Position-w.next)+1, MaxHeaders)
		chain, err := c.Chain(ctx, w.next-1, int(left))
		if err != nil {
			return w.walked, err
		}
		if len(chain.Headers) == 0 || uint64(len(chain.Headers)) > left {
			return w.walked, fmt.Errorf("%w: %d headers came where %d were asked for, from position %d on", ErrBroken, len(chain.Headers), left, w.next)
		}
		for _, header := range chain.Headers {
			if err := w.step(header); err != nil {
				return w.walked, err
			}
		}
	}
	if w.conflict != nil {
		return w.walked, w.conflict
	}
	return w.walked, nil
}

// walk goes from one head to another, the first step onto the head kept.
type walk struct {
	kept, now *SignedHead
	next      event.Position // of the next step
	prev      event.Hash     // of the last one
	walked    int
	// conflict is what was found wrong at the head kept. It counts only once the
	// headers have led to the head now: anybody can make up a header.
	conflict *Conflict
}

func (w *walk) step(header []byte) error {
	b, err := wire.DecodeHeader(header)
	if err != nil {
		return fmt.Errorf("%w: position %d: %w", ErrBroken, w.next, err)
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: position %d: %w", ErrBroken, w.next, fmt.Errorf(format, args...))
	}
	first, last := w.next == w.kept.Position, w.next == w.now.Position
	switch {
	case b.Cluster != w.kept.Cluster || b.Incarnation != w.kept.Incarnation:
		return fail("the header is of cluster %q, incarnation %q", b.Cluster, b.Incarnation)
	case b.Position != w.next:
		return fail("the header is of position %d", b.Position)
	case !first && b.Prev != w.prev:
		return fail("the header follows the hash %x, not %x", b.Prev, w.prev)
	case last && b.Hash != w.now.Hash:
		return fail("the header has the hash %x, and %s signed %x", b.Hash, w.now.Node, w.now.Hash)
	case first && b.Hash != w.kept.Hash:
		w.conflict = &Conflict{w.kept, w.now, fmt.Sprintf("at position %d the history now has the hash %x, not %x", b.Position, b.Hash, w.kept.Hash)}
	case first && b.State != w.kept.Digest:
		w.conflict = &Conflict{w.kept, w.now, fmt.Sprintf("the history has the state's digest %s at position %d, not %s", b.State, b.Position, w.kept.Digest)}
	case last && b.State != w.now.Digest:
		w.conflict = &Conflict{w.kept, w.now, fmt.Sprintf("the history has the state's digest %s at position %d, not %s", b.State, b.Position, w.now.Digest)}
	}
	w.next, w.prev = w.next+1, b.Hash
	w.walked++
	return nil
}
