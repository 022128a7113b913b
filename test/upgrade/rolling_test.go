package upgrade

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/test/cluster"
)

var (
	writers  = []string{"writer-1", "writer-2", "writer-3"}
	replicas = []string{"replica-1", "replica-2"}
)

// hold keeps the level at that of the previous release.
var hold = fmt.Sprintf("--hold-feature-level=%d", identity.FeatureLevel-1)

// TestRollingUpgrade takes a cluster of the previous release to today's build and part of the way
// back, under clients, and then up to today's feature level: what docs/operating/upgrades.md says.
// It is one test, since its clusters cost more than its steps.
func TestRollingUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the previous release, and runs real processes")
	}
	previous := thePrevious(t)
	today, err := cluster.Build(t.Context(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, previous, today, len(writers), len(replicas))
	for _, m := range f.nodes {
		f.start(m.name, previous)
	}
	f.ready(slices.Concat(writers, replicas)...)
	l := f.begin()
	f.more(l, 20)

	f.upgradeReplicas(l)
	f.upgradeWriters(l)
	f.held()
	f.goBack(l)
	f.rise(l)
	f.more(l, 20)
	l.end(t, f.apiOf(f.node("writer-1")))
	f.agree()

	f.tooOld()
	f.agree()
	for _, m := range f.nodes {
		if code := f.stop(m.name); code != 0 {
			t.Errorf("%s ends with %d", m.name, code)
		}
	}
}

// upgradeReplicas has replicas of today's build follow writers of the previous release.
func (f *fleet) upgradeReplicas(l *load) {
	for _, name := range replicas {
		f.replace(name, f.today)
		f.becomes(name, "leased")
		if _, text := f.readyz(f.t.Context(), name); !strings.Contains(text, fmt.Sprintf("feature level %d of %d that it supports", identity.FeatureLevel-1, identity.FeatureLevel)) {
			f.t.Errorf("%s, which supports more than all others, says of itself: %s", name, text)
		}
		f.more(l, 5)
	}
}

// upgradeWriters goes on with the writers, the leader last. One of them holds the level.
func (f *fleet) upgradeWriters(l *load) {
	f.t.Helper()
	for _, name := range f.leaderLast() {
		flags := []string{}
		if name == writers[0] {
			flags = append(flags, hold)
		}
		f.replace(name, f.today, flags...)
		f.more(l, 5)
	}
	for _, name := range replicas {
		f.becomes(name, "leased")
	}
}

// leaderLast are the writers, and the one that leads behind the others.
func (f *fleet) leaderLast() (names []string) {
	var s client.Cluster
	f.until("a leader is known", func(ctx context.Context) (err error) { s, err = f.cluster(ctx); return err })
	for _, name := range writers {
		if name != s.Leader {
			names = append(names, name)
		}
	}
	return append(names, s.Leader)
}

// held holds that nodes of today's build stay at the level, and say why.
func (f *fleet) held() {
	f.t.Helper()
	f.until("all nodes say what they run, and who holds the level", func(ctx context.Context) error {
		s, err := f.cluster(ctx)
		if err != nil {
			return err
		}
		l := s.FeatureLevel
		if l == nil || l.InForce != identity.FeatureLevel-1 || !slices.Equal(l.HeldBackBy, writers[:1]) {
			return fmt.Errorf("%+v", l)
		}
		for _, m := range s.Members {
			if m.Build == nil || m.Build.Level != identity.FeatureLevel || (m.HoldsLevel > 0) != (m.Name == writers[0]) {
				return fmt.Errorf("%s runs %+v and holds %d", m.Name, m.Build, m.HoldsLevel)
			}
		}
		return nil
	})
	f.checks(0, "holds the feature level", "one node may be stopped")
	f.checks(5, "the upgrade is not over", "--finished")
}

