// Package thumbprint finds the thumbprint by which an OpenID Connect provider is known
// where whoever registers it names none: the SHA-1 of the last certificate that its
// server presents ("CreateOpenIDConnectProvider" in the IAM API Reference).
//
// The host is the caller's choice, so a fetcher connects to public addresses alone
// unless it is told otherwise, for a short time, to few hosts at once, and tells the
// caller nothing of why it failed. Nothing is sent but a handshake, and nothing of a certificate is
// believed: a thumbprint says which one was seen.
package thumbprint

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
)

// Limits of a fetcher.
const (
	// Timeout is how long a fetch takes at most.
	Timeout = 2 * time.Second
	// MaxFetches is how many are under way at once, MaxFetchesOne those of one caller;
	// another one is to be tried again. Each holds its place for Timeout at most, and eight
	// callers hold all.
	MaxFetches    = 16
	MaxFetchesOne = 2
)

// ErrUnreachable is returned when a thumbprint cannot be had: the host does not answer in
// time, or may not be asked.
var ErrUnreachable = errors.New("the provider cannot be reached")

// Reach is where a fetcher connects to.
type Reach uint8

// The reaches.
const (
	// Public is addresses of the public internet alone.
	Public Reach = iota
	// Anywhere is private addresses, too, those of this machine among them.
	Anywhere
	// Nowhere is for nodes that have no way out.
	Nowhere
)

var reaches = [...]string{Public: "public", Anywhere: "any", Nowhere: "none"}

// String is "public", "any" or "none".
func (r Reach) String() string { return reaches[r] }

// MarshalText gives the reach as String does.
func (r Reach) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Reach) UnmarshalText(text []byte) error {
	for i, name := range reaches {
		if name == string(text) {
			*r = Reach(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", text, strings.Join(reaches[:], ", "))
}

// Fetcher fetches thumbprints. It is safe for concurrent use. The nil Fetcher reaches
// nowhere.
type Fetcher struct {
	reach  Reach
	port   string
	places *admission.Slots
}

// New returns a fetcher of that reach.
func New(reach Reach) *Fetcher {
	return &Fetcher{reach: reach, port: "443", places: admission.NewShares(MaxFetches, MaxFetchesOne)}
}

// Fetch returns the thumbprint of a host, forty hexadecimal digits in lower case; it is
// empty, without an error, for a fetcher that reaches nowhere. Else the error wraps
// ErrUnreachable or, where too many hosts are being asked for all callers or for this one,
// is a *fault.Fault to be tried again. It takes up to Timeout.
func (f *Fetcher) Fetch(caller, host string) (string, error) {
	if f == nil || f.reach == Nowhere {
		return "", nil
	}
	if err := f.places.Take(caller, 1); err != nil {
		return "", fault.Later("The node is asking other identity providers.", errors.Join(admission.ErrBusy, err))
	}
	defer f.places.Free(caller, 1)
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	sum, err := f.handshake(ctx, host)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return sum, nil
}

func (f *Fetcher) handshake(ctx context.Context, host string) (string, error) {
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Control: f.guard},
		// A certificate that nobody else vouches for is what thumbprints are there for.
		Config: &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, f.port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	chain := conn.(*tls.Conn).ConnectionState().PeerCertificates
	if len(chain) == 0 { // not in a handshake that is done
		return "", errors.New("no certificate")
	}
	sum := sha1.Sum(chain[len(chain)-1].Raw)
	return hex.EncodeToString(sum[:]), nil
}

// guard is asked with the address that a name has turned out to have, before it is
// connected to: what the name has a moment later changes nothing.
func (f *Fetcher) guard(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		return fmt.Errorf("connect: %w", err)
	case f.reach == Public && !IsPublic(to.Addr()):
		return errors.New("the address is not public")
	}
	return nil
}

// special are the networks beside loopback, private, link-local and multicast addresses
// that are not of the public internet, or lead to one that is not (the special-purpose
// address registries of RFC 6890).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// IsPublic tells that an address is of the public internet.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() { // the first also leaves out loopback, link-local, multicast and unspecified
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
