package simulation

import (
	"slices"
	"testing"
	"time"

	admit "github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/simulation/judge"
)

// A pipeline that waits while a replica is cut off waits no longer than the window,
// and is told that the replica is fenced; the replica does not answer as leased from
// then on, and comes back by itself.
func TestCutOffReplicaIsFencedInTime(t *testing.T) {
	p := steady(6)
	p.withoutLease = admit.AdmitNothing
	w := staged(t, p, func(w *world, c *crowd, root *client) {
		// Somebody of their own: r1 lets those wait whose writes it has handed on.
		reader := c.mint(root, "reader")
		pass(time.Second)
		links := (&storm{world: w}).around("r1", true, true)
		for _, l := range links {
			w.net.Cut(l[0], l[1])
		}
		out, _ := root.write("w2", c.root, "canary", 5*time.Second, "CreateUser", "canary", "")
		got := root.wait("w1", c.root, out.Token, scope{}, 30*time.Second)
		if got.State != "everywhere" || !slices.Contains(got.Fenced, "r1") || !slices.Contains(got.VisibleOn, "r2") {
			t.Errorf("with r1 cut off: %s, visible on %v, fenced %v, pending %v", got.State, got.VisibleOn, got.Fenced, got.Pending)
		}
		// Ticks may be waited for before the promise, and after it for its floor.
		if took, most := got.Got-out.Got, w.history.Window+10*propagation.TickEvery; took > most {
			t.Errorf("it took %v, more than %v", took, most)
		}
		if r := root.decide("r1", reader, readLimit, "canary", freshness{}); r.Code != "NotLeased" {
			t.Errorf("r1 is cut off, and answers with status %d %s, %s", r.Status, r.Code, r.Freshness)
		}
		for _, l := range links {
			w.net.Mend(l[0], l[1])
		}
		mended := w.now()
		for {
			r := root.decide("r1", reader, readLimit, "canary", freshness{})
			if r.Answered() && r.Position >= out.Position && r.Freshness == "leased" {
				break
			}
			if w.now()-mended > 5*time.Second {
				t.Errorf("r1 is back for %v, and answers with status %d %s, %s", w.now()-mended, r.Status, r.Code, r.Freshness)
				break
			}
			pass(50 * time.Millisecond)
		}
	})
	for _, v := range judge.Judge(&w.history) {
		t.Error(v)
	}
}
