package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/replication/propagation"
)

// readyz is what a node says of itself.
func (m *team) readyz(ctx context.Context, name string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url(name)+"/readyz?verbose", nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// state is what the leader says of a member; empty if it does not know it.
func (m *team) state(ctx context.Context, name string) (string, error) {
	c, err := m.client("writer-1").Cluster(ctx)
	if err != nil {
		return "", err
	}
	for _, member := range c.Members {
		if member.Name == name {
			return member.State, nil
		}
	}
	return "", nil
}

func (m *team) becomes(name, want string) {
	m.t.Helper()
	m.until(name+" is "+want, func(ctx context.Context) error {
		got, err := m.state(ctx, name)
		if err == nil && got != want {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
}

// A replica that is removed while it runs answers under no lease, stays out, and is
// waited for until its last lease has run out. It stays out when it is started again,
// and enters again when it is admitted.
func TestRemovingAReplica(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.startAll()
	ctx := t.Context()
	m.becomes("replica-1", "leased")
	m.becomes("replica-2", "leased")
	params := propagation.DefaultParams()
	m.until("no lease of an earlier leader counts any more", func(ctx context.Context) error {
		c, err := m.client("writer-1").Cluster(ctx)
		if err != nil {
			return err
		}
		for _, member := range c.Members {
			if member.MayHoldMS > params.Window(params.Tight).Milliseconds() {
				return fmt.Errorf("%s may hold one for %d ms", member.Name, member.MayHoldMS)
			}
		}
		return nil
	})

	begun := time.Now()
	removed, err := m.client("replica-1").Remove(ctx, "replica-2")
	if err != nil || removed.Token == "" {
		t.Fatalf("remove: %+v, %v", removed, err)
	}
	token := m.must("writer-1", "CreateUser", "UserName", "bob")
	p, err := m.client("writer-1").Propagation(ctx, client.Target{Token: token}, client.Scope{}, 0)
	if err != nil || p.Everywhere() || !slices.Contains(p.Pending, "replica-2") || p.WorstCaseMS == nil || *p.WorstCaseMS <= 0 {
		t.Errorf("while its lease may be in force: %+v, %v", p, err)
	}
	p = m.everywhere("writer-1", token)
	// It renewed at most a quarter of a lease before it was removed, and knows nothing of that.
	if least := params.Tight * 3 / 4; time.Since(begun) < least {
		t.Errorf("everywhere after %v; the last lease was in force for %v", time.Since(begun), least)
	}
	if !slices.Contains(p.VisibleOn, "replica-1") {
		t.Errorf("visible on %v", p.VisibleOn)
	}

	// it says so, and answers no more than it may
	m.until("it says that it was removed", func(ctx context.Context) error {
		status, text, err := m.readyz(ctx, "replica-2")
		if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(text, "[-]roster failed: removed")) {
			err = fmt.Errorf("%d %s", status, text)
		}
		return err
	})
	question := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":root", Action: "s3:Get"}
	if d, err := m.client("replica-2").Authorize(ctx, question, client.Freshness{Consistency: "any"}); err != nil || d.Freshness != "unleased" {
		t.Errorf("a removed replica answers %+v, %v", d, err)
	}
	// it hears of nothing any more
	if at, made := m.node("replica-2").projection.Head().Position, removed.Position+1; at >= made {
		t.Errorf("a removed replica has reached position %d", at)
	}
	// a replica that would answer flagged refuses a caller who asks for a lease
	if d, err := m.client("replica-2").Authorize(ctx, question, client.Freshness{Consistency: "leased"}); err == nil || !strings.Contains(err.Error(), "NotLeased") {
		t.Errorf("asked for a lease: %+v, %v", d, err)
	}
	if state, err := m.state(ctx, "replica-2"); err != nil || state != "" {
		t.Errorf("the roster has it as %q, %v", state, err)
	}
	if !strings.Contains(m.logs.String(), "this replica was removed from the roster") {
		t.Error("its log does not say so")
	}

	m.stop("replica-2")
	m.start("replica-2")
	m.until("it stays out", func(ctx context.Context) error {
		_, text, err := m.readyz(ctx, "replica-2")
		if err == nil && !strings.Contains(text, "`writ replica admit replica-2`") {
			err = errors.New(text)
		}
		return err
	})
	if state, err := m.state(ctx, "replica-2"); err != nil || state != "" {
		t.Errorf("started again, the roster has it as %q, %v", state, err)
	}
	if _, err := m.client("replica-1").Admit(ctx, "replica-2"); err != nil {
		t.Fatal(err)
	}
	m.ready("replica-2")
	m.becomes("replica-2", "leased")
}

// A replica whose region was changed in its configuration is in the new one once it
// was started again.
func TestMovingAReplica(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	m.becomes("replica-1", "leased")
	m.stop("replica-1")
	m.cluster.Replicas[0].Region = "us"
	m.start("replica-1")
	m.until("the replica has moved", func(ctx context.Context) error {
		c, err := m.client("writer-1").Cluster(ctx)
		if err != nil {
			return err
		}
		for _, member := range c.Members {
			if member.Name == "replica-1" && member.Region == "us" {
				return nil
			}
		}
		return fmt.Errorf("the members are %+v", c.Members)
	})
	m.becomes("replica-1", "leased")
}

func TestDrainingAReplica(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	ctx := t.Context()
	m.becomes("replica-1", "leased")
	if _, err := m.client("writer-1").Drain(ctx, "replica-1"); err != nil {
		t.Fatal(err)
	}
	m.becomes("replica-1", "draining")
	m.until("its last lease has run out", func(ctx context.Context) error {
		status, text, err := m.readyz(ctx, "replica-1")
		if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(text, "[-]roster failed: draining")) {
			err = fmt.Errorf("%d %s", status, text)
		}
		return err
	})
	if p := m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "alice")); len(p.VisibleOn)+len(p.Fenced) != 1 {
		t.Errorf("a draining replica is not waited for: %+v", p)
	}
	if _, err := m.client("writer-1").Resume(ctx, "replica-1"); err != nil {
		t.Fatal(err)
	}
	m.ready("replica-1")
	m.becomes("replica-1", "leased")
}

