package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/replication/propagation"
)

// to forwards to another node as a connection between nodes does.
func to(target **node, seen *admission.Forwarded) func(http.ResponseWriter, *http.Request, admission.Forwarded) error {
	return func(w http.ResponseWriter, r *http.Request, f admission.Forwarded) error {
		*seen = f
		out := r.Clone(r.Context())
		out.Body, out.ContentLength, out.RemoteAddr, out.TLS = io.NopCloser(bytes.NewReader(f.Body)), int64(len(f.Body)), "10.0.0.9:1", nil
		f.SetHeaders(out)
		if !admission.IsForwarded(out) {
			return errors.New("the request is not marked")
		}
		(*target).server.ServeForwarded(w, out, "replica-1")
		return nil
	}
}

// A write that was forwarded takes effect at the leader, and the caller's next read
// at the node that forwarded it waits for it. Others' reads do not.
func TestReadYourForwardedWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.user("alice", allow("iam:*"))
		var seen admission.Forwarded
		n, l := w.replica(func(c *config) { c.Node.Forward = to(&w.node, &seen) })
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())

		rec := w.accepted("create", n.iam(alice, "CreateUser", "UserName", "new", "@Amz-Sdk-Invocation-Id", "i-1"))
		if rec.Header().Get("X-Writ-Token") == "" || seen.Attempt != "i-1" || seen.Source != "192.0.2.1" || seen.Secure || seen.RequestID != rec.Header().Get("X-Amzn-Requestid") {
			t.Errorf("forwarded as %+v, answered with %v", seen, rec.Header())
		}
		done := parked(t, func() *httptest.ResponseRecorder { return n.iam(alice, "GetUser", "UserName", "new") })
		w.refused("another caller", n.iam(w.root, "GetUser", "UserName", "new"), 404, "NoSuchEntity", "")
		w.log.show(n.projection)
		w.accepted("the caller", <-done)

		// the same attempt by way of the leader itself
		again := w.accepted("again", w.iam(alice, "CreateUser", "UserName", "new", "@Amz-Sdk-Invocation-Id", "i-1"))
		if a, b := rec.Header().Get("X-Writ-Token"), again.Header().Get("X-Writ-Token"); a != b {
			t.Errorf("tokens %s and %s", a, b)
		}
		if author := w.log.batches[len(w.log.batches)-1].Cause; author.Source != "192.0.2.1" || author.Via != "replica-1" || author.Action != "iam:CreateUser" {
			t.Errorf("the cause is %+v", author)
		}
	})
}

// A write that a leader carried out before it was lost is sent to the next one. If
// the caller has lost the right to write meanwhile, it is not told that nothing
// happened.
func TestRefusedAfterItTookEffect(t *testing.T) {
	for name, c := range map[string]struct {
		loss identity.Command
		code string
	}{
		"its key":        {&identity.DeleteAccessKey{Account: account, User: "alice", ID: "AKIAUSERALICE"}, "InvalidClientTokenId"},
		"its permission": {&identity.DeleteInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own"}, "AccessDenied"},
	} {
		w := newWorld(t)
		alice := w.user("alice", allow("*"))
		if d, ok := c.loss.(*identity.DeleteAccessKey); ok {
			d.ID = alice.id
		}
		w.must(&identity.RegisterReplica{Name: "r"})
		made := w.accepted(name, w.iam(alice, "CreateUser", "UserName", "new", "@Amz-Sdk-Invocation-Id", "i-1"))
		drained := w.accepted(name, w.native(alice, "POST", "/v1/replicas/r/drain", "", "Amz-Sdk-Invocation-Id", "i-2"))
		w.must(c.loss)
		again := w.iam(alice, "CreateUser", "UserName", "new", "@Amz-Sdk-Invocation-Id", "i-1")
		if w.refused(name, again, 503, "OutcomeUnknown", ""); !strings.Contains(again.Body.String(), "took effect at position "+made.Header().Get("X-Writ-Position")+".") {
			t.Errorf("%s: %s", name, again.Body)
		}
		if detail := w.problem(name, w.native(alice, "POST", "/v1/replicas/r/drain", "", "Amz-Sdk-Invocation-Id", "i-2"), 503, "OutcomeUnknown"); !strings.Contains(detail, "at position "+drained.Header().Get("X-Writ-Position")) {
			t.Errorf("%s: %s", name, detail)
		}
		w.refused(name, w.iam(alice, "CreateUser", "UserName", "new", "@Amz-Sdk-Invocation-Id", "i-3"), 403, c.code, "")
		if text := w.logs.String(); strings.Contains(text, `"level":"ERROR"`) || strings.Contains(text, "arn:aws:iam") {
			t.Errorf("%s: what a caller has lost is no failure of the node: %s", name, text)
		}
		w.refused("a signature by another secret", w.iam(credential{w.root.id, "another secret"}, "CreateUser", "UserName", "new", "@Amz-Sdk-Invocation-Id", "i-1"), 403, "SignatureDoesNotMatch", "")
	}
}

// The caller may have the whole answer, and ask again, before the node is done with
// passing it on.
func TestReadBeforeForwardReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.user("alice", allow("iam:*"))
		answered, done := make(chan struct{}), make(chan struct{})
		n, l := w.replica(func(c *config) {
			var seen admission.Forwarded
			forward := to(&w.node, &seen)
			c.Node.Forward = func(rw http.ResponseWriter, r *http.Request, f admission.Forwarded) error {
				err := forward(rw, r, f)
				close(answered)
				<-done
				return err
			}
		})
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		var wg sync.WaitGroup
		wg.Go(func() { w.accepted("create", n.iam(alice, "CreateUser", "UserName", "new")) })
		<-answered
		read := parked(t, func() *httptest.ResponseRecorder { return n.iam(alice, "GetUser", "UserName", "new") })
		w.log.show(n.projection)
		w.accepted("the caller", <-read)
		close(done)
		wg.Wait()
	})
}

