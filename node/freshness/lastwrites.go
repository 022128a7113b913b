package freshness

import (
	"strings"
	"sync"

	"github.com/writ-iam/writ/log/event"
)

// maxLastWrites is how many callers' latest writes are remembered.
const maxLastWrites = 1 << 14

// lastWrites remembers at which position each caller's latest write through this
// node took effect, so that the caller's next read here can wait for it. When it
// is full it forgets half of what it knows: such a caller reads at the node's own
// position, as it would at any other node.
type lastWrites struct {
	mu     sync.RWMutex
	recent map[string]event.Position // by access key id
	older  map[string]event.Position
}

func newLastWrites() *lastWrites {
	return &lastWrites{recent: make(map[string]event.Position)}
}

func (l *lastWrites) note(accessKey string, at event.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.recent) >= maxLastWrites/2 {
		l.older, l.recent = l.recent, make(map[string]event.Position)
	}
	// The clone keeps the request's headers from living on.
	l.recent[strings.Clone(accessKey)] = max(at, l.recent[accessKey], l.older[accessKey])
}

func (l *lastWrites) position(accessKey string) event.Position {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return max(l.recent[accessKey], l.older[accessKey])
}
