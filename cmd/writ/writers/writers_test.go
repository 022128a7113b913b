package writers

import (
	"testing"

	"github.com/writ-iam/writ/node/client"
)

// A writer that is given one address has the two after it: without them it could not start
// again where the others have NATS servers.
func TestPlace(t *testing.T) {
	for name, x := range map[string]struct {
		given client.Writer
		none  bool
		want  client.Writer // none: it is refused
	}{
		"one address":      {client.Writer{Peer: "h:8430"}, false, client.Writer{Name: "w", Peer: "h:8430", Broker: "h:8431", Routes: "h:8432"}},
		"a broker, too":    {client.Writer{Peer: "h:8430", Broker: "b:1"}, false, client.Writer{Name: "w", Peer: "h:8430", Broker: "b:1", Routes: "h:8432"}},
		"no NATS":          {client.Writer{Peer: "h:8430"}, true, client.Writer{Name: "w", Peer: "h:8430"}},
		"no NATS, and one": {client.Writer{Peer: "h:8430", Broker: "b:1"}, true, client.Writer{}},
		"none":             {client.Writer{}, false, client.Writer{}},
		"three":            {client.Writer{Peer: "h:1,h:2,h:3"}, false, client.Writer{}},
	} {
		got, err := place("w", x.given, x.none)
		if (err == nil) != (x.want != client.Writer{}) || err == nil && got != x.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
