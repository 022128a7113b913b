package simulation

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/test/simulation/judge"
)

// TestTheLeaderRotates has the wall clocks of a cluster show that its session key is old.
func TestTheLeaderRotates(t *testing.T) {
	t.Parallel()
	dir := memory(t)
	l, err := layOut(filepath.Join(dir, "layout"), 1)
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, plan{seed: 1, writers: 1, replicas: 1}, l, filepath.Join(dir, "data"), func(w *world) {
		w.startAll()
		c, root := newCrowd(w), w.client("root")
		by := c.mint(root, broker)
		c.found(root, roleName(0))
		if _, ok := root.assume("w1", by, readLimit, roleName(0)); !ok {
			t.Error("no session")
		}
		keys := func() string {
			var r judge.Request
			r.Node = "w1"
			_, text := root.send(&r, c.root, readLimit, "writ", http.MethodGet, "/v1/session-keys", nil, nil)
			return string(text)
		}
		if got := keys(); strings.Count(got, `"state"`) != 1 || !strings.Contains(got, `"state":"active"`) {
			t.Errorf("at first: %s", got)
		}
		w.machines["w1"].clocks.jump(api.DefaultKeyAge)
		pass(11 * time.Minute)
		w.machines["w1"].clocks.jump(-api.DefaultKeyAge) // clients' signatures are of now
		if got := keys(); strings.Count(got, `"state"`) != 2 || !strings.Contains(got, `"state":"verify-only"`) {
			t.Errorf("after %v: %s", api.DefaultKeyAge, got)
		}
		root.leave()
		w.stopAll()
	})
}
