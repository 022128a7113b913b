package log

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

// TestFeatureLevel begins a history as the first release did: it stays readable for
// builds of that release until its level is raised.
func TestFeatureLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t}
		one := c.add()
		must(t, one.Bootstrap())
		leader := c.leader()
		begin := event.Command{
			Cluster: testCluster,
			Cause:   event.Cause{Meta: identity.Meta{Rules: identity.BoundedRules}},
			Content: &identity.Bootstrap{Cluster: testCluster, Incarnation: "1", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIAROOT"}},
		}
		entry, err := wire.EncodeCommand(&begin)
		must(t, err)
		_, err = leader.apply(t.Context(), entry)
		must(t, err)
		proposed := func(content identity.Command, level uint32, rules identity.Rules) {
			t.Helper()
			o, err := leader.Propose(t.Context(), event.Command{Content: content})
			must(t, err)
			if got := leader.Applied().State.Cluster().FeatureLevel; got != level || o.Batch.Cause.Rules != rules {
				t.Errorf("level %d and rules %d after %T, not %d and %d", got, o.Batch.Cause.Rules, content, level, rules)
			}
		}
		origin := identity.Origin{Account: "123456789012", Principal: "AIDA1", Began: 1}
		chain := func() (kept identity.Origin) {
			cmd := event.Command{Content: &identity.SetAccountAlias{}}
			cmd.Cause.By.Session = identity.Session{Key: 1, Origin: origin}
			must(t, leader.level(&cmd))
			return cmd.Cause.By.Session.Origin
		}
		if got := chain(); got != (identity.Origin{}) {
			t.Errorf("at level 1 a command says that its session's chain began with %+v", got)
		}
		proposed(&identity.SetAccountAlias{Account: "123456789012", Alias: "before"}, 1, identity.BoundedRules)
		var refusal *identity.Refusal
		if _, err := leader.Propose(t.Context(), event.Command{Content: &identity.SetQuotas{Account: "123456789012"}}); !errors.As(err, &refusal) || refusal.Code != identity.UnknownFeature {
			t.Errorf("what level 1 cannot read is answered %v", err)
		}
		proposed(&identity.RaiseFeatureLevel{Level: 2}, 2, identity.BoundedRules)
		proposed(&identity.SetQuotas{Account: "123456789012"}, 2, identity.LevelRules)
		proposed(&identity.SetAccountAlias{Account: "123456789012", Alias: "after"}, 2, identity.LevelRules)

		if got := chain(); got != origin {
			t.Errorf("at level 2 a command says that its session's chain began with %+v", got)
		}

		head := leader.Applied().Head
		c.close(one)
		c.open(one)
		leader = c.leader()
		c.reach(leader, head.Position)
		if again := leader.Applied(); again.Head != head || again.State.Cluster().FeatureLevel != 2 {
			t.Errorf("after a restart the head is %v at level %d, not %v", again.Head, again.State.Cluster().FeatureLevel, head)
		}
	})
}

// TestSnapshotOfALaterLevel is one that this build could read and would go on from by other rules.
func TestSnapshotOfALaterLevel(t *testing.T) {
	for level, want := range map[uint32]error{identity.FeatureLevel: nil, identity.FeatureLevel + 1: ErrTooOld} {
		s := identity.NewState()
		identity.Evolve(s, 1, identity.Meta{}, []identity.Event{&identity.ClusterBootstrapped{Cluster: testCluster, Incarnation: "1", FeatureLevel: level}})
		var b bytes.Buffer
		must(t, wire.WriteSnapshot(&b, s, wire.SnapshotHeader{Head: event.Head{Position: 1}, Index: 1, Term: 1}))
		events, err := store.Open(filepath.Join(t.TempDir(), EventsFile), store.Options{})
		must(t, err)
		defer events.Close()
		f := newFSM(testCluster, events, newFailure(), func() {})
		if err := f.Restore(io.NopCloser(&b)); !errors.Is(err, want) {
			t.Errorf("a snapshot of level %d: %v", level, err)
		}
	}
}
