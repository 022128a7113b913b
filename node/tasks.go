package node

import (
	"context"
	"errors"
	"net/http"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/peer"
)

// Evaluate asks a replica for a decision, if this writer leads.
func (w *writer) Evaluate(ctx context.Context, replica string, at event.Position, body []byte) (d shape.Evaluated, err error) {
	if t := w.leading.Load(); t != nil {
		d, err = t.tasks.Evaluate(ctx, replica, at, body)
		if !errors.Is(err, peer.ErrNotLeader) {
			return d, err
		}
	}
	return d, dispatch.ErrNotLeader
}

// tasks hands a replica what it is asked, as soon as there is something. Whom
// the tasks are for, the certificate says.
func (p *peerServer) tasks(rw http.ResponseWriter, r *http.Request) {
	var q ask.Poll
	t, name, ok := p.replicaCalls(rw, r, &q)
	if !ok {
		return
	}
	list, err := t.tasks.Poll(r.Context(), name, q.Process, q.Holds, ask.Hold)
	if err != nil {
		p.fail(rw, err)
		return
	}
	peer.Reply(rw, ask.Handover{Tasks: list})
}

// answers takes a replica's answer.
func (p *peerServer) answers(rw http.ResponseWriter, r *http.Request) {
	var a ask.Answer
	t, name, ok := p.replicaCalls(rw, r, &a)
	if !ok {
		return
	}
	t.tasks.Answered(name, a)
	peer.Reply(rw, struct{}{})
}

// replicaCalls reads the request of a replica to the leader: the term it falls
// into, and who calls. Otherwise it has answered.
func (p *peerServer) replicaCalls(rw http.ResponseWriter, r *http.Request, into any) (*leadership, string, bool) {
	if !p.read(rw, r, into) {
		return nil, "", false
	}
	t := p.w.leading.Load()
	if t == nil {
		p.fail(rw, dispatch.ErrNotLeader)
		return nil, "", false
	}
	return t, peer.Caller(r).Name, true
}
