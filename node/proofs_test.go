package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// verdicts asks for a comparison, by way of a node, and returns what was found.
func (m *team) verdicts(ctx context.Context, name string) (map[string]client.Verified, error) {
	v, err := m.client(name).Verify(ctx, 1, 30*time.Second)
	if err != nil {
		return nil, err
	}
	found := map[string]client.Verified{}
	for _, n := range v.Nodes {
		found[n.Name] = n
	}
	return found, nil
}

func TestVerifyEveryNode(t *testing.T) {
	m := newTeam(t, 3, 2)
	m.startAll()
	var token string
	for i := range 20 {
		token = m.must("writer-1", "CreateUser", "UserName", fmt.Sprintf("u%d", i))
	}
	p := m.everywhere("writer-1", token)
	var found map[string]client.Verified
	m.until("all are equal", func(ctx context.Context) (err error) {
		if found, err = m.verdicts(ctx, "replica-1"); err != nil {
			return err
		}
		for name, n := range found {
			if n.Verdict != "ok" || n.Position != p.Position { // a writer that follows may be a moment behind
				return fmt.Errorf("%s: %+v", name, n)
			}
		}
		return nil
	})
	first := found["writer-1"]
	for name, n := range found {
		if n.Hash != first.Hash || n.Digest != first.Digest || n.Records != first.Records || n.Records < 21 {
			t.Errorf("%s: %+v", name, n)
		}
		if batches := int(p.Position); n.Role == "writer" && n.Batches != batches || n.Role == "replica" && n.Batches != 0 {
			t.Errorf("%s walked %d batches", name, n.Batches)
		}
	}
	if len(found) != 5 {
		t.Errorf("%d nodes", len(found))
	}

	// one that does not run is named; the others are proved
	leader := m.leader("replica-1")
	down := "writer-1"
	if leader == down {
		down = "writer-2"
	}
	m.stop(down)
	found, err := m.verdicts(t.Context(), "replica-2")
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range found {
		if (n.Verdict == "unreachable") != (name == down) || n.Verdict != "unreachable" && n.Verdict != "ok" {
			t.Errorf("%s: %+v", name, n)
		}
	}

	// one at a time
	w := m.node(leader).part.(*writer)
	release, err := w.verifier.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	var problem *client.Problem
	if _, err := m.client("replica-2").Verify(t.Context(), 1, time.Second); !errors.As(err, &problem) || problem.Code != "Verifying" {
		t.Errorf("while another is under way: %v", err)
	}
	release()
	if release, err = w.prover.Reserve(); err != nil {
		t.Fatal(err)
	}
	if found, err = m.verdicts(t.Context(), leader); err != nil || found[leader].Verdict != "unreachable" {
		t.Errorf("while it proves itself to another: %+v, %v", found[leader], err)
	}
	release()

	// a deadline that is too short leaves the work unfinished, and blames nobody
	e, err := w.prover.Prove(t.Context(), proof.Request{From: 1, Budget: time.Nanosecond})
	if err != nil || e.Unfinished == "" || e.Broken != "" || e.Position == 0 {
		t.Errorf("no time: %+v, %v", e, err)
	}
	n := w.verifier.Judge(t.Context(), leader, setup.RoleWriter, e, nil)
	if n.Verdict != shape.VerdictUnfinished {
		t.Errorf("no time: %+v", n)
	}
}

