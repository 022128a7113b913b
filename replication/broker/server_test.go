package broker

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// What an operator has to hear of keeps its level; the rest is for debugging, and takes nothing
// of the rate where nobody debugs.
func TestWhatMatters(t *testing.T) {
	var out bytes.Buffer
	b := newBridge(slog.New(slog.NewTextHandler(&out, nil)), make(chan string, 1))
	for range 2 * sayBurst {
		b.Warnf("TLS certificate chain and hostname of solicited routes will not be verified. DO NOT USE IN PRODUCTION!")
		b.Warnf("Waiting for routing to be established...")
		b.Warnf("JetStream has not established contact with a meta leader")
		b.Errorf("127.0.0.1:37904 - cid:22 - authentication error")
		b.Errorf("Error trying to connect to route (attempt %v): %v", 1, "dial tcp 127.0.0.1:31317: connect: connection refused")
		b.Errorf("127.0.0.1:1 - cid:9 - TLS handshake error: %v", "EOF")
		b.Noticef("JetStream being DISABLED")
	}
	if out.Len() > 0 {
		t.Errorf("an operator is told %s", out.String())
	}
	for _, text := range []string{
		"JetStream out of resources, will be DISABLED", "JetStream cluster stream '$G > writ' has NO quorum, stalled", "JetStream stream '$G > writ' critical write error: no space left on device",
		"JetStream Memory resource limits exceeded for server", "127.0.0.1:1 - cid:9 - maximum connections exceeded", "TLS route handshake error: x509: certificate has expired or is not yet valid",
	} {
		out.Reset()
		b.Errorf("%s", text)
		if !strings.Contains(out.String(), "level=ERROR msg="+fmt.Sprintf("%q", text)) {
			t.Errorf("of %q an operator is told %q", text, out.String())
		}
	}
	out.Reset()
	loud := newBridge(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), make(chan string, 1))
	loud.Errorf("127.0.0.1:37904 - cid:22 - authentication error")
	if !strings.Contains(out.String(), "level=DEBUG") {
		t.Errorf("who debugs is told %q", out.String())
	}
}
