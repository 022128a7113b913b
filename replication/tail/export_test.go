package tail

import "net/http"

// What the tests of the package, which need a history, want to see of its inside.
const (
	HeaderHead        = headerHead
	HeaderIncarnation = headerIncarnation
	MaxTailWait       = maxTailWait
)

// Full returns the routes of a handler that has no place free.
func Full(cfg HandlerConfig) (events, snapshot http.HandlerFunc) {
	places := make(chan struct{}, 1)
	places <- struct{}{}
	h := &handler{HandlerConfig: cfg, tails: places, snapshots: places}
	return h.events, h.snapshot
}

// ReadFrames is readFrames.
var ReadFrames = readFrames

// Sender writes frames.
type Sender struct{ sender }

// Frame writes batches.
func (s *Sender) Frame(batches [][]byte) { s.frame(batches) }

// Buffer is what was written.
func (s *Sender) Buffer() []byte { return s.buf }
