package api_test

import (
	"net/http"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
)

// enter puts replicas into the roster.
func (w *world) enter(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.must(&identity.RegisterReplica{Name: name, Region: "eu"})
	}
}

func TestRosterByCommand(t *testing.T) {
	w := newWorld(t)
	w.enter("replica-1", "replica-2")
	stands := func(name string) string {
		r, ok := w.projection.View().State.Replica(name)
		switch {
		case w.projection.View().State.Barred(name):
			return "removed"
		case !ok:
			return "unknown"
		case r.Draining:
			return "draining"
		}
		return "registered"
	}
	for _, c := range []struct{ method, path, want string }{
		{"POST", "/drain", "draining"}, {"POST", "/resume", "registered"}, {"DELETE", "", "removed"},
		{"POST", "/admit", "unknown"},
	} {
		rec := w.accepted(c.want, w.native(w.root, c.method, "/v1/replicas/replica-1"+c.path, ""))
		m := w.json(rec)
		if token, err := event.ParseToken(rec.Header().Get("X-Writ-Token")); err != nil || token.Position != w.log.position() {
			t.Errorf("%s: token %v, %v at position %d", c.want, token, err, w.log.position())
		}
		if m["replica"] != "replica-1" || m["position"] != float64(w.log.position()) || m["token"] != rec.Header().Get("X-Writ-Token") {
			t.Errorf("%s: %v", c.want, m)
		}
		if got := stands("replica-1"); got != c.want || stands("replica-2") != "registered" {
			t.Errorf("replica-1 is %s, not %s; replica-2 is %s", got, c.want, stands("replica-2"))
		}
		if cause := w.log.batches[len(w.log.batches)-1].Cause; cause.By.Credential != w.root.id || cause.Request != rec.Header().Get("X-Amzn-Requestid") {
			t.Errorf("%s: the cause is %+v", c.want, cause)
		}
	}
	w.problem("admitted twice", w.native(w.root, "POST", "/v1/replicas/replica-1/admit", ""), 404, "NoSuchEntity")
	w.problem("not registered", w.native(w.root, "DELETE", "/v1/replicas/replica-1", ""), 404, "NoSuchEntity")
	w.accepted("not registered, and meant so", w.native(w.root, "DELETE", "/v1/replicas/replica-1?unregistered=true", ""))
	w.problem("removed twice", w.native(w.root, "DELETE", "/v1/replicas/replica-1", ""), 409, "EntityAlreadyExists")
	w.problem("meant how?", w.native(w.root, "DELETE", "/v1/replicas/replica-1?unregistered=yes", ""), 400, "InvalidRequest")
	w.problem("no name of a node", w.native(w.root, "DELETE", "/v1/replicas/No%2Fnode?unregistered=true", ""), 400, "InvalidRequest")
	w.problem("not draining", w.native(w.root, "POST", "/v1/replicas/replica-2/resume", ""), 409, "EntityAlreadyExists")
	w.problem("a long name", w.native(w.root, "DELETE", "/v1/replicas/"+longName, ""), 400, "InvalidRequest")
	user := w.user("alice", allow("writ:DrainReplica"))
	w.problem("not allowed to let in", w.native(user, "POST", "/v1/replicas/replica-1/admit", ""), 403, "AccessDenied")
	w.problem("not allowed", w.native(user, "DELETE", "/v1/replicas/replica-2", ""), 403, "AccessDenied")
	w.accepted("allowed", w.native(user, "POST", "/v1/replicas/replica-2/drain", ""))
}

const longName = "a-name-that-is-longer-than-any-node-of-a-cluster-could-ever-have-in-it"

// A change that is sent again with the same invocation id takes effect once, by way
// of the leader or of another node.
func TestRosterChangesOnce(t *testing.T) {
	w := newWorld(t)
	w.enter("replica-1")
	var seen admission.Forwarded
	n, _ := w.replica(func(c *config) { c.Node.Forward = to(&w.node, &seen) })
	w.log.show(n.projection)
	first := w.accepted("remove", n.native(w.root, "DELETE", "/v1/replicas/replica-1", "", "Amz-Sdk-Invocation-Id", "i-1"))
	again := w.accepted("again", w.native(w.root, "DELETE", "/v1/replicas/replica-1", "", "Amz-Sdk-Invocation-Id", "i-1"))
	if a, b := first.Header().Get("X-Writ-Token"), again.Header().Get("X-Writ-Token"); a != b || a == "" {
		t.Errorf("tokens %s and %s", a, b)
	}
	w.problem("another call", w.native(w.root, "DELETE", "/v1/replicas/replica-1", "", "Amz-Sdk-Invocation-Id", "i-2"), 409, "EntityAlreadyExists")
}

// A credential that was deleted after it was authorized changes nothing any more.
func TestRosterContainment(t *testing.T) {
	w := newWorld(t)
	w.enter("replica-1")
	alice := w.user("alice", allow("writ:*"))
	w.log.before = func(c event.Command) {
		if _, ok := c.Content.(*identity.BarReplica); ok && c.Cause.By.Credential == alice.id {
			w.log.before = nil
			w.must(&identity.DeleteAccessKey{Account: account, User: "alice", ID: alice.id})
		}
	}
	rec := w.native(alice, "DELETE", "/v1/replicas/replica-1", "")
	if rec.Code != http.StatusForbidden {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
	if _, ok := w.projection.View().State.Replica("replica-1"); !ok {
		t.Error("a deleted key removed the replica")
	}
}