// What a node claims is held against the log.
func TestJudge(t *testing.T) {
	m := newTeam(t, 1, 0)
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "alice")
	w := m.node("writer-1").part.(*writer)
	good, err := w.prover.Prove(t.Context(), proof.Request{From: 1, Budget: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change  func(*proof.Evidence) error
		verdict shape.Verdict
		text    string
	}{
		"as it is":           {func(*proof.Evidence) error { return nil }, shape.VerdictOK, ""},
		"another hash":       {func(e *proof.Evidence) error { e.Hash[0]++; return nil }, shape.VerdictDiffers, "its state has the hash"},
		"another chain":      {func(e *proof.Evidence) error { e.Chain.Hash[0]++; return nil }, shape.VerdictDiffers, "its event store has the hash"},
		"another state":      {func(e *proof.Evidence) error { e.Digest[0]++; return nil }, shape.VerdictDiffers, "its state has the digest"},
		"beyond the head":    {func(e *proof.Evidence) error { e.Position++; return nil }, shape.VerdictDiffers, "beyond the head 2"},
		"a broken chain":     {func(e *proof.Evidence) error { e.Broken = "batch 1"; return nil }, shape.VerdictBroken, "batch 1"},
		"not all":            {func(e *proof.Evidence) error { e.Unfinished = "half"; return nil }, shape.VerdictUnfinished, "half"},
		"nothing yet":        {func(e *proof.Evidence) error { *e = proof.Evidence{}; return nil }, shape.VerdictUnfinished, "no state"},
		"no answer":          {func(*proof.Evidence) error { return context.DeadlineExceeded }, shape.VerdictUnreachable, "in time"},
		"another history":    {func(*proof.Evidence) error { return &ask.Problem{Code: ask.WrongIncarnation, Detail: "i"} }, shape.VerdictDiffers, "WrongIncarnation"},
		"an older release":   {func(*proof.Evidence) error { return &ask.Problem{Code: ask.UnknownKind, Detail: "recount"} }, shape.VerdictUnreachable, "UnknownKind"},
		"one wrong, one not": {func(e *proof.Evidence) error { e.Unfinished = "half"; e.Hash[0]++; return nil }, shape.VerdictDiffers, "hash"},
	} {
		e := good
		err := c.change(&e)
		n := w.verifier.Judge(t.Context(), "x", setup.RoleReplica, e, err)
		if n.Verdict != c.verdict || !strings.Contains(n.Detail, c.text) {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// A replica whose memory was altered is found by a comparison, too, before or after
// it finds out itself.
func TestVerifyFindsAnAlteredReplica(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "alice"))
	if err := layout.Alter(m.node("replica-1").projection, "alice"); err != nil {
		t.Fatal(err)
	}
	found, err := m.verdicts(t.Context(), "writer-1")
	if err != nil {
		t.Fatal(err)
	}
	if n := found["replica-1"]; n.Verdict != "broken" || !strings.Contains(n.Detail, "altered") || !strings.Contains(n.Detail, "the leader's log") {
		t.Errorf("%+v", n)
	}
	if n := found["writer-1"]; n.Verdict != "ok" {
		t.Errorf("%+v", n)
	}
	// the record of the position is what the replica's records must give
	w := m.node("writer-1").part.(*writer)
	b, err := w.prover.Batch(found["replica-1"].Position)
	if err != nil || b.State == (digest.Sum{}) || b.State == found["replica-1"].Digest {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := w.prover.Batch(1 << 40); err == nil {
		t.Error("a batch of the future")
	}
}

// A bit that flips in a running writer's event store is found, and afterwards, when
// the writer does not run.
func TestVerifyFindsAFlippedBit(t *testing.T) {
	m := newTeam(t, 1, 0)
	m.startAll()
	for i := range 10 {
		m.must("writer-1", "CreateUser", "UserName", fmt.Sprintf("u%d", i))
	}
	w := m.node("writer-1").part.(*writer)
	headers, err := w.prover.Chain(4, 1)
	if err := errors.Join(err, w.log.Events().Sync()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(m.config("writer-1").Data, "log", log.EventsFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(content, headers[0])
	if at < 0 {
		t.Fatal("the batch is not in the file")
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{headers[0][9] ^ 1}, int64(at)+9)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	found, err := m.verdicts(t.Context(), "writer-1")
	if n := found["writer-1"]; err != nil || n.Verdict != "broken" || !strings.Contains(n.Detail, "corrupt") {
		t.Errorf("%+v, %v", n, err)
	}
	m.stop("writer-1")
	if _, err := proof.VerifyLog(t.Context(), m.config("writer-1").Data); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("verified: %v", err)
	}
}
