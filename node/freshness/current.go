package freshness

import (
	"context"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// What has to hold while an answer takes its time: the caller's key may be deleted
// meanwhile, and the node may be cut off.

// Limits of proofs that are shared.
const (
	// HeadEvery is the least time between two strict reads of the head on behalf of all
	// who are told something over a longer time, and so the age of such a proof;
	// headPatience is what one read may take.
	HeadEvery    = time.Second
	headPatience = admission.DefaultWait
)

// Current is a view that is known to be current, or was less than HeadEvery ago; or
// one of a node that admits reads without that.
type Current struct {
	View  *projection.View
	Cover propagation.Coverage
	// Head is the cluster's, as far as it is Known. Of a writer it was read strictly.
	Head  event.Position
	Known bool
}

// Current finds the newest view for a caller who is told something over a longer
// time. leased refuses what is not covered by a lease, at a replica.
func (f *Views) Current(ctx context.Context, leased bool) (c Current, err error) {
	admits := f.cfg.WithoutLease.Admits(ForRead)
	if f.votes() {
		c.Head, c.Known = f.shared.read(ctx, f.cfg.Now, f.cfg.Heads)
		if !c.Known && !admits {
			return c, fault.Later("The head of the log could not be read.", nil)
		}
		if !admits {
			wait, cancel := context.WithTimeout(ctx, admission.DefaultWait)
			defer cancel()
			if _, err := f.cfg.Projection.Wait(wait, c.Head); err != nil {
				return c, fault.Later("The node is behind.", err)
			}
		}
	}
	fresh := f.cfg.Lease.Fresh() // before the view is loaded, as in Views.View
	c.View = f.cfg.Projection.View()
	c.Cover, err = fresh.Cover(c.View.Head.Position, propagation.Ask{Mode: propagation.ModeAny})
	if err == nil && !f.votes() && !c.Cover.Current() && (leased || !admits) {
		err = propagation.ErrNotLeased
	}
	if err != nil {
		return c, f.NotCurrent(err)
	}
	if !f.votes() {
		c.Head, c.Known = c.Cover.Head, c.Cover.Head > 0
	}
	return c, nil
}

// sharedHead reads the head strictly on behalf of many: one question at a time, and
// no more often than every HeadEvery.
type sharedHead struct {
	turn  chan struct{} // of capacity 1: taken by whoever uses the fields below
	asked time.Time
	head  event.Position
	known bool
}

// read returns a head that was the cluster's less than HeadEvery ago.
func (h *sharedHead) read(ctx context.Context, now func() time.Time, heads Heads) (event.Position, bool) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return 0, false
	}
	if t := now(); h.asked.IsZero() || t.Sub(h.asked) >= HeadEvery {
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
