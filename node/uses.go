package node

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/peer"
)

// usesPath is where the leader takes what other nodes saw of uses of credentials.
const usesPath = "/peer/uses"

// Limits of what is told of uses. No more of it is under way than log and port carry
// beside what clients wait for.
const (
	// usesInterval is how often a node tells what it saw.
	usesInterval = 2 * time.Minute
	// usesHanded is how many uses one message to the leader has: the longest are within
	// maxPeerBody. usesNoted is how many one command has: the longest are within the log's
	// bound of one.
	usesHanded = 6
	usesNoted  = 32
	// usesTimeout is how long a node looks for the leader, and tells it, each time.
	usesTimeout = 10 * time.Second
	// usesRounds is how many messages or commands there are each time.
	usesRounds = 64
)

// handed is what a node saw of uses.
type handed struct {
	Uses []identity.Use `json:"uses"`
}

// tellUses tells what this node saw of uses, until it stops: by the log while it leads,
// else by the leader. What cannot be told stays for the next time.
func (n *Node) tellUses(note func(context.Context) (leads bool)) {
	for wake.After(n.ctx, usesInterval) == nil {
		if !note(n.ctx) {
			n.handOnUses(n.ctx)
		}
	}
}

// handOnUses gives the leader what this node saw of uses.
func (n *Node) handOnUses(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, usesTimeout)
	defer cancel()
	for range usesRounds {
		uses := n.uses.Take(usesHanded, nil)
		if len(uses) == 0 {
			return
		}
		if err := n.finder.Post(ctx, usesPath, handed{uses}, &struct{}{}); err != nil {
			n.uses.Add(uses)
			n.logger.Debug("what was seen of uses was not handed on", "error", err)
			return
		}
	}
}

// noteUses puts what is due of uses into the log, while this writer leads.
func (w *writer) noteUses(ctx context.Context) (leads bool) {
	if w.leading.Load() == nil {
		return false
	}
	for range usesRounds {
		uses := w.node.uses.Take(usesNoted, w.log.Applied().State)
		if len(uses) == 0 {
			break
		}
		err := w.propose(ctx, randomKey(), &identity.NoteUses{Uses: uses})
		var refusal *identity.Refusal
		if err != nil && !(errors.As(err, &refusal) && refusal.Code == identity.InvalidInput) { // which is no news
			w.node.uses.Add(uses)
			w.node.logger.Debug("what was seen of uses was not noted", "error", err)
			break
		}
	}
	return true
}

// uses takes what another node saw of uses, on its word.
func (p *peerServer) uses(rw http.ResponseWriter, r *http.Request) {
	var q handed
	if !p.read(rw, r, &q) {
		return
	}
	p.w.node.uses.Add(q.Uses)
	peer.Reply(rw, struct{}{})
}
