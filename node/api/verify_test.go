package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
)

func TestVerify(t *testing.T) {
	var from event.Position
	var timeout time.Duration
	fails := error(nil)
	hold := time.Duration(0)
	w := newWorld(t, func(c *config) {
		c.Node.Verify = func(_ context.Context, f event.Position, d time.Duration) (*shape.Verification, error) {
			from, timeout = f, d
			return &shape.Verification{Cluster: clusterID, Nodes: []shape.Verified{{Name: "w1", Role: "writer", Verdict: shape.VerdictOK}}}, fails
		}
		c.Node.Forward = func(rw http.ResponseWriter, _ *http.Request, f admission.Forwarded) error {
			hold = f.Hold
			rw.WriteHeader(http.StatusOK)
			return nil
		}
	})
	app, other := w.user("app", allow("writ:Verify")), w.user("other", allow("writ:GetCluster"))
	rec := w.accepted("verify", w.native(app, "POST", "/v1/verify", ""))
	if from != 1 || timeout != time.Minute || !strings.Contains(rec.Body.String(), `"verdict":"ok"`) {
		t.Errorf("from %d for %v: %s", from, timeout, rec.Body)
	}
	if w.accepted("a part", w.native(app, "POST", "/v1/verify?from=3&timeout=5s", "")); from != 3 || timeout != 5*time.Second {
		t.Errorf("from %d for %v", from, timeout)
	}
	for _, query := range []string{"?from=0", "?from=x", "?from=99", "?timeout=x", "?timeout=0s", "?timeout=11m"} {
		w.problem(query, w.native(app, "POST", "/v1/verify"+query, ""), 400, "InvalidRequest")
	}
	w.problem("no permission", w.native(other, "POST", "/v1/verify", ""), 403, "AccessDenied")
	fails = native.ErrVerifying
	if detail := w.problem("another", w.native(app, "POST", "/v1/verify", ""), 503, "Verifying"); !strings.Contains(detail, "one at a time") {
		t.Error(detail)
	}
	fails = errors.New("no")
	w.problem("a failure", w.native(app, "POST", "/v1/verify", ""), 503, "Unavailable")
	// who does not lead hands it on, with the time that it may take
	fails = dispatch.ErrNotLeader
	w.native(app, "POST", "/v1/verify?timeout=7s", "")
	if hold != 7*time.Second {
		t.Errorf("held for %v", hold)
	}
	w.leads = false
	w.native(app, "POST", "/v1/verify?timeout=8s", "")
	if hold != 8*time.Second {
		t.Errorf("held for %v", hold)
	}
}
