package thumbprint_test

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/thumbprint"
)

// serve starts a server with a certificate, and returns its port and thumbprint.
func serve(t *testing.T) (port, want string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(s.Certificate().Raw)
	return port, hex.EncodeToString(sum[:])
}

func TestFetch(t *testing.T) {
	port, want := serve(t)
	f := thumbprint.NewAt(thumbprint.Anywhere, port)
	if got, err := f.Fetch("a", "127.0.0.1"); err != nil || got != want {
		t.Errorf("fetched %s, %v; it is %s", got, err, want)
	}
}

// A caller that has its share of places, and one who comes when all are taken, is to come
// again: nothing is said of the host.
func TestFetchesAreBounded(t *testing.T) {
	port, want := serve(t)
	f := thumbprint.NewAt(thumbprint.Anywhere, port)
	busy := func(caller string) {
		t.Helper()
		_, err := f.Fetch(caller, "127.0.0.1")
		var later *fault.Fault
		if !errors.As(err, &later) || !later.Retry() || !errors.Is(err, admission.ErrBusy) || errors.Is(err, thumbprint.ErrUnreachable) {
			t.Errorf("one fetch too many: %v", err)
		}
	}
	f.Fill("a")
	busy("a")
	for _, caller := range []string{"w", "x", "y"} { // a few callers do not hold all places
		f.Fill(caller)
	}
	if got, err := f.Fetch("b", "127.0.0.1"); err != nil || got != want {
		t.Errorf("another caller fetches %s: %v", got, err)
	}
	for i := range thumbprint.MaxFetches {
		f.Fill(string(rune('b' + i)))
	}
	busy("z")
}

// TestReach asks for a host of this machine by those who may not.
func TestReach(t *testing.T) {
	port, _ := serve(t)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		_, err := thumbprint.NewAt(thumbprint.Public, port).Fetch("a", host)
		if !errors.Is(err, thumbprint.ErrUnreachable) || !strings.Contains(err.Error(), "not public") {
			t.Errorf("%s: %v", host, err)
		}
	}
	for name, f := range map[string]*thumbprint.Fetcher{"nowhere": thumbprint.NewAt(thumbprint.Nowhere, port), "nil": nil} {
		if got, err := f.Fetch("a", "127.0.0.1"); got != "" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestSilence asks a host that takes a connection and says nothing.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	start := time.Now()
	if _, err := thumbprint.NewAt(thumbprint.Anywhere, port).Fetch("a", "127.0.0.1"); !errors.Is(err, thumbprint.ErrUnreachable) {
		t.Errorf("silence: %v", err)
	}
	if took := time.Since(start); took > 5*thumbprint.Timeout {
		t.Errorf("it took %v", took)
	}
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "140.82.112.3": true, "2606:4700::1111": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "0.0.0.0": false,
		"0.1.2.3": false, "100.64.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:1::": false, "fec0::1": false,
	} {
		if got := thumbprint.IsPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v", text, got)
		}
	}
}

func TestReachAsText(t *testing.T) {
	for _, r := range []thumbprint.Reach{thumbprint.Public, thumbprint.Anywhere, thumbprint.Nowhere} {
		text, err := r.MarshalText()
		var again thumbprint.Reach
		if err != nil || again.UnmarshalText(text) != nil || again != r {
			t.Errorf("%v comes back as %v", r, again)
		}
	}
	var r thumbprint.Reach
	if r.UnmarshalText([]byte("everywhere")) == nil {
		t.Error("another word is taken")
	}
}
