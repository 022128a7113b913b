package oidc

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/node/thumbprint"
)

// Limits of a fetch.
const (
	// FetchTimeout is how long an issuer has for its discovery document and its keys together.
	FetchTimeout = 5 * time.Second
	maxRedirects = 3
	maxDocument  = 256 << 10
	maxHeader    = 16 << 10
	// maxInternal is how many issuers and networks a Reach names.
	maxInternal = 256
)

// ErrReach is returned for what names no issuers and networks that are inside.
var ErrReach = errors.New("not an issuer or a network")

// Reach is which issuers a node asks beside those on the public internet. The zero Reach
// is none. It is immutable.
type Reach struct {
	issuers map[string]string // by URL, where it is: HOST:PORT, or empty for where its name leads
	servers map[string]string // the same by the HOST:PORT of the URL; of several the first counts
	ranges  []netip.Prefix
	roots   *x509.CertPool // nil for the system's alone
}

// ParseReach reads issuers (https://HOST/PATH, with =HOST:PORT behind it where it is to be
// reached elsewhere than its name says) and networks (10.0.0.0/8), and the certificates, PEM,
// that vouch for those. The error wraps ErrReach.
func ParseReach(internal []string, certificates []byte) (Reach, error) {
	r := Reach{issuers: map[string]string{}, servers: map[string]string{}}
	if len(internal) > maxInternal {
		return r, fmt.Errorf("%w: %d of them, at most %d", ErrReach, len(internal), maxInternal)
	}
	for _, text := range internal {
		if p, err := netip.ParsePrefix(text); err == nil {
			r.ranges = append(r.ranges, p.Masked())
			continue
		}
		issuer, at, given := strings.Cut(text, "=")
		u, err := url.Parse(issuer)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return r, fmt.Errorf("%w: %q; give https://HOST/PATH, https://HOST/PATH=HOST:PORT or 10.0.0.0/8", ErrReach, text)
		}
		if _, _, err := net.SplitHostPort(at); given && err != nil {
			return r, fmt.Errorf("%w: %q: %w", ErrReach, text, err)
		}
		r.issuers[issuer] = at
		if _, named := r.servers[server(u)]; !named {
			r.servers[server(u)] = at
		}
	}
	if len(certificates) > 0 {
		r.roots = x509.NewCertPool()
		if !r.roots.AppendCertsFromPEM(certificates) {
			return r, fmt.Errorf("%w: no certificate that vouches for one, PEM", ErrReach)
		}
	}
	return r, nil
}

// LoadReach is ParseReach with a file of the certificates, unless its path is empty.
func LoadReach(internal []string, file string) (Reach, error) {
	if file == "" {
		return ParseReach(internal, nil)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Reach{}, fmt.Errorf("read the certificates of internal issuers: %w", err)
	}
	r, err := ParseReach(internal, text)
	if err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// server is the HOST:PORT of a URL by https.
func server(u *url.URL) string {
	return net.JoinHostPort(casefold.Key(u.Hostname()), cmp.Or(u.Port(), "443"))
}

// place tells whether settings name a server, as HOST:PORT, for visits of an issuer, and where it
// is. Who is not named leads nowhere inside, and who is leads to what is named, too: nothing
// else on its own host.
func (r *Reach) place(issuer, address string) (at string, named bool) {
	own, visited := r.issuers[issuer]
	if u, err := url.Parse(issuer); !visited || err != nil {
		return "", false
	} else if server(u) == address {
		return own, true
	}
	at, named = r.servers[address]
	return at, named
}

// within tells whether an address is in a network that is named.
func (r *Reach) within(a netip.Addr) bool {
	return slices.ContainsFunc(r.ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

// visit is a fetch of an issuer's documents.
type visit struct {
	reach       *Reach
	issuer      string
	thumbprints []string
	now         time.Time
}

// client is an HTTP client for the visit alone: whatever it follows, it connects by the rules
// of the visit.
func (v *visit) client() *http.Client {
	return &http.Client{
		Transport: limited{&http.Transport{
			DialContext:            func(context.Context, string, string) (net.Conn, error) { return nil, errPlain },
			DialTLSContext:         v.dial,
			DisableKeepAlives:      true,
			DisableCompression:     true, // what is small may be long
			MaxResponseHeaderBytes: maxHeader,
		}},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errRedirects
			}
			return nil
		},
	}
}

var (
	errPlain     = errors.New("not over https")
	errRedirects = errors.New("too many redirects")
	errDocument  = errors.New("the document is too long")
	errInternal  = errors.New("the address is not public, and no setting names it")
)

// limited bounds what is read of an answer.
type limited struct{ *http.Transport }

// RoundTrip is that of the transport.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	got, err := l.Transport.RoundTrip(r)
	if err == nil {
		got.Body = &limitedBody{got.Body, maxDocument}
	}
	return got, err
}

type limitedBody struct {
	io.ReadCloser
	left int
}

// Read fails beyond the limit.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		if n, err := b.ReadCloser.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, errDocument
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// dial connects to a server and has it show who it is.
func (v *visit) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	at, named := v.reach.place(v.issuer, casefold.Key(address))
	g := &guard{v.reach, named, named && at != ""}
	if g.placed {
		address = at
	}
	conn, err := (&net.Dialer{Control: g.control}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	inside := named || v.reach.within(remote.Addr().Unmap())
	secure := tls.Client(conn, &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // thumbprints are there for certificates that nobody else vouches for
		VerifyConnection:   func(s tls.ConnectionState) error { return v.verify(&s, host, inside) },
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// guard says which addresses a connection may be to.
type guard struct {
	reach         *Reach
	named, placed bool // the server is named, with its address
}

// control is asked with the address that a name has turned out to have, before it is connected
// to. That a server is named opens no link-local address, at which machines tell secrets to
// themselves: its name may come to lead anywhere.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	a := to.Addr().Unmap().WithZone("")
	switch {
	case g.placed, thumbprint.IsPublic(a), g.reach.within(a):
		return nil
	case g.named && (a.IsPrivate() || a.IsLoopback()) && a != metadata6:
		return nil
	}
	return errInternal
}

// metadata6 is where machines in AWS's cloud tell secrets to themselves, among private addresses.
var metadata6 = netip.MustParseAddr("fd00:ec2::254")

// verify finds out whether a server is who it should be: by the system's authorities, by those
// of a setting if it is inside, or by the provider's thumbprints.
func (v *visit) verify(s *tls.ConnectionState, host string, inside bool) error {
	leaf, rest := s.PeerCertificates[0], x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		rest.AddCert(c)
	}
	try := func(roots *x509.CertPool) error {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: rest, CurrentTime: v.now})
		return err
	}
	err := try(nil)
	if err == nil || inside && v.reach.roots != nil && try(v.reach.roots) == nil {
		return nil
	}
	for _, c := range s.PeerCertificates {
		sum := sha1.Sum(c.Raw)
		if !slices.Contains(v.thumbprints, hex.EncodeToString(sum[:])) {
			continue
		}
		known := x509.NewCertPool()
		known.AddCert(c)
		if try(known) == nil {
			return nil
		}
	}
	return err
}
