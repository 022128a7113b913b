package setup

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
)

// Ports of FreeAddrs, and how often it tries for each address.
const (
	firstFree, lastFree = 20000, 32000
	maxPortTries        = 1000
)

// FreeAddrs returns addresses on loopback that nobody listens on, with ports below
// those that systems take for outgoing connections: a node that is stopped finds its
// own free when it starts again.
func FreeAddrs(n int) (addrs []string, err error) {
	for range n {
		var l net.Listener
		for range maxPortTries {
			addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstFree+rand.IntN(lastFree-firstFree)))
			if l, err = net.Listen("tcp", addr); err == nil {
				break
			}
		}
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // all at the end, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// ListenAddr is where to listen for those who dial addr.
func ListenAddr(given, addr string) string {
	if given != "" {
		return given
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || net.ParseIP(host) != nil {
		return addr
	}
	return net.JoinHostPort("", port)
}

// Advertised is the URL at which clients reach a node that listens on addr.
func Advertised(given string, addr net.Addr, secure bool) string {
	tcp, ok := addr.(*net.TCPAddr)
	if given != "" || !ok || tcp.IP == nil || tcp.IP.IsUnspecified() {
		return given
	}
	if secure {
		return "https://" + addr.String()
	}
	return "http://" + addr.String()
}

// maxAdvertise is the longest URL that a node may advertise.
const maxAdvertise = 256

// CheckAdvertise says what is wrong with a URL to advertise; empty is none.
func CheckAdvertise(text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || len(text) > maxAdvertise || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("%w: the URL to advertise, %q, is not http://HOST:PORT or https://HOST:PORT", ErrConfig, text)
	}
	return nil
}

// CheckIssuer says what is wrong with a URL for issuers; empty is none.
func CheckIssuer(text string) error {
	if CheckAdvertise(text) != nil {
		return fmt.Errorf("%w: the URL of issuers, %q, is not https://HOST or http://HOST, with a path or without", ErrConfig, text)
	}
	return nil
}