// checks waits until writ upgrade check ends so and says so; flags are in the words that begin so.
func (f *fleet) checks(code int, words ...string) {
	f.t.Helper()
	f.until(fmt.Sprintf("writ upgrade check ends with %d and says %q", code, words), func(ctx context.Context) error {
		args := []string{"upgrade", "check"}
		for _, w := range words {
			if strings.HasPrefix(w, "--") {
				args = append(args, w)
			}
		}
		out, got := f.run(ctx, args...)
		for _, w := range words {
			if got != code || !strings.HasPrefix(w, "--") && !strings.Contains(out, w) {
				return fmt.Errorf("exit %d: %s", got, out)
			}
		}
		f.t.Logf("writ %s ends with %d:\n%s", strings.Join(args, " "), got, out)
		return nil
	})
}

// goBack takes a replica and a writer to the previous release, with what today's build wrote
// into their directories, and forward again.
func (f *fleet) goBack(l *load) {
	f.t.Helper()
	back := []string{replicas[0], writers[1]}
	for _, name := range back {
		f.replace(name, f.previous)
		f.more(l, 5)
	}
	f.becomes(replicas[0], "leased")
	f.checks(0, back[0]+": it does not say which build it runs", back[1]+": it does not say which build it runs")
	for _, name := range back {
		f.replace(name, f.today)
		f.more(l, 5)
	}
	f.becomes(replicas[0], "leased")
}

// rise ends the hold: the level rises by itself.
func (f *fleet) rise(l *load) {
	f.t.Helper()
	f.replace(writers[0], f.today)
	f.until("the level rises", func(ctx context.Context) error {
		s, err := f.cluster(ctx)
		if err == nil && (s.FeatureLevel == nil || s.FeatureLevel.InForce != identity.FeatureLevel) {
			err = fmt.Errorf("%+v", s.FeatureLevel)
		}
		return err
	})
	f.more(l, 5)
	f.checks(0, "the upgrade is over", "--finished")
}

// agree has every node's history and state compared with the leader's log.
func (f *fleet) agree() {
	f.t.Helper()
	f.until("writ verify is content", func(ctx context.Context) error {
		if out, code := f.run(ctx, "verify"); code != 0 {
			return fmt.Errorf("exit %d: %s", code, out)
		}
		return nil
	})
}

// tooOld starts a replica and a writer of the previous release where the log has what they cannot
// read: they get no lease and no vote, and their directories serve today's build afterwards.
func (f *fleet) tooOld() {
	f.t.Helper()
	old, leader := replicas[1], f.leaderLast()[2]
	writer := writers[(slices.Index(writers, leader)+1)%len(writers)]
	if _, err := f.apiOf(f.node(leader)).CreateOpenIDConnectProvider(f.t.Context(), &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://issuer.example"), ClientIDList: []string{"a"}, ThumbprintList: []string{strings.Repeat("0", 40)},
	}); err != nil {
		f.t.Fatal(err)
	}
	f.stop(old)
	f.start(old, f.previous)
	f.stop(writer)
	f.start(writer, f.previous)
	if code := f.wait(f.node(writer)); code == 0 {
		f.t.Errorf("a writer that is too old ends with 0: %s", f.logOf(writer))
	}
	if text := f.logOf(writer); !strings.Contains(text, "later release") {
		f.t.Errorf("a writer that is too old does not say so: %s", text)
	}
	f.until("the replica that is too old says so", func(ctx context.Context) error {
		status, text := f.readyz(ctx, old)
		if status != 503 || !strings.Contains(text, "later release") {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
	name := "meanwhile"
	if _, err := f.apiOf(f.node(leader)).CreateUser(f.t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		f.t.Errorf("beside a writer and a replica that are too old: %v", err)
	}
	f.checks(5, old+": the replica is fenced: its build is too old", writer+": the writer is unreachable", "stop no node now")
	f.stop(old)
	for _, name := range []string{old, writer} {
		f.start(name, f.today)
	}
	f.ready(old, writer)
	f.becomes(old, "leased")
}
