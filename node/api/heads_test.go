package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/dispatch"
)

// heads gives an edge a history of its own.
func heads(err error) func(*config) {
	return func(c *config) {
		c.Node.SignHead = func(context.Context) (*event.SignedHead, error) {
			return &event.SignedHead{Cluster: clusterID, Position: 7, Node: "node-1", Certificate: []byte{1}, Signature: []byte{1}}, err
		}
		c.Node.Chain = func(after event.Position, limit int) (list [][]byte, _ error) {
			for p := after + 1; p <= 250 && len(list) < limit; p++ {
				list = append(list, []byte{byte(p)})
			}
			return list, err
		}
	}
}

func TestHead(t *testing.T) {
	w := newWorld(t, heads(nil))
	app, other := w.user("app", allow("writ:GetHead")), w.user("other", allow("writ:GetChain"))
	rec := w.accepted("head", w.native(app, "GET", "/v1/head", ""))
	var h event.SignedHead
	if err := json.Unmarshal(rec.Body.Bytes(), &h); err != nil || h.Position != 7 || h.Node != "node-1" || len(h.Signature) != 1 {
		t.Errorf("%s: %v", rec.Body, err)
	}
	w.problem("no permission", w.native(other, "GET", "/v1/head", ""), 403, "AccessDenied")
	w = newWorld(t, heads(errors.New("no")))
	w.problem("a failure", w.native(w.root, "GET", "/v1/head", ""), 503, "Unavailable")

	// who does not lead hands it on, before and after it asked
	forwarded := 0
	forward := func(c *config) {
		c.Node.Forward = func(rw http.ResponseWriter, _ *http.Request, _ admission.Forwarded) error {
			forwarded++
			rw.WriteHeader(http.StatusOK)
			return nil
		}
	}
	w = newWorld(t, heads(dispatch.ErrNotLeader), forward)
	w.native(w.root, "GET", "/v1/head", "")
	w.leads = false
	w.native(w.root, "GET", "/v1/head", "")
	if forwarded != 2 {
		t.Errorf("handed on %d times", forwarded)
	}
}

func TestChain(t *testing.T) {
	w := newWorld(t, heads(nil))
	app, other := w.user("app", allow("writ:GetChain")), w.user("other", allow("writ:GetHead"))
	for i := w.log.position() + 1; i < 250; i++ { // one less than the store has: that is newer than the view
		w.must(&identity.RegisterReplica{Name: fmt.Sprintf("r%d", i)})
	}
	for query, want := range map[string]int{"?after=0": native.DefaultHeaders, "?after=0&limit=3": 3, "?after=247&limit=1000": 2, "?after=249": 0, "?after=250": 0, "?after=9000000000000000000": 0} {
		rec := w.accepted(query, w.native(app, "GET", "/v1/chain"+query, ""))
		m := w.json(rec)
		if list, ok := m["headers"].([]any); !ok || len(list) != want || m["cluster"] != clusterID || m["incarnation"] != incarnation {
			t.Errorf("%s: %.200s", query, rec.Body)
		}
	}
	for _, query := range []string{"", "?after=", "?after=-1", "?after=x", "?after=18446744073709551615", "?after=0&limit=0", "?after=0&limit=1001", "?after=0&limit=x"} {
		w.problem(query, w.native(app, "GET", "/v1/chain"+query, ""), 400, "InvalidRequest")
	}
	w.problem("no permission", w.native(other, "GET", "/v1/chain?after=0", ""), 403, "AccessDenied")
	w = newWorld(t, heads(errors.New("no")))
	w.problem("a failure", w.native(w.root, "GET", "/v1/chain?after=0", ""), 503, "Unavailable")
	// a replica has no event store
	w = newWorld(t, func(c *config) {
		c.Node.Forward = func(http.ResponseWriter, *http.Request, admission.Forwarded) error { return errors.New("nobody leads") }
	})
	w.problem("nobody to hand it to", w.native(w.root, "GET", "/v1/chain?after=0", ""), 503, "Unavailable")
}
