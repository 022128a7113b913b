package api_test

import (
	"context"
	"errors"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/sigv4"
)

// A node without keys admits whom the leader confirms, asks about every request, and
// admits nobody when the leader does not answer.
func TestWithoutKeys(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", allow("*"))
	asked, down := 0, false
	n, l := w.replica(func(c *config) {
		c.Seal = nil
		c.Node.Confirm = func(_ context.Context, claim sigv4.Claim) (admission.Confirmed, error) {
			if asked++; down {
				return admission.Confirmed{}, errors.New("the leader is silent")
			}
			return w.server.Confirms(&claim)
		}
	})
	w.log.show(n.projection)
	l.grant(w, n.projection, n.projection.Head())
	for want := 1; want <= 2; want++ {
		w.accepted("a decision", n.native(alice, "POST", "/v1/authorize", question))
		if asked != want {
			t.Errorf("the leader was asked %d times about %d requests", asked, want)
		}
	}
	w.accepted("a read", n.iam(alice, "GetUser", "UserName", "alice"))
	w.problem("another secret", n.native(credential{alice.id, "wrong"}, "POST", "/v1/authorize", question), 403, "SignatureDoesNotMatch")
	before := asked
	w.problem("no such key", n.native(credential{"AKIANOBODYNOBODY0000", "x"}, "POST", "/v1/authorize", question), 403, "InvalidClientTokenId")
	if asked != before {
		t.Error("the leader is asked about keys that do not exist")
	}

	// what the leader knows better counts
	w.must(&identity.DeleteAccessKey{Account: account, User: "alice", ID: alice.id})
	w.problem("a key that was deleted", n.native(alice, "POST", "/v1/authorize", question), 403, "InvalidClientTokenId")

	down = true
	w.problem("cut off", n.native(w.root, "POST", "/v1/authorize", question), 503, "Unavailable")
	w.problem("cut off, and any age will do", n.native(w.root, "POST", "/v1/authorize", question, "X-Writ-Consistency", "any"), 503, "Unavailable")
	if rec := n.iam(w.root, "ListUsers"); rec.Code != 503 {
		t.Errorf("cut off, it answers %d %s", rec.Code, rec.Body)
	}
}
