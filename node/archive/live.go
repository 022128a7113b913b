package archive

import (
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/proof"
)

// Live is a running writer, of which archives are made. It may be used by any number of
// goroutines.
type Live struct {
	Log  *log.Log
	By   proof.Signer
	Node string // whose signature By makes
	Now  func() time.Time
}

// Source is that of the position that the writer has reached; nil where it has no state yet,
// or less than it had when it was started. It holds a state in memory, as far as that
// changes, and nothing of the log.
func (l *Live) Source() *Source {
	a := l.Log.Applied()
	if a.Head.Position == 0 || !l.Log.CaughtUp() {
		return nil
	}
	return &Source{
		State: a.State, Header: a.SnapshotHeader(), Batches: l.Log.Events(), By: l.By, Node: l.Node, Time: identity.Time(l.Now().UnixMilli()), Easy: true,
	}
}
