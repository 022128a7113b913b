package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// cable is a node's way to the others, which can be cut.
type cable struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (c *cable) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := Machine{}.complete().Dial(ctx, addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case c.cut:
		conn.Close()
		return nil, errors.New("the cable is cut")
	}
	c.conns = append(c.conns, conn)
	return conn, nil
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for _, conn := range c.conns {
			conn.Close()
		}
		c.conns = nil
	}
}

// effect waits for what alice may do, by way of a node, and checks that it comes.
func (m *team) effect(name, expect string) *client.Effect {
	m.t.Helper()
	q := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/alice", Action: "s3:Get", Resource: "*"}
	e, err := m.client(name).Effect(m.t.Context(), client.Expectation{Question: q, Expect: expect}, client.Scope{}, patience)
	if err != nil || !e.Present() || !e.Everywhere() {
		m.t.Errorf("%s by way of %s: %+v, %v", expect, name, e, err)
	}
	return e
}

// A grant and a revocation are waited for at every replica, over a change of
// leaders and with one replica cut off.
func TestEffectEverywhere(t *testing.T) {
	c := layout.Cluster(t, 3, 2)
	c.NATS = setup.NoNATS
	for i := range c.Writers {
		c.Writers[i].Broker, c.Writers[i].Routes = "", ""
	}
	dir, c, root := layout.Init(t, c)
	m := teamIn(t, dir, c, root)
	var way cable
	m.machine = Machine{Dial: way.dial}
	m.start("replica-2")
	m.machine = Machine{}
	m.start("writer-1", "writer-2", "writer-3", "replica-1")
	for name := range m.nodes {
		m.ready(name)
	}
	m.must("writer-1", "CreateUser", "UserName", "alice")
	grant := func(name string) {
		m.must(name, "PutUserPolicy", "UserName", "alice", "PolicyName", "p",
			"PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`)
	}
	decided := func(e *client.Effect, decision string) error {
		if len(e.Replicas) != 2 || len(e.VisibleOn) != 2 {
			return fmt.Errorf("not by both: %+v", e)
		}
		for _, r := range e.Replicas {
			if r.Decision != decision || r.Freshness != "leased" || r.Position < e.Position {
				return fmt.Errorf("not %s: %+v", decision, e)
			}
		}
		return nil
	}
	allowed := func(name string) {
		t.Helper()
		// one that loses its short lease on a busy machine is not waited for
		m.until("both replicas allow it", func(context.Context) error { return decided(m.effect(name, "allow"), "allow") })
	}
	m.effect("replica-1", "deny")
	grant("replica-1")
	allowed("replica-2")

	// the wait begins under one leader and ends under another
	old := m.leader("replica-1")
	waited := make(chan *client.Effect, 1)
	go func() { waited <- m.effect("replica-1", "deny") }()
	m.stop(old)
	m.must("replica-1", "DeleteUserPolicy", "UserName", "alice", "PolicyName", "p")
	if err := decided(<-waited, "implicitDeny"); err != nil {
		t.Error(err)
	}

	// one replica is cut off: it is fenced when its lease has run out, and flags what
	// it says; when it is back, it counts again
	grant("replica-1")
	allowed("replica-1")
	way.set(true)
	m.must("replica-1", "DeleteUserPolicy", "UserName", "alice", "PolicyName", "p")
	e := m.effect("replica-1", "deny")
	if len(e.VisibleOn) != 1 || len(e.Fenced) != 1 || e.Fenced[0] != "replica-2" {
		t.Errorf("cut off: %+v", e)
	}
	d, err := m.client("replica-2").Authorize(t.Context(), client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/alice", Action: "s3:Get"}, client.Freshness{})
	if err != nil || d.Decision != "indeterminate" || d.Freshness != "unleased" {
		t.Errorf("the replica that was cut off answers %+v, %v", d, err)
	}
	if status, header, text := m.iam("replica-2", "ListUsers"); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(text, "NotLeased") {
		t.Errorf("the replica that was cut off answers a read with %d %v %s", status, header, text)
	}
	way.set(false)
	m.until("it is back", func(context.Context) error {
		if e := m.effect("replica-1", "deny"); len(e.VisibleOn) != 2 {
			return errors.New("it is not visible")
		}
		return nil
	})
}
