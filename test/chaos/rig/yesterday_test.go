package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// patience bounds the waits of this test.
const patience = 60 * time.Second

// TestYesterdaysDisks puts back the disks that all writers had earlier: what was
// acknowledged in between is lost, against which no protocol helps. The replicas,
// which have seen it, must say so instead of answering: they are found as forks and
// quarantined, until an operator replaces their disks.
func TestYesterdaysDisks(t *testing.T) {
	j := newJudge()
	l, err := newLab(t.Context(), Config{Root: "../../..", Dir: t.TempDir()}, j)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, m := range l.members {
				t.Logf("%s: %s", m.name, lastWord(m.logFile))
			}
		}
	})
	if err := l.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.watch(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	w := newWorkload(l, j, 1)
	if err := w.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(l.dir, "yesterday")
	l.writersOff(t, "mkdir -p "+backup, "cp -a "+filepath.Join(l.dir, "data")+"/. "+backup)
	for i := range 20 {
		if r := w.createUser(ctx, fmt.Sprintf("today-%d", i)); r.outcome != outcomeDone {
			t.Fatalf("%+v", r)
		}
	}
	head := w.tokens[len(w.tokens)-1]
	for !w.everywhere(ctx, head, w.rng()) {
		if ctx.Err() != nil {
			t.Fatal("not everywhere")
		}
	}
	l.writersOff(t, "rm -rf "+filepath.Join(l.dir, "data", "w1")+" "+filepath.Join(l.dir, "data", "w2")+" "+filepath.Join(l.dir, "data", "w3"),
		"cp -a "+backup+"/w1 "+backup+"/w2 "+backup+"/w3 "+filepath.Join(l.dir, "data"))
	if r := w.createUser(ctx, "another-history"); r.outcome != outcomeDone {
		t.Fatalf("%+v", r)
	}
	for _, m := range l.some(false) {
		m.mustRefuse(t, w, "Quarantined")
	}
	// An operator replaces a replica's disk: it joins the history that there is now.
	m := l.member("r1")
	if err := errors.Join(m.kill(), clearDir(m.dir), m.start()); err != nil {
		t.Fatal(err)
	}
	until(t, "r1 answers again", func() error {
		if d, p := w.question(ctx, m); d == nil || d.Freshness != "leased" || d.Position >= head.position {
			return fmt.Errorf("it answers %+v %+v", d, p)
		}
		return nil
	})
}

// writersOff runs commands while no writer runs.
func (l *lab) writersOff(t *testing.T, lines ...string) {
	t.Helper()
	for _, m := range l.some(true) {
		if err := m.kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := commands(t.Context(), lines...); err != nil {
		t.Fatal(err)
	}
	for _, m := range l.some(true) {
		if err := m.start(); err != nil {
			t.Fatal(err)
		}
	}
}

// mustRefuse waits until a node answers with a code instead of a decision, however
// it is asked.
func (m *member) mustRefuse(t *testing.T, w *workload, code string) {
	t.Helper()
	until(t, m.name+" refuses", func() error {
		d, p := w.question(t.Context(), m)
		if p.Code != code {
			return fmt.Errorf("it answers %+v %+v", d, p)
		}
		return nil
	})
}

// question asks a node in its own default mode, outside of what is judged.
func (w *workload) question(ctx context.Context, m *member) (*decision, problem) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	body := fmt.Appendf(nil, `{"principal": %q, "action": %q, "resource": "*"}`, principalARN+w.principals[0], askedAction)
	a, err := w.lab.caller().do(ctx, http.MethodPost, m.url+pathAuthorize, body, nil)
	if err != nil {
		return nil, problem{Detail: err.Error()}
	}
	if a.status != http.StatusOK {
		return nil, a.problem()
	}
	var d decision
	if err := json.Unmarshal(a.body, &d); err != nil {
		return nil, problem{Detail: err.Error()}
	}
	return &d, problem{}
}

// until asks until there is no error.
func until(t *testing.T, what string, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return
		}
		if !pause(ctx, pollEvery) {
			t.Fatalf("%s: not after %v: %v", what, patience, err)
		}
	}
}
