package node

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/lease"
)

// roaming is a client that finds the nodes by way of one of them.
func (m *team) roaming(name string) *client.Client {
	m.t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{m.url(name)}, Near: "eu", AccessKeyID: m.root.AccessKeyID, SecretAccessKey: m.root.SecretAccessKey})
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// A watcher is told every position once and in order, also when the node that it
// watches stops; that node does not wait for it.
func TestWatchingACluster(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.startAll()
	m.becomes("replica-1", "leased")
	m.becomes("replica-2", "leased")
	c, err := m.client("writer-1").Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range c.Members {
		if member.Endpoint != m.url(member.Name) {
			t.Errorf("%s advertises %q, not %s", member.Name, member.Endpoint, m.url(member.Name))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := m.watch(ctx, c.Position)
	w.until(m.writes("alice"))
	if w.from("") == "writer-1" {
		t.Errorf("%s is watched, though replicas hold leases", w.node)
	}
	begun := time.Now()
	m.stop(w.node)
	if took := time.Since(begun); took >= m.config(w.node).Drain {
		t.Errorf("%s waited %v for its watcher", w.node, took)
	}
	was := w.node
	w.until(m.writes("bob"))
	w.from(was)
	w.until(m.writes("carol"))
	cancel()
	if err := <-w.done; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended: %v", err)
	}
	m.tellsGap(was, c.Position)
}

// writes makes a user at the first writer, and returns where.
func (m *team) writes(user string) event.Position {
	m.t.Helper()
	token, err := event.ParseToken(m.must("writer-1", "CreateUser", "UserName", user))
	if err != nil {
		m.t.Fatal(err)
	}
	return token.Position
}

// tellsGap starts a replica again, which starts from its checkpoint and does not have
// what was before: it tells so. The checkpoint has all up to first.
func (m *team) tellsGap(name string, first event.Position) {
	m.t.Helper()
	m.start(name)
	m.ready(name)
	enough := errors.New("enough")
	var gap client.Event
	at := m.writes("dave")
	err := m.client(name).Watch(m.t.Context(), "1", func(e client.Event) error {
		switch {
		case e.Kind == client.GapEvent:
			gap = e
		case e.Position >= at && e.Kind == client.PositionEvent:
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || gap.From != 2 || gap.To < first {
		m.t.Errorf("a replica started again tells a gap of %+v, %v", gap, err)
	}
}

// told is a position or, where there is a node, its heartbeat.
type told struct {
	at   event.Position
	node string
}

// watcher is told of every position, whichever node tells it.
type watcher struct {
	t      *testing.T
	events chan told
	done   chan error
	last   event.Position
	node   string // of the latest heartbeat
}

// watch begins to watch at any node, behind a position.
func (m *team) watch(ctx context.Context, after event.Position) *watcher {
	w := &watcher{t: m.t, events: make(chan told, 100), done: make(chan error, 1), last: after}
	go func() {
		w.done <- m.roaming("writer-1").Watch(ctx, fmt.Sprint(after), func(e client.Event) error {
			if e.Kind == client.GapEvent {
				return fmt.Errorf("a gap: %+v", e)
			}
			if e.Kind == client.HeartbeatEvent {
				w.events <- told{node: e.Node}
			} else {
				w.events <- told{at: e.Position}
			}
			return nil
		})
	}()
	return w
}

// next is what is told next.
func (w *watcher) next() told {
	w.t.Helper()
	select {
	case e := <-w.events:
		return e
	case err := <-w.done:
		w.t.Fatalf("the watch ended: %v", err)
	case <-time.After(patience):
		w.t.Fatal("nothing is told")
	}
	panic("not reached")
}

// until waits until it is told of a position, and of each before it, in order.
func (w *watcher) until(at event.Position) {
	w.t.Helper()
	for w.last < at {
		e := w.next()
		if e.node != "" {
			w.node = e.node
			continue
		}
		if e.at != w.last+1 {
			w.t.Fatalf("told of %d after %d", e.at, w.last)
		}
		w.last = e.at
	}
}

// from waits for a heartbeat of another node than one, and returns which.
func (w *watcher) from(one string) string {
	w.t.Helper()
	for w.node == one {
		w.node = w.next().node
	}
	return w.node
}

// A watcher that was told of one history is not left waiting for another one to get as
// far, and one whose key is deleted is not told of that.
func TestWatchingAnotherLife(t *testing.T) {
	m := newTeam(t, 1, 0)
	m.startAll()
	m.ready("writer-1")
	for range 5 {
		m.must("writer-1", "CreateUser", "UserName", lease.NewNonce())
	}
	old := m.must("writer-1", "CreateUser", "UserName", "alice")
	at, err := event.ParseToken(old)
	if err != nil {
		t.Fatal(err)
	}
	m.stop("writer-1")
	if err := os.RemoveAll(m.config("writer-1").Data); err != nil {
		t.Fatal(err)
	}
	m.startAll()
	m.ready("writer-1")
	never := func(client.Event) error { return errors.New("an event") }
	for after, code := range map[string]string{old: "WrongToken", fmt.Sprint(at.Position): "NotCommitted", "999999": "NotCommitted"} {
		var p *client.Problem
		if err := m.client("writer-1").Watch(t.Context(), after, never); !errors.As(err, &p) || p.Code != code {
			t.Errorf("after %s: %v, not %s", after, err, code)
		}
	}

	m.must("writer-1", "CreateUser", "UserName", "mallory")
	m.must("writer-1", "PutUserPolicy", "UserName", "mallory", "PolicyName", "p", "PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	_, _, body := m.iam("writer-1", "CreateAccessKey", "UserName", "mallory")
	var key struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal([]byte(body), &key); err != nil {
		t.Fatal(err)
	}
	mallory, err := client.New(client.Config{Endpoint: m.url("writer-1"), AccessKeyID: key.ID, SecretAccessKey: key.Secret})
	if err != nil {
		t.Fatal(err)
	}
	told := event.Position(0)
	err = mallory.Watch(t.Context(), "0", func(e client.Event) error {
		if e.Kind == client.PositionEvent {
			told = e.Position
			if e.Action == "iam:CreateAccessKey" { // the last one so far
				deletion, err := event.ParseToken(m.must("writer-1", "DeleteAccessKey", "UserName", "mallory", "AccessKeyId", key.ID))
				at = deletion
				return err
			}
		}
		return nil
	})
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != "InvalidClientTokenId" || told != at.Position-1 {
		t.Errorf("told up to %d, where %d deleted the key: %v", told, at.Position, err)
	}
}
