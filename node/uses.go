package node

import (
	"context"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/usage"
)

// usesPath is where the leader takes what other nodes saw of uses of credentials.
const usesPath = "/peer/uses"

// teller tells what this node saw of uses. log is nil for a replica.
func (n *Node) teller(log usage.Log) *usage.Teller {
	return &usage.Teller{Book: &n.uses, Log: log, Leader: leader{n.finder}, Logger: n.logger}
}

// Hand gives the leader what this node saw of uses.
func (l leader) Hand(ctx context.Context, told usage.Told) error {
	return l.Post(ctx, usesPath, told, &struct{}{})
}

// Leading is the state of the log while this writer leads.
func (w *writer) Leading() *identity.State {
	if w.leading.Load() == nil {
		return nil
	}
	return w.log.Applied().State
}

// Note puts uses into the log.
func (w *writer) Note(ctx context.Context, uses []identity.Use) error {
	return w.propose(ctx, randomKey(), &identity.NoteUses{Uses: uses})
}

// uses takes what another node saw of uses, on its word.
func (p *peerServer) uses(rw http.ResponseWriter, r *http.Request) {
	var told usage.Told
	if p.read(rw, r, &told) {
		p.w.node.uses.Hear(peer.Caller(r).Name, told.Uses, identity.Time(time.Now().UnixMilli()), p.w.log.Applied().State)
		peer.Reply(rw, struct{}{})
	}
}
