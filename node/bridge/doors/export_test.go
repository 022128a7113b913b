package doors

import (
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
)

// OpenAlone opens doors without a node: nobody asks there.
func OpenAlone(t *testing.T, s *Set) error {
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	listen := func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	return s.Open(&bridge.Node{}, listen, slog.New(slog.DiscardHandler), &wg, func(error) {})
}

// Socket is socket.
var Socket = socket
