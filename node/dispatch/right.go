package dispatch

import (
	"context"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
)

// Right is what a caller was admitted for.
type Right struct {
	x     *Exchange // is not changed
	needs []admission.Access
	about string // the principal that the answer is about; empty for nobody
}

// Right is the caller's, to what needs the accesses, and to ask about a principal unless
// about is empty.
func (x *Exchange) Right(about string, needs ...admission.Access) Right {
	return Right{x, needs, about}
}

// In finds out whether a caller has a right in a view, as of now.
func (r *Right) In(v *projection.View) error {
	q := r.x.Request
	q.Now = r.x.dispatcher.cfg.Now()
	p := admission.Pass{Desk: r.x.Desk, Request: &q, Sig: r.x.Sig}
	if err := p.Admit(v); err != nil {
		return err
	}
	p.Job.Again()
	defer p.Job.End()
	for _, a := range r.needs {
		if err := p.May(a); err != nil {
			return err
		}
	}
	if r.about != "" {
		return p.MayAsk(v, r.about)
	}
	return nil
}

// Still finds out whether a caller may be told an answer that took its time, and that
// is about positions up to at: in the newest view, which has all of them. What ended
// the right would be among what is told.
func (r *Right) Still(ctx context.Context, at event.Position) error {
	cfg := &r.x.dispatcher.cfg
	if cfg.Now().Sub(r.x.Now) >= freshness.HeadEvery { // else it has just been proved
		if _, err := cfg.Views.Current(ctx, false); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, admission.DefaultWait)
	defer cancel()
	v, err := cfg.Projection.Wait(wait, at)
	if err != nil {
		return fault.Later(fmt.Sprintf("Position %d was not reached in time.", at), err)
	}
	return r.In(v)
}
