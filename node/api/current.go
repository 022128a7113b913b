package api

import (
	"context"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// What has to hold while an answer takes its time: the caller's key may be deleted
// meanwhile, and the node may be cut off.

// Limits of proofs that are shared.
const (
	// headEvery is the least time between two strict reads of the head on behalf of all
	// who are told something over a longer time, and so the age of such a proof;
	// headPatience is what one read may take.
	headEvery    = time.Second
	headPatience = DefaultWait
)

// current is a view that is known to be current, or was less than headEvery ago; or
// one of a node that admits reads without that.
type current struct {
	view  *projection.View
	cover propagation.Coverage
	// head is the cluster's, as far as it is known. Of a writer it was read strictly.
	head  event.Position
	known bool
}

// current finds the newest view for a caller who is told something over a longer
// time. leased refuses what is not covered by a lease, at a replica.
func (s *Server) current(ctx context.Context, leased bool) (c current, err error) {
	admits := s.cfg.WithoutLease.admits(forRead)
	if s.cfg.Node.votes() {
		c.head, c.known = s.shared.read(ctx, s.cfg.Now, s.cfg.Node.Heads)
		if !c.known && !admits {
			return c, fault.Later("The head of the log could not be read.", nil)
		}
		if !admits {
			wait, cancel := context.WithTimeout(ctx, DefaultWait)
			defer cancel()
			if _, err := s.cfg.Projection.Wait(wait, c.head); err != nil {
				return c, fault.Later("The node is behind.", err)
			}
		}
	}
	fresh := s.cfg.Node.Lease.Fresh() // before the view is loaded, as in Server.view
	c.view = s.cfg.Projection.View()
	c.cover, err = fresh.Cover(c.view.Head.Position, propagation.Ask{Mode: propagation.ModeAny})
	if err == nil && !s.cfg.Node.votes() && !c.cover.Current() && (leased || !admits) {
		err = propagation.ErrNotLeased
	}
	if err != nil {
		return c, s.notCurrent(err)
	}
	if !s.cfg.Node.votes() {
		c.head, c.known = c.cover.Head, c.cover.Head > 0
	}
	return c, nil
}

// right is what a caller was admitted for.
type right struct {
	server *Server
	q      *request // is not changed
	sig    *sigv4.Signature
	needs  []iam.Access
	about  string // the principal that the answer is about; empty for nobody
}

// in finds out whether a caller has a right in a view, as of now.
func (r *right) in(v *projection.View) error {
	q := *r.q
	q.now = r.server.cfg.Now()
	_, principal, err := r.server.authenticate(&q, r.sig, v)
	if err != nil {
		return err
	}
	var j job
	r.server.begin(&j, q.Context(), principal.ID)
	j.free = freeAgain
	defer j.end()
	for _, a := range r.needs {
		if err := r.server.permit(new(inquiry), &j, &q, r.sig, principal, a); err != nil {
			return err
		}
	}
	if r.about != "" {
		return r.server.mayAsk(new(inquiry), &j, &q, r.sig, principal, v, r.about)
	}
	return nil
}

// still finds out whether a caller may be told an answer that took its time, and that
// is about positions up to at: in the newest view, which has all of them. What ended
// the right would be among what is told.
func (r *right) still(ctx context.Context, at event.Position) error {
	s := r.server
	if s.cfg.Now().Sub(r.q.now) >= headEvery { // else it has just been proved
		if _, err := s.current(ctx, false); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	v, err := s.cfg.Projection.Wait(wait, at)
	if err != nil {
		return fault.Later(fmt.Sprintf("Position %d was not reached in time.", at), err)
	}
	return r.in(v)
}

// sharedHead reads the head strictly on behalf of many: one question at a time, and
// no more often than every headEvery.
type sharedHead struct {
	turn  chan struct{} // of capacity 1: taken by whoever uses the fields below
	asked time.Time
	head  event.Position
	known bool
}

// read returns a head that was the cluster's less than headEvery ago.
func (h *sharedHead) read(ctx context.Context, now func() time.Time, heads Heads) (event.Position, bool) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return 0, false
	}
	if t := now(); h.asked.IsZero() || t.Sub(h.asked) >= headEvery {
		// Others wait for the answer, too: the end of one watcher is not theirs.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), headPatience)
		defer cancel()
		head, err := heads.StrictHead(ctx)
		if h.asked, h.head, h.known = t, head.Position, err == nil; !h.known {
			h.asked = now() // the others do not each wait as long
		}
	}
	return h.head, h.known
}
