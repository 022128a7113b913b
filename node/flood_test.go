package node

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/tail"
	"github.com/writ-iam/writ/test/layout"
)

// What a node asks for itself has room beside the answers to questions.
func TestGuestsHaveRoomForQuestions(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	identity, err := peer.LoadIdentity(c, setup.DefaultFiles(dir, "writer-1"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := peer.Listen(peer.TCP{}, "127.0.0.1:0", identity, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if b := port.Guests().Bounds(false); b.PerAddress < ask.MaxOpen+256 {
		t.Errorf("%d from an address", b.PerAddress)
	}
}

// Somebody has a replica's certificate and takes whatever a writer gives under that
// name. Raft, the other replica and even the honest one, at the same address, go on.
func TestFloodUnderAName(t *testing.T) {
	m := newTeam(t, 3, 2)
	m.machine.Files = 4096
	m.startAll()
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "before"))
	leader := m.leader("writer-1")
	w := m.node(leader).part.(*writer)
	x := m.thief("replica-1")
	addr, _ := m.cluster.Writer(leader)
	for range 200 { // connections that rest
		conn, err := peer.Dial(t.Context(), peer.TCP{}, addr.Peer, peer.ID{Role: setup.RoleWriter}, peer.ProtocolHTTP, x.tls)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	refused := 0
	for range tailsOfName + 10 { // tails that wait
		answer, err := x.ask(addr, http.MethodGet, fmt.Sprintf("%s?from=%d&wait=30s", tail.EventsPath, m.head()+1000), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusOK:
		case http.StatusServiceUnavailable:
			refused++
			if text, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(text), peer.ErrCrowded.Error()) {
				t.Errorf("refused by %q, %v", text, err)
			}
		default:
			t.Errorf("a tail is answered %s", answer.Status)
		}
	}
	if refused < 10 {
		t.Errorf("%d tails were refused", refused)
	}
	p := m.everywhere(leader, m.must(leader, "CreateUser", "UserName", "after"))
	if len(p.VisibleOn) != 2 || len(p.Fenced) != 0 {
		t.Errorf("visible on %v, fenced are %v", p.VisibleOn, p.Fenced)
	}
	for _, name := range []string{"replica-1", "replica-2"} {
		m.becomes(name, "leased")
	}
	guests := w.port.Guests()
	other := guests.Gate("replica-2")
	if other != nil && other.Gone(gate.Evicted)+other.Gone(gate.Refused) > 0 {
		t.Error("connections of the other replica had to go")
	}
	if open := guests.Gate("replica-1").Open(); open > guests.Bounds(false).PerAddress {
		t.Errorf("%d connections are open under the name", open)
	}
	if n := m.metric(leader, `writ_peer_refused_total{limit="tails"}`); n < 10 {
		t.Errorf("%v tails were refused", n)
	}
	if n := m.metric(leader, `writ_peer_connections_closed_total{fate="evicted"}`); n < 100 {
		t.Errorf("%v connections gave way", n)
	}
	if n := m.metric(leader, "writ_peer_connections"); n > 512 {
		t.Errorf("%v connections are open", n)
	}
}