// What a replica's certificate made at the brokers is gone with the replica.
func TestConsumersOfARemovedReplica(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.startAll()
	for _, name := range []string{"replica-1", "replica-2"} {
		m.becomes(name, "leased")
	}
	state := m.node("writer-1").projection.View().State.Cluster()
	stream := fmt.Sprintf("writ-%s-%s-%d", state.ID, state.Incarnation, state.StreamGeneration)
	broker := m.node("writer-1").part.(*writer).broker.ClientAddr()
	connect := func(name string) *nats.Conn {
		id := replication.ConnectionID(name)
		conn, err := nats.Connect("tls://"+broker, nats.Secure(m.node(name).tls.TLS(peer.ID{Role: setup.RoleWriter})), nats.Name(id), nats.CustomInboxPrefix(replication.Inbox(id)), nats.NoReconnect())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	observer, hoarder := connect("replica-1"), connect("replica-2")
	consumers := func(ctx context.Context) (int, error) {
		answer, err := observer.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+stream, nil)
		if err != nil {
			return 0, err
		}
		var info struct {
			State struct {
				Consumers int `json:"consumer_count"`
			}
		}
		return info.State.Consumers, json.Unmarshal(answer.Data, &info)
	}
	names := replication.ConsumerNames("replica-2")
	for _, name := range names {
		body := fmt.Appendf(nil, `{"stream_name":%q,"config":{"name":%q,"durable_name":%q,"deliver_policy":"by_start_sequence","opt_start_seq":1,`+
			`"ack_policy":"explicit","inactive_threshold":3153600000000000000}}`, stream, name, name)
		if _, err := hoarder.RequestWithContext(t.Context(), "$JS.API.CONSUMER.CREATE."+stream+"."+name, body); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if n, err := consumers(t.Context()); err != nil || n < len(names) || n > len(names)+1 {
		t.Fatalf("there are %d consumers, %v", n, err)
	}
	if _, err := m.client("replica-1").Remove(t.Context(), "replica-2"); err != nil {
		t.Fatal(err)
	}
	m.until("none of its consumers is left", func(ctx context.Context) error {
		n, err := consumers(ctx)
		if err == nil && n > 1 { // that of replica-1, which may be about to make another
			err = fmt.Errorf("there are %d", n)
		}
		return err
	})
	if hoarder.IsConnected() {
		t.Error("it is connected")
	}
}
