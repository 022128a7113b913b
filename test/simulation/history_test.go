package simulation

import (
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/replication/propagation"
)

// play is the course of a history, inside its bubble.
func (w *world) play() {
	w.startAll()
	c := newCrowd(w)
	root := w.client("root")
	var keys []key
	for i := range victims {
		keys = append(keys, c.mint(root, victim(i)))
	}
	w.trace("the cluster is in use")
	c.gather(keys, c.mintOutsider(root, outsider))
	c.mintSigner(root)
	c.gatherSessions(c.mint(root, broker))
	pass(w.plan.calm)
	storm := w.storm()
	pass(w.plan.storm)
	storm.end()
	w.trace("all faults are over")
	w.recover(c, root)
	c.home()
	w.finish(c, root)
	root.leave()
	w.stopAll()
	w.collect()
}

// recover judges I21 and the liveness of what else was promised: within three
// leases of the last fault, a write is taken, every replica shows it under a lease,
// and it is everywhere.
func (w *world) recover(c *crowd, root *client) {
	limit := 3 * propagation.DefaultParams().Duration
	until := time.Now().Add(limit)
	canary, _ := c.insist(root, limit, "CreateUser", "canary", "")
	if !canary.Answered() {
		return
	}
	for _, name := range w.history.Replicas {
		for {
			r := root.decide(name, c.root, readLimit, "canary", freshness{mode: "leased"})
			if r.Answered() && r.Position >= canary.Position {
				break
			}
			if time.Now().After(until) {
				w.note("I21", "%s, asked %v after the last fault, has status %d %s, position %d of %d", name, limit, r.Status, r.Code, r.Position, canary.Position)
				break
			}
			pass(200 * time.Millisecond)
		}
	}
	for {
		got := root.wait(w.history.Writers[0], c.root, canary.Token, scope{}, 5*time.Second)
		if got.State == "everywhere" {
			return
		}
		if time.Now().After(until) {
			w.note("I21", "%v after the last fault position %d is %q: %v show it, %v are pending", limit, canary.Position, got.State, got.VisibleOn, got.Pending)
			return
		}
	}
}

// finish looks at everything once more when nothing happens any more.
func (w *world) finish(c *crowd, root *client) {
	for i := range subjects {
		root.get(w.history.Writers[0], c.root, 10*time.Second, fmt.Sprintf("u%d", i), freshness{mode: "strict"})
	}
	pass(10 * time.Second) // for floors to reach every writer, and batches that snapshots left out
	var newest event.Position
	if t := c.noted(nil); t != nil {
		newest = t.Position
	}
	for _, name := range w.names {
		until := time.Now().Add(10 * time.Second)
		end, ok := root.local(name, c.root)
		for (!ok || end.Position < newest) && time.Now().Before(until) {
			pass(100 * time.Millisecond)
			end, ok = root.local(name, c.root)
		}
		if !ok || end.Position < newest {
			w.note("I21", "%s stays at position %d of %d", name, end.Position, newest)
		}
		if ok {
			w.history.Ends = append(w.history.Ends, end)
		}
	}
}

// collect reads the writers' event stores, which nobody has open any more.
func (w *world) collect() {
	for i := range w.history.Ends {
		end := &w.history.Ends[i]
		m := w.machines[end.Node]
		if !m.writer {
			continue
		}
		batches, err := m.batches()
		if err != nil {
			w.note("P1", "the events of %s cannot be read: %v", m.name, err)
		}
		end.Batches = batches
	}
}
