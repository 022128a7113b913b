package api_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/replication/propagation"
)

// A position beyond the head of the log is refused at once, whoever is asked: to wait
// for it would be in vain, or for what another history puts there. One that is
// committed, and not shown by the leader yet, is waited for and compared.
func TestPropagationOfWhatWasNeverCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		lags, lost := 0, false // reads of the head that see what the leader shows; no read succeeds
		w = newWorld(t, func(c *config) {
			c.Node.Everywhere = func(_ context.Context, _ event.Position, _ propagation.Scope, wait time.Duration) (propagation.Status, error) {
				time.Sleep(wait)
				return propagation.Status{State: propagation.StateUnknown}, nil
			}
			strict := c.Node.StrictHead
			c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
				if lags--; lags >= 0 {
					return w.projection.Head(), nil
				}
				if lost {
					return event.Head{}, errors.New("the leader was not confirmed")
				}
				return strict(ctx)
			}
		})
		alice := w.user("alice", allow("writ:*"))
		var seen admission.Forwarded
		replica, _ := w.replica(func(c *config) { c.Node.Forward = to(&w.node, &seen) })
		w.log.show(replica.projection)
		ahead := w.projection.View().Token()
		ahead.Position++
		begun := time.Now()
		ask := func(n *node, token event.Token, path, query string) *httptest.ResponseRecorder {
			if path != "" {
				return n.native(alice, "GET", path+token.String()+query, "")
			}
			return n.native(alice, "POST", "/v1/propagation/effect", `{"principal":"`+userARN("alice")+`","action":"s3:Get","expect":"deny","timeout":"1m","at_least":"`+token.String()+`"}`)
		}
		for _, path := range []string{"/v1/propagation/", "/v1/propagation?token=", ""} {
			query := "?wait=everywhere&timeout=1m"
			if strings.Contains(path, "?") {
				query = "&wait=everywhere&timeout=1m"
			}
			for name, n := range map[string]*node{"the leader": w.node, "a replica": replica} {
				detail := w.problem(name, ask(n, ahead, path, query), 409, "WrongToken")
				if !strings.Contains(detail, "never committed") || time.Since(begun) > 0 {
					t.Errorf("%s, %s: %s, after %v", name, path, detail, time.Since(begun))
				}
			}
		}
		w.problem("without waiting", ask(w.node, ahead, "/v1/propagation/", ""), 409, "WrongToken")
		lags, lost = 1, true
		w.problem("a leader that is not confirmed", ask(w.node, ahead, "/v1/propagation/", ""), 503, "Unavailable")
		lost = false

		w.log.readers = nil // the leader lags behind the log
		for name, code := range map[string]int{"the-same": 200, "another": 409} {
			w.must(&identity.RegisterReplica{Name: name})
			token := event.TokenOf(clusterID, incarnation, w.log.head)
			if code != 200 {
				token.Prefix[0]++
			}
			lags = 1
			done := parked(t, func() *httptest.ResponseRecorder { return ask(w.node, token, "/v1/propagation/", "") })
			w.log.show(w.projection)
			if rec := <-done; rec.Code != code {
				t.Errorf("when the leader shows %s: %d %s", name, rec.Code, rec.Body)
			}
		}
	})
}