// What only a peer may say about a request is not taken from a client.
func TestForwardedHeadersOfClients(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.7"}}}}`)
	bob := w.user("bob", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`)
	for name, c := range map[string]credential{"address": alice, "transport": bob} {
		r, body := form(iamVersion, "GetUser")
		w.sign(r, c, "iam", body)
		(&admission.Forwarded{RequestID: "mine", Attempt: "mine", Source: "203.0.113.7", Secure: true}).SetHeaders(r)
		rec := w.serve(r.Clone(t.Context()))
		w.refused(name, rec, 403, "AccessDenied", "")
		if rec.Header().Get("X-Amzn-Requestid") == "mine" {
			t.Error("a client chose its request id")
		}
		r, body = form(iamVersion, "GetUser")
		w.sign(r, c, "iam", body)
		(&admission.Forwarded{RequestID: "theirs", Attempt: "a", Source: "203.0.113.7", Secure: true}).SetHeaders(r)
		rec = httptest.NewRecorder()
		w.server.ServeForwarded(rec, r, "replica-1")
		if w.accepted(name, rec).Header().Get("X-Amzn-Requestid") != "theirs" {
			t.Error("a peer's request has another id")
		}
	}
}

// A node that does not lead says so to a peer that takes it for the leader, rather
// than pass the request round.
func TestMisdirected(t *testing.T) {
	w := newWorld(t)
	n := w.addNode(false)
	w.log.show(n.projection)
	r, body := form(iamVersion, "CreateUser", "UserName", "new")
	n.sign(r, w.root, "iam", body)
	(&admission.Forwarded{RequestID: "r"}).SetHeaders(r)
	rec := httptest.NewRecorder()
	n.server.ServeForwarded(rec, r, "replica-1")
	w.refused("a write", rec, http.StatusMisdirectedRequest, "NotLeader", "")
	r = n.sign(httptest.NewRequest("GET", "/v1/propagation?head", nil), w.root, "writ", nil)
	(&admission.Forwarded{RequestID: "r"}).SetHeaders(r)
	rec = httptest.NewRecorder()
	n.server.ServeForwarded(rec, r, "replica-1")
	w.problem("a propagation", rec, http.StatusMisdirectedRequest, "NotLeader")
}

// A leader that loses its office while it proposes hands the command to its
// successor, which gives the answer of the first time.
func TestOfficeLostWhileProposing(t *testing.T) {
	for _, c := range []struct {
		err     error
		decided bool // before the office was lost
	}{{dispatch.ErrNotLeader, false}, {dispatch.ErrOutcomeUnknown, true}, {dispatch.ErrOutcomeUnknown, false}} {
		var successor *node
		var seen admission.Forwarded
		w := newWorld(t)
		old := w.addNode(true, func(cfg *config) {
			cfg.Node.Propose = func(_ context.Context, cmd event.Command) (*event.Batch, error) {
				if c.decided {
					if _, err := w.log.decide(cmd); err != nil {
						return nil, err
					}
				}
				return nil, c.err
			}
			cfg.Node.Forward = to(&successor, &seen)
		})
		successor = w.node
		w.log.show(old.projection)
		before := w.log.position()
		rec := w.accepted(c.err.Error(), old.iam(w.root, "CreateUser", "UserName", "new"))
		if between(rec.Body.String(), "UserName") != "new" || w.log.position() != before+1 {
			t.Errorf("%v: %s, position %d", c.err, rec.Body, w.log.position())
		}
	}
}

// The propagation is the leader's to tell; a caller that only the leader knows yet
// is not refused on the way.
func TestPropagationIsForwarded(t *testing.T) {
	var seen admission.Forwarded
	w := newWorld(t, func(c *config) {
		c.Node.Everywhere = everywhere
	})
	n := w.addNode(false, func(c *config) { c.Node.Forward = to(&w.node, &seen) })
	w.log.show(n.projection)
	alice := w.user("alice", allow("writ:*"))
	if m := w.json(n.native(alice, "GET", "/v1/propagation?head", "")); m["state"] != "everywhere" {
		t.Errorf("the answer is %v", m)
	}
	if m := w.json(n.native(alice, "GET", "/v1/cluster", "")); m["leader"] != "node-1" {
		t.Errorf("the cluster is %v", m)
	}
	silent := w.addNode(false, func(c *config) {
		c.Node.Forward = func(http.ResponseWriter, *http.Request, admission.Forwarded) error {
			return errors.New("10.0.0.1 is down")
		}
	})
	w.log.show(silent.projection)
	if detail := w.problem("nobody leads", silent.native(w.root, "GET", "/v1/propagation?head", ""), 503, "Unavailable"); detail != "No node that leads was reached." {
		t.Errorf("the detail is %q", detail)
	}
	w.refused("nobody leads", silent.iam(w.root, "CreateUser", "UserName", "x"), 503, "ServiceUnavailable", "No node that leads was reached. Try again.")
}

func everywhere(context.Context, event.Position, propagation.Scope, time.Duration) (propagation.Status, error) {
	return propagation.Status{State: propagation.StateEverywhere}, nil
}

// What a peer says of a caller is recorded as that peer's word: it cannot name another
// relay, nor give as the caller's address what is none.
func TestForwardedIsThePeersWord(t *testing.T) {
	w := newWorld(t)
	forwarded := func(source, name string) *httptest.ResponseRecorder {
		r, body := form(iamVersion, "CreateUser", "UserName", name)
		w.sign(r, w.root, "iam", body)
		(&admission.Forwarded{RequestID: name, Attempt: name, Source: source, Secure: true}).SetHeaders(r)
		r.Header.Set("X-Writ-Forwarded-Via", "writer-1")
		rec := httptest.NewRecorder()
		w.server.ServeForwarded(rec, r, "replica-1")
		return rec
	}
	for i, source := range []string{"", "203.0.113.7", "2001:db8::1"} {
		w.accepted(source, forwarded(source, fmt.Sprintf("u%d", i)))
		if cause := w.log.batches[len(w.log.batches)-1].Cause; cause.Source != source || cause.Via != "replica-1" {
			t.Errorf("from %q: the cause is %+v", source, cause)
		}
	}
	before := w.log.position()
	for _, source := range []string{"203.0.113.7:80", "fe80::1%eth0", "::ffff:203.0.113.7", "10.0.0.0/8", "house"} {
		if rec := forwarded(source, "mallory"); rec.Code != http.StatusBadRequest || w.log.position() != before {
			t.Errorf("from %q: %d at position %d", source, rec.Code, w.log.position())
		}
	}
	// a client names no relay
	r, body := form(iamVersion, "CreateUser", "UserName", "direct")
	w.sign(r, w.root, "iam", body)
	r.Header.Set("X-Writ-Forwarded-Via", "writer-1")
	w.accepted("direct", w.serve(r))
	if cause := w.log.batches[len(w.log.batches)-1].Cause; cause.Via != "" {
		t.Errorf("a client's cause is %+v", cause)
	}
}
