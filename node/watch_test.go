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

	type told struct {
		at   event.Position
		node string // of a heartbeat
	}
	events := make(chan told, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	first := c.Position
	go func() {
		done <- m.roaming("writer-1").Watch(ctx, fmt.Sprint(first), func(e client.Event) error {
			if e.Kind == client.GapEvent {
				return fmt.Errorf("a gap: %+v", e)
			}
			if e.Kind == client.HeartbeatEvent {
				events <- told{node: e.Node}
			} else {
				events <- told{at: e.Position}
			}
			return nil
		})
	}()
	next := func() told {
		t.Helper()
		select {
		case e := <-events:
			return e
		case err := <-done:
			t.Fatalf("the watch ended: %v", err)
		case <-time.After(patience):
			t.Fatal("nothing is told")
		}
		panic("not reached")
	}
	last, watched := first, ""
	expect := func(at event.Position) {
		t.Helper()
		for last < at {
			e := next()
			if e.node != "" {
				watched = e.node
				continue
			}
			if e.at != last+1 {
				t.Fatalf("told of %d after %d", e.at, last)
			}
			last = e.at
		}
	}
	write := func(user string) event.Position {
		t.Helper()
		token, err := event.ParseToken(m.must("writer-1", "CreateUser", "UserName", user))
		if err != nil {
			t.Fatal(err)
		}
		return token.Position
	}
	expect(write("alice"))
	for watched == "" {
		watched = next().node
	}
	if watched == "writer-1" {
		t.Errorf("%s is watched, though replicas hold leases", watched)
	}
	begun := time.Now()
	m.stop(watched)
	if took := time.Since(begun); took >= m.config(watched).Drain {
		t.Errorf("%s waited %v for its watcher", watched, took)
	}
	was := watched
	expect(write("bob"))
	for watched == was {
		watched = next().node
	}
	expect(write("carol"))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended: %v", err)
	}

	// a replica that started from its checkpoint does not have what was before
	m.start(was)
	m.ready(was)
	enough := errors.New("enough")
	var gap client.Event
	at := write("dave")
	err = m.client(was).Watch(t.Context(), "1", func(e client.Event) error {
		switch {
		case e.Kind == client.GapEvent:
			gap = e
		case e.Position >= at && e.Kind == client.PositionEvent:
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || gap.From != 2 || gap.To < first {
		t.Errorf("a replica started again tells a gap of %+v, %v", gap, err)
	}
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
